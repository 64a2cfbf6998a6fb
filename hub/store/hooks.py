"""Outgoing webhooks: who is told, what happened, and every attempt to tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from hub.store.db import Id, JsonValue, Session, UtcTime, is_sqlite, metadata, new_id

webhook = sa.Table(
    "webhook",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("url", sa.String(2000), nullable=False),
    sa.Column("description", sa.String(200), nullable=False, default=""),
    sa.Column("kinds", JsonValue, nullable=False),  # names of events; «*»: all
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),  # the signing secret
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),  # in a row
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
)

webhook_event = sa.Table(
    "webhook_event",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("kind", sa.String(60), nullable=False),
    sa.Column("subject_id", sa.String(120), nullable=False),
    sa.Column("payload", JsonValue, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
)

webhook_delivery = sa.Table(
    "webhook_delivery",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("webhook_id", Id, sa.ForeignKey("webhook.id", ondelete="CASCADE"), nullable=False),
    sa.Column("event_id", Id, sa.ForeignKey("webhook_event.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("replay_of", Id),  # the delivery that this one repeats
    sa.Column("state", sa.String(20), nullable=False),  # owed, sent, failed
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("not_before", UtcTime, nullable=False),
    sa.Column("claimed_until", UtcTime),
    sa.Column("status", sa.Integer),  # of the last answer
    sa.Column("answer", sa.String(500)),  # its beginning, redacted
    sa.Column("error", JsonValue),
    sa.Column("seconds", sa.Float),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("settled_at", UtcTime),
    sa.Index("ix_webhook_delivery_due", "state", "not_before"),
    sa.Index("ix_webhook_delivery_webhook", "webhook_id", "id"),
)


DUE_PER_WEBHOOK = 4
"""Deliveries of one webhook handed out at a look: a slow endpoint must not keep every worker waiting."""
OWED, SENT, FAILED = "owed", "sent", "failed"
EVERY_KIND = "*"


def add_webhook(session: Session, values: Mapping[str, Any]) -> None:
    session.execute(sa.insert(webhook).values(**values))


def find_webhook(session: Session, webhook_id: str) -> Any:
    return session.execute(sa.select(webhook).where(webhook.c.id == webhook_id)).first()


def list_webhooks(session: Session) -> Sequence[Any]:
    return session.execute(sa.select(webhook).order_by(webhook.c.id)).all()


def page_webhooks(session: Session, *, after: str | None = None, limit: int = 50) -> Sequence[Any]:
    """Webhooks, oldest first, those behind the id `after`."""
    statement = sa.select(webhook).order_by(webhook.c.id).limit(limit)
    return session.execute(statement if after is None else statement.where(webhook.c.id > after)).all()


def listeners(session: Session, kind: str) -> list[str]:
    """Ids of the active webhooks that asked for this kind."""
    rows = session.execute(sa.select(webhook.c.id, webhook.c.kinds).where(webhook.c.active).order_by(webhook.c.id))
    return [row.id for row in rows if kind in row.kinds or EVERY_KIND in row.kinds]


def change_webhook(session: Session, webhook_id: str, values: Mapping[str, Any], now: datetime, *, version: int) -> bool:
    """Set columns if the version is still this one; False if somebody was faster."""
    done = session.execute(
        sa.update(webhook)
        .where(webhook.c.id == webhook_id, webhook.c.version == version)
        .values(**values, version=version + 1, updated_at=now)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def remove_webhook(session: Session, webhook_id: str) -> None:
    """With its deliveries; the events stay for the others."""
    session.execute(sa.delete(webhook).where(webhook.c.id == webhook_id))


def add_events(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    session.execute(sa.insert(webhook_event), [dict(row) for row in rows])


def add_deliveries(session: Session, pairs: Sequence[tuple[str, str, str | None]], now: datetime) -> list[str]:
    """Owe (webhook id, event id, delivery that is repeated or None) now; returns the ids."""
    rows = [
        {
            "id": new_id(),
            "webhook_id": webhook_id,
            "event_id": event_id,
            "replay_of": replay_of,
            "state": OWED,
            "not_before": now,
            "created_at": now,
        }
        for webhook_id, event_id, replay_of in pairs
    ]
    session.execute(sa.insert(webhook_delivery), rows)
    return [str(row["id"]) for row in rows]


def due_deliveries(session: Session, now: datetime, limit: int = 100) -> Sequence[Any]:
    """(id, attempts) of deliveries to make now, oldest first: few of each webhook, one of a webhook that is failing."""
    due = sa.and_(
        webhook_delivery.c.state == OWED,
        webhook_delivery.c.not_before <= now,
        sa.or_(webhook_delivery.c.claimed_until.is_(None), webhook_delivery.c.claimed_until < now),
    )
    place = sa.func.row_number().over(partition_by=webhook_delivery.c.webhook_id, order_by=webhook_delivery.c.id)
    ranked = (
        sa.select(webhook_delivery.c.id, webhook_delivery.c.attempts, webhook.c.failures, place.label("place"))
        .join(webhook, webhook.c.id == webhook_delivery.c.webhook_id)
        .where(due, webhook.c.active)
        .subquery()
    )
    few = sa.case((ranked.c.failures > 0, 1), else_=DUE_PER_WEBHOOK)
    statement = sa.select(ranked.c.id, ranked.c.attempts).where(ranked.c.place <= few).order_by(ranked.c.id).limit(limit)
    return session.execute(statement).all()


def claim_delivery(session: Session, delivery_id: str, now: datetime, lease: float) -> Any:
    """Take a due delivery for `lease` seconds, with its event and its webhook; None if it is not to be had.

    Its `attempts` counts this attempt too, and is what settling must show.
    """
    taken = session.execute(
        sa.update(webhook_delivery)
        .where(
            webhook_delivery.c.id == delivery_id,
            webhook_delivery.c.state == OWED,
            webhook_delivery.c.not_before <= now,
            sa.or_(webhook_delivery.c.claimed_until.is_(None), webhook_delivery.c.claimed_until < now),
        )
        .values(claimed_until=now + timedelta(seconds=lease), attempts=webhook_delivery.c.attempts + 1)
    )
    if not taken.rowcount:  # type: ignore[attr-defined]
        return None
    return session.execute(
        sa.select(
            *(webhook_delivery.c[name] for name in ("id", "webhook_id", "event_id", "attempts", "created_at")),
            *(webhook_event.c[name] for name in ("kind", "payload", "at")),
            *(webhook.c[name] for name in ("url", "key_id", "sealed", "active", "failures", "version", "description")),
        )
        .join(webhook_event, webhook_event.c.id == webhook_delivery.c.event_id)
        .join(webhook, webhook.c.id == webhook_delivery.c.webhook_id)
        .where(webhook_delivery.c.id == delivery_id)
    ).first()


def settle_delivery(session: Session, delivery_id: str, attempts: int, values: Mapping[str, Any]) -> bool:
    """Write an attempt's outcome and give the claim back, unless another attempt has begun since."""
    done = session.execute(
        sa.update(webhook_delivery)
        .where(webhook_delivery.c.id == delivery_id, webhook_delivery.c.attempts == attempts, webhook_delivery.c.state == OWED)
        .values(claimed_until=None, **values)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def give_up_owed(session: Session, webhook_id: str, error: Mapping[str, Any], now: datetime) -> None:
    """Nothing is owed to this webhook any more."""
    session.execute(
        sa.update(webhook_delivery)
        .where(webhook_delivery.c.webhook_id == webhook_id, webhook_delivery.c.state == OWED)
        .values(state=FAILED, claimed_until=None, error=dict(error), settled_at=now)
    )


def count_failure(session: Session, webhook_id: str) -> int:
    """Failures in a row, this one included."""
    statement = sa.update(webhook).where(webhook.c.id == webhook_id).values(failures=webhook.c.failures + 1)
    return int(session.execute(statement.returning(webhook.c.failures)).scalar() or 0)


def clear_failures(session: Session, webhook_id: str) -> None:
    session.execute(sa.update(webhook).where(webhook.c.id == webhook_id, webhook.c.failures > 0).values(failures=0))


def switch_off(session: Session, webhook_id: str, now: datetime) -> bool:
    """False if it was off before."""
    done = session.execute(
        sa.update(webhook)
        .where(webhook.c.id == webhook_id, webhook.c.active)
        .values(active=False, version=webhook.c.version + 1, updated_at=now)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def page_deliveries(
    session: Session, *, webhook_id: str, state: str | None = None, before: str | None = None, limit: int = 50
) -> Sequence[Any]:
    """A webhook's deliveries with their events, newest first, those older than the id `before`."""
    statement = (
        sa.select(webhook_delivery, webhook_event.c.kind, webhook_event.c.subject_id, webhook_event.c.at.label("event_at"))
        .join(webhook_event, webhook_event.c.id == webhook_delivery.c.event_id)
        .where(webhook_delivery.c.webhook_id == webhook_id)
        .order_by(webhook_delivery.c.id.desc())
    )
    if state:
        statement = statement.where(webhook_delivery.c.state == state)
    if before is not None:
        statement = statement.where(webhook_delivery.c.id < before)
    return session.execute(statement.limit(limit)).all()


def find_delivery(session: Session, delivery_id: str) -> Any:
    """One delivery with its event's kind, subject, payload and time."""
    event = (webhook_event.c.kind, webhook_event.c.subject_id, webhook_event.c.payload, webhook_event.c.at.label("event_at"))
    return session.execute(
        sa.select(webhook_delivery, *event)
        .join(webhook_event, webhook_event.c.id == webhook_delivery.c.event_id)
        .where(webhook_delivery.c.id == delivery_id)
    ).first()


def is_owed(session: Session, webhook_id: str, event_id: str) -> bool:
    """Whether the webhook is still to be told of the event. Whoever asks so of the webhook next waits for this transaction."""
    if not is_sqlite(session):
        session.execute(sa.select(webhook.c.id).where(webhook.c.id == webhook_id).with_for_update(key_share=True))
    statement = sa.select(webhook_delivery.c.id).where(
        webhook_delivery.c.webhook_id == webhook_id, webhook_delivery.c.event_id == event_id, webhook_delivery.c.state == OWED
    )
    return session.execute(statement.limit(1)).first() is not None


def failed_since(session: Session, webhook_id: str, since: datetime, limit: int) -> Sequence[Any]:
    """(event id, delivery id) of events whose last delivery here failed since then: one line each, oldest first."""
    newest = (
        sa.select(webhook_delivery.c.event_id, sa.func.max(sa.cast(webhook_delivery.c.id, sa.String)).label("id"))
        .where(webhook_delivery.c.webhook_id == webhook_id, webhook_delivery.c.created_at >= since)
        .group_by(webhook_delivery.c.event_id)
        .subquery()
    )
    return session.execute(
        sa.select(webhook_delivery.c.event_id, webhook_delivery.c.id)
        .join(newest, newest.c.id == sa.cast(webhook_delivery.c.id, sa.String))
        .where(webhook_delivery.c.state == FAILED)
        .order_by(webhook_delivery.c.id)
        .limit(limit)
    ).all()


def count_deliveries(session: Session, webhook_id: str) -> dict[str, int]:
    rows = session.execute(
        sa.select(webhook_delivery.c.state, sa.func.count())
        .where(webhook_delivery.c.webhook_id == webhook_id)
        .group_by(webhook_delivery.c.state)
    )
    return {str(state): int(count) for state, count in rows}


def forget_deliveries(session: Session, before: datetime) -> int:
    """Take away what was settled before this moment, and events that nobody is told of any more. How many deliveries."""
    gone = session.execute(
        sa.delete(webhook_delivery).where(webhook_delivery.c.state != OWED, webhook_delivery.c.settled_at < before)
    ).rowcount  # type: ignore[attr-defined]
    told = sa.exists().where(webhook_delivery.c.event_id == webhook_event.c.id)
    session.execute(sa.delete(webhook_event).where(webhook_event.c.at < before, ~told))
    return int(gone)
