"""A connection's dictionary as its admin sees it: the shipped one or one of their own, what differs, and the way back."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.connectors import folder
from hub.core.connector import Declaration
from hub.core.errors import Conflict, Invalid, NotFound
from hub.core.texts import N_
from hub.mapping.dictionary import ReadMapping, WriteMapping, load_writes
from hub.mapping.files import MappingSchema, check, parse_toml
from hub.services.audit import note
from hub.services.context import Context
from hub.services.dictionaries import OPTION, check_mapping, read_mapping
from hub.services.preferences import ChangedMeanwhile
from hub.store import connections
from hub.store.connections import ConnectionRow
from hub.store.db import Session, reading, transaction

BEFORE = "mapping_before"
"""The connection's option that holds the text before the last change, for going back."""
LONGEST = 200_000
TOO_LONG = N_("A dictionary has at most {most} characters")
NOT_TEXT = N_("This is not text that can be read; save the file as UTF-8")
SHIPPED = N_("This connection uses the shipped dictionary already")


@dataclass(frozen=True)
class Change:
    """One field that is read or written another way: «reads.customers.email», and how, before and after; empty: not at all."""

    place: str
    before: str
    after: str


@dataclass(frozen=True)
class InUse:
    """The dictionary of a connection. `own`: an admin's; `version`: what a change is based on."""

    row: ConnectionRow
    text: str
    own: bool
    version: str
    can_go_back: bool
    reads: list[ReadMapping]
    writes: list[WriteMapping]


def dictionary_in_use(context: Context, name: str) -> InUse:
    """The dictionary of the connection with this name or id; NotFound if there is none."""
    with reading() as session:
        row = connections.get_connection(session, name)
    declaration = context.platform(row.platform).DECLARATION
    own = row.options.get(OPTION) or ""
    reads, writes = _load(declaration, row.options)
    text = str(own) if own else shipped(row.platform)
    return InUse(row, text, bool(own), _version(row), BEFORE in row.options, reads, writes)


def shipped(platform: str) -> str:
    return (folder(platform) / "mapping.toml").read_text("utf-8")


def what_changes(context: Context, row: ConnectionRow, text: str) -> list[Change]:
    """Which fields the text would read or write another way. Invalid with every wrong place, as saving would be."""
    declaration = context.platform(row.platform).DECLARATION
    _check(declaration, text)
    return _compare(declaration, row.options, {**row.options, OPTION: text})


def save_dictionary(context: Context, name: str, text: str, seen_version: str) -> list[Change]:
    """Read and write the connection by this text from now on; returns what changes. The next sync reads everything anew.

    Streams that the text does not speak of keep the shipped one. Invalid names every wrong place; `ChangedMeanwhile` if
    somebody saved another one meanwhile.
    """
    with transaction() as session:
        row = _lock(session, name, seen_version)
        declaration = context.platform(row.platform).DECLARATION
        _check(declaration, text)
        return _save(context, session, row, declaration, text)


def restore_shipped(context: Context, name: str, seen_version: str) -> list[Change]:
    """Back to the dictionary that came with the hub; one's own is kept for `go_back`."""
    with transaction() as session:
        row = _lock(session, name, seen_version)
        if not row.options.get(OPTION):
            raise Conflict(SHIPPED)
        return _save(context, session, row, context.platform(row.platform).DECLARATION, "")


def go_back(context: Context, name: str, seen_version: str) -> list[Change]:
    """Undo the last change; doing it twice undoes the undoing."""
    with transaction() as session:
        row = _lock(session, name, seen_version)
        if BEFORE not in row.options:
            raise NotFound("There is no dictionary before this one")
        declaration = context.platform(row.platform).DECLARATION
        text = str(row.options[BEFORE] or "")
        if text:
            _check(declaration, text)
        return _save(context, session, row, declaration, text)


def _lock(session: Session, name: str, seen_version: str) -> ConnectionRow:
    connections.lock_connection(session, connections.get_connection(session, name).id)
    row = connections.get_connection(session, name)
    if _version(row) != seen_version:
        error = ChangedMeanwhile()
        error.theirs = row
        raise error
    return row


def _save(context: Context, session: Session, row: ConnectionRow, declaration: Declaration, text: str) -> list[Change]:
    options = {name: value for name, value in row.options.items() if name != OPTION}
    options |= {BEFORE: row.options.get(OPTION) or "", **({OPTION: text} if text else {})}
    changes = _compare(declaration, row.options, options)
    now = context.now()
    connections.set_options(session, row.id, options, now)
    note(
        session,
        "mapping.changed" if text else "mapping.restored",
        ("connection", row.id, row.name),
        now,
        before={change.place: change.before for change in changes},
        after={change.place: change.after for change in changes},
    )
    return changes


def _check(declaration: Declaration, text: str) -> None:
    if len(text) > LONGEST:
        raise Invalid("The dictionary cannot be used", fields={"text": TOO_LONG}, most=LONGEST)
    if not text.replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        raise Invalid("The dictionary cannot be used", fields={"text": NOT_TEXT})
    try:
        check(MappingSchema(), parse_toml(text, "mapping.toml"), subject="mapping.toml")
    except RecursionError:
        raise Invalid("The dictionary cannot be used", fields={"text": NOT_TEXT}) from None
    check_mapping(declaration, text)


def _version(row: ConnectionRow) -> str:
    text = f"{row.options.get(OPTION) or ''}\0{row.options.get(BEFORE) or ''}\0{BEFORE in row.options}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _load(declaration: Declaration, options: Mapping[str, Any]) -> tuple[list[ReadMapping], list[WriteMapping]]:
    reads = [
        read_mapping(declaration.name, options, stream, declaration.title)
        for stream in declaration.streams
        if stream.reads and stream.target is not None
    ]
    own = tomllib.loads(options[OPTION]).get("writes", {}) if options.get(OPTION) else {}
    source = folder(declaration.name) / "mapping.toml"
    there = tomllib.loads(source.read_text("utf-8")).get("writes", {})
    writes = [load_writes(options[OPTION] if name in own else source, name) for name in {**there, **own}]
    return reads, writes


def _compare(declaration: Declaration, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    old, new = _lines(*_load(declaration, before)), _lines(*_load(declaration, after))
    places = [*new, *(place for place in old if place not in new)]
    return [Change(place, old.get(place, ""), new.get(place, "")) for place in places if old.get(place) != new.get(place)]


def _lines(reads: list[ReadMapping], writes: list[WriteMapping]) -> dict[str, str]:
    """Each rule in one line, by its place in the file."""
    found: dict[str, str] = {}
    for mapping in reads:
        found[f"reads.{mapping.stream}.id"] = mapping.id_path
        for rule in mapping.rules:
            beside = rule.currency or rule.country
            words = " → ".join((" | ".join(rule.paths), *rule.transforms))
            found[f"reads.{mapping.stream}.fields.{rule.field.name}"] = f"{words} ({beside})" if beside else words
        for number, consent in enumerate(mapping.consents, 1):
            scope = " ".join(part for part in (consent.channel.value, consent.topic, consent.brand) if part)
            words = f"{consent.path} @ {consent.at}: {scope}, yes={list(consent.yes)} no={list(consent.no)}"
            found[f"reads.{mapping.stream}.consents.{number}"] = words
    for written in writes:
        for one in written.rules:
            found[f"writes.{written.stream}.fields.{one.property}"] = " → ".join((one.source, *one.transforms))
    return found
