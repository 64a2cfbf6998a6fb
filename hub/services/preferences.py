"""What the firm sets in the console: its name, the language of letters, the time zone, how often each connection is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from hub.core.errors import Conflict, Invalid
from hub.core.texts import LANGUAGES, N_
from hub.services.audit import note
from hub.services.context import Context
from hub.store import connections, preferences
from hub.store.db import Session, reading, transaction

KEY = "firm"
LONGEST_NAME = 80
DEFAULT_ZONE = "Europe/Warsaw"
SHORTEST, LONGEST = 60.0, 7 * 86400.0
"""Seconds between two scheduled syncs of a connection; 0 is never."""


@dataclass(frozen=True)
class Firm:
    """`time_zone` is a name of the IANA list; `sync_every` holds seconds by connection id, where it is not HUB_SYNC_EVERY."""

    name: str = ""
    letters_language: str = "pl"
    time_zone: str = DEFAULT_ZONE
    sync_every: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """The settings with their version (0: nobody has set any), and what they were before the last change."""

    firm: Firm
    version: int
    before: Firm | None


class ChangedMeanwhile(Conflict):
    """Somebody else saved first; `theirs` is what stands now."""

    code = "changed_meanwhile"
    message = "Somebody else changed this meanwhile"
    cure = "Look at both versions, then save again or keep theirs"
    theirs: Any = None


def read_firm(session: Session) -> Kept:
    """The settings as they are; what was never set has its default."""
    value, version = preferences.load_preference(session, KEY)
    if not value:
        return Kept(Firm(), 0, None)
    before = value.get("before")
    return Kept(_firm(value.get("now") or {}), version, _firm(before) if before else None)


def _firm(stored: Mapping[str, Any]) -> Firm:
    known = {name: stored[name] for name in ("name", "letters_language", "time_zone", "sync_every") if name in stored}
    return replace(Firm(), **known)


def change_firm(context: Context, wished: Firm, seen: int) -> Kept:
    """Save the settings; `Invalid` names wrong fields, `ChangedMeanwhile` says that `seen` is not the newest version."""
    wrong = _check(wished)
    if wrong:
        raise Invalid("The settings were not saved", fields=wrong)
    now = context.now()
    with transaction() as session:
        old = read_firm(session)
        known = {row.id: row for row in connections.list_connections(session)}
        own = {key: seconds for key, seconds in wished.sync_every.items() if key in known}
        new = replace(wished, name=wished.name.strip(), sync_every=own)
        if old.version != seen:
            raise _meanwhile(old)
        if new == old.firm:
            return old
        version = preferences.save_preference(session, KEY, {"now": asdict(new), "before": asdict(old.firm)}, seen, now)
        if version is None:
            raise _meanwhile(read_firm(session))
        for key, row in known.items():
            every = interval(context, new, key)
            if every != interval(context, old.firm, key):
                readable = any(stream.reads for stream in context.platform(row.platform).DECLARATION.streams)
                connections.plan_sync(session, key, now + timedelta(seconds=every) if every > 0 and readable else None)
        names = {key: row.name for key, row in known.items()}
        note(session, "settings.changed", ("settings", KEY, ""), now, before=_noted(old.firm, names), after=_noted(new, names))
    return Kept(new, version, old.firm)


def undo_firm(context: Context, seen: int) -> Kept:
    """Back to what was before the last change. To undo that again brings the change back."""
    with reading() as session:
        kept = read_firm(session)
    if kept.before is None:
        raise Conflict("There is no change to undo", cure="Set the values yourself")
    return change_firm(context, kept.before, seen)


def interval(context: Context, firm: Firm, connection_id: str) -> float:
    """Seconds between two scheduled syncs of the connection; 0: never."""
    return float(firm.sync_every.get(connection_id, context.settings.sync_every))


@cache
def time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _check(firm: Firm) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if len(firm.name) > LONGEST_NAME or not firm.name.isprintable():
        wrong["name"] = N_("At most 80 characters, on one line")
    if firm.letters_language not in LANGUAGES:
        wrong["letters_language"] = N_("Choose one of the languages")
    if firm.time_zone not in time_zones():
        wrong["time_zone"] = N_("There is no such time zone; write it as Europe/Warsaw")
    for key, seconds in firm.sync_every.items():
        if seconds != 0 and not SHORTEST <= seconds <= LONGEST:
            wrong[f"sync_every.{key}"] = N_("Choose one of the intervals")
    return wrong


def _meanwhile(kept: Kept) -> ChangedMeanwhile:
    error = ChangedMeanwhile()
    error.theirs = kept
    return error


def _noted(firm: Firm, names: Mapping[str, str]) -> dict[str, Any]:
    """For the audit trail: connections by their name."""
    intervals = {names.get(key, key): seconds for key, seconds in sorted(firm.sync_every.items())}
    return {**asdict(firm), "sync_every": intervals}
