"""Questions to the outbox: what is due now, what was started, how much is open."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.core.types import Lane
from hub.store.boxes import IS_OPEN, OPEN, Effect, EffectState, Parcel, free, of, outbox
from hub.store.connections import ACTIVE, connection
from hub.store.db import UtcTime

DUE_AT_ONCE = 2000
"""Due effects of one parcel that are counted: enough for many jobs, whatever is owed."""


def due_parcels(session: Session, now: datetime) -> Sequence[tuple[Parcel, int]]:
    """(parcel, effects due, counted up to a limit) of active connections, urgent ones first.

    Each parcel is counted by itself: what is held back, however much it is, hides nothing that could go.
    """
    active = session.scalars(sa.select(connection.c.id).where(connection.c.state == ACTIVE).order_by(connection.c.id)).all()
    found: list[tuple[Parcel, int]] = []
    for lane in Lane:
        for connection_id in active:
            for parcel in _open_parcels(session, connection_id, lane.value):
                due = sa.select(outbox.c.id).where(of(parcel), free(now)).limit(DUE_AT_ONCE).subquery()
                if count := session.scalar(sa.select(sa.func.count()).select_from(due)):
                    found.append((parcel, count))
    return found


def _open_parcels(session: Session, connection_id: str, lane: str) -> list[Parcel]:
    """What one connection's lane is owed, by kind: one look into the index for each, not one for each row."""
    place = sa.tuple_(outbox.c.effect, outbox.c.detail)
    statement = (
        sa.select(outbox.c.effect, outbox.c.detail)
        .where(IS_OPEN, outbox.c.lane == lane, outbox.c.connection_id == connection_id)
        .order_by(outbox.c.effect, outbox.c.detail)
        .limit(1)
    )
    found: list[Parcel] = []
    row = session.execute(statement).first()
    while row is not None:
        found.append(Parcel(connection_id, lane, row.effect, row.detail))
        row = session.execute(statement.where(place > sa.tuple_(sa.literal(row.effect), sa.literal(row.detail)))).first()
    return found


def starts_since(session: Session, detail: str, connection_id: str, since: datetime, now: datetime) -> Sequence[datetime]:
    """When automations were started or are being started, oldest first: what a throttle counts.

    A claim that ran out is no start: it is claimed again, and must not stand in its own way.
    """
    rows = session.execute(
        sa.select(sa.func.coalesce(outbox.c.settled_at, sa.bindparam("now_claimed", since, UtcTime))).where(
            outbox.c.effect == Effect.START_AUTOMATION.value,
            outbox.c.detail == detail,
            outbox.c.connection_id == connection_id,
            sa.or_(
                sa.and_(outbox.c.state == EffectState.DONE.value, outbox.c.settled_at > since),
                sa.and_(outbox.c.state == EffectState.CLAIMED.value, outbox.c.claimed_until >= now),
            ),
        )
    )
    return sorted(row[0] for row in rows)


def count_open(session: Session, connection_id: str | None = None) -> int:
    statement = sa.select(sa.func.count()).select_from(outbox).where(outbox.c.state.in_(OPEN))
    if connection_id:
        statement = statement.where(outbox.c.connection_id == connection_id)
    return session.scalar(statement) or 0


def count_effects(session: Session, evaluation_ids: Sequence[str]) -> dict[tuple[str, str, str], int]:
    """Rows by (effect, state, outcome)."""
    rows = session.execute(
        sa.select(outbox.c.effect, outbox.c.state, sa.func.coalesce(outbox.c.outcome, ""), sa.func.count())
        .where(outbox.c.evaluation_id.in_(evaluation_ids))
        .group_by(outbox.c.effect, outbox.c.state, outbox.c.outcome)
    )
    return {(effect, state, outcome): count for effect, state, outcome, count in rows}


def next_due(session: Session, now: datetime) -> datetime | None:
    """When the next waiting effect may go."""
    found: datetime | None = session.scalar(
        sa.select(sa.func.min(outbox.c.not_before)).where(outbox.c.state.in_(OPEN), outbox.c.not_before > now)
    )
    return found
