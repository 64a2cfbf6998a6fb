"""Answers kept under the caller's idempotency key, so that a repeated request is not done twice."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from hub.store import bulk
from hub.store.db import Id, Session, UtcTime, metadata

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


def begin(session: Session, token_id: str, key: str, fingerprint: str, now: datetime) -> bool:
    """Take the key for a request that is about to be answered; False if it is taken."""
    row = {"token_id": token_id, "key": key, "fingerprint": fingerprint, "created_at": now}
    return bool(bulk.upsert(session, idempotency_key, [row], key=("token_id", "key")))


def find_kept(session: Session, token_id: str, key: str) -> Any:
    """What is kept under the key, or None."""
    return session.execute(
        sa.select(idempotency_key).where(idempotency_key.c.token_id == token_id, idempotency_key.c.key == key)
    ).first()


def keep_answer(session: Session, token_id: str, key: str, status: int, headers: str, body: bytes) -> None:
    session.execute(
        sa.update(idempotency_key)
        .where(idempotency_key.c.token_id == token_id, idempotency_key.c.key == key)
        .values(status=status, headers=headers, body=body)
    )


def release(session: Session, token_id: str, key: str, *, older_than: datetime | None = None) -> None:
    """Forget the key; with `older_than` only if it was taken before that."""
    statement = sa.delete(idempotency_key).where(idempotency_key.c.token_id == token_id, idempotency_key.c.key == key)
    if older_than is not None:
        statement = statement.where(idempotency_key.c.created_at < older_than)
    session.execute(statement)


def forget_before(session: Session, before: datetime) -> int:
    return int(session.execute(sa.delete(idempotency_key).where(idempotency_key.c.created_at < before)).rowcount)  # type: ignore[attr-defined]
