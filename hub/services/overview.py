"""What the first page tells: what runs, what is owed, what was decided today, and what needs a person."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary, WeakSet
from zoneinfo import ZoneInfo

from hub.core.types import RunState
from hub.services.context import Context
from hub.store import connections, glance, runs, sign_ins
from hub.store.connections import REAUTHORIZE, ConnectionRow
from hub.store.db import Session, reading
from hub.store.figures import count_contacts
from hub.store.vault import Vault

KEPT_SECONDS, OWED_SECONDS = 120.0, 10.0
"""For how long counts of whole tables, and of what is owed, are kept; everything else is read anew."""
OLDEST = timedelta(minutes=15)
QUICK_SECONDS = 0.05
"""Counts that took longer than this are made beside the page, which tells the ones before with their time; up to OLDEST."""
LOCKED_FOR = timedelta(hours=24)
"""How far back a locked sign-in is told."""
MOST_OPEN = 50


@dataclass(frozen=True)
class Totals:
    """Counts that cost more than a look into an index; records by (connection id, stream); `at` is when they were made.

    `day` is the midnight since which decisions were counted, `took` how many seconds the counting lasted.
    """

    contacts: int
    records: dict[tuple[str, str], int]
    reasons: dict[str, int]
    at: datetime
    day: datetime
    took: float


@dataclass(frozen=True)
class Overview:
    """`last` holds each connection's last finished run by stream; `owed` by state: (how many, oldest due)."""

    connections: Sequence[ConnectionRow]
    last: dict[str, list[Any]]
    moving: Sequence[Any]
    owed: dict[str, tuple[int, datetime]]
    totals: Totals
    failed: list[Any]
    dead: list[ConnectionRow]
    quarantined: int
    waiting: int
    failing_webhooks: Sequence[Any]
    locked: Sequence[Any]


_totals: WeakKeyDictionary[Vault, Totals] = WeakKeyDictionary()
"""By the vault, of which each application has one."""


def look(context: Context, zone: ZoneInfo) -> Overview:
    """Everything for the first page; «today» begins at midnight in `zone`."""
    now = context.now()
    with reading() as session:
        rows = connections.list_connections(session)
        finished = glance.newest_finished(session, _read_streams(context, rows))
        last: dict[str, list[Any]] = {}
        for row in finished:
            last.setdefault(row.connection_id, []).append(row)
        return Overview(
            connections=rows,
            last=last,
            moving=runs.page_runs(session, states=[state.value for state in runs.OPEN_STATES], limit=MOST_OPEN),
            owed=_count_owed(context, session, now),
            totals=count_totals(context, session, now, zone),
            failed=[row for row in finished if row.state == RunState.FAILED],
            dead=[row for row in rows if row.state == REAUTHORIZE],
            quarantined=glance.count_quarantine(session),
            waiting=glance.count_waiting(session),
            failing_webhooks=glance.failing_webhooks(session),
            locked=sign_ins.locked_since(session, now - LOCKED_FOR),
        )


_owed: WeakKeyDictionary[Vault, tuple[datetime, dict[str, tuple[int, datetime]]]] = WeakKeyDictionary()


def _count_owed(context: Context, session: Session, now: datetime) -> dict[str, tuple[int, datetime]]:
    kept = _owed.get(context.vault)
    if kept is None or abs((now - kept[0]).total_seconds()) >= OWED_SECONDS:
        kept = (now, glance.count_owed(session))
        _owed[context.vault] = kept
    return kept[1]


def _read_streams(context: Context, rows: Sequence[ConnectionRow]) -> list[tuple[str, str]]:
    return [
        (row.id, stream.name) for row in rows for stream in context.platform(row.platform).DECLARATION.streams if stream.reads
    ]


def count_totals(context: Context, session: Session, now: datetime, zone: ZoneInfo) -> Totals:
    """Made anew every two minutes; nobody waits for it where the hub is large, but for the first look and after midnight."""
    vault, day = context.vault, now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    kept = _totals.get(vault)
    if kept is not None and kept.day == day and abs(now - kept.at) < timedelta(seconds=KEPT_SECONDS):
        return kept
    if kept is None or kept.day != day or kept.took < QUICK_SECONDS or abs(now - kept.at) >= OLDEST:
        kept = _totals[vault] = _count(session, now, day)
    elif vault not in _being_counted:
        _being_counted.add(vault)
        threading.Thread(target=_count_beside, args=(vault, session.get_bind(), now, day), daemon=True).start()
    return kept


_being_counted: WeakSet[Vault] = WeakSet()


def _count_beside(vault: Vault, engine: Any, now: datetime, day: datetime) -> None:
    try:
        with Session(engine) as session:
            _totals[vault] = _count(session, now, day)
    finally:
        _being_counted.discard(vault)


def _count(session: Session, now: datetime, day: datetime) -> Totals:
    begun = time.perf_counter()
    contacts, records, reasons = count_contacts(session), glance.count_records(session), glance.count_reasons(session, day)
    return Totals(contacts, records, reasons, now, day, time.perf_counter() - begun)
