"""What platforms have from us: each contact's record there, and the values that were written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.store import bulk
from hub.store.db import Id, UtcTime, metadata

remote = sa.Table(
    "remote",
    metadata,
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("contact_id", Id, sa.ForeignKey("contact.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("external_id", sa.String(120), nullable=False),
    sa.Column("pushed_hash", sa.String(32), nullable=False),  # of the values the platform has from us
    sa.Column("pushed_at", UtcTime, nullable=False),
    sa.Index("ix_remote_external_id", "connection_id", "external_id"),
)


def remotes(session: Session, connection_id: str, contact_ids: Iterable[str]) -> dict[str, tuple[str, str]]:
    """(external id, pushed hash) by contact."""
    statement = sa.select(remote.c.contact_id, remote.c.external_id, remote.c.pushed_hash).where(
        remote.c.connection_id == connection_id
    )
    rows = session.execute(bulk.look_up(session, statement, remote.c.contact_id, contact_ids))
    return {contact_id: (external_id, pushed) for contact_id, external_id, pushed in rows}


def save_remotes(session: Session, rows: Sequence[bulk.Row]) -> None:
    bulk.upsert(
        session,
        remote,
        rows,
        key=("connection_id", "contact_id"),
        update=("external_id", "pushed_hash", "pushed_at"),
    )
