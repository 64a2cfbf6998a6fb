"""Decisions: what each evaluation of a scenario found, by reason, and for whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import render_template

from hub.core.errors import NotFound
from hub.core.texts import say
from hub.store import dues, scenarios
from hub.store.db import reading
from hub.web import formats, labels
from hub.web.faults import read_fault
from hub.web.pages import argument, argument_id, language
from hub.web.privacy import veil

PAGE = 50
LATEST = 20
CHARTS = 3
"""Scenarios whose newest evaluation is drawn on the first page."""


@dataclass(frozen=True, slots=True)
class Share:
    """One reason of an evaluation with its part of all decisions."""

    reason: str
    allowed: bool
    count: int
    share: float


def shares(counts: Mapping[tuple[bool, str], int]) -> list[Share]:
    """What is allowed first, then the refusals, the most frequent first."""
    total = sum(counts.values()) or 1
    found = [Share(reason, allowed, count, count / total) for (allowed, reason), count in counts.items()]
    return sorted(found, key=lambda one: (not one.allowed, -one.count, one.reason))


def list_decisions() -> str:
    """The latest evaluations; of the newest one of each scenario also the reasons."""
    with reading() as session:
        listed = scenarios.list_evaluations(session, LATEST)
        newest = _newest(listed)
        drawn = [(row, shares(scenarios.count_decisions(session, [row.id]))) for row in newest]
        published = scenarios.list_scenarios(session)
    return render_template(
        "admin/decisions.html",
        evaluations=listed,
        faults={row.id: read_fault(row.error, language()) for row in listed},
        drawn=drawn,
        scenarios=published,
        **_live(listed),
    )


def _newest(listed: Sequence[Any]) -> list[Any]:
    first: dict[str, Any] = {}
    for row in listed:
        first.setdefault(row.scenario_id, row)
    return list(first.values())[:CHARTS]


def _live(listed: Sequence[Any]) -> dict[str, Any]:
    lang = language()
    moving = [row for row in listed if row.state in scenarios.OPEN_STATES]
    considered = formats.number(sum(row.considered for row in moving), lang)
    news = say("Contacts considered so far: {count}", lang, count=considered) if moving else say("Nothing runs now", lang)
    return {"running": bool(moving), "news": news}


def show_evaluation(evaluation_id: UUID) -> str:
    """One evaluation: reasons, what was sent for it, and the contacts with the decision on each."""
    reason, after = argument("reason"), argument_id("after")
    with reading() as session:
        evaluation = scenarios.find_evaluation(session, str(evaluation_id))
        if evaluation is None:
            raise NotFound("There is no evaluation with this id", cure="Go on from the list of evaluations")
        plan = scenarios.load_plan(session, evaluation.scenario_id)
        counts = scenarios.count_decisions(session, [evaluation.id])
        page = scenarios.page_decisions(session, evaluation.id, reason=reason or None, after=after, limit=PAGE + 1)
        effects = dues.count_effects(session, [evaluation.id])
    return render_template(
        "admin/evaluation.html",
        evaluation=evaluation,
        fault=read_fault(evaluation.error, language()),
        plan=plan,
        reasons=shares(counts),
        reason=reason,
        people=[_person(row) for row in page[:PAGE]],
        next_page=page[PAGE - 1].contact_id if len(page) > PAGE else None,
        effects=effects_by_state(effects),
        channel_word=lambda code: labels.label(labels.CHANNELS, code, language()),
        **_live([evaluation]),
    )


def _person(row: Any) -> dict[str, Any]:
    """One contact with the decision; the e-mail veiled, also where it was typed into a name."""
    name = " ".join(part for part in (row.first_name, row.last_name) if part)
    return {
        "id": row.contact_id,
        "name": veil(name),
        "email": veil(row.email or ""),
        "allowed": row.allowed,
        "reason": row.reason,
        "at": row.at,
    }


def effects_by_state(counts: Mapping[tuple[str, str, str], int]) -> list[tuple[str, str, int]]:
    """(effect, state, how many), whatever the platform said about each."""
    found: dict[tuple[str, str], int] = {}
    for (effect, state, _), count in counts.items():
        found[effect, state] = found.get((effect, state), 0) + count
    return [(effect, state, count) for (effect, state), count in sorted(found.items())]


def routes(add: Callable[..., None]) -> None:
    add("/decisions", list_decisions)
    add("/decisions/<uuid:evaluation_id>", show_evaluation)
