"""The audit trail: who did what, with what was before and after. Append-only and hash-chained.

Database triggers refuse UPDATE and DELETE on `audit_entry` (migration 0002). Each entry's hash covers the hash before it,
so that a changed or missing entry is found by `verify`; `audit_head` says how long the chain is, so that a cut tail is too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.core.types import Actor
from hub.store.db import BigKey, JsonValue, UtcTime, is_sqlite, metadata

audit_entry = sa.Table(
    "audit_entry",
    metadata,
    sa.Column("seq", BigKey, primary_key=True, autoincrement=False),
    sa.Column("at", UtcTime, nullable=False, index=True),
    sa.Column("actor_kind", sa.String(10), nullable=False),  # user, token, terminal, hub
    sa.Column("actor_id", sa.String(64), nullable=False, index=True),
    sa.Column("actor_name", sa.String(254), nullable=False),
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("action", sa.String(60), nullable=False, index=True),  # «connection.changed»
    sa.Column("subject_kind", sa.String(40), nullable=False),
    sa.Column("subject_id", sa.String(120), nullable=False),
    sa.Column("subject_name", sa.String(254), nullable=False),
    sa.Column("before", JsonValue, nullable=False),
    sa.Column("after", JsonValue, nullable=False),
    sa.Column("hash_before", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Index("ix_audit_entry_subject", "subject_kind", "subject_id"),
)

audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),  # always 1
    sa.Column("seq", BigKey, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)

_LOCK = 7_120_002
"""Of PostgreSQL: one writer of the chain at a time."""
START = "0" * 64


def append_entry(
    session: Session,
    actor: Actor,
    action: str,
    subject: tuple[str, str, str],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    now: datetime,
) -> int:
    """Append one entry; `subject` is (kind, id, name). Returns its number. Values are stored as they are: redact first."""
    if not is_sqlite(session):
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    head = session.execute(sa.select(audit_head.c.seq, audit_head.c.hash).where(audit_head.c.id == 1)).first()
    seq, last = (head.seq, head.hash) if head else (0, START)
    kind, subject_id, name = subject
    row: dict[str, Any] = {
        "seq": seq + 1,
        "at": now.astimezone(UTC),
        "actor_kind": actor.kind,
        "actor_id": actor.id[:64],
        "actor_name": actor.name[:254],
        "address": actor.address[:64],
        "action": action,
        "subject_kind": kind,
        "subject_id": subject_id[:120],
        "subject_name": name[:254],
        "before": orjson.loads(orjson.dumps(before)),
        "after": orjson.loads(orjson.dumps(after)),
        "hash_before": last,
    }
    row["hash"] = _digest(row)
    session.execute(sa.insert(audit_entry).values(**row))
    if head:
        session.execute(sa.update(audit_head).where(audit_head.c.id == 1).values(seq=row["seq"], hash=row["hash"]))
    else:
        session.execute(sa.insert(audit_head).values(id=1, seq=row["seq"], hash=row["hash"]))
    return int(row["seq"])


def _digest(row: Mapping[str, Any]) -> str:
    covered = {str(name): value for name, value in row.items() if name != "hash"}
    covered["at"] = row["at"].astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(orjson.dumps(covered, option=orjson.OPT_SORT_KEYS)).hexdigest()


def verify(session: Session) -> tuple[int, int | None]:
    """(entries, number of the first one that is not as it was written, or None). Reads in chunks, oldest first."""
    seq, last = 0, START
    head = session.execute(sa.select(audit_head.c.seq, audit_head.c.hash).where(audit_head.c.id == 1)).first()
    while True:
        statement = sa.select(audit_entry).where(audit_entry.c.seq > seq).order_by(audit_entry.c.seq).limit(1000)
        rows = session.execute(statement).all()
        for row in rows:
            found = dict(row._mapping)
            if row.seq != seq + 1 or row.hash_before != last or row.hash != _digest(found):
                return seq, seq + 1
            seq, last = row.seq, row.hash
        if not rows:
            break
    if (head.seq, head.hash) != (seq, last) if head else seq:
        return seq, seq + 1
    return seq, None


def page_entries(
    session: Session,
    *,
    before: int | None = None,
    actor: str = "",
    action: str = "",
    subject_kind: str = "",
    subject_id: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
) -> Sequence[Any]:
    """Entries, newest first, below the number `before`; `actor` is an id, `action` an action or its first part."""
    statement = sa.select(audit_entry).order_by(audit_entry.c.seq.desc()).limit(limit)
    if before is not None:
        statement = statement.where(audit_entry.c.seq < before)
    if actor:
        statement = statement.where(audit_entry.c.actor_id == actor)
    if action:
        statement = statement.where(sa.or_(audit_entry.c.action == action, audit_entry.c.action.startswith(f"{action}.")))
    if subject_kind:
        statement = statement.where(audit_entry.c.subject_kind == subject_kind)
    if subject_id:
        statement = statement.where(audit_entry.c.subject_id == subject_id)
    if since:
        statement = statement.where(audit_entry.c.at >= since)
    if until:
        statement = statement.where(audit_entry.c.at < until)
    return session.execute(statement).all()


class Known(NamedTuple):
    """What the trail can be filtered by: (id, name) of those who acted, actions, kinds of subjects."""

    actors: list[tuple[str, str]]
    actions: list[str]
    subject_kinds: list[str]


MOST_NAMES = 200


def known_names(session: Session) -> Known:
    """One look into an index for each different value, not one for each entry."""
    actors = []
    for actor_id in _different(session, audit_entry.c.actor_id):
        newest = sa.select(audit_entry.c.actor_name).where(audit_entry.c.actor_id == actor_id)
        actors.append((actor_id, str(session.scalar(newest.order_by(audit_entry.c.seq.desc()).limit(1)))))
    return Known(
        sorted(actors, key=lambda one: (one[1].casefold(), one[0])),
        _different(session, audit_entry.c.action),
        _different(session, audit_entry.c.subject_kind),
    )


def _different(session: Session, column: sa.Column[str]) -> list[str]:
    found: list[str] = []
    value = session.scalar(sa.select(sa.func.min(column)))
    while value is not None and len(found) < MOST_NAMES:
        found.append(value)
        value = session.scalar(sa.select(sa.func.min(column)).where(column > value))
    return found
