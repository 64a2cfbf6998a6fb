"""The consent ledger: append-only acts, and the current state derived from them.

Database triggers refuse UPDATE and DELETE on `consent_act` (migration 0001). `consent_state` is a projection: it can be
rebuilt from the acts at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.core.types import Act, Channel, ConsentAct
from hub.rules.consent import EVERY_TOPIC
from hub.store import bulk
from hub.store.db import BigKey, Id, JsonValue, UtcTime, metadata

consent_act = sa.Table(
    "consent_act",
    metadata,
    sa.Column("seq", BigKey, primary_key=True, autoincrement=True),
    sa.Column("contact_id", Id, nullable=False, index=True),  # no foreign key: the ledger outlives the contact
    sa.Column("channel", sa.String(10), nullable=False),
    sa.Column("topic", sa.String(60), nullable=False),  # «*»: every topic of the channel
    sa.Column("brand", sa.String(60), nullable=False),  # empty: the firm itself
    sa.Column("act", sa.String(10), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("recorded_at", UtcTime, nullable=False),
    sa.Column("source", sa.String(120), nullable=False),
    sa.Column("source_ref", sa.String(300), nullable=False, unique=True),
    sa.Column("evidence", JsonValue, nullable=False),
    sqlite_autoincrement=True,
)

consent_state = sa.Table(
    "consent_state",
    metadata,
    sa.Column("contact_id", Id, primary_key=True),
    sa.Column("channel", sa.String(10), primary_key=True),
    sa.Column("topic", sa.String(60), primary_key=True),
    sa.Column("brand", sa.String(60), primary_key=True),
    sa.Column("act", sa.String(10), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
)

suppression = sa.Table(
    "suppression",
    metadata,
    sa.Column("channel", sa.String(10), primary_key=True),
    sa.Column("address", sa.String(254), primary_key=True),  # normalised e-mail or phone
    sa.Column("reason", sa.String(40), nullable=False),  # bounce, complaint, erasure
    sa.Column("at", UtcTime, nullable=False),
)

pause = sa.Table(
    "pause",
    metadata,
    sa.Column("contact_id", Id, sa.ForeignKey("contact.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("channel", sa.String(10), primary_key=True),
    sa.Column("until", UtcTime, nullable=False),
)

_SCOPE = ("contact_id", "channel", "topic", "brand")


class Entry(NamedTuple):
    """One act as the rules read it."""

    contact_id: str
    channel: str
    topic: str
    brand: str
    act: str
    at: datetime


def append_acts(session: Session, acts: Sequence[tuple[str, ConsentAct]], now: datetime) -> int:
    """Append (contact id, act) pairs; an act whose `source_ref` stands in the ledger already is not written again."""
    if not acts:
        return 0
    rows: list[dict[str, Any]] = [
        {
            "contact_id": contact_id,
            "channel": act.channel.value,
            "topic": act.topic,
            "brand": act.brand,
            "act": act.act.value,
            "at": act.at,
            "recorded_at": now,
            "source": act.source,
            "source_ref": act.source_ref,
            "evidence": dict(act.evidence),
        }
        for contact_id, act in acts
    ]
    # Oldest first, a withdrawal after a grant of the same second: the projection below keeps the last of equals.
    rows.sort(key=lambda row: (row["at"], row["act"] == Act.WITHDRAWN.value))
    written = bulk.upsert(session, consent_act, rows, key=("source_ref",))
    if written < len(rows):
        rows = _as_written(session, [row["source_ref"] for row in rows])
    _project(session, rows)
    return written


def _as_written(session: Session, references: Iterable[str]) -> list[dict[str, Any]]:
    """What the ledger says under these references: a source may have changed its record since."""
    found = session.execute(
        sa.select(*(consent_act.c[name] for name in (*_SCOPE, "act", "at")))
        .where(bulk.among(session, consent_act.c.source_ref, references))
        .order_by(consent_act.c.at, consent_act.c.act == Act.WITHDRAWN.value)
    )
    return [dict(row._mapping) for row in found]


def _project(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    latest: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        if row["topic"] == EVERY_TOPIC and row["act"] == Act.GRANTED.value:
            continue  # allows nothing, and must not hide the withdrawal of everything that it follows
        latest[tuple(row[name] for name in _SCOPE)] = {name: row[name] for name in (*_SCOPE, "act", "at")}
    granted = [row for row in latest.values() if row["act"] == Act.GRANTED.value]
    withdrawn = [row for row in latest.values() if row["act"] != Act.GRANTED.value]
    update = ("act", "at")
    # A withdrawal wins over a grant of the same moment, a grant does not: hence two statements.
    bulk.upsert(session, consent_state, withdrawn, key=_SCOPE, update=update, newer_by="at")
    if granted:
        sql_newer = bulk.upsert(session, consent_state, granted, key=_SCOPE)
        if sql_newer < len(granted):
            _raise_states(session, granted)


def _raise_states(session: Session, granted: Sequence[dict[str, Any]]) -> None:
    """Grants on scopes that have a state already: only a strictly newer one changes it."""
    for row in granted:
        session.execute(
            sa.update(consent_state)
            .where(*(consent_state.c[name] == row[name] for name in _SCOPE), consent_state.c.at < row["at"])
            .values(act=row["act"], at=row["at"])
        )


def states_of(session: Session, contact_ids: Iterable[str], channel: Channel) -> dict[str, list[Entry]]:
    """The newest act per scope of each contact, on one channel."""
    rows = session.execute(
        sa.select(consent_state).where(
            consent_state.c.channel == channel.value, bulk.among(session, consent_state.c.contact_id, contact_ids)
        )
    )
    found: dict[str, list[Entry]] = {}
    for row in rows:
        found.setdefault(row.contact_id, []).append(Entry(*row))
    return found


def acts_until(session: Session, contact_id: str, channel: Channel, at: datetime) -> list[Entry]:
    """Every act of the contact on the channel up to a moment: what was allowed then."""
    rows = session.execute(
        sa.select(*(consent_act.c[name] for name in (*_SCOPE, "act", "at")))
        .where(consent_act.c.contact_id == contact_id, consent_act.c.channel == channel.value, consent_act.c.at <= at)
        .order_by(consent_act.c.at, consent_act.c.seq)
    )
    return [Entry(*row) for row in rows]


def suppressed(session: Session, channel: Channel, addresses: Iterable[str]) -> dict[str, str]:
    """Reason by address, for those that must never be contacted."""
    rows = session.execute(
        sa.select(suppression.c.address, suppression.c.reason).where(
            suppression.c.channel == channel.value, bulk.among(session, suppression.c.address, addresses)
        )
    )
    return {row[0]: row[1] for row in rows}


def suppress(session: Session, channel: Channel, address: str, reason: str, now: datetime) -> None:
    bulk.upsert(
        session,
        suppression,
        [{"channel": channel.value, "address": address, "reason": reason, "at": now}],
        key=("channel", "address"),
    )


def pauses(session: Session, channel: Channel, contact_ids: Iterable[str], now: datetime) -> dict[str, datetime]:
    rows = session.execute(
        sa.select(pause.c.contact_id, pause.c.until).where(
            pause.c.channel == channel.value, pause.c.until > now, bulk.among(session, pause.c.contact_id, contact_ids)
        )
    )
    return {row[0]: row[1] for row in rows}


def set_pause(session: Session, contact_id: str, channel: Channel, until: datetime) -> None:
    row = {"contact_id": contact_id, "channel": channel.value, "until": until}
    bulk.upsert(session, pause, [row], key=("contact_id", "channel"), update=("until",))


def count_acts(session: Session) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(consent_act)) or 0


def page_acts(session: Session, contact_id: str, *, before: int | None = None, limit: int = 50) -> Sequence[Any]:
    """The ledger's entries on the contact, the last written first, those written before the number `before`."""
    statement = sa.select(consent_act).where(consent_act.c.contact_id == contact_id).order_by(consent_act.c.seq.desc())
    return session.execute((statement if before is None else statement.where(consent_act.c.seq < before)).limit(limit)).all()
