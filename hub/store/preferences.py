"""Settings that the console changes while the hub runs; everything else is a variable of the environment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.store import bulk
from hub.store.db import JsonValue, UtcTime, metadata

preference = sa.Table(
    "preference",
    metadata,
    sa.Column("key", sa.String(60), primary_key=True),
    sa.Column("value", JsonValue, nullable=False),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("updated_at", UtcTime, nullable=False),
)


def load_preference(session: Session, key: str) -> tuple[Any, int]:
    """(value, version); (None, 0) of one that nobody has set."""
    row = session.execute(sa.select(preference.c.value, preference.c.version).where(preference.c.key == key)).first()
    return (row.value, row.version) if row else (None, 0)


def save_preference(session: Session, key: str, value: Any, seen: int, now: datetime) -> int | None:
    """The new version; None, and nothing is changed, when it is not the version `seen` any more."""
    if seen == 0:
        row = {"key": key, "value": value, "version": 1, "updated_at": now}
        return 1 if bulk.upsert(session, preference, [row], key=("key",)) else None
    done = session.execute(
        sa.update(preference)
        .where(preference.c.key == key, preference.c.version == seen)
        .values(value=value, version=seen + 1, updated_at=now)
    )
    return seen + 1 if done.rowcount else None  # type: ignore[attr-defined]
