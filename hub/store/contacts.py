"""Contacts and their identifiers. An identifier (e-mail, phone) belongs to one contact: its key is unique."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.rules.identity import Owner
from hub.store import bulk
from hub.store.db import Id, UtcTime, metadata

PROFILE = ("email", "phone", "first_name", "last_name", "company", "city", "postcode", "country")
"""The columns that describe the person, named as the standard fields of mapping/standard.toml."""

contact = sa.Table(
    "contact",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("email", sa.String(254)),
    sa.Column("phone", sa.String(20)),
    sa.Column("first_name", sa.Text),
    sa.Column("last_name", sa.Text),
    sa.Column("company", sa.Text),
    sa.Column("city", sa.Text),
    sa.Column("postcode", sa.Text),
    sa.Column("country", sa.String(2)),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
)

identifier = sa.Table(
    "identifier",
    metadata,
    sa.Column("kind", sa.String(10), primary_key=True),  # email, phone
    sa.Column("value", sa.String(254), primary_key=True),
    sa.Column("contact_id", Id, sa.ForeignKey("contact.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("created_at", UtcTime, nullable=False),
)


def owners(session: Session, kind: str, values: Iterable[str]) -> dict[str, Owner]:
    statement = (
        sa.select(identifier.c.value, contact.c.id, contact.c.first_name, contact.c.last_name)
        .join(contact, contact.c.id == identifier.c.contact_id)
        .where(identifier.c.kind == kind)
    )
    rows = session.execute(bulk.look_up(session, statement, identifier.c.value, values))
    return {value: Owner(contact_id, first, last) for value, contact_id, first, last in rows}


def profiles(session: Session, contact_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Each contact's row as a dict, by id."""
    rows = session.execute(sa.select(contact).where(bulk.among(session, contact.c.id, contact_ids)))
    return {row.id: dict(row._mapping) for row in rows}


def save_contacts(session: Session, rows: Sequence[bulk.Row]) -> None:
    bulk.upsert(session, contact, rows, key=("id",), update=(*PROFILE, "updated_at"))


def save_identifiers(session: Session, rows: Sequence[bulk.Row]) -> None:
    """Add identifiers; one that is somebody's already stays theirs."""
    bulk.upsert(session, identifier, rows, key=("kind", "value"))


def count_contacts(session: Session) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(contact)) or 0
