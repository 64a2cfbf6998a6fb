"""Our own letters on their way out: an outbox of mails. What is in them is sealed, for they carry one-time links."""

from __future__ import annotations

import sqlalchemy as sa

from hub.store.db import Id, JsonValue, UtcTime, metadata

letter = sa.Table(
    "letter",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("kind", sa.String(40), nullable=False),  # a folder of mail/templates
    sa.Column("recipient", sa.String(254), nullable=False),
    sa.Column("language", sa.String(2), nullable=False),
    sa.Column("key_id", sa.String(16), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),  # what the template is filled with
    sa.Column("state", sa.String(20), nullable=False),  # owed, sent, failed
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("not_before", UtcTime, nullable=False),
    sa.Column("error", JsonValue),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("sent_at", UtcTime),
    sa.Index("ix_letter_due", "state", "not_before"),
)
