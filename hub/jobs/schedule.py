"""Periodic work: one list. Each entry is safe to run on several machines at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask

from hub.services import hook_delivery, idempotency, settling, sign_ins, sync
from hub.services.context import Context

log = logging.getLogger("hub.schedule")


@dataclass(frozen=True)
class Periodic:
    name: str
    every: float
    """Seconds."""
    verb: Callable[[Context], object]


PERIODIC = (
    Periodic("request_due_syncs", 5.0, sync.request_due_syncs),
    Periodic("settle_held", 15.0, settling.sweep_held),
    Periodic("forget_old_deliveries", 3600.0, hook_delivery.forget_old_deliveries),
    Periodic("forget_old_keys", 3600.0, idempotency.forget_old_keys),
    Periodic("forget_old_sign_ins", 3600.0, sign_ins.forget_old),
)


class Schedule:
    """Runs what is due at each tick; a failing entry is logged and tried again at its next time."""

    def __init__(self, app: Flask, context: Context) -> None:
        self._app = app
        self._context = context
        self._next = {item.name: time.monotonic() + item.every for item in PERIODIC}

    def tick(self) -> None:
        now = time.monotonic()
        for item in PERIODIC:
            if self._next[item.name] <= now:
                self._next[item.name] = now + item.every
                try:
                    item.verb(self._context)
                except Exception:
                    log.exception("periodic work failed", extra={"periodic": item.name})
