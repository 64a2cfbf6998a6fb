"""The platform interface: five verbs and a declaration. A platform is one folder below `hub/connectors`.

Each folder's `__init__` has `DECLARATION` and `build(account, http) -> Connector` (`hub.connectors.Platform`). There is no
base class: shared work is in `hub.transport`, which the connector is handed as `http`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from hub.core.errors import Refused
from hub.core.types import Json, Raw, Target

Cursor = Mapping[str, Json]
"""Where the platform says we are: opaque to the hub, JSON, small (at most 4 kB)."""


class Verb(StrEnum):
    CHECK = "check"
    READ = "read"
    WRITE = "write"
    TRIGGER = "trigger"
    RECEIVE = "receive"


@dataclass(frozen=True, slots=True)
class Credential:
    """One thing an admin gives to connect an account: becomes `--name` of `hub connect` and a field of the form."""

    name: str
    meaning: str
    secret: bool = False
    required: bool = True
    example: str = ""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One kind of object on a connection. Streams of a connection are read in the order they are declared in.

    `target` is None for streams that are only written and have no counterpart among the hub's own records.
    """

    name: str
    target: Target | None
    reads: bool = False
    writes: bool = False
    write_batch: int = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """What the vendor allows one account: `burst` calls in each rolling `window` seconds, `daily` calls a day.

    None is «no limit stated». `in_flight` caps simultaneous calls of one worker.
    """

    burst: int | None = None
    window: float = 1.0
    daily: int | None = None
    in_flight: int = 4


@dataclass(frozen=True, slots=True)
class Declaration:
    name: str
    title: str
    auth: tuple[Credential, ...]
    streams: tuple[StreamInfo, ...]
    limits: Limits
    can: frozenset[Verb]
    automations: tuple[str, ...] = ()
    """Kinds of automation `trigger` can start, as the part before the colon of «list:61»."""

    def stream(self, name: str) -> StreamInfo:
        for stream in self.streams:
            if stream.name == name:
                return stream
        known = ", ".join(stream.name for stream in self.streams)
        raise Refused(
            "{platform} has no stream «{stream}»",
            cure="Use one of: {known}",
            platform=self.title,
            stream=name,
            known=known,
        )

    def need(self, verb: Verb) -> None:
        """Refuse politely what the platform cannot do."""
        if verb not in self.can:
            raise Refused("{platform} cannot do this: {verb}", platform=self.title, verb=verb.value)


@dataclass(frozen=True, slots=True)
class Account:
    """One authorised account, as the connector is given it: `credentials` hold secrets, `options` do not.

    `options` are learned by `check()` or set by an admin (for example the way to sign, extra consent fields).
    """

    connection_id: str
    name: str
    credentials: Mapping[str, str] = field(repr=False)
    options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check()` learned: the vendor's id and name of the account, facts for people, options worth keeping."""

    account_id: str
    account_name: str
    facts: Mapping[str, Json] = field(default_factory=dict)
    options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, oldest change first, and the cursor that continues behind them.

    `total` is the platform's own count for the whole read where it says one, for progress only.
    """

    records: list[Raw]
    cursor: Cursor
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to write or to start an automation for.

    `key` is our external key (the contact's public id), `values` the platform's own fields, `remote_id` the platform's id
    where we know it, `idempotency_key` is unique per effect, `attempt` counts from 1.
    """

    key: str
    values: Mapping[str, Any]
    remote_id: str | None = None
    idempotency_key: str = ""
    attempt: int = 1


class Outcome(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"
    POSTPONED = "postponed"


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict on one outgoing record. `reason` is the vendor's own words, `field` the field it names.

    `POSTPONED` is no verdict: the call for this record could not be made now; try again in `after` seconds.
    """

    outcome: Outcome
    remote_id: str | None = None
    reason: str = ""
    field: str = ""
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something a platform told us through a webhook: go and look at `external_id` of `stream`."""

    kind: str
    stream: str
    external_id: str
    occurred_at: datetime | None
    dedupe_key: str
    body: Json = None


class Connector(Protocol):
    """What each platform's `build` returns.

    All verbs raise errors of `hub.core.errors` only. Several threads may use one connector.
    """

    declaration: Declaration

    def check(self) -> Checked:
        """The cheapest call that proves the credentials."""

    def read(self, stream: str, cursor: Cursor | None) -> Iterator[Page]:
        """Pages from `cursor` (None: from the beginning) until the platform has no more.

        Nothing is lost at equal timestamps, in another time zone, or when rows move while we read; repeats are allowed.
        The last page's cursor is where the next run starts.
        """

    def write(self, stream: str, records: Sequence[Outgoing]) -> list[Result]:
        """One verdict per record, same order; safe to repeat. At most the stream's `write_batch` records a call.

        A record that the platform refuses is a `REJECTED` result. Raising means that no verdict is known for any; once some
        are known, the rest is `POSTPONED` instead.
        """

    def trigger(self, automation: str, records: Sequence[Outgoing]) -> list[Result]:
        """Start the platform's own automation («kind:id») for each record, once per idempotency key."""

    def receive(self, headers: Mapping[str, str], raw_body: bytes) -> list[Event]:
        """Verify over the raw bytes, then say what happened. An unknown type is `Refused`."""
