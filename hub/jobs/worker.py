"""The worker process: RQ's simple worker, told to stop between batches rather than in the middle of one."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask
from rq import SimpleWorker

from hub.jobs import tasks
from hub.jobs.queues import Queues

log = logging.getLogger("hub.worker")

WORKER_SECONDS = 60
"""RQ's sign of life; also bounds how long an idle worker waits before it looks after abandoned jobs."""


class Worker(SimpleWorker):  # type: ignore[misc] # RQ is untyped here
    """No fork: a job is a slice of at most some seconds, its memory is bounded, and forking costs more than the job."""

    def request_stop(self, signum: int, frame: Any) -> None:
        tasks.shutting_down.set()
        super().request_stop(signum, frame)


def work(app: Flask, queues: Queues, *, burst: bool = False) -> None:
    """Work on all queues, urgent ones first, until a signal or (with `burst`) until they are empty."""
    tasks.shutting_down.clear()
    with app.app_context():
        worker = Worker(
            queues.in_order(),
            connection=queues.redis,
            worker_ttl=WORKER_SECONDS,
            maintenance_interval=WORKER_SECONDS,
            log_job_description=False,
        )
        worker.work(burst=burst, logging_level="WARNING", with_scheduler=False)
