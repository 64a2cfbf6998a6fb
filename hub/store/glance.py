"""What the overview asks across subjects: few rows each, by indexes, whatever the hub holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.core.types import RunState
from hub.store.boxes import IS_OPEN, EffectState, outbox
from hub.store.hooks import webhook
from hub.store.orders import shop_order
from hub.store.proposals import WAITING, proposal
from hub.store.quarantine import quarantine
from hub.store.records import record
from hub.store.runs import run
from hub.store.scenarios import decision, evaluation, scenario

FINISHED = (RunState.DONE.value, RunState.FAILED.value)


def newest_finished(session: Session, places: Iterable[tuple[str, str]]) -> list[Any]:
    """The last finished run of each (connection id, stream): one look into the index of times for each."""
    found = []
    for connection_id, stream in places:
        row = session.execute(
            sa.select(run)
            .where(run.c.connection_id == connection_id, run.c.stream == stream, run.c.state.in_(FINISHED))
            .order_by(run.c.created_at.desc())
            .limit(1)
        ).first()
        if row is not None:
            found.append(row)
    return found


def count_owed(session: Session) -> dict[str, tuple[int, datetime]]:
    """What is still to be sent, by state: how many, and since when the oldest of them is due."""
    due = sa.func.coalesce(outbox.c.not_before, outbox.c.created_at)
    counted = sa.select(outbox.c.state, sa.func.count(), sa.func.min(due)).group_by(outbox.c.state)
    held = outbox.c.state == EffectState.HELD.value
    rows = [*session.execute(counted.where(IS_OPEN)), *session.execute(counted.where(held))]
    return {state: (count, oldest) for state, count, oldest in rows}


def count_reasons(session: Session, since: datetime) -> dict[str, int]:
    """Decisions by reason of the evaluations that were begun since then."""
    begun = sa.select(evaluation.c.id).where(evaluation.c.created_at >= since)
    rows = session.execute(
        sa.select(decision.c.reason, sa.func.count()).where(decision.c.evaluation_id.in_(begun)).group_by(decision.c.reason)
    )
    return {row[0]: row[1] for row in rows}


def count_quarantine(session: Session) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(quarantine)) or 0


def count_records(session: Session) -> dict[tuple[str, str], int]:
    """Records by (connection id, stream), with links to records that were not read yet: the primary key alone is read."""
    place = (record.c.connection_id, record.c.stream)
    rows = session.execute(sa.select(*place, sa.func.count()).group_by(*place))
    return {(connection_id, stream): count for connection_id, stream, count in rows}


def count_attached(session: Session, connection_id: str) -> dict[str, int]:
    """What hangs on a connection: records, orders, runs, quarantined, owed."""

    def count(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
        statement = sa.select(sa.func.count()).select_from(table).where(table.c.connection_id == connection_id, *conditions)
        return session.scalar(statement) or 0

    return {
        "records": count(record),
        "orders": count(shop_order),
        "runs": count(run),
        "quarantined": count(quarantine),
        "owed": count(outbox, IS_OPEN),
    }


def scenario_names(session: Session, connection_id: str) -> list[str]:
    """Scenarios that send to the connection."""
    names = sa.select(scenario.c.name).where(scenario.c.connection_id == connection_id).order_by(scenario.c.name)
    return list(session.scalars(names))


def count_waiting(session: Session) -> int:
    """Scenarios that wait for somebody else to publish them."""
    return session.scalar(sa.select(sa.func.count()).select_from(proposal).where(proposal.c.state == WAITING)) or 0


def failing_webhooks(session: Session) -> Sequence[Any]:
    """Webhooks whose last deliveries failed, also those that were switched off for it."""
    columns = (webhook.c.id, webhook.c.description, webhook.c.failures, webhook.c.active)
    return session.execute(sa.select(*columns).where(webhook.c.failures > 0).order_by(webhook.c.failures.desc())).all()
