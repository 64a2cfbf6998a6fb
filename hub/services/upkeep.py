"""Looking after a connection: its name, a pause, limits of its own, and taking it away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.core.connector import Account, Limits, Verb
from hub.core.errors import Conflict, Invalid
from hub.core.redact import forget_secrets
from hub.core.texts import N_
from hub.services.audit import note
from hub.services.connections import check_name, limits_of, noted, refuse_taken, told
from hub.services.context import Context
from hub.services.hooks import tell
from hub.services.preferences import ChangedMeanwhile
from hub.store import connections, glance, readiness, vault
from hub.store.connections import ConnectionRow
from hub.store.db import Session, reading, transaction
from hub.store.limits import Usage, usage

LIMITS = "limits"
"""The connection's option that holds an admin's own cap."""
LIMIT_NAMES = ("burst", "window", "daily", "in_flight")
LARGEST_LIMIT = 10_000_000


def rename(context: Context, connection_id: str, name: str, seen: str) -> ConnectionRow:
    """Give the connection another name; `seen` is the one that the person looked at."""
    check_name(name)
    now = context.now()
    with transaction() as session:
        row = _locked(session, connection_id)
        if row.name == name:
            return row
        if row.name != seen:
            raise _meanwhile(row.name)
        refuse_taken(session, name, row.id)
        connections.rename_connection(session, row.id, name, now)
        note(session, "connection.renamed", ("connection", row.id, name), now, before={"name": row.name}, after={"name": name})
        tell(session, "connection.changed", row.id, {**told(row), "name": name}, now)
    return row


def _locked(session: Session, connection_id: str) -> ConnectionRow:
    """The connection as whoever changed it last left it."""
    connections.lock_connection(session, connection_id)
    return connections.get_connection(session, connection_id)


def pause(context: Context, connection_id: str) -> ConnectionRow:
    """Nothing is read on schedule and nothing is sent until it is resumed. A second pause changes nothing."""
    return _move(context, connection_id, connections.ACTIVE, connections.PAUSED, "connection.paused")


def resume(context: Context, connection_id: str) -> ConnectionRow:
    """Go on after a pause."""
    return _move(context, connection_id, connections.PAUSED, connections.ACTIVE, "connection.resumed")


def _move(context: Context, connection_id: str, old: str, new: str, action: str) -> ConnectionRow:
    now = context.now()
    with transaction() as session:
        row = _locked(session, connection_id)
        if row.state == new:
            return row
        if row.state != old:
            raise Conflict("The connection «{name}» needs new credentials first", cure="Give it new credentials", name=row.name)
        connections.set_state(session, row.id, new, row.error, now)
        note(session, action, ("connection", row.id, row.name), now, before={"state": old}, after={"state": new})
        tell(session, "connection.changed", row.id, {**told(row), "state": new}, now)
    return row


def change_limits(context: Context, connection_id: str, wished: Mapping[str, str], seen: Mapping[str, str]) -> None:
    """An admin's own cap on calls, for shops on small hosts or shared accounts; empty values leave the vendor's own."""
    values = _read_limits(wished)
    now = context.now()
    with transaction() as session:
        row = _locked(session, connection_id)
        old = row.options.get(LIMITS) or {}
        if old == values:
            return
        if shown_limits(row) != dict(seen):
            raise _meanwhile(shown_limits(row))
        options = {name: value for name, value in row.options.items() if name != LIMITS}
        connections.set_options(session, row.id, {**options, **({LIMITS: values} if values else {})}, now)
        note(session, "connection.limited", ("connection", row.id, row.name), now, before=old, after=values)


def shown_limits(row: ConnectionRow) -> dict[str, str]:
    """The connection's own limits as a form shows them."""
    own = row.options.get(LIMITS) or {}
    return {name: f"{own[name]:g}" if name in own and own[name] is not None else "" for name in LIMIT_NAMES}


def _read_limits(wished: Mapping[str, str]) -> dict[str, float | int]:
    values: dict[str, float | int] = {}
    wrong: dict[str, str] = {}
    for name in LIMIT_NAMES:
        text = wished.get(name, "").strip().replace(",", ".")
        if not text:
            continue
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 0 < number <= LARGEST_LIMIT or (name != "window" and number != int(number)):
            wrong[name] = N_("Write a number greater than 0, or leave it empty")
        else:
            values[name] = number if name == "window" else int(number)
    if ("burst" in values) != ("window" in values) and not wrong:
        wrong["window" if "burst" in values else "burst"] = N_("Calls and seconds belong together: write both or neither")
    if wrong:
        raise Invalid("The limits were not saved", fields=wrong)
    return values


@dataclass(frozen=True)
class Attached:
    """What goes with a connection when it is taken away."""

    records: int
    orders: int
    runs: int
    quarantined: int
    owed: int
    scenarios: tuple[str, ...]


def attached(connection_id: str) -> Attached:
    with reading() as session:
        counts = glance.count_attached(session, connection_id)
        names = tuple(glance.scenario_names(session, connection_id))
    return Attached(**counts, scenarios=names)


def disconnect(context: Context, connection_id: str, typed_name: str) -> ConnectionRow:
    """Take the connection away with its keys, records and scenarios. Contacts, consents and the audit trail stay."""
    now = context.now()
    with transaction() as session:
        row = connections.get_connection(session, connection_id)
        if typed_name.strip() != row.name:
            raise Invalid("Nothing was removed", fields={"name": "This is not the connection's name"})
        gone = glance.count_attached(session, row.id)
        names = glance.scenario_names(session, row.id)
        credentials, _ = vault.load_secret(session, context.vault, row.id, "credentials")
        secret_names = {item.name for item in context.platform(row.platform).DECLARATION.auth if item.secret}
        connections.delete_connection(session, row.id)
        before = {**noted(row), **gone, "scenarios": names}
        note(session, "connection.removed", ("connection", row.id, row.name), now, before=before)
        tell(session, "connection.removed", row.id, told(row), now)
    if secrets := [value for name, value in credentials.items() if name in secret_names and value]:
        forget_secrets(secrets)
    return row


@dataclass(frozen=True)
class Facts:
    """`credentials` without its secrets; `used` is today's API use, None when Redis does not answer."""

    row: ConnectionRow
    title: str
    readable: tuple[str, ...]
    writable: tuple[str, ...]
    can: frozenset[Verb]
    limits: Limits
    credentials: dict[str, str]
    used: Usage | None


def describe(context: Context, redis: Any, connection_id: str) -> Facts:
    """Everything about one connection; NotFound if there is none."""
    with reading() as session:
        row = connections.get_connection(session, connection_id)
        given, _ = vault.load_secret(session, context.vault, row.id, "credentials")
    declaration = context.platform(row.platform).DECLARATION
    shown = {item.name: given[item.name] for item in declaration.auth if not item.secret and given.get(item.name)}
    used = None
    if readiness.redis_answers(redis):
        used = usage(redis, row.id, day=context.now().date(), prefix=context.settings.namespace)
    return Facts(
        row=row,
        title=declaration.title,
        readable=tuple(stream.name for stream in declaration.streams if stream.reads),
        writable=tuple(stream.name for stream in declaration.streams if stream.writes),
        can=declaration.can,
        limits=limits_of(context, row, Account(row.id, row.name, given, row.options)),
        credentials=shown,
        used=used,
    )


def _meanwhile(theirs: Any) -> ChangedMeanwhile:
    error = ChangedMeanwhile()
    error.theirs = theirs
    return error
