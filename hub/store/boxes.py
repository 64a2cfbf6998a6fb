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

from hub.store import bulk
from hub.store.db import Id, JsonValue, UtcTime, metadata, new_id
from hub.store.remotes import remote


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
sa.Index(
    "ix_outbox_held",
    outbox.c.connection_id,
    outbox.c.contact_id,
    sqlite_where=outbox.c.state == EffectState.HELD.value,
    postgresql_where=outbox.c.state == EffectState.HELD.value,
)
sa.Index("ix_outbox_started", outbox.c.effect, outbox.c.detail, outbox.c.settled_at)


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


def cancel_held(
    session: Session,
    connection_id: str,
    contact_ids: Iterable[str],
    reason: str,
    now: datetime,
    *,
    evaluation_id: str | None = None,
) -> set[tuple[str, str]]:
    """Give up what was held for contacts that will not be pushed; of one evaluation only, or of all.

    Returns (evaluation id, contact id) of what was given up.
    """
    statement = _held(session, connection_id, contact_ids)
    if evaluation_id is not None:
        statement = statement.where(outbox.c.evaluation_id == evaluation_id)
    rows = session.execute(
        statement.values(
            state=EffectState.CANCELLED.value, reason=reason, settled_at=now, idempotency_key=freed_key()
        ).returning(outbox.c.evaluation_id, outbox.c.contact_id)
    )
    return {(row[0], row[1]) for row in rows if row[0]}


def held_of(session: Session, connection_id: str, contact_id: str) -> sa.Row[Any] | None:
    """One effect that still waits for this contact to be pushed."""
    return session.execute(
        sa.select(outbox).where(
            outbox.c.connection_id == connection_id,
            outbox.c.contact_id == contact_id,
            outbox.c.state == EffectState.HELD.value,
        )
    ).first()


def settle_held(session: Session, now: datetime) -> int:
    """Let go what waits for a push that has been made meanwhile; give up what waits for one that is no longer owed.

    Both happen only when two workers crossed each other's transactions.
    """
    held = outbox.c.state == EffectState.HELD.value
    pushed = sa.exists().where(remote.c.connection_id == outbox.c.connection_id, remote.c.contact_id == outbox.c.contact_id)
    push = outbox.alias("push")
    coming = sa.exists().where(
        push.c.connection_id == outbox.c.connection_id,
        push.c.contact_id == outbox.c.contact_id,
        push.c.effect == Effect.PUSH_CONTACT.value,
        push.c.state.in_(OPEN),
    )
    freed = session.execute(sa.update(outbox).where(held, pushed, ~coming).values(state=EffectState.OWED.value))
    given_up = session.execute(
        sa.update(outbox)
        .where(held, ~pushed, ~coming)
        .values(state=EffectState.CANCELLED.value, reason="not_pushed", settled_at=now, idempotency_key=freed_key())
    )
    return int(freed.rowcount + given_up.rowcount)  # type: ignore[attr-defined]


def freed_key() -> sa.ColumnElement[str]:
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


IS_OPEN = outbox.c.state.in_(sa.bindparam("open_states", OPEN, expanding=True, literal_execute=True))
"""Written out, not bound: SQLite looks into a partial index only where the statement itself says its condition."""


def free(now: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(
        IS_OPEN,
        sa.or_(outbox.c.claimed_until.is_(None), outbox.c.claimed_until < now),
        sa.or_(outbox.c.not_before.is_(None), outbox.c.not_before <= now),
    )


def of(parcel: Parcel) -> sa.ColumnElement[bool]:
    return sa.and_(*(outbox.c[name] == getattr(parcel, name) for name in Parcel._fields))


def claim(session: Session, parcel: Parcel, owner: str, now: datetime, lease: float, limit: int) -> Sequence[sa.Row[Any]]:
    """Take up to `limit` due effects of a parcel for `lease` seconds, oldest first.

    Those that got no verdict before go in smaller and smaller company, so that one which spoils the call for all is alone
    in the end.
    """
    wanted = (
        sa.select(outbox.c.id, outbox.c.attempts)
        .where(of(parcel), free(now))
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
        freed["idempotency_key"] = freed_key()
    elif state is EffectState.DONE:
        pushed = outbox.c.effect == Effect.PUSH_CONTACT.value
        freed["idempotency_key"] = sa.case((pushed, freed_key()), else_=outbox.c.idempotency_key)
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


def renew_claim(session: Session, ids: Sequence[str], owner: str, until: datetime) -> None:
    """The call lasts: the effects stay ours a while longer."""
    session.execute(
        sa.update(outbox)
        .where(bulk.among(session, outbox.c.id, ids), outbox.c.claimed_by == owner, outbox.c.state.in_(OPEN))
        .values(claimed_until=until)
    )
