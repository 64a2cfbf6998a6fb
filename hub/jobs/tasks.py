"""The jobs: an id in, one verb called. Each is a guard against being repeated: the verb claims, or leaves quietly."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import cast

from flask import current_app

from hub.core.errors import HubError, NotFound
from hub.jobs.queues import Queues
from hub.services import delivery, evaluate, hook_delivery, letters, sync
from hub.services.context import Context
from hub.store.boxes import Parcel
from hub.store.db import new_id

log = logging.getLogger("hub.jobs")

FAULT_SECONDS = 30.0
"""How long a parcel rests after a fault of ours: the log shall tell of it, not drown in it."""

shutting_down = threading.Event()
"""Set by the worker when it is asked to end: jobs then stop at their next batch."""


def _context() -> Context:
    return cast(Context, current_app.extensions["hub"])


def _owner() -> str:
    """Who holds a lease: unique per job, with the machine and process for people."""
    return f"{socket.gethostname()[:24]}:{os.getpid()}:{new_id()[-12:]}"


def _stop(*, urgent: bool = False) -> Callable[[], bool]:
    """Asked between batches: shut down, or make room for something urgent."""
    queues = cast(Queues, current_app.extensions["hub_queues"])
    return lambda: shutting_down.is_set() or (not urgent and queues.has_urgent())


def advance_run(run_id: str) -> None:
    owner = _owner()
    try:
        sync.advance_run(_context(), run_id, owner, _stop())
    except Exception as error:
        log.exception("a fault of the hub in a run", extra={"run": run_id})
        sync.abandon_run(_context(), run_id, owner, type(error).__name__)


def advance_evaluation(evaluation_id: str) -> None:
    owner = _owner()
    try:
        evaluate.advance_evaluation(_context(), evaluation_id, owner, _stop())
    except Exception as error:
        log.exception("an evaluation stopped", extra={"evaluation": evaluation_id})
        known = error if isinstance(error, HubError) else HubError("The hub itself has a fault", cause=type(error).__name__)
        evaluate.abandon_evaluation(_context(), evaluation_id, owner, known.as_json())


def deliver(parcel: str) -> None:
    read = Parcel.read(parcel)
    try:
        delivery.deliver(_context(), read, _owner(), _stop(urgent=read.lane == "urgent"))
    except NotFound:
        return  # the connection was taken away, and what it was owed with it
    except Exception:  # what was claimed is free again when the lease is over
        log.exception("a fault of the hub in a delivery", extra={"parcel": parcel})
        _context().holds.hold(parcel, FAULT_SECONDS)


def deliver_hook(delivery_id: str) -> None:
    try:
        hook_delivery.deliver(_context(), delivery_id)
    except Exception:  # its claim ends by itself, then it is tried again
        log.exception("a fault of the hub in a webhook's delivery", extra={"delivery": delivery_id})


def send_letter(letter_id: str) -> None:
    try:
        letters.send_letter(_context(), letter_id)
    except Exception:  # its claim ends by itself, then it is tried again
        log.exception("a fault of the hub in a letter", extra={"letter": letter_id})
