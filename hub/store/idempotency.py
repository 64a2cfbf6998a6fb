"""Answers kept under the caller's idempotency key, so that a repeated request is not done twice."""

from __future__ import annotations

import sqlalchemy as sa

from hub.store.db import Id, UtcTime, metadata

idempotency_key = sa.Table(
    "idempotency_key",
    metadata,
    sa.Column("token_id", Id, primary_key=True),
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),  # of method, path and body
    sa.Column("status", sa.Integer),  # none: the first request is still being answered
    sa.Column("headers", sa.Text),
    sa.Column("body", sa.LargeBinary),
    sa.Column("created_at", UtcTime, nullable=False, index=True),
)
