"""What the verbs work with: handed in by the composition root, so that tests and doors choose the edges."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

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


Stop = Callable[[], bool]
"""Asked between two batches: make room for something urgent, or shut down."""
