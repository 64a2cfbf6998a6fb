"""The queues, and what is put into them. With `relay.py` and `worker.py` the only place that knows RQ."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum

from redis import Redis
from rq import Queue
from rq.exceptions import DuplicateJobError


class QueueName(StrEnum):
    """In the order in which workers look into them."""

    URGENT = "urgent"
    EVENT = "event"
    BULK = "bulk"


JOB_SECONDS = 600
"""A job longer than this is stuck; slices are far shorter."""

REPEAT_SECONDS = 30.0
"""A message that nobody acted on is sent again after this time: Redis may have lost it, or its worker died."""


BEAT_SECONDS = 30.0
"""A scheduler that has not been heard of for so long is gone."""


@dataclass(frozen=True)
class Pulse:
    """Jobs by queue, live workers, and whether a scheduler was heard of lately."""

    jobs: dict[str, int]
    workers: int
    scheduler: bool


class Queues:
    """Hands ids to RQ. The same message is not queued twice while it waits, and is queued again when it may be lost."""

    def __init__(self, redis: Redis, namespace: str = "hub") -> None:
        self.redis = redis
        self._namespace = namespace
        self._beat = f"{namespace}:schedule"
        self._queues = {name: Queue(f"{namespace}-{name.value}", connection=redis) for name in QueueName}

    def send(self, queue: QueueName, task: str, argument: str, key: str) -> bool:
        """Queue `hub.jobs.tasks.<task>(argument)`; False if the same message waits already.

        `key` is made of letters, digits, «-» and «_» and must change whenever the work was taken up.
        """
        bucket = int(time.time() / REPEAT_SECONDS)
        try:
            self._queues[queue].enqueue_call(
                f"hub.jobs.tasks.{task}",
                args=(argument,),
                job_id=f"{self._namespace}-{task}-{key}-{bucket}",
                unique=True,
                timeout=JOB_SECONDS,
                ttl=int(4 * REPEAT_SECONDS),
                result_ttl=0,
                failure_ttl=int(REPEAT_SECONDS),
                description=task,
            )
        except DuplicateJobError:
            return False
        return True

    def beat(self) -> None:
        """The scheduler's sign of life."""
        self.redis.set(self._beat, int(time.time()), ex=int(BEAT_SECONDS))

    def pulse(self) -> Pulse:
        """What the queues hold and who is there to work on them. Redis' errors pass."""
        names = [f"rq:workers:{queue.name}" for queue in self._queues.values()]
        members = {member for name in names for member in self.redis.smembers(name)}
        workers = sum(bool(self.redis.exists(member)) for member in members)
        return Pulse(self.lengths(), workers, bool(self.redis.exists(self._beat)))

    def has_urgent(self) -> bool:
        """Whether something urgent waits for a worker."""
        return bool(self._queues[QueueName.URGENT].count)

    def in_order(self) -> list[Queue]:
        """The queues as a worker listens to them, urgent first."""
        return list(self._queues.values())

    def lengths(self) -> dict[str, int]:
        return {name.value: queue.count for name, queue in self._queues.items()}
