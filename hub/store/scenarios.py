"""Segments, scenarios, their evaluations and the decision on every contact considered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.core.errors import NotFound
from hub.core.types import RunState
from hub.rules.consent import ALLOWED as CONSENT_ALLOWED
from hub.rules.scenario import ALLOWED as ENTRY_ALLOWED
from hub.store import bulk
from hub.store.contacts import contact
from hub.store.db import Id, JsonValue, UtcTime, metadata, new_id

segment = sa.Table(
    "segment",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("key", sa.String(80), nullable=False, unique=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("definition", JsonValue, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
)

scenario = sa.Table(
    "scenario",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("key", sa.String(80), nullable=False, unique=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("segment_id", Id, sa.ForeignKey("segment.id"), nullable=False),
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id", ondelete="CASCADE"), nullable=False),
    sa.Column("channel", sa.String(10), nullable=False),
    sa.Column("topic", sa.String(60), nullable=False),
    sa.Column("brand", sa.String(60), nullable=False),
    sa.Column("automation", sa.String(120), nullable=False),  # «list:61», «workflow:7»
    sa.Column("list_id", sa.String(60)),  # a list of the platform that mirrors the allowed members; optional
    sa.Column("starts_per_minute", sa.Integer, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),  # draft, published
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
)

evaluation = sa.Table(
    "evaluation",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("scenario_id", Id, sa.ForeignKey("scenario.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("scenario_version", sa.Integer, nullable=False),
    sa.Column("segment_version", sa.Integer, nullable=False),
    sa.Column("at", UtcTime, nullable=False),  # the moment the questions are asked for
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("after_contact", Id),  # checkpoint: contacts are considered in the order of their ids
    sa.Column("considered", sa.Integer, nullable=False, server_default="0"),
    sa.Column("allowed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("error", JsonValue),
    sa.Column("lease_owner", sa.String(64)),
    sa.Column("lease_until", UtcTime),
    sa.Column("claims", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("finished_at", UtcTime),
)
YES = (ENTRY_ALLOWED, CONSENT_ALLOWED)
OPEN_STATES = (RunState.QUEUED.value, RunState.RUNNING.value, RunState.WAITING.value)
sa.Index(
    "uq_evaluation_open",
    evaluation.c.scenario_id,
    unique=True,
    sqlite_where=evaluation.c.state.in_(OPEN_STATES),
    postgresql_where=evaluation.c.state.in_(OPEN_STATES),
)

decision = sa.Table(
    "decision",
    metadata,
    sa.Column("evaluation_id", Id, sa.ForeignKey("evaluation.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("contact_id", Id, primary_key=True),
    sa.Column("allowed", sa.Boolean, nullable=False),
    sa.Column("reason", sa.String(40), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Index("ix_decision_reason", "evaluation_id", "reason"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A published scenario with its segment, as one evaluation sees it."""

    id: str
    key: str
    name: str
    connection_id: str
    channel: str
    topic: str
    brand: str
    automation: str
    list_id: str | None
    starts_per_minute: int
    version: int
    definition: Mapping[str, Any]
    segment_version: int


def save_segment(session: Session, key: str, name: str, definition: Mapping[str, Any], now: datetime) -> str:
    """Insert, or update with a new version if something differs; returns the id."""
    row = session.execute(sa.select(segment).where(segment.c.key == key)).first()
    if row is None:
        segment_id = new_id()
        values = {"id": segment_id, "key": key, "name": name, "definition": dict(definition), "version": 1, "updated_at": now}
        session.execute(sa.insert(segment).values(**values))
        return segment_id
    if (row.name, row.definition) != (name, dict(definition)):
        session.execute(
            sa.update(segment)
            .where(segment.c.id == row.id)
            .values(name=name, definition=dict(definition), version=row.version + 1, updated_at=now)
        )
    return str(row.id)


def save_scenario(session: Session, key: str, values: Mapping[str, Any], now: datetime) -> str:
    """Insert, or update with a new version if something differs; returns the id."""
    row = session.execute(sa.select(scenario).where(scenario.c.key == key)).first()
    if row is None:
        scenario_id = new_id()
        session.execute(sa.insert(scenario).values(id=scenario_id, key=key, version=1, updated_at=now, **values))
        return scenario_id
    if any(getattr(row, name) != value for name, value in values.items()):
        session.execute(
            sa.update(scenario).where(scenario.c.id == row.id).values(version=row.version + 1, updated_at=now, **values)
        )
    return str(row.id)


def list_scenarios(session: Session) -> Sequence[sa.Row[Any]]:
    return session.execute(sa.select(scenario).order_by(scenario.c.key)).all()


def load_plan(session: Session, scenario_id: str) -> Plan:
    row = session.execute(
        sa.select(scenario, segment.c.definition, segment.c.version.label("segment_version"))
        .join(segment, segment.c.id == scenario.c.segment_id)
        .where(scenario.c.id == scenario_id)
    ).first()
    if row is None:
        raise NotFound("There is no such scenario", subject=scenario_id)
    return Plan(**{name: getattr(row, name) for name in Plan.__slots__})


def find_scenario(session: Session, key: str) -> sa.Row[Any]:
    row = session.execute(sa.select(scenario).where(scenario.c.key == key)).first()
    if row is None:
        known = ", ".join(session.scalars(sa.select(scenario.c.key).order_by(scenario.c.key))) or "—"
        raise NotFound("There is no scenario «{key}»", cure="Scenarios there are: {known}", key=key, known=known)
    return row


