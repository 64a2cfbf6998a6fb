"""What the hub holds of one contact, part by part; every question goes through an index that begins with the contact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.store.boxes import outbox
from hub.store.connections import connection
from hub.store.ledger import consent_act, consent_state, pause, suppression
from hub.store.orders import shop_order
from hub.store.records import record
from hub.store.remotes import remote
from hub.store.scenarios import decision, evaluation, scenario

MOST_RECORDS = 100
LOOKED_BACK = 30
"""Evaluations of a scenario that are asked for the contact's decision, the newest first."""


def records_of(session: Session, contact_id: str, limit: int = MOST_RECORDS) -> Sequence[Any]:
    """Records that are the contact's, the last changed first, with `connection_name` and `platform`."""
    return session.execute(
        sa.select(record, connection.c.name.label("connection_name"), connection.c.platform)
        .join(connection, connection.c.id == record.c.connection_id)
        .where(record.c.contact_id == contact_id)
        .order_by(record.c.changed_at.desc(), record.c.external_id)
        .limit(limit)
    ).all()


def values_said(session: Session, contact_id: str, names: Iterable[str]) -> dict[str, set[str]]:
    """For each standard field the values that the contact's records say."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for standard in session.scalars(sa.select(record.c.standard).where(record.c.contact_id == contact_id)):
        for name, values in found.items():
            if isinstance(standard, Mapping) and standard.get(name):
                values.add(str(standard[name]))
    return found


def remotes_of(session: Session, contact_id: str) -> Sequence[Any]:
    """The contact's records that we wrote to platforms, with `connection_name` and `platform`."""
    return session.execute(
        sa.select(remote, connection.c.name.label("connection_name"), connection.c.platform)
        .join(connection, connection.c.id == remote.c.connection_id)
        .where(remote.c.connection_id.in_(sa.select(connection.c.id)), remote.c.contact_id == contact_id)
        .order_by(connection.c.name)
    ).all()


def states_of(session: Session, contact_id: str) -> Sequence[Any]:
    """The newest act on every scope: rows of `consent_state`."""
    scope = (consent_state.c.channel, consent_state.c.brand, consent_state.c.topic)
    return session.execute(sa.select(consent_state).where(consent_state.c.contact_id == contact_id).order_by(*scope)).all()


def acts_of(session: Session, contact_id: str, limit: int) -> Sequence[Any]:
    """The ledger's entries on the contact, the last written first."""
    statement = sa.select(consent_act).where(consent_act.c.contact_id == contact_id)
    return session.execute(statement.order_by(consent_act.c.seq.desc()).limit(limit)).all()


def suppressions_of(session: Session, addresses: Iterable[tuple[str, str]]) -> Sequence[Any]:
    """Suppressions of these (channel, address) pairs."""
    pairs = list(addresses)
    if not pairs:
        return []
    either = sa.or_(*(sa.and_(suppression.c.channel == channel, suppression.c.address == one) for channel, one in pairs))
    return session.execute(sa.select(suppression).where(either).order_by(suppression.c.channel)).all()


def pauses_of(session: Session, contact_id: str, now: datetime) -> Sequence[Any]:
    """Pauses that are not over."""
    statement = sa.select(pause).where(pause.c.contact_id == contact_id, pause.c.until > now)
    return session.execute(statement.order_by(pause.c.channel)).all()


def end_pause(session: Session, contact_id: str, channel: str) -> datetime | None:
    """Take a pause away; returns until when it was, None if there was none."""
    until: datetime | None = session.scalar(
        sa.delete(pause).where(pause.c.contact_id == contact_id, pause.c.channel == channel).returning(pause.c.until)
    )
    return until


def orders_of(session: Session, contact_id: str, limit: int) -> Sequence[Any]:
    """The contact's orders, the last placed first, with `connection_name`."""
    return session.execute(
        sa.select(shop_order, connection.c.name.label("connection_name"))
        .join(connection, connection.c.id == shop_order.c.connection_id)
        .where(shop_order.c.contact_id == contact_id)
        .order_by(shop_order.c.placed_at.desc(), shop_order.c.external_id)
        .limit(limit)
    ).all()


def effects_of(session: Session, contact_id: str, limit: int) -> Sequence[Any]:
    """What was or is owed to platforms for the contact, the newest first, with `connection_name`."""
    return session.execute(
        sa.select(outbox, connection.c.name.label("connection_name"))
        .join(connection, connection.c.id == outbox.c.connection_id)
        .where(outbox.c.contact_id == contact_id)
        .order_by(outbox.c.id.desc())
        .limit(limit)
    ).all()


def decisions_of(session: Session, contact_id: str) -> list[tuple[Any, Any]]:
    """(Scenario, the newest decision on the contact or None) of every scenario's latest evaluations, if it ever had one."""
    found: list[tuple[Any, Any]] = []
    for row in session.execute(sa.select(scenario).order_by(scenario.c.key)).all():
        ids = sa.select(evaluation.c.id).where(evaluation.c.scenario_id == row.id)
        latest = session.scalars(ids.order_by(evaluation.c.created_at.desc()).limit(LOOKED_BACK)).all()
        if not latest:
            continue
        rows = session.execute(
            sa.select(decision).where(decision.c.evaluation_id.in_(latest), decision.c.contact_id == contact_id)
        ).all()
        place = {evaluation_id: number for number, evaluation_id in enumerate(latest)}
        found.append((row, min(rows, key=lambda one: place[one.evaluation_id], default=None)))
    return found
