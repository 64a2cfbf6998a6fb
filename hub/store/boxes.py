"""The outbox: what we owe to platforms. One row is one effect on one contact, sent in batches.

claim (a transaction: mark taken, decide) → call (no transaction) → settle (a transaction: outcome, next effects). A claim
that is not settled in time is free again: the database, not Redis, is the truth about what is owed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.core.types import Lane
from hub.store import bulk
from hub.store.connections import ACTIVE, connection
from hub.store.db import Id, JsonValue, UtcTime, metadata, new_id


class Effect(StrEnum):
    PUSH_CONTACT = "push_contact"
    SET_MEMBER = "set_member"
    START_AUTOMATION = "start_automation"


class EffectState(StrEnum):
    HELD = "held"  # waits until the contact itself has been pushed
    OWED = "owed"
    CLAIMED = "claimed"
    DONE = "done"
    REJECTED = "rejected"  # the platform will never take it
    CANCELLED = "cancelled"  # the gate said no when it was about to leave


OPEN = (EffectState.OWED.value, EffectState.CLAIMED.value)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("effect", sa.String(30), nullable=False),
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id", ondelete="CASCADE"), nullable=False),
    sa.Column("contact_id", Id, nullable=False, index=True),
    sa.Column("lane", sa.String(10), nullable=False),
    sa.Column("detail", sa.String(120), nullable=False),  # the automation or the list; one call serves one detail
    sa.Column("gate", JsonValue, nullable=False),  # {channel, topic, brand} asked at claim; {} for what takes away
    sa.Column("idempotency_key", sa.String(200), nullable=False, unique=True),
    sa.Column("evaluation_id", Id, index=True),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("not_before", UtcTime),
    sa.Column("claimed_by", sa.String(64)),
    sa.Column("claimed_until", UtcTime),
    sa.Column("outcome", sa.String(12)),
    sa.Column("reason", sa.Text),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("settled_at", UtcTime),
)
sa.Index(
    "ix_outbox_open",
    outbox.c.lane,
    outbox.c.connection_id,
    outbox.c.effect,
    outbox.c.detail,
    outbox.c.id,
    sqlite_where=outbox.c.state.in_(OPEN),
    postgresql_where=outbox.c.state.in_(OPEN),
)
sa.Index("ix_outbox_started", outbox.c.effect, outbox.c.detail, outbox.c.settled_at)

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


class Parcel(NamedTuple):
    """The key of one delivery job: what one call to one platform can carry."""

    connection_id: str
    lane: str
    effect: str
    detail: str

    def __str__(self) -> str:
        return "|".join(self)

    @property
    def lane_key(self) -> str:
        return f"{self.connection_id}|{self.lane}"

    @classmethod
    def read(cls, text: str) -> Parcel:
        connection_id, lane, effect, detail = text.split("|", 3)
        return cls(connection_id, lane, effect, detail)


def owe(session: Session, rows: Sequence[Mapping[str, Any]], now: datetime) -> int:
    """Add effects; one whose idempotency key stands in the box already is not added again. Returns how many were.

    Each row has all columns but `id`, `attempts`, `created_at` and those of a claim.
    """
    defaults = {"attempts": 0, "created_at": now}
    return bulk.upsert(session, outbox, [{"id": new_id(), **row, **defaults} for row in rows], key=("idempotency_key",))


def let_go(session: Session, connection_id: str, contact_ids: Iterable[str]) -> None:
    """Owe what was held until these contacts had been pushed."""
    session.execute(_held(session, connection_id, contact_ids).values(state=EffectState.OWED.value))


def cancel_held(session: Session, connection_id: str, contact_ids: Iterable[str], reason: str, now: datetime) -> None:
    """Give up what was held for contacts that will not be pushed."""
    session.execute(
        _held(session, connection_id, contact_ids).values(
            state=EffectState.CANCELLED.value, reason=reason, settled_at=now, idempotency_key=_freed_key()
        )
    )


def _freed_key() -> sa.ColumnElement[str]:
    """A cancelled effect gives its key back: after a new consent the same effect may be owed again."""
    return sa.func.substr(outbox.c.idempotency_key, 1, 150) + ":x:" + sa.cast(outbox.c.id, sa.String(36))


def _held(session: Session, connection_id: str, contact_ids: Iterable[str]) -> sa.Update:
    return sa.update(outbox).where(
        outbox.c.connection_id == connection_id,
        outbox.c.state == EffectState.HELD.value,
        bulk.among(session, outbox.c.contact_id, contact_ids),
    )


def known_keys(session: Session, keys: Iterable[str], state: EffectState | None = None) -> set[str]:
    """Which idempotency keys stand in the box: in any state but cancelled (those are free again), or in one state."""
    statement = sa.select(outbox.c.idempotency_key).where(bulk.among(session, outbox.c.idempotency_key, keys))
    if state is not None:
        statement = statement.where(outbox.c.state == state.value)
    return set(session.scalars(statement))


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
                due = sa.select(outbox.c.id).where(_of(parcel), _free(now)).limit(DUE_AT_ONCE).subquery()
                if count := session.scalar(sa.select(sa.func.count()).select_from(due)):
                    found.append((parcel, count))
    return found


def _open_parcels(session: Session, connection_id: str, lane: str) -> list[Parcel]:
    """What one connection's lane is owed, by kind: one look into the index for each, not one for each row."""
    place = sa.tuple_(outbox.c.effect, outbox.c.detail)
    statement = (
        sa.select(outbox.c.effect, outbox.c.detail)
        .where(_IS_OPEN, outbox.c.lane == lane, outbox.c.connection_id == connection_id)
        .order_by(outbox.c.effect, outbox.c.detail)
        .limit(1)
    )
    found: list[Parcel] = []
    row = session.execute(statement).first()
    while row is not None:
        found.append(Parcel(connection_id, lane, row.effect, row.detail))
        row = session.execute(statement.where(place > sa.tuple_(sa.literal(row.effect), sa.literal(row.detail)))).first()
    return found


