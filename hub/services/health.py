"""How the hub is: the figures that monitoring reads, gathered so that what does not answer is told and stops nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from hub.services.context import Context
from hub.store import connections, readiness
from hub.store.db import reading
from hub.store.figures import Figures, count
from hub.store.limits import Usage, usage

__all__ = ["Figures", "Health", "Pulse", "Queues", "take_figures"]


class Pulse(Protocol):
    """Jobs by queue, live workers, and whether a scheduler was heard of lately."""

    @property
    def jobs(self) -> dict[str, int]: ...
    @property
    def workers(self) -> int: ...
    @property
    def scheduler(self) -> bool: ...


class Queues(Protocol):
    """What the door knows of the queues."""

    def pulse(self) -> Pulse: ...


@dataclass(frozen=True)
class Health:
    """None stands for what does not answer."""

    figures: Figures | None = None
    pulse: Pulse | None = None
    usage: dict[str, Usage] = field(default_factory=dict)
    """Today's API use, by connection."""


def take_figures(context: Context, queues: Queues, redis: Any) -> Health:
    figures, names = None, {}
    if readiness.database_answers():
        with reading() as session:
            figures = count(session, context.now())
            names = {row.id: row.name for row in connections.list_connections(session)}
    if not readiness.redis_answers(redis):
        return Health(figures)
    today, prefix = context.now().date(), context.settings.namespace
    spent = {name: usage(redis, connection_id, day=today, prefix=prefix) for connection_id, name in names.items()}
    return Health(figures, queues.pulse(), spent)
