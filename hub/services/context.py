"""What the verbs work with: handed in by the composition root, so that tests and doors choose the edges."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from hub.connectors import Platform
from hub.core.connector import Limits
from hub.core.http import Budget
from hub.core.settings import Settings
from hub.store.vault import Vault


class Holds(Protocol):
    """What waits for an API budget or a throttle, by `lane_key` or parcel; forgetting one only costs a refused call."""

    def hold(self, key: str, seconds: float) -> None: ...


@dataclass(frozen=True)
class Context:
    """`now` is the clock (aware UTC); `lock(name)` yields whether the owned lock was got in time."""

    settings: Settings
    vault: Vault
    now: Callable[[], datetime]
    platform: Callable[[str], Platform]
    budget: Callable[[str, Limits], Budget]
    lock: Callable[[str], AbstractContextManager[bool]]
    holds: Holds
    lines: dict[tuple[str, str], Any] = field(default_factory=dict, compare=False, repr=False)
    """Connectors that this process keeps open between jobs, by connection and lane."""


Stop = Callable[[], bool]
"""Asked between two batches: make room for something urgent, or shut down."""
