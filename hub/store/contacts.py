"""Contacts and their identifiers. An identifier (e-mail, phone) belongs to one contact: its key is unique."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.rules.identity import Owner
from hub.store import bulk
from hub.store.db import Id, UtcTime, metadata
from hub.store.finding import find

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
    asked = (identifier.c.value, contact.c.id, contact.c.first_name, contact.c.last_name)
    join = "JOIN contact ON contact.id = identifier.contact_id"
    rows = find(session, asked, identifier.c.value, list(values), where={"kind": kind}, join=join)
    return {row[0]: Owner(row[1], row[2], row[3]) for row in rows}


def profiles(session: Session, contact_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Each contact's row as a dict, by id."""
    rows = session.execute(sa.select(contact).where(bulk.among(session, contact.c.id, contact_ids)))
    return {row.id: dict(row._mapping) for row in rows}


def save_contacts(session: Session, rows: Sequence[bulk.Row]) -> None:
    bulk.upsert(session, contact, rows, key=("id",), update=(*PROFILE, "updated_at"))


def save_profiles(session: Session, profiles: Mapping[str, Sequence[str | None]], now: datetime) -> None:
    """Contacts by id, each with the values of `PROFILE`: new ones are made now, the others become so."""
    if not profiles:
        return
    described = zip(*profiles.values(), strict=True)
    columns: bulk.Columns = {
        "id": list(profiles),
        **dict(zip(PROFILE, described, strict=True)),
        "created_at": bulk.Same(now),
        "updated_at": bulk.Same(now),
    }
    bulk.upsert_columns(session, contact, columns, key=("id",), update=(*PROFILE, "updated_at"))


def claim_identifiers(session: Session, claimed: Sequence[tuple[str, str, str]], now: datetime) -> None:
    """(kind, value, contact id): an identifier that is somebody's already stays theirs."""
    if not claimed:
        return
    kinds, values, contact_ids = zip(*claimed, strict=True)
    columns: bulk.Columns = {"kind": kinds, "value": values, "contact_id": contact_ids, "created_at": bulk.Same(now)}
    bulk.upsert_columns(session, identifier, columns, key=("kind", "value"))


def save_identifiers(session: Session, rows: Sequence[bulk.Row]) -> None:
    """Add identifiers; one that is somebody's already stays theirs."""
    bulk.upsert(session, identifier, rows, key=("kind", "value"))


def count_contacts(session: Session) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(contact)) or 0
