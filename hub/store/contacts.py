"""Contacts and their identifiers. An identifier (e-mail, phone) belongs to one contact: its key is unique."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.core.normalize import name_key
from hub.rules.identity import Owner
from hub.store import bulk
from hub.store.db import Id, UtcTime, metadata
from hub.store.finding import find

PROFILE = ("email", "phone", "first_name", "last_name", "company", "city", "postcode", "country")
"""The columns that describe the person, named as the standard fields of mapping/standard.toml."""

LONGEST_KEY = 60
"""Characters of a name that searching looks at."""


def _bytewise(length: int) -> sa.types.TypeEngine[str]:
    """Text compared by its bytes, as SQLite always does: only so is an index of PostgreSQL one of beginnings, too."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


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
    # The names as searching compares them (core.normalize.name_key): without case and diacritics.
    sa.Column("first_key", _bytewise(LONGEST_KEY), nullable=False, server_default=sa.text("''")),
    sa.Column("last_key", _bytewise(LONGEST_KEY), nullable=False, server_default=sa.text("''")),
    # Behind each name the id, which grows: a new contact goes to the end of its name's rows, where the page is in memory.
    sa.Index("ix_contact_first_key", "first_key", "id"),
    sa.Index("ix_contact_last_key", "last_key", "id"),
)

identifier = sa.Table(
    "identifier",
    metadata,
    sa.Column("kind", sa.String(10), primary_key=True),  # email, phone
    sa.Column("value", _bytewise(254), primary_key=True),
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
    keyed = [{**row, "first_key": search_key(row["first_name"]), "last_key": search_key(row["last_name"])} for row in rows]
    bulk.upsert(session, contact, keyed, key=("id",), update=(*PROFILE, "first_key", "last_key", "updated_at"))


@lru_cache(maxsize=8192)  # people share their names
def search_key(name: str | None) -> str:
    return name_key(name)[:LONGEST_KEY] if name else ""


def save_profiles(session: Session, profiles: Mapping[str, Sequence[str | None]], now: datetime) -> None:
    """Contacts by id, each with the values of `PROFILE`: new ones are made now, the others become so."""
    if not profiles:
        return
    described = dict(zip(PROFILE, zip(*profiles.values(), strict=True), strict=True))
    columns: bulk.Columns = {
        "id": list(profiles),
        **described,
        "first_key": [search_key(name) for name in described["first_name"]],
        "last_key": [search_key(name) for name in described["last_name"]],
        "created_at": bulk.Same(now),
        "updated_at": bulk.Same(now),
    }
    bulk.upsert_columns(session, contact, columns, key=("id",), update=(*PROFILE, "first_key", "last_key", "updated_at"))


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


def find_contact(session: Session, contact_id: str, *, lock: bool = False) -> sa.Row[Any] | None:
    """One contact's row; `lock`: nobody else changes it until the transaction ends."""
    statement = sa.select(contact).where(contact.c.id == contact_id)
    return session.execute(statement.with_for_update() if lock else statement).first()


def identifiers_of(session: Session, contact_id: str) -> Sequence[Any]:
    """(kind, value, created_at) of what finds the contact."""
    columns = (identifier.c.kind, identifier.c.value, identifier.c.created_at)
    statement = sa.select(*columns).where(identifier.c.contact_id == contact_id)
    return session.execute(statement.order_by(identifier.c.kind, identifier.c.value)).all()


def free_identifier(session: Session, contact_id: str, kind: str, value: str) -> None:
    """The identifier finds this contact no longer; whoever has it next may take it."""
    session.execute(
        sa.delete(identifier).where(
            identifier.c.kind == kind, identifier.c.value == value, identifier.c.contact_id == contact_id
        )
    )


def anybody(session: Session) -> bool:
    """Whether there is a contact at all, without counting them."""
    return session.scalar(sa.select(contact.c.id).limit(1)) is not None
