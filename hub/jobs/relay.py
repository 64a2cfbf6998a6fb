"""From the boxes to RQ: looks at what is due in the database and hands ids to the workers.

The database is the truth. If Redis loses everything, the next look fills RQ again.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from math import ceil

from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from hub.core.types import Lane
from hub.jobs.queues import QueueName, Queues
from hub.store import dues, hooks, letters, runs, scenarios
from hub.store.boxes import Parcel
from hub.store.db import reading
from hub.store.holds import RedisHolds

log = logging.getLogger("hub.relay")

LOOK_EVERY = 0.15
"""Seconds between two looks at the boxes: what a withdrawal waits at most before it reaches a worker."""

JOBS_PER_PARCEL = 6
"""Jobs of one parcel in flight: more workers than this do not speed up one connection, its API budget is the limit."""

EFFECTS_PER_JOB = 100

_QUEUE_OF = {Lane.URGENT.value: QueueName.URGENT, Lane.EVENT.value: QueueName.EVENT, Lane.BULK.value: QueueName.BULK}


class Relay:
    """One per deployment is enough; several do no harm."""

    def __init__(self, queues: Queues, holds: RedisHolds) -> None:
        self._queues = queues
        self._holds = holds

    def look(self) -> float:
        """Hand over everything that is due; returns the seconds until it is worth looking again."""
        now = datetime.now(UTC)
        with reading() as session:
            due_runs = runs.due_runs(session, now)
            due_evaluations = scenarios.due_evaluations(session, now)
            due_hooks = hooks.due_deliveries(session, now)
            due_letters = letters.due_letters(session, now)
            parcels = dues.due_parcels(session, now)
        for run_id, claims in due_runs:
            self._queues.send(QueueName.BULK, "advance_run", run_id, f"{run_id}-{claims}")
        for evaluation_id, claims in due_evaluations:
            self._queues.send(QueueName.EVENT, "advance_evaluation", evaluation_id, f"{evaluation_id}-{claims}")
        for delivery_id, attempts in due_hooks:
            self._queues.send(QueueName.BULK, "deliver_hook", delivery_id, f"{delivery_id}-{attempts}")
        for letter_id, attempts in due_letters:
            self._queues.send(QueueName.EVENT, "send_letter", letter_id, f"{letter_id}-{attempts}")
        return self._send_parcels(parcels)

    def _send_parcels(self, parcels: Sequence[tuple[Parcel, int]]) -> float:
        keys = {key for parcel, _ in parcels for key in (parcel.lane_key, str(parcel))}
        waiting = self._holds.waiting(keys)
        soonest = LOOK_EVERY
        for parcel, count in parcels:
            wait = max(waiting.get(parcel.lane_key, 0.0), waiting.get(str(parcel), 0.0))
            if wait > 0:
                soonest = min(soonest, wait)
                continue
            digest = hashlib.blake2b(str(parcel).encode(), digest_size=8).hexdigest()
            for slot in range(min(JOBS_PER_PARCEL, ceil(count / EFFECTS_PER_JOB))):
                self._queues.send(_QUEUE_OF[parcel.lane], "deliver", str(parcel), f"{digest}-{slot}")
        return max(soonest, 0.002)

    def run(self, stop: threading.Event, tick: Callable[[], None]) -> None:
        """Look again and again until `stop`; `tick` does the periodic work. Survives a database or Redis that is away."""
        patience = LOOK_EVERY
        while not stop.is_set():
            try:
                tick()
                self._queues.beat()
                wait = self.look()
                patience = LOOK_EVERY
            except (SQLAlchemyError, RedisError, OSError) as error:
                log.warning("the relay waits for the database or Redis: %s", type(error).__name__)
                patience = min(patience * 2, 5.0)
                wait = patience
            stop.wait(wait)
