"""Orders of all shops, as far as segments and reports need them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.store import bulk
from hub.store.db import Id, UtcTime, metadata

shop_order = sa.Table(
    "shop_order",
    metadata,
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("external_id", sa.String(120), primary_key=True),
    sa.Column("contact_id", Id, sa.ForeignKey("contact.id", ondelete="CASCADE")),
    sa.Column("number", sa.String(120), nullable=False),
    sa.Column("status", sa.String(60), nullable=False),
    sa.Column("paid", sa.Boolean, nullable=False),  # rules.events.is_paid
    sa.Column("guest", sa.Boolean, nullable=False),
    sa.Column("email", sa.String(254)),  # as given with the order
    sa.Column("placed_at", UtcTime, nullable=False),
    sa.Column("paid_at", UtcTime),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("total", sa.BigInteger, nullable=False),  # minor units
    sa.Column("refunded", sa.BigInteger, nullable=False),  # minor units
    sa.Index("ix_shop_order_contact_id", "contact_id", "paid", "paid_at"),
    sa.Index("ix_shop_order_paid_at", "paid_at"),
)


def save_orders(session: Session, rows: Sequence[bulk.Row]) -> None:
    update = tuple(name for name in rows[0] if name not in ("connection_id", "external_id")) if rows else ()
    bulk.upsert(session, shop_order, rows, key=("connection_id", "external_id"), update=update)


def count_guests(session: Session, connection_id: str) -> tuple[int, int]:
    """(guest orders, guest buyers): buyers are the different e-mail addresses among the guest orders."""
    row = session.execute(
        sa.select(sa.func.count(), sa.func.count(sa.distinct(shop_order.c.email))).where(
            shop_order.c.connection_id == connection_id, shop_order.c.guest
        )
    ).one()
    return row[0], row[1]
