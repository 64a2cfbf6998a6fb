"""Our own letters on their way out: an outbox of mails. What is in them is sealed, for they carry one-time links."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

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

OWED, SENT, FAILED = "owed", "sent", "failed"


def add_letter(session: Session, **values: Any) -> None:
    session.execute(sa.insert(letter).values(**values))


def due_letters(session: Session, now: datetime, limit: int = 20) -> list[tuple[str, int]]:
    """(id, attempts so far) of what is owed and due, the longest waiting first."""
    statement = sa.select(letter.c.id, letter.c.attempts).where(letter.c.state == OWED, letter.c.not_before <= now)
    return [(row.id, row.attempts) for row in session.execute(statement.order_by(letter.c.not_before).limit(limit))]


def claim_letter(session: Session, letter_id: str, now: datetime, until: datetime) -> Any | None:
    """The letter if it is still due; nobody else gets it before `until`. `attempts` counts the earlier ones."""
    return session.execute(
        sa.update(letter)
        .where(letter.c.id == letter_id, letter.c.state == OWED, letter.c.not_before <= now)
        .values(not_before=until)
        .returning(*letter.c)
    ).first()


def settle_letter(
    session: Session,
    letter_id: str,
    state: str,
    now: datetime,
    *,
    error: Mapping[str, Any] | None = None,
    not_before: datetime | None = None,
) -> None:
    """What came of an attempt. What was in a letter that is done is forgotten: it carried a one-time link."""
    values: dict[str, Any] = {"state": state, "attempts": letter.c.attempts + 1, "error": error}
    if state == SENT:
        values["sent_at"] = now
    if state != OWED:
        values["sealed"] = b""
    if not_before is not None:
        values["not_before"] = not_before
    session.execute(sa.update(letter).where(letter.c.id == letter_id).values(**values))


def last_failure(session: Session) -> Any | None:
    """The newest letter that could not be sent (yet), for those who look after the hub."""
    statement = sa.select(letter.c.kind, letter.c.state, letter.c.error, letter.c.attempts, letter.c.created_at)
    statement = statement.where(letter.c.state.in_((OWED, FAILED)), letter.c.attempts > 0)
    return session.execute(statement.order_by(letter.c.created_at.desc()).limit(1)).first()


def withdraw_letter(session: Session, letter_id: str) -> None:
    """As if it had never been written."""
    session.execute(sa.delete(letter).where(letter.c.id == letter_id))
