"""Lists in pages by id, across subjects: what the API shows that no page of the console needs in this way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hub.store.db import Session
from hub.store.proposals import proposal
from hub.store.scenarios import evaluation, scenario, segment


def page_segments(session: Session, *, after: str | None = None, limit: int = 50) -> Sequence[Any]:
    """Segments by key, those behind the key `after`."""
    statement = sa.select(segment).order_by(segment.c.key).limit(limit)
    return session.execute(statement if after is None else statement.where(segment.c.key > after)).all()


def find_segment(session: Session, key: str) -> Any:
    """None if there is none."""
    return session.execute(sa.select(segment).where(segment.c.key == key)).first()


def page_proposals(
    session: Session, *, state: str | None = None, scenario_key: str | None = None, before: str | None = None, limit: int = 50
) -> Sequence[Any]:
    """Proposals, the last begun first, those begun before the id `before`."""
    statement = sa.select(proposal).order_by(proposal.c.id.desc()).limit(limit)
    if state:
        statement = statement.where(proposal.c.state == state)
    if scenario_key:
        statement = statement.where(proposal.c.scenario_key == scenario_key)
    return session.execute(statement if before is None else statement.where(proposal.c.id < before)).all()


def page_evaluations(
    session: Session, *, scenario_key: str | None = None, before: str | None = None, limit: int = 50
) -> Sequence[Any]:
    """Evaluations with their scenario's key, the newest first, those asked for before the id `before`."""
    statement = (
        sa.select(evaluation, scenario.c.key)
        .join(scenario, scenario.c.id == evaluation.c.scenario_id)
        .order_by(evaluation.c.id.desc())
        .limit(limit)
    )
    if scenario_key:
        statement = statement.where(scenario.c.key == scenario_key)
    return session.execute(statement if before is None else statement.where(evaluation.c.id < before)).all()


def find_evaluation(session: Session, evaluation_id: str) -> Any:
    """One of them, or None."""
    return session.execute(
        sa.select(evaluation, scenario.c.key)
        .join(scenario, scenario.c.id == evaluation.c.scenario_id)
        .where(evaluation.c.id == evaluation_id)
    ).first()
