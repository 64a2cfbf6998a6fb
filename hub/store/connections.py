"""Connections: one authorised account of a platform each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.core.errors import NotFound
from hub.store.db import Id, JsonValue, UtcTime, metadata

connection = sa.Table(
    "connection",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.String(80), nullable=False, unique=True),
    sa.Column("platform", sa.String(40), nullable=False),
    sa.Column("account_id", sa.String(255), nullable=False),
    sa.Column("account_name", sa.String(255), nullable=False),
    sa.Column("options", JsonValue, nullable=False),
    sa.Column("facts", JsonValue, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),  # active, paused, reauthorize
    sa.Column("error", JsonValue),
    sa.Column("next_sync_at", UtcTime),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
    sa.UniqueConstraint("platform", "account_id"),
)

ACTIVE, PAUSED, REAUTHORIZE = "active", "paused", "reauthorize"


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    id: str
    name: str
    platform: str
    account_id: str
    account_name: str
    options: Mapping[str, Any]
    facts: Mapping[str, Any]
    state: str
    error: Mapping[str, Any] | None
    next_sync_at: datetime | None
    created_at: datetime
    updated_at: datetime


def list_connections(session: Session) -> Sequence[ConnectionRow]:
    return [ConnectionRow(**row._mapping) for row in session.execute(sa.select(connection).order_by(connection.c.name))]


def find_connection(session: Session, name_or_id: str) -> ConnectionRow | None:
    condition = connection.c.name == name_or_id
    if len(name_or_id) == 36 and name_or_id.count("-") == 4:
        condition = condition | (sa.cast(connection.c.id, sa.String) == name_or_id)
    row = session.execute(sa.select(connection).where(condition)).first()
    return ConnectionRow(**row._mapping) if row else None


def get_connection(session: Session, name_or_id: str) -> ConnectionRow:
    """The connection by name or id; NotFound lists the names there are."""
    found = find_connection(session, name_or_id)
    if found is None:
        names = ", ".join(row.name for row in list_connections(session)) or "—"
        raise NotFound(
            "There is no connection «{name}»",
            cure="Connections there are: {names}. Make one with hub connect",
            name=name_or_id,
            names=names,
        )
    return found


def lock_connection(session: Session, connection_id: str) -> None:
    """One at a time for this connection until the transaction ends; batches go on meanwhile. SQLite has one writer anyway."""
    session.execute(sa.select(connection.c.id).where(connection.c.id == connection_id).with_for_update(key_share=True))


def find_account(session: Session, platform: str, account_id: str) -> ConnectionRow | None:
    row = session.execute(
        sa.select(connection).where(connection.c.platform == platform, connection.c.account_id == account_id)
    ).first()
    return ConnectionRow(**row._mapping) if row else None


def save_connection(session: Session, row: ConnectionRow) -> None:
    """Insert or replace by id."""
    values = {name: getattr(row, name) for name in ConnectionRow.__slots__}
    done = session.execute(sa.update(connection).where(connection.c.id == row.id).values(**values))
    if done.rowcount == 0:  # type: ignore[attr-defined]
        session.execute(sa.insert(connection).values(**values))


def set_state(session: Session, connection_id: str, state: str, error: Mapping[str, Any] | None, now: datetime) -> None:
    session.execute(
        sa.update(connection).where(connection.c.id == connection_id).values(state=state, error=error, updated_at=now)
    )


def plan_sync(session: Session, connection_id: str, next_at: datetime | None) -> None:
    """When the next scheduled sync is due; None: never."""
    session.execute(sa.update(connection).where(connection.c.id == connection_id).values(next_sync_at=next_at))


def take_due_syncs(session: Session, now: datetime, every: Callable[[str], float]) -> Sequence[str]:
    """Ids of active connections whose scheduled sync is due; their next time is set, so that each is taken once.

    `every(id)` is the connection's interval in seconds; 0 takes it off the schedule.
    """
    due = session.scalars(
        sa.select(connection.c.id)
        .where(connection.c.state == ACTIVE, connection.c.next_sync_at <= now)
        .with_for_update(skip_locked=True)
    ).all()
    for connection_id in due:
        seconds = every(connection_id)
        plan_sync(session, connection_id, now + timedelta(seconds=max(seconds, 1.0)) if seconds > 0 else None)
    return [connection_id for connection_id in due if every(connection_id) > 0]


def rename_connection(session: Session, connection_id: str, name: str, now: datetime) -> None:
    session.execute(sa.update(connection).where(connection.c.id == connection_id).values(name=name, updated_at=now))


def set_options(session: Session, connection_id: str, options: Mapping[str, Any], now: datetime) -> None:
    session.execute(sa.update(connection).where(connection.c.id == connection_id).values(options=dict(options), updated_at=now))


def delete_connection(session: Session, connection_id: str) -> None:
    """The connection and, by the tables' foreign keys, all that hangs on it."""
    session.execute(sa.delete(connection).where(connection.c.id == connection_id))
