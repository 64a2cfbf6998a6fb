"""Outgoing webhooks: who is told, what happened, and every attempt to tell it."""

from __future__ import annotations

import sqlalchemy as sa

from hub.store.db import Id, JsonValue, UtcTime, metadata

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
