"""The audit trail: who did what and when, with what was before and after."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Response, current_app, flash, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.core.errors import NotFound
from hub.core.roles import Permission
from hub.core.texts import say
from hub.services import trail
from hub.services.context import Context
from hub.web import formats
from hub.web.forms import tell
from hub.web.pages import argument, language, zone
from hub.web.sheets import stream_csv

PAGE = 50
ROWS_AT_ONCE = 500
LONGEST_VALUE = 2000
HEADER = (
    "entry",
    "at",
    "by",
    "by_id",
    "by_kind",
    "address",
    "action",
    "subject_kind",
    "subject_id",
    "subject",
    "before",
    "after",
)


@dataclass(frozen=True, slots=True)
class Change:
    """One value that an entry tells of, before and after; empty where there was none."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Entry:
    row: Any
    changes: list[Change]


@dataclass(frozen=True, slots=True)
class Filter:
    """What the address asks for: `given` as it stands there, `wanted` as the store is asked."""

    given: dict[str, str]
    wanted: dict[str, Any]


def list_audit() -> str:
    """Entries, newest first, filtered by person, action, subject and days."""
    chosen = _read_filter()
    page = trail.page(**chosen.wanted, before=_before(), limit=PAGE + 1)
    known = trail.known_names()
    return render_template(
        "admin/audit.html",
        entries=[Entry(row, changes_of(row.before, row.after)) for row in page[:PAGE]],
        next_page=str(page[PAGE - 1].seq) if len(page) > PAGE else None,
        chosen=chosen.given,
        actors=known.actors,
        actions=known.actions,
        kinds=known.subject_kinds,
        proof=trail.last_proof(_context()),
    )


def export_audit() -> Response:
    """The same entries as a file, as many as there are."""
    chosen = _read_filter()
    return stream_csv("audit", HEADER, _rows(chosen))


def _rows(chosen: Filter) -> Iterator[tuple[Any, ...]]:
    before: int | None = None
    while page := trail.page(**chosen.wanted, before=before, limit=ROWS_AT_ONCE):
        for row in page:
            by = (row.actor_name, row.actor_id, row.actor_kind, row.address)
            subject = (row.subject_kind, row.subject_id, row.subject_name)
            values = [
                json.dumps(value, ensure_ascii=False, sort_keys=True) if value else "" for value in (row.before, row.after)
            ]
            yield (row.seq, row.at, *by, row.action, *subject, *values)
        before = page[-1].seq


def verify_audit() -> AnyResponse:
    """Check the whole chain of entries now; the next page says up to which entry it is as it was written."""
    proof, lang = trail.prove(_context()), language()
    if proof.broken is None:
        tell("Verified up to entry {number}", number=formats.number(proof.entries, lang))
    else:
        text = say("Entry {number} is not as it was written, or is missing", lang, number=formats.number(proof.broken, lang))
        flash(text, "danger")
    return redirect(url_for("admin.list_audit"), 303)


def _context() -> Context:
    found: Context = current_app.extensions["hub"]
    return found


def _read_filter() -> Filter:
    given = {name: argument(name) for name in ("person", "action", "kind", "subject", "since", "until")}
    subject = given["subject"]
    wanted = {
        "actor": given["person"],
        "action": given["action"],
        "subject_kind": given["kind"],
        "subject_id": str(UUID(subject)) if _is_uuid(subject) else subject,
        "since": _day(given["since"], "since"),
        "until": _day(given["until"], "until", days=1),
    }
    return Filter(given, wanted)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _day(text: str, name: str, *, days: int = 0) -> datetime | None:
    """The beginning of a day (or of the day `days` later) in the firm's time zone."""
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone())
        return (day + timedelta(days=days)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotFound("The filter «{name}» cannot be read", cure="Start again from the first page", name=name) from None


def _before() -> int | None:
    text = argument("before")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise NotFound("The filter «{name}» cannot be read", cure="Start again from the first page", name="before")
    return int(text)


def changes_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Every value that either side names, in the order of their names."""
    names = sorted({*before, *after})
    return [Change(name, _shown(before, name), _shown(after, name)) for name in names]


def _shown(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return ""
    value = values[name]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def routes(add: Callable[..., None]) -> None:
    add("/audit", list_audit, Permission.AUDIT_READ)
    add("/audit.csv", export_audit, Permission.AUDIT_READ)
    add("/audit/verify", verify_audit, Permission.AUDIT_READ, methods=("POST",))
