"""`hub doctor`: looks over the whole set-up and says what to mend. Each look is one function; none changes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hub.services import setup_looks, work_looks
from hub.services.context import Context
from hub.services.findings import Finding, Patient, State
from hub.services.health import Queues, take_figures

__all__ = ["Finding", "State", "examine"]

LOOKS: tuple[Callable[[Patient], Iterable[Finding]], ...] = (
    setup_looks.look_at_settings,
    setup_looks.look_at_folder,
    setup_looks.look_at_database,
    setup_looks.look_at_redis,
    setup_looks.look_at_processes,
    work_looks.look_at_users,
    work_looks.look_at_connections,
    work_looks.look_at_work,
)


def examine(context: Context, queues: Queues, redis: Any, *, live: bool = False) -> list[Finding]:
    """Everything in order, worst things not first: a person reads it from the ground up. `live` also calls the platforms."""
    patient = Patient(context, take_figures(context, queues, redis), redis, live)
    return [finding for look in LOOKS for finding in look(patient)]
