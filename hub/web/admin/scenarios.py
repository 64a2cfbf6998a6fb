"""Scenarios as they are published: what one does, to whom, what came of it, and putting it out of service."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import current_app, redirect, render_template, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.core.errors import NotFound
from hub.core.roles import Permission
from hub.core.texts import say_many
from hub.rules.segments import parse_segment
from hub.services import evaluate
from hub.services import scenarios as verbs
from hub.services.context import Context
from hub.store import audit, dues, proposals, scenarios, stopping
from hub.store.db import Session, reading
from hub.web import labels
from hub.web.admin.decisions import effects_by_state, shares
from hub.web.faults import read_fault
from hub.web.forms import tell
from hub.web.pages import language

EVALUATIONS, HISTORY = 10, 20
ACTIONS = ("scenario.published", "scenario.stopped", "scenario.resumed")


def list_scenarios() -> str:
    """Every scenario with its newest evaluation, and what waits for a second person."""
    with reading() as session:
        rows = stopping.scenarios_with_segments(session)
        newest = stopping.newest_evaluations(session)
        waiting = proposals.list_proposals(session, states=(proposals.WAITING,))
        drafts = proposals.list_proposals(session, states=(proposals.DRAFT, proposals.REJECTED))
    return render_template(
        "admin/scenarios.html",
        rows=[(row, newest.get(row.id)) for row in rows],
        waiting=waiting,
        drafts=drafts,
        **words(),
    )


def show_scenario(key: str) -> str:
    """One scenario: its definition in words, its versions, what its newest evaluation decided and what was sent."""
    lang = language()
    with reading() as session:
        row = find(session, key)
        evaluations = stopping.evaluations_of(session, row.id, EVALUATIONS)
        newest = evaluations[0] if evaluations else None
        reasons = shares(scenarios.count_decisions(session, [newest.id])) if newest else []
        effects = dues.count_effects(session, [newest.id]) if newest else {}
        history = audit.page_entries(session, subject_kind="scenario", subject_id=row.id, limit=HISTORY)
        draft = proposals.open_proposal(session, row.key)
    return render_template(
        "admin/scenario.html",
        row=row,
        segment=labels.explain(parse_segment(row.definition), lang),
        evaluations=evaluations,
        faults={one.id: read_fault(one.error, lang) for one in evaluations},
        newest=newest,
        reasons=reasons,
        effects=effects_by_state(effects),
        history=[entry for entry in history if entry.action in ACTIONS],
        draft=draft,
        **words(),
    )


def find(session: Session, key: str) -> Any:
    row = stopping.scenario_with_segment(session, key) if key.isprintable() else None
    if row is None:
        raise NotFound("There is no such scenario", cure="Go on from the list of scenarios")
    return row


def try_scenario(key: str) -> str:
    """Who would get it now, without anything being kept or sent."""
    with reading() as session:
        definition = verbs.published_definition(session, find(session, key).key)
    assert definition is not None
    return render_trial(definition, url_for("admin.show_scenario", key=key))


def render_trial(definition: Mapping[str, Any], back: str) -> str:
    trial = evaluate.try_evaluation(_context(), definition)
    return render_template(
        "admin/scenario_trial.html", definition=definition, trial=trial, reasons=shares(trial.reasons), back=back
    )


def evaluate_scenario(key: str) -> AnyResponse:
    evaluation_id = evaluate.request_evaluation(_context(), key_of(key))
    tell("The evaluation begins; this page follows it")
    return redirect(url_for("admin.show_evaluation", evaluation_id=evaluation_id), 303)


def stop_scenario(key: str) -> AnyResponse:
    cancelled = verbs.stop_scenario(_context(), key_of(key))
    tell(
        "The scenario is stopped. {cancelled}",
        cancelled=say_many(
            "{n} effect that had not left was cancelled", "{n} effects that had not left were cancelled", cancelled, language()
        ),
    )
    return redirect(url_for("admin.show_scenario", key=key), 303)


def resume_scenario(key: str) -> AnyResponse:
    verbs.resume_scenario(_context(), key_of(key))
    tell("The scenario is in service again. Evaluate it to go on")
    return redirect(url_for("admin.show_scenario", key=key), 303)


def key_of(key: str) -> str:
    """The key as it is stored; a text that no key looks like is not even asked for."""
    with reading() as session:
        return str(find(session, key).key)


def words() -> dict[str, Any]:
    """What the templates of scenarios and proposals say codes with."""
    lang = language()
    return {
        "channel_word": lambda code: labels.label(labels.CHANNELS, code, lang),
        "scenario_word": lambda code: labels.label(labels.SCENARIO_STATES, code, lang),
        "proposal_word": lambda code: labels.label(labels.PROPOSAL_STATES, code, lang),
        "as_json": lambda value: json.dumps(value, ensure_ascii=False, indent=2),
    }


def _context() -> Context:
    found: Context = current_app.extensions["hub"]
    return found


def routes(add: Callable[..., None]) -> None:
    place, write = "/scenarios/<string(maxlength=80):key>", Permission.SCENARIOS_WRITE
    add("/scenarios", list_scenarios)
    add(place, show_scenario)
    add(f"{place}/try", try_scenario, write)
    add(f"{place}/evaluate", evaluate_scenario, write, ["POST"])
    add(f"{place}/stop", stop_scenario, write, ["POST"])
    add(f"{place}/resume", resume_scenario, Permission.SCENARIOS_APPROVE, ["POST"])
