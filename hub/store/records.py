"""Records as last read from each stream, and the claim whose they are.

The primary key (connection, stream, external id) is the identity link: two workers cannot make two contacts of one
record. A row without `raw_hash` is a link only: an order named a customer that has not been read yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.core.types import Standard
from hub.store import bulk
from hub.store.db import Id, JsonValue, UtcTime, metadata
from hub.store.finding import find

LONGEST_ID = 120
"""Characters of an external id that the tables have room for."""

record = sa.Table(
    "record",
    metadata,
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("stream", sa.String(80), primary_key=True),
    sa.Column("external_id", sa.String(120), primary_key=True),
    sa.Column("contact_id", Id, sa.ForeignKey("contact.id", ondelete="SET NULL"), index=True),
    sa.Column("raw_hash", sa.String(32)),  # of the raw record and the mapping's version
    sa.Column("standard", JsonValue),
    sa.Column("changed_at", UtcTime, nullable=False),
)


_KEY = ("connection_id", "stream", "external_id")


class Read(NamedTuple):
    """A record to store; `contact_id` is whose it is, if anybody's."""

    external_id: str
    contact_id: str | None
    raw_hash: str
    standard: Standard


class Known(NamedTuple):
    """What is stored of a record that comes again."""

    raw_hash: str | None
    contact_id: str | None


def known_records(session: Session, connection_id: str, stream: str, external_ids: Iterable[str]) -> dict[str, Known]:
    asked = (record.c.external_id, record.c.raw_hash, record.c.contact_id)
    where = {"connection_id": connection_id, "stream": stream}
    rows = find(session, asked, record.c.external_id, list(external_ids), where=where)
    return {row[0]: Known(row[1], row[2]) for row in rows}


def save_records(session: Session, connection_id: str, stream: str, read: Sequence[Read], now: datetime) -> None:
    """What was read, in the place of what was stored of it."""
    if not read:
        return
    external_ids, contact_ids, hashes, standards = zip(*read, strict=True)
    columns: bulk.Columns = {
        "connection_id": bulk.Same(connection_id),
        "stream": bulk.Same(stream),
        "external_id": external_ids,
        "contact_id": contact_ids,
        "raw_hash": hashes,
        "standard": [orjson.dumps(standard).decode() for standard in standards],
        "changed_at": bulk.Same(now),
    }
    bulk.upsert_columns(session, record, columns, key=_KEY, update=("contact_id", "raw_hash", "standard", "changed_at"))


def save_links(session: Session, rows: Sequence[bulk.Row]) -> None:
    """Links of records that have not been read yet; an existing row stays as it is."""
    bulk.upsert(session, record, rows, key=_KEY)


def stored_standard(session: Session, connection_id: str, stream: str, external_id: str) -> Any:
    return session.scalar(
        sa.select(record.c.standard).where(
            record.c.connection_id == connection_id, record.c.stream == stream, record.c.external_id == external_id
        )
    )


def count_records(session: Session, connection_id: str) -> dict[str, int]:
    """Records by stream, links without a record not counted."""
    rows = session.execute(
        sa.select(record.c.stream, sa.func.count())
        .where(record.c.connection_id == connection_id, record.c.raw_hash.is_not(None))
        .group_by(record.c.stream)
    )
    return {row[0]: row[1] for row in rows}


def count_roles(session: Session, connection_id: str) -> dict[str, int]:
    """Contacts' records by the role they have on the platform (a shop's staff are users too)."""
    role = record.c.standard["role"].as_string()
    rows = session.execute(
        sa.select(role, sa.func.count())
        .where(record.c.connection_id == connection_id, record.c.raw_hash.is_not(None), role.is_not(None))
        .group_by(role)
        .order_by(role)
    )
    return {row[0]: row[1] for row in rows}


def count_identities(session: Session) -> int:
    """Claims that a record is a certain contact's."""
    return session.scalar(sa.select(sa.func.count()).select_from(record).where(record.c.contact_id.is_not(None))) or 0
