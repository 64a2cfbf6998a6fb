"""What the firm sets, and the audit trail."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from marshmallow import fields

from hub.core.roles import Permission
from hub.core.texts import LANGUAGES
from hub.services import preferences
from hub.services.preferences import LONGEST, Kept
from hub.store import audit
from hub.store.db import reading
from hub.web.api.kit import Area, Rows, hub, match
from hub.web.api.paging import read_cursor
from hub.web.api.shapes import Choice, Code, EmptyShape, Free, Id, Moment, PageQuery, Shape, Text, Whole, about, page_of

area = Area("settings", "Settings of the firm, and the audit trail.")
P = Permission


class SettingsShape(Shape):
    name = Code("The firm's name", "Nasza Firma", required=True)
    letters_language = Code("Language of letters: en or pl", "pl", required=True)
    time_zone = Code("Name of the IANA list", "Europe/Warsaw", required=True)
    sync_every = Free("Seconds between scheduled syncs by connection id, where they are own ones; 0: never", required=True)
    version = Whole("Grows with every change", required=True)


class SettingsChangeShape(Shape):
    name = Text("The firm's name", preferences.LONGEST_NAME, example="Nasza Firma")
    letters_language = Choice("Language of letters", LANGUAGES)
    time_zone = Text("Name of the IANA list", 60, example="Europe/Warsaw")
    sync_every = fields.Dict(
        keys=Id("A connection's id"),
        values=Whole("Seconds; 0: never", 0, int(LONGEST)),
        metadata=about("All own intervals, by connection id; those that are left out end"),
    )


class TrailShape(Shape):
    seq = Whole("Its number; the chain has no gaps", required=True, example=118)
    at = Moment("When", required=True)
    actor_kind = Code("user, token, terminal or hub", "user", required=True)
    actor_id = Code("Who", required=True)
    actor_name = Code("Their name", "Anna", required=True)
    address = Code("Network address", "10.0.0.7", required=True)
    action = Code("What", "connection.paused", required=True)
    subject_kind = Code("To what", "connection", required=True)
    subject_id = Code("Its id", required=True)
    subject_name = Code("Its name", "shop", required=True)
    before = Free("What differed before", {"state": "active"}, required=True)
    after = Free("What differs after", {"state": "paused"}, required=True)
    hash = Code("Hash of this entry and of all before it", required=True)


class VerifiedShape(Shape):
    entries = Whole("Entries that are as they were written", required=True, example=118)
    first_wrong = Whole("Number of the first one that is not; null: all are", required=True, allow_none=True)


class TrailQuery(PageQuery):
    actor = Text("Only by this user, token, …: their id", 64)
    action = Text("Only this action, or all that begin with it", 60, example="connection")
    subject_kind = Text("Only about things of this kind", 40)
    subject_id = Text("Only about this thing", 120)
    since = Moment("Not before")
    until = Moment("Before")


def _shape(kept: Kept) -> dict[str, Any]:
    return {**asdict(kept.firm), "version": kept.version}


def _read() -> Kept:
    with reading() as session:
        return preferences.read_firm(session)


@area.operation("GET", "/settings", P.CONSOLE_READ, answer=SettingsShape)
def get_settings() -> dict[str, Any]:
    """The settings that the console can change."""
    return _shape(_read())


@area.operation(
    "PATCH",
    "/settings",
    P.SETTINGS_WRITE,
    body=SettingsChangeShape,
    answer=SettingsShape,
    example={"name": "Nasza Firma"},
)
def change_settings(body: dict[str, Any]) -> dict[str, Any]:
    """Change what is given of the settings."""
    kept = _read()
    match(SettingsShape, _shape(kept))
    if "sync_every" in body:
        body["sync_every"] = {key: float(seconds) for key, seconds in body["sync_every"].items()}
    return _shape(preferences.change_firm(hub(), replace(kept.firm, **body), kept.version))


@area.operation("GET", "/audit", P.AUDIT_READ, query=TrailQuery, answer=page_of(TrailShape))
def list_audit_entries(query: dict[str, Any]) -> Rows:
    """The audit trail, the newest first: who did what, with what was before and after."""
    chosen = {name: query.get(name) or "" for name in ("actor", "action", "subject_kind", "subject_id")}
    with reading() as session:
        rows = audit.page_entries(
            session,
            before=read_cursor(query),
            **chosen,
            since=query.get("since"),
            until=query.get("until"),
            limit=query["limit"] + 1,
        )
    return Rows(rows, query["limit"], lambda row: row.seq)


@area.operation("POST", "/audit/verify", P.AUDIT_READ, body=EmptyShape, answer=VerifiedShape)
def verify_audit(_: dict[str, Any]) -> dict[str, Any]:
    """Walk the whole chain and say whether any entry was changed or is missing."""
    with reading() as session:
        entries, first_wrong = audit.verify(session)
    return {"entries": entries, "first_wrong": first_wrong}
