"""Scenarios handed in for publishing: one person writes, another publishes."""

from __future__ import annotations

import sqlalchemy as sa

from hub.store.db import Id, JsonValue, UtcTime, metadata

DRAFT, WAITING, PUBLISHED, REJECTED, DISCARDED = "draft", "waiting", "published", "rejected", "discarded"

proposal = sa.Table(
    "proposal",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("scenario_key", sa.String(80), nullable=False, index=True),
    sa.Column("definition", JsonValue, nullable=False),  # as `hub scenario publish` reads it
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("based_on", sa.Integer),  # the scenario's version when the draft was begun
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),  # of this row: two people editing
    sa.Column("author_id", Id, sa.ForeignKey("hub_user.id", ondelete="SET NULL")),
    sa.Column("author_name", sa.String(254), nullable=False),
    sa.Column("note", sa.Text, nullable=False, default=""),
    sa.Column("decided_by", Id, sa.ForeignKey("hub_user.id", ondelete="SET NULL")),
    sa.Column("decided_by_name", sa.String(254)),
    sa.Column("decision_note", sa.Text),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
    sa.Column("submitted_at", UtcTime),
    sa.Column("decided_at", UtcTime),
)
