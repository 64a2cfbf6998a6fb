"""The quarantine: records that could not be used, each with its reason and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from flask import render_template

from hub.core.texts import say
from hub.store import connections, quarantine
from hub.store.db import reading
from hub.web.faults import raw_text
from hub.web.pages import argument, argument_id, language
from hub.web.privacy import veil
from hub.web.words import DIRECTIONS, value_class

PAGE = 25


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


def list_quarantine() -> str:
    """The entries last seen first, filtered by connection, direction, stream and code."""
    lang, before = language(), argument_id("before")
    chosen = {name: argument(name) for name in ("connection", "direction", "stream", "code")}
    wanted = {name: value or None for name, value in chosen.items() if name != "connection"}
    with reading() as session:
        connection = connections.get_connection(session, chosen["connection"]) if chosen["connection"] else None
        place = connection.id if connection else None
        page = quarantine.page_entries(session, connection_id=place, **wanted, before=before, limit=PAGE + 1)
        places = quarantine.count_places(session)
        names = {row.id: row.name for row in connections.list_connections(session)}
    return render_template(
        "admin/quarantine.html",
        entries=[Entry.read(row, lang) for row in page[:PAGE]],
        next_page=page[PAGE - 1].id if len(page) > PAGE else None,
        chosen={**chosen, "connection": connection.name if connection else ""},
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
