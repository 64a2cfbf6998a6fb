"""Records as last read from each stream, and the claim whose they are.

The primary key (connection, stream, external id) is the identity link: two workers cannot make two contacts of one
record. A row without `raw_hash` is a link only: an order named a customer that has not been read yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.store import bulk
from hub.store.db import Id, JsonValue, UtcTime, metadata

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


class Known(NamedTuple):
    """What is stored of a record that comes again."""

    raw_hash: str | None
    contact_id: str | None


def known_records(session: Session, connection_id: str, stream: str, external_ids: Iterable[str]) -> dict[str, Known]:
    statement = sa.select(record.c.external_id, record.c.raw_hash, record.c.contact_id).where(
        record.c.connection_id == connection_id, record.c.stream == stream
    )
    rows = session.execute(bulk.look_up(session, statement, record.c.external_id, external_ids))
    return {external_id: Known(raw_hash, contact_id) for external_id, raw_hash, contact_id in rows}


def save_records(session: Session, rows: Sequence[bulk.Row]) -> None:
    bulk.upsert(
        session,
        record,
        rows,
        key=("connection_id", "stream", "external_id"),
        update=("contact_id", "raw_hash", "standard", "changed_at"),
    )


def save_links(session: Session, rows: Sequence[bulk.Row]) -> None:
    """Links of records that have not been read yet; an existing row stays as it is."""
    bulk.upsert(session, record, rows, key=("connection_id", "stream", "external_id"))


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
