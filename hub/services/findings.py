"""What a look over the set-up finds, and what it looks at."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hub.services.context import Context
from hub.services.health import Health


class State(StrEnum):
    GOOD = "good"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One fact about the set-up. `text` and `cure` hold `{params}`; a good one has no cure."""

    check: str
    state: State
    text: str
    cure: str = ""
    params: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Patient:
    """What the looks look at."""

    context: Context
    health: Health
    redis: Any
    live: bool


def good(check: str, text: str, **params: object) -> Finding:
    return Finding(check, State.GOOD, text, params=params)
