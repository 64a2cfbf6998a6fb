"""One scenario with its segment as it stands, and putting it out of service."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.core.errors import Conflict
from hub.core.types import RunState
from hub.store.boxes import Effect, EffectState, freed_key, outbox
from hub.store.connections import connection
from hub.store.scenarios import OPEN_STATES, decision, evaluation, scenario, segment

SCENARIO_STOPPED = "scenario_stopped"


def scenario_with_segment(session: Session, key: str) -> Any:
    """The scenario's row with its segment's key, name, definition and version, and its connection's name; None if none."""
    return session.execute(_with_segment().where(scenario.c.key == key)).first()


def scenarios_with_segments(session: Session) -> list[Any]:
    return list(session.execute(_with_segment().order_by(scenario.c.key)))


def _with_segment() -> sa.Select[Any]:
    return (
        sa.select(
            scenario,
            segment.c.key.label("segment_key"),
            segment.c.name.label("segment_name"),
            segment.c.definition,
            segment.c.version.label("segment_version"),
            connection.c.name.label("connection_name"),
            connection.c.platform,
        )
        .join(segment, segment.c.id == scenario.c.segment_id)
        .join(connection, connection.c.id == scenario.c.connection_id)
    )


def evaluations_of(session: Session, scenario_id: str, limit: int) -> list[Any]:
    """The scenario's evaluations, the newest first."""
    statement = sa.select(evaluation).where(evaluation.c.scenario_id == scenario_id)
    return list(session.execute(statement.order_by(evaluation.c.created_at.desc()).limit(limit)))


def newest_evaluations(session: Session) -> dict[str, Any]:
    """Each scenario's newest evaluation, by the scenario's id."""
    one = evaluation.alias("one")
    newest = (
        sa.select(one.c.id)
        .where(one.c.scenario_id == scenario.c.id)
        .order_by(one.c.created_at.desc())
        .limit(1)
        .correlate(scenario)
        .scalar_subquery()
    )
    rows = session.execute(sa.select(evaluation).join(scenario, evaluation.c.id == newest))
    return {str(row.scenario_id): row for row in rows}


def set_scenario_state(session: Session, scenario_id: str, state: str, now: datetime) -> None:
    session.execute(sa.update(scenario).where(scenario.c.id == scenario_id).values(state=state, updated_at=now))


def cancel_effects(session: Session, scenario_id: str, now: datetime) -> int:
    """End the scenario's open evaluation and cancel what has not left of its starts and list entries; returns how many.

    Whoever was to get them counts as refused from now on.
    """
    error = Conflict("The scenario was stopped").as_json()
    session.execute(
        sa.update(evaluation)
        .where(evaluation.c.scenario_id == scenario_id, evaluation.c.state.in_(OPEN_STATES))
        .values(state=RunState.FAILED.value, error=error, lease_owner=None, lease_until=None, finished_at=now)
    )
    mine = sa.select(evaluation.c.id).where(evaluation.c.scenario_id == scenario_id)
    cancelled = (
        sa.update(outbox)
        .where(
            outbox.c.evaluation_id.in_(mine),
            outbox.c.state.in_((EffectState.OWED.value, EffectState.HELD.value)),
            outbox.c.effect.in_((Effect.START_AUTOMATION.value, Effect.SET_MEMBER.value)),
        )
        .values(state=EffectState.CANCELLED.value, reason=SCENARIO_STOPPED, settled_at=now, idempotency_key=freed_key())
    )
    count = int(session.execute(cancelled).rowcount)  # type: ignore[attr-defined]
    stopped = sa.exists().where(
        outbox.c.evaluation_id == decision.c.evaluation_id,
        outbox.c.contact_id == decision.c.contact_id,
        outbox.c.reason == SCENARIO_STOPPED,
        outbox.c.effect == Effect.START_AUTOMATION.value,
    )
    if count:
        session.execute(
            sa.update(decision)
            .where(decision.c.evaluation_id.in_(mine), decision.c.allowed, stopped)
            .values(allowed=False, reason=SCENARIO_STOPPED, at=now)
        )
    return count
