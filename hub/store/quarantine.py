"""Records that could not be used, with the reason, until they can."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.core.errors import NotFound
from hub.store import bulk
from hub.store.connections import connection
from hub.store.db import Id, JsonValue, UtcTime, metadata, new_id
from hub.store.finding import find

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id", ondelete="CASCADE"), nullable=False),
    sa.Column("direction", sa.String(3), nullable=False),  # in: read from the platform, out: refused by it
    sa.Column("stream", sa.String(80), nullable=False),
    sa.Column("external_id", sa.String(120), nullable=False),
    sa.Column("field", sa.String(200), nullable=False),
    sa.Column("whole", sa.Boolean, nullable=False),  # False: only this field was left out, the record went on
    sa.Column("code", sa.String(60), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("cure", sa.Text, nullable=False),
    sa.Column("value_class", sa.String(200), nullable=False),  # what kind of value stood there, never the value
    sa.Column("raw", JsonValue),  # the record as it came, for a retry; redacted
    sa.Column("run_id", Id),
    sa.Column("first_at", UtcTime, nullable=False),
    sa.Column("last_at", UtcTime, nullable=False),
    sa.UniqueConstraint("connection_id", "direction", "stream", "external_id", "field", name="uq_quarantine_place"),
)


def add_entries(session: Session, entries: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Each entry needs all columns but id, first_at and last_at; the same place again only moves `last_at` and the reason."""
    rows = [{"id": new_id(), **entry, "first_at": now, "last_at": now} for entry in entries]
    bulk.upsert(
        session,
        quarantine,
        rows,
        key=("connection_id", "direction", "stream", "external_id", "field"),
        update=("whole", "code", "reason", "cure", "value_class", "raw", "run_id", "last_at"),
    )


def clear_entries(
    session: Session, connection_id: str, direction: str, stream: str, external_ids: Iterable[str], *, whole: bool = False
) -> None:
    """Forget the entries of records that are sound now; with `whole` only those that refused the whole record."""
    where = {"connection_id": connection_id, "direction": direction, "stream": stream}
    if whole:
        where["whole"] = "1"
    found = [row[0] for row in find(session, (quarantine.c.id,), quarantine.c.external_id, list(external_ids), where=where)]
    if found:
        session.execute(sa.delete(quarantine).where(bulk.among(session, quarantine.c.id, found)))


def list_entries(session: Session, *, connection_id: str | None = None, limit: int = 100) -> Sequence[sa.Row[Any]]:
    statement = sa.select(quarantine, connection.c.name.label("connection_name")).join(
        connection, connection.c.id == quarantine.c.connection_id
    )
    if connection_id:
        statement = statement.where(quarantine.c.connection_id == connection_id)
    return session.execute(statement.order_by(quarantine.c.last_at.desc(), quarantine.c.id).limit(limit)).all()


def page_entries(
    session: Session,
    *,
    connection_id: str | None = None,
    direction: str | None = None,
    stream: str | None = None,
    code: str | None = None,
    before: str | None = None,
    below: tuple[datetime, str] | None = None,
    limit: int = 25,
) -> Sequence[sa.Row[Any]]:
    """Entries with their connection's name, last seen first, those after the entry `before` in that order.

    `below` is the same as (last seen, id), for walks that must go on when that entry is gone meanwhile.
    """
    statement = sa.select(quarantine, connection.c.name.label("connection_name")).join(
        connection, connection.c.id == quarantine.c.connection_id
    )
    wanted = {"connection_id": connection_id, "direction": direction, "stream": stream, "code": code}
    statement = statement.where(*(quarantine.c[name] == value for name, value in wanted.items() if value))
    order = (quarantine.c.last_at, quarantine.c.id)
    if below is not None:
        statement = statement.where(sa.tuple_(*order) < sa.tuple_(*map(sa.literal, below, [column.type for column in order])))
    if before is not None:
        last = session.execute(sa.select(*order).where(quarantine.c.id == before)).first()
        if last is None:
            raise NotFound("The page that this link leads to is gone", cure="Start again from the first page")
        statement = statement.where(sa.tuple_(*order) < sa.tuple_(*map(sa.literal, last, [column.type for column in order])))
    return session.execute(statement.order_by(quarantine.c.last_at.desc(), quarantine.c.id.desc()).limit(limit)).all()


def count_places(session: Session) -> Sequence[sa.Row[Any]]:
    """(connection_id, direction, stream, code, entries): what can be filtered by."""
    place = (quarantine.c.connection_id, quarantine.c.direction, quarantine.c.stream, quarantine.c.code)
    return session.execute(sa.select(*place, sa.func.count().label("entries")).group_by(*place).order_by(*place)).all()
