"""Scenarios handed in for publishing: one person writes, another publishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.store.db import Id, JsonValue, UtcTime, metadata

DRAFT, WAITING, PUBLISHED, REJECTED, DISCARDED = "draft", "waiting", "published", "rejected", "discarded"

proposal = sa.Table(
    "proposal",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("scenario_key", sa.String(80), nullable=False, index=True),
    sa.Column("definition", JsonValue, nullable=False),  # as `hub scenario publish` reads it
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("based_on", sa.Integer),  # the scenario's version when the draft was begun
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),  # of this row: two people editing
    sa.Column("author_id", Id, sa.ForeignKey("hub_user.id", ondelete="SET NULL")),
    sa.Column("author_name", sa.String(254), nullable=False),
    sa.Column("editors", JsonValue, nullable=False),  # ids of all users who wrote it: none of them may publish it
    sa.Column("note", sa.Text, nullable=False, default=""),
    sa.Column("decided_by", Id, sa.ForeignKey("hub_user.id", ondelete="SET NULL")),
    sa.Column("decided_by_name", sa.String(254)),
    sa.Column("decision_note", sa.Text),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
    sa.Column("submitted_at", UtcTime),
    sa.Column("decided_at", UtcTime),
)

UNDECIDED = (DRAFT, WAITING)


def find_proposal(session: Session, proposal_id: str, *, lock: bool = False) -> sa.Row[Any] | None:
    statement = sa.select(proposal).where(proposal.c.id == proposal_id)
    return session.execute(statement.with_for_update() if lock else statement).first()


def open_proposal(session: Session, scenario_key: str) -> sa.Row[Any] | None:
    """The draft of this scenario, or what waits for a second person; None if there is neither."""
    statement = sa.select(proposal).where(proposal.c.scenario_key == scenario_key, proposal.c.state.in_(UNDECIDED))
    return session.execute(statement.order_by(proposal.c.id)).first()


def list_proposals(session: Session, *, states: Sequence[str] = (), scenario_key: str = "", limit: int = 50) -> Sequence[Any]:
    """Proposals, the last changed first."""
    statement = sa.select(proposal).order_by(proposal.c.updated_at.desc(), proposal.c.id.desc()).limit(limit)
    if states:
        statement = statement.where(proposal.c.state.in_(states))
    if scenario_key:
        statement = statement.where(proposal.c.scenario_key == scenario_key)
    return session.execute(statement).all()


def add_proposal(session: Session, values: Mapping[str, Any]) -> None:
    session.execute(sa.insert(proposal).values(**values))


def change_proposal(session: Session, proposal_id: str, values: Mapping[str, Any]) -> None:
    """Set columns; the row's version is one more."""
    session.execute(sa.update(proposal).where(proposal.c.id == proposal_id).values(version=proposal.c.version + 1, **values))
