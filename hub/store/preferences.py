"""Settings that the console changes while the hub runs; everything else is a variable of the environment."""

from __future__ import annotations

import sqlalchemy as sa

from hub.store.db import JsonValue, UtcTime, metadata

preference = sa.Table(
    "preference",
    metadata,
    sa.Column("key", sa.String(60), primary_key=True),
    sa.Column("value", JsonValue, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("updated_at", UtcTime, nullable=False),
)
