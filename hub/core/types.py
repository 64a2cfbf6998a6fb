"""The plain values that floors hand to one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Json = Any
"""A JSON value: None, bool, int, float, str, list or dict of them."""

Raw = dict[str, Any]
"""A record as the platform gave it."""

Standard = dict[str, Any]
"""A record in the hub's own fields (mapping/standard.toml)."""


class Target(StrEnum):
    """What a stream's records become in the hub; each has its fields in mapping/standard.toml."""

    CONTACT = "contact"
    ORDER = "order"
    PRODUCT = "product"


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"
    PHONE = "phone"
    POST = "post"


class Act(StrEnum):
    """What a person did about a permission: an entry of the ledger."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


class Lane(StrEnum):
    """Who goes first when an API budget is short: withdrawals and erasures, then automations, then bulk."""

    URGENT = "urgent"
    EVENT = "event"
    BULK = "bulk"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: a user, an API token, a terminal on the hub's machine, or the hub itself."""

    kind: str
    id: str
    name: str
    address: str = ""


class RunState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer of every rule: yes or no, always with the reason's code (texts in docs/reasons.md)."""

    allowed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class ConsentAct:
    """One act of a person on one scope.

    `evidence` names where the act can be seen (platform, record, field, value); `source_ref` is unique per act, so that
    reading the same record twice writes one act. `at` is aware UTC.
    """

    act: Act
    channel: Channel
    topic: str
    brand: str
    at: datetime
    source: str
    source_ref: str
    evidence: Mapping[str, Json] = field(default_factory=dict)


@dataclass(slots=True)
class Counts:
    """What one batch or run did to its records: `read` is the sum of the other four."""

    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    quarantined: int = 0

    def add(self, other: Counts) -> None:
        self.read += other.read
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.quarantined += other.quarantined

    def as_json(self) -> dict[str, int]:
        return {
            "read": self.read,
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "quarantined": self.quarantined,
        }
