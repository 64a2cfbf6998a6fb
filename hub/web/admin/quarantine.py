"""The quarantine: records that could not be used, each with its reason and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from flask import Response, current_app, render_template

from hub.core.redact import redact_value
from hub.core.roles import Permission
from hub.core.texts import say
from hub.services import trail
from hub.store import connections, quarantine
from hub.store.db import reading
from hub.web.faults import raw_text
from hub.web.pages import argument, argument_id, language
from hub.web.privacy import veil
from hub.web.sheets import stream_csv
from hub.web.words import DIRECTIONS, value_class

PAGE = 25
ROWS_AT_ONCE = 200
HEADER = (
    *("connection", "stream", "direction", "record", "field", "whole_record", "code", "reason", "cure", "kind_of_value"),
    *("raw_record", "first_seen", "last_seen"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it is shown: in the reader's language, nothing personal in clear."""

    row: Any
    external_id: str
    reason: str
    cure: str
    value_class: str
    raw: str

    @classmethod
    def read(cls, row: Any, lang: str) -> Self:
        return cls(
            row=row,
            external_id=veil(row.external_id),
            reason=veil(say(row.reason, lang)),
            cure=veil(say(row.cure, lang)),
            value_class=value_class(row.value_class, lang) if row.value_class else "",
            raw=raw_text(row.raw) if row.raw is not None else "",
        )


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a filter, and how many entries have it."""

    value: str
    entries: int


@dataclass(frozen=True, slots=True)
class Filter:
    """`chosen` as it stands in the address, `wanted` as the store is asked."""

    chosen: dict[str, str]
    wanted: dict[str, Any]


def _read_filter() -> Filter:
    chosen = {name: argument(name) for name in ("connection", "direction", "stream", "code")}
    wanted: dict[str, Any] = {name: value or None for name, value in chosen.items() if name != "connection"}
    if chosen["connection"]:
        with reading() as session:
            connection = connections.get_connection(session, chosen["connection"])
        wanted["connection_id"], chosen["connection"] = connection.id, connection.name
    return Filter(chosen, wanted)


def list_quarantine() -> str:
    """The entries last seen first, filtered by connection, direction, stream and code."""
    lang, before, asked = language(), argument_id("before"), _read_filter()
    with reading() as session:
        page = quarantine.page_entries(session, **asked.wanted, before=before, limit=PAGE + 1)
        places = quarantine.count_places(session)
        names = {row.id: row.name for row in connections.list_connections(session)}
    return render_template(
        "admin/quarantine.html",
        entries=[Entry.read(row, lang) for row in page[:PAGE]],
        next_page=page[PAGE - 1].id if len(page) > PAGE else None,
        chosen=asked.chosen,
        choices={
            "connection": _count([(names.get(row.connection_id, ""), row.entries) for row in places]),
            **{name: _count([(getattr(row, name), row.entries) for row in places]) for name in ("direction", "stream", "code")},
        },
        directions=DIRECTIONS,
        total=sum(row.entries for row in places),
    )


def _count(pairs: Sequence[tuple[str, int]]) -> list[Choice]:
    counts: dict[str, int] = {}
    for value, entries in pairs:
        counts[value] = counts.get(value, 0) + entries
    return [Choice(value, counts[value]) for value in sorted(counts)]


def export_quarantine() -> Response:
    """The same entries as a file, with e-mail addresses and numbers veiled."""
    return stream_csv("quarantine", HEADER, _rows(_read_filter(), language(), clear=False))


def export_quarantine_clear() -> Response:
    """The same entries as a file, with the records as they came: personal data, so that it is noted who took it."""
    asked = _read_filter()
    trail.note_export(current_app.extensions["hub"], "quarantine", asked.chosen)
    return stream_csv("quarantine", HEADER, _rows(asked, language(), clear=True))


def _rows(asked: Filter, lang: str, *, clear: bool) -> Iterator[tuple[Any, ...]]:
    below: tuple[Any, str] | None = None
    while True:
        with reading() as session:
            page = quarantine.page_entries(session, **asked.wanted, below=below, limit=ROWS_AT_ONCE)
        for row in page:
            shown = Entry.read(row, lang)
            raw = ("" if row.raw is None else json.dumps(redact_value(row.raw), ensure_ascii=False)) if clear else shown.raw
            texts = [say(row.reason, lang), say(row.cure, lang)] if clear else [shown.reason, shown.cure]
            place = (row.connection_name, row.stream, row.direction, row.external_id if clear else shown.external_id)
            yield (*place, row.field, row.whole, row.code, *texts, shown.value_class, raw, row.first_at, row.last_at)
        if len(page) < ROWS_AT_ONCE:
            return
        below = (page[-1].last_at, page[-1].id)


def routes(add: Callable[..., None]) -> None:
    add("/quarantine", list_quarantine)
    add("/quarantine.csv", export_quarantine)
    add("/quarantine.csv", export_quarantine_clear, Permission.CONTACTS_EXPORT, methods=("POST",))
