"""Segments compiled to SQL: the same tree that `hub.rules.segments` evaluates for one contact."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.rules.segments import Field, Group, Node, Not, OrderFact, Orders
from hub.store.contacts import contact
from hub.store.orders import shop_order
from hub.store.scenarios import scenario, segment


def members(session: Session, node: Node, at: datetime, after: str | None, limit: int) -> Sequence[str]:
    """Ids of the segment's members at the moment `at`, in the order of their ids, behind `after`."""
    statement = sa.select(contact.c.id).where(condition(node, at)).order_by(contact.c.id).limit(limit)
    if after is not None:
        statement = statement.where(contact.c.id > after)
    return session.scalars(statement).all()


def condition(node: Node, at: datetime) -> sa.ColumnElement[bool]:
    """The tree as a condition on `contact`."""
    match node:
        case Group(kind="all", parts=parts):
            return sa.and_(*(condition(part, at) for part in parts))
        case Group(parts=parts):
            return sa.or_(*(condition(part, at) for part in parts))
        case Not(part):
            return sa.not_(condition(part, at))
        case Field(name, value):
            column = sa.func.coalesce(contact.c[name], "")
            return column != "" if value is None else column == value
        case Orders():
            return _orders(node, at)


def _orders(node: Orders, at: datetime) -> sa.ColumnElement[bool]:
    moment = _moment()
    conditions = [shop_order.c.paid if node.paid else ~shop_order.c.paid, moment <= at, shop_order.c.contact_id.is_not(None)]
    if node.within_days:
        conditions.append(moment > at - timedelta(days=node.within_days))
    if node.currency:
        conditions.append(shop_order.c.currency == node.currency)
    having = sa.func.count() >= node.at_least
    if node.total_at_least is not None:
        having = sa.and_(having, sa.func.sum(shop_order.c.total - shop_order.c.refunded) >= node.total_at_least)
    buyers = sa.select(shop_order.c.contact_id).where(*conditions).group_by(shop_order.c.contact_id).having(having)
    return contact.c.id.in_(buyers)


def _moment() -> sa.ColumnElement[datetime]:
    return sa.func.coalesce(shop_order.c.paid_at, shop_order.c.placed_at, type_=shop_order.c.placed_at.type)


def order_facts(session: Session, contact_id: str) -> list[OrderFact]:
    """One contact's orders as the rules read them."""
    rows = session.execute(
        sa.select(
            shop_order.c.paid,
            _moment(),
            shop_order.c.total - shop_order.c.refunded,
            shop_order.c.currency,
        ).where(shop_order.c.contact_id == contact_id)
    )
    return [OrderFact(bool(paid), at, total, currency) for paid, at, total, currency in rows]


def count_members(session: Session, node: Node, at: datetime) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(contact).where(condition(node, at))) or 0


def sample_members(session: Session, node: Node, at: datetime, limit: int) -> Sequence[sa.Row[Any]]:
    """Some members as rows of `contact`, those with the lowest ids."""
    return session.execute(sa.select(contact).where(condition(node, at)).order_by(contact.c.id).limit(limit)).all()


def list_segments(session: Session) -> Sequence[Any]:
    """Every segment with `scenarios`: how many use it."""
    used = sa.select(sa.func.count()).where(scenario.c.segment_id == segment.c.id).scalar_subquery().label("scenarios")
    return session.execute(sa.select(segment, used).order_by(segment.c.key)).all()


def find_segment(session: Session, key: str) -> sa.Row[Any] | None:
    return session.execute(sa.select(segment).where(segment.c.key == key)).first()