_IS_OPEN = outbox.c.state.in_(sa.bindparam("open_states", OPEN, expanding=True, literal_execute=True))
"""Written out, not bound: SQLite looks into a partial index only where the statement itself says its condition."""


def _free(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        _IS_OPEN,
        sa.or_(outbox.c.claimed_until.is_(None), outbox.c.claimed_until < now),
        sa.or_(outbox.c.not_before.is_(None), outbox.c.not_before <= now),
    )


def _of(parcel: Parcel) -> sa.ColumnElement[bool]:
    return sa.and_(*(outbox.c[name] == getattr(parcel, name) for name in Parcel._fields))


def claim(session: Session, parcel: Parcel, owner: str, now: datetime, lease: float, limit: int) -> Sequence[sa.Row[Any]]:
    """Take up to `limit` due effects of a parcel for `lease` seconds, oldest first.

    Those that got no verdict before go in smaller and smaller company, so that one which spoils the call for all is alone
    in the end.
    """
    wanted = (
        sa.select(outbox.c.id, outbox.c.attempts)
        .where(_of(parcel), _free(now))
        .order_by(outbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    due = session.execute(wanted).all()
    if not due:
        return []
    tried = due[0].attempts
    together = max(1, limit >> min(2 * tried, 30))
    ids = [row.id for row in due[:together] if row.attempts == tried]
    rows = session.execute(
        sa.update(outbox)
        .where(bulk.among(session, outbox.c.id, ids))
        .values(
            state=EffectState.CLAIMED.value,
            claimed_by=owner,
            claimed_until=now + timedelta(seconds=lease),
            attempts=outbox.c.attempts + 1,
        )
        .returning(outbox)
    ).all()
    return sorted(rows, key=lambda row: str(row.id))


def settle(
    session: Session,
    ids: Iterable[str],
    owner: str,
    state: EffectState,
    now: datetime,
    *,
    outcome: str | None = None,
    reason: str | None = None,
) -> set[str]:
    """Close effects that are still claimed by us; returns which were.

    A finished push gives its key back: `remote.pushed_hash` says what is there now, and old values may come again.
    """
    freed = {}
    if state is EffectState.CANCELLED:
        freed["idempotency_key"] = _freed_key()
    elif state is EffectState.DONE:
        pushed = outbox.c.effect == Effect.PUSH_CONTACT.value
        freed["idempotency_key"] = sa.case((pushed, _freed_key()), else_=outbox.c.idempotency_key)
    return set(
        session.scalars(
            sa.update(outbox)
            .where(bulk.among(session, outbox.c.id, ids), outbox.c.claimed_by == owner, outbox.c.state.in_(OPEN))
            .values(
                state=state.value,
                outcome=outcome,
                reason=reason,
                settled_at=now,
                claimed_by=None,
                claimed_until=None,
                **freed,
            )
            .returning(outbox.c.id)
        )
    )


def put_back(
    session: Session, ids: Iterable[str], owner: str, not_before: datetime, reason: str | None, *, tried: bool
) -> None:
    """Owe effects again from `not_before` on; one that was not even tried does not count as an attempt."""
    session.execute(
        sa.update(outbox)
        .where(bulk.among(session, outbox.c.id, ids), outbox.c.claimed_by == owner)
        .values(
            state=EffectState.OWED.value,
            claimed_by=None,
            claimed_until=None,
            not_before=not_before,
            reason=reason,
            attempts=outbox.c.attempts if tried else outbox.c.attempts - 1,
        )
    )


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