def lock_pace(session: Session, connection_id: str, automation: str) -> int | None:
    """The automation's starts per minute, the strictest of its scenarios; its rows stay locked for the transaction."""
    paces = session.scalars(
        sa.select(scenario.c.starts_per_minute)
        .where(scenario.c.connection_id == connection_id, scenario.c.automation == automation)
        .with_for_update()
    ).all()
    return min(paces) if paces else None


def add_evaluation(session: Session, plan: Plan, now: datetime) -> str:
    """A queued evaluation; the id of the open one if there is one."""
    session.execute(sa.select(scenario.c.id).where(scenario.c.id == plan.id).with_for_update(key_share=True))
    running = session.scalar(
        sa.select(evaluation.c.id).where(evaluation.c.scenario_id == plan.id, evaluation.c.state.in_(OPEN_STATES))
    )
    if running:
        return str(running)
    evaluation_id = new_id()
    session.execute(
        sa.insert(evaluation).values(
            id=evaluation_id,
            scenario_id=plan.id,
            scenario_version=plan.version,
            segment_version=plan.segment_version,
            at=now,
            state=RunState.QUEUED.value,
            created_at=now,
        )
    )
    return evaluation_id


def due_evaluations(session: Session, now: datetime) -> Sequence[Any]:
    return session.execute(
        sa.select(evaluation.c.id, evaluation.c.claims).where(
            evaluation.c.state.in_(OPEN_STATES),
            sa.or_(evaluation.c.lease_until.is_(None), evaluation.c.lease_until < now),
        )
    ).all()


def claim_evaluation(session: Session, evaluation_id: str, owner: str, now: datetime, lease: float) -> sa.Row[Any] | None:
    return session.execute(
        sa.update(evaluation)
        .where(
            evaluation.c.id == evaluation_id,
            evaluation.c.state.in_(OPEN_STATES),
            sa.or_(evaluation.c.lease_until.is_(None), evaluation.c.lease_until < now),
        )
        .values(
            state=RunState.RUNNING.value,
            lease_owner=owner,
            lease_until=now + timedelta(seconds=lease),
            claims=evaluation.c.claims + 1,
        )
        .returning(evaluation)
    ).first()


def advance_evaluation(session: Session, evaluation_id: str, owner: str, values: Mapping[str, Any]) -> bool:
    """Set columns if the lease is still ours."""
    done = session.execute(
        sa.update(evaluation).where(evaluation.c.id == evaluation_id, evaluation.c.lease_owner == owner).values(**values)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def find_evaluation(session: Session, evaluation_id: str) -> sa.Row[Any] | None:
    return session.execute(sa.select(evaluation).where(evaluation.c.id == evaluation_id)).first()


def save_decisions(session: Session, rows: Sequence[bulk.Row]) -> None:
    bulk.upsert(session, decision, rows, key=("evaluation_id", "contact_id"))


def overturn_decisions(session: Session, rows: Iterable[tuple[str, str, str]], now: datetime) -> None:
    """(evaluation id, contact id, reason): allowed when asked, refused when the effect was about to leave."""
    for evaluation_id, contact_id, reason in rows:
        session.execute(
            sa.update(decision)
            .where(decision.c.evaluation_id == evaluation_id, decision.c.contact_id == contact_id)
            .values(allowed=False, reason=reason, at=now)
        )


def count_decisions(session: Session, evaluation_ids: Sequence[str]) -> dict[tuple[bool, str], int]:
    """(allowed, reason) → how many. Only the index is read: a reason says by itself whether it is a yes."""
    rows = session.execute(
        sa.select(decision.c.reason, sa.func.count())
        .where(decision.c.evaluation_id.in_(evaluation_ids))
        .group_by(decision.c.reason)
    )
    return {(reason in YES, reason): count for reason, count in rows}


def list_decisions(
    session: Session, evaluation_id: str, *, reason: str | None = None, limit: int = 100
) -> Sequence[sa.Row[Any]]:
    statement = (
        sa.select(decision, contact.c.email, contact.c.first_name, contact.c.last_name)
        .outerjoin(contact, contact.c.id == decision.c.contact_id)
        .where(decision.c.evaluation_id == evaluation_id)
    )
    if reason:
        statement = statement.where(decision.c.reason == reason)
    return session.execute(statement.order_by(decision.c.contact_id).limit(limit)).all()


def list_evaluations(session: Session, limit: int = 20) -> Sequence[sa.Row[Any]]:
    return session.execute(
        sa.select(evaluation, scenario.c.key, scenario.c.name)
        .join(scenario, scenario.c.id == evaluation.c.scenario_id)
        .order_by(evaluation.c.created_at.desc())
        .limit(limit)
    ).all()


def page_decisions(
    session: Session, evaluation_id: str, *, reason: str | None = None, after: str | None = None, limit: int = 50
) -> Sequence[sa.Row[Any]]:
    """Decisions with the contact's name and e-mail, in the order of the contacts' ids, those after `after`."""
    statement = (
        sa.select(decision, contact.c.email, contact.c.first_name, contact.c.last_name)
        .outerjoin(contact, contact.c.id == decision.c.contact_id)
        .where(decision.c.evaluation_id == evaluation_id)
    )
    if reason:
        statement = statement.where(decision.c.reason == reason)
    if after:
        statement = statement.where(decision.c.contact_id > after)
    return session.execute(statement.order_by(decision.c.contact_id).limit(limit)).all()
