"""What connectors and the transport say to each other: plain values and the two things the transport must be given."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from hub.core.types import Json, Lane


@dataclass(frozen=True, slots=True)
class Call:
    """One request to make: `path` below the base URL, `json` or `form` as body."""

    method: str
    path: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    json: Json = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    lane: Lane = Lane.BULK


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `headers` with lower-case names, `elapsed` in seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed: float


class Placement(StrEnum):
    HEADER = "header"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class Basic:
    """RFC 7617."""

    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bearer:
    """RFC 6750 with a token that does not expire (a private app, a service key)."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OAuth1:
    """RFC 5849 without a token («one-legged»), HMAC-SHA256."""

    key: str
    secret: str = field(repr=False)
    placement: Placement = Placement.HEADER


@dataclass(frozen=True, slots=True)
class OAuth2:
    """RFC 6749: an access token refreshed at `token_path` with the client's credentials in the body."""

    token_path: str
    client_id: str
    client_secret: str = field(repr=False)


Auth = Basic | Bearer | OAuth1 | OAuth2


@dataclass(frozen=True, slots=True)
class Token:
    """An OAuth 2 token; `version` grows with each save, `expires_at` is aware UTC or None for «unknown»."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires_at: datetime | None
    version: int


class TokenStore(Protocol):
    """Where a connection's OAuth 2 token lives."""

    def load(self) -> Token: ...

    def save(self, token: Token, *, replacing: int) -> bool:
        """Store it if the stored version is still `replacing`; False if somebody was faster."""

    def refreshing(self) -> AbstractContextManager[bool]:
        """The connection's refresh lock, owned: yields whether we got it within its waiting time."""


class Budget(Protocol):
    """The API budget of one connection, shared by every worker."""

    def take(self, lane: Lane) -> None:
        """Count one call, or raise `RateLimited(after)` without counting it."""

    def learn(self, answer: Answer) -> None:
        """Read the vendor's headers and status: limits, what is left, how long to wait after a 429."""


class NoBudget:
    """For calls that no shared budget covers: a first check before a connection exists, simulators, tests."""

    def take(self, lane: Lane) -> None:
        """Always allowed."""

    def learn(self, answer: Answer) -> None:
        """Nothing to learn."""
