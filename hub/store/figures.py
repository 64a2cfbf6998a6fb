"""Counts across subjects, as monitoring asks for them: few rows each, and cheap on millions of contacts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.core.roles import Permission, permissions_of
from hub.core.types import RunState
from hub.store import users
from hub.store.boxes import IS_OPEN, EffectState, outbox
from hub.store.connections import connection
from hub.store.contacts import contact
from hub.store.db import is_sqlite
from hub.store.hooks import webhook_delivery
from hub.store.letters import letter
from hub.store.quarantine import quarantine
from hub.store.runs import OPEN_STATES, run

EXACT = 100_000
"""Rows up to which PostgreSQL counts; above it tells its own estimate, which is kept by ANALYZE."""


@dataclass(frozen=True)
class StreamFigures:
    """A stream's last finished run."""

    connection: str
    stream: str
    state: str
    finished_at: datetime
    read: int


@dataclass(frozen=True)
class Figures:
    """Counts by what they are counted by; ages in seconds."""

    contacts: int = 0
    connections: dict[str, int] = field(default_factory=dict)
    open_runs: dict[str, int] = field(default_factory=dict)
    streams: tuple[StreamFigures, ...] = ()
    outbox: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """By (connection, lane, state), open states only."""
    oldest_owed: dict[str, float] = field(default_factory=dict)
    """By lane: how long the oldest effect that could go has been waiting."""
    quarantine: dict[tuple[str, str], int] = field(default_factory=dict)
    """By (connection, direction)."""
    letters: dict[str, int] = field(default_factory=dict)
    webhook_deliveries: dict[str, int] = field(default_factory=dict)


def count(session: Session, now: datetime) -> Figures:
    names = {row.id: row.name for row in session.execute(sa.select(connection.c.id, connection.c.name))}
    return Figures(
        contacts=count_contacts(session),
        connections=_by(session, connection.c.state),
        open_runs=_by(session, run.c.state, run.c.state.in_([state.value for state in OPEN_STATES])),
        streams=_streams(session, names),
        outbox=_outbox(session, names),
        oldest_owed=_oldest(session, now),
        quarantine=_quarantine(session, names),
        letters=_by(session, letter.c.state, letter.c.state != "sent"),
        webhook_deliveries=_by(session, webhook_delivery.c.state, webhook_delivery.c.state != "sent"),
    )


def count_contacts(session: Session) -> int:
    """Exact on SQLite and for small tables, PostgreSQL's own estimate for large ones."""
    if not is_sqlite(session):
        guess = session.scalar(sa.text("SELECT reltuples::bigint FROM pg_class WHERE oid = 'contact'::regclass")) or 0
        if guess > EXACT:
            return int(guess)
    return session.scalar(sa.select(sa.func.count()).select_from(contact)) or 0


def _by(session: Session, column: sa.Column[str], *conditions: sa.ColumnElement[bool]) -> dict[str, int]:
    rows = session.execute(sa.select(column, sa.func.count()).where(*conditions).group_by(column))
    return {row[0]: row[1] for row in rows}


def _streams(session: Session, names: dict[str, str]) -> tuple[StreamFigures, ...]:
    finished = run.c.state.in_([RunState.DONE.value, RunState.FAILED.value])
    newest = (
        sa.select(run.c.connection_id, run.c.stream, sa.func.max(run.c.finished_at).label("at"))
        .where(finished, run.c.finished_at.is_not(None))
        .group_by(run.c.connection_id, run.c.stream)
        .subquery()
    )
    rows = session.execute(
        sa.select(run.c.connection_id, run.c.stream, run.c.state, run.c.finished_at, run.c.read).join(
            newest,
            (run.c.connection_id == newest.c.connection_id)
            & (run.c.stream == newest.c.stream)
            & (run.c.finished_at == newest.c.at),
        )
    )
    found = {(row.connection_id, row.stream): row for row in rows}
    return tuple(
        StreamFigures(names.get(row.connection_id, row.connection_id), row.stream, row.state, row.finished_at, row.read)
        for row in found.values()
    )


def _outbox(session: Session, names: dict[str, str]) -> dict[tuple[str, str, str], int]:
    rows = session.execute(
        sa.select(outbox.c.connection_id, outbox.c.lane, outbox.c.state, sa.func.count())
        .where(IS_OPEN)
        .group_by(outbox.c.connection_id, outbox.c.lane, outbox.c.state)
    )
    return {(names.get(connection_id, connection_id), lane, state): number for connection_id, lane, state, number in rows}


def _oldest(session: Session, now: datetime) -> dict[str, float]:
    due = sa.func.coalesce(outbox.c.not_before, outbox.c.created_at)
    rows = session.execute(
        sa.select(outbox.c.lane, sa.func.min(outbox.c.created_at))
        .where(IS_OPEN, outbox.c.state == EffectState.OWED.value, due <= now)
        .group_by(outbox.c.lane)
    )
    return {lane: max(0.0, (now - since).total_seconds()) for lane, since in rows if since}


def _quarantine(session: Session, names: dict[str, str]) -> dict[tuple[str, str], int]:
    columns = (quarantine.c.connection_id, quarantine.c.direction)
    rows = session.execute(sa.select(*columns, sa.func.count()).group_by(*columns))
    return {(names.get(connection_id, connection_id), direction): number for connection_id, direction, number in rows}


@dataclass(frozen=True)
class People:
    """Users who can sign in; `publishers` are those who may publish what another handed in."""

    active: int
    by_role: dict[str, int]
    publishers: int
    without_second_factor: int


def count_people(session: Session) -> People:
    held: dict[str, set[str]] = {}
    rows = session.execute(
        sa.select(users.user.c.id, users.role.c.name)
        .join(users.user_role, users.user_role.c.user_id == users.user.c.id)
        .join(users.role, users.role.c.id == users.user_role.c.role_id)
        .where(users.user.c.active)
    )
    for user_id, name in rows:
        held.setdefault(user_id, set()).add(name)
    by_role = Counter(name for names in held.values() for name in names)
    publishers = sum(Permission.SCENARIOS_APPROVE in permissions_of(names) for names in held.values())
    bare = sa.select(sa.func.count()).where(
        users.user.c.active,
        users.user.c.tf_primary_method.is_(None),
        ~sa.exists().where(users.passkey.c.user_id == users.user.c.id),
    )
    return People(len(held), dict(by_role), publishers, session.scalar(bare.select_from(users.user)) or 0)
