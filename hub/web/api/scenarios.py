"""Segments, scenarios, their evaluations, and the decision on everybody considered."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from hub.core.errors import NotFound
from hub.core.roles import Permission
from hub.services import evaluate, scenarios, summary
from hub.store import lists, stopping
from hub.store import scenarios as rows_of
from hub.store.db import reading
from hub.web.api.kit import Area, Rows, hub
from hub.web.api.paging import read_cursor
from hub.web.api.shapes import (
    Code,
    EmptyShape,
    Flag,
    Free,
    Id,
    Moment,
    PageQuery,
    Shape,
    StoredErrorShape,
    Text,
    Whole,
    page_of,
    stored_error,
)

area = Area("scenarios", "Segments, published scenarios, their evaluations and decisions.")
P = Permission
TREE = {"orders": {"paid": True, "within_days": 90}}


class SegmentShape(Shape):
    id = Id("The segment's id", required=True)
    key = Code("Its key", "buyers", required=True)
    name = Code("Its name", "Buyers", required=True)
    definition = Free("Who belongs to it: docs/scenarios.md", TREE, required=True)
    version = Whole("Grows with every change", required=True, example=3)
    updated_at = Moment("When it changed last", required=True)


class ScenarioShape(Shape):
    id = Id("The scenario's id", required=True)
    key = Code("Its key", "welcome", required=True)
    name = Code("Its name", "Welcome", required=True)
    state = Code("published or stopped", "published", required=True)
    version = Whole("Grows with every change", required=True, example=2)
    segment = Code("Key of its segment", "buyers", required=True)
    connection = Code("Name of the connection whose automation it starts", "crm", required=True)
    channel = Code("The channel it asks consent for", "email", required=True)
    topic = Code("The topic it asks consent for", "offers", required=True)
    brand = Code("The brand; empty: the firm itself", "", required=True)
    automation = Code("What it starts", "list:61", required=True)
    mirror = Code("A list that mirrors who is allowed", data_key="list", required=True, allow_none=True)
    starts_per_minute = Whole("At most so many starts a minute", required=True, example=600)
    updated_at = Moment("When it changed last", required=True)


class ScenariosShape(Shape):
    items = fields.List(fields.Nested(ScenarioShape), required=True, metadata={"description": "All scenarios by key"})


class StoppedShape(Shape):
    effects_cancelled = Whole("Starts and list entries that had not left", required=True)
    scenario = fields.Nested(ScenarioShape, required=True)


class EvaluationShape(Shape):
    id = Id("The evaluation's id", required=True)
    scenario = Code("The scenario's key", "welcome", required=True)
    scenario_version = Whole("As it was then", required=True)
    segment_version = Whole("As it was then", required=True)
    state = Code("queued, running, waiting, done, failed", "done", required=True)
    considered = Whole("Contacts considered so far", required=True)
    allowed = Whole("Contacts allowed so far", required=True)
    error = fields.Nested(StoredErrorShape, required=True, allow_none=True)
    created_at = Moment("When it was asked for", required=True)
    finished_at = Moment("When it ended", required=True, allow_none=True)


class EvaluationFiguresShape(EvaluationShape):
    figures = Free(
        "Decisions by reason; what was pushed, started, is still owed, was rejected",
        {"decisions": {"allowed": 12, "refused": {"no_consent": 40}}, "pushed": 12, "triggered": 12, "open": 0, "rejected": 0},
        required=True,
    )


class EvaluationsQuery(PageQuery):
    scenario = Text("Only of this scenario: its key", 80)


class DecidedShape(Shape):
    contact_id = Id("The contact", required=True)
    allowed = Flag("Whether they were allowed in", required=True)
    reason = Code("Why: docs/reasons.md", "no_consent", required=True)
    at = Moment("When it was decided", required=True)


class DecidedQuery(PageQuery):
    reason = Text("Only with this reason", 40, example="no_consent")


def _shape(row: Any) -> dict[str, Any]:
    names = {"segment": row.segment_key, "connection": row.connection_name, "mirror": row.list_id}
    return {**row._mapping, **names}


def _find(key: str) -> Any:
    with reading() as session:
        row = stopping.scenario_with_segment(session, key)
        if row is None:
            rows_of.find_scenario(session, key)  # says which there are
    return row


def _shape_evaluation(row: Any) -> dict[str, Any]:
    return {**row._mapping, "scenario": row.key, "error": stored_error(row.error)}


@area.operation("GET", "/segments", P.CONSOLE_READ, query=PageQuery, answer=page_of(SegmentShape))
def list_segments(query: dict[str, Any]) -> Rows:
    """List the segments of published scenarios by key."""
    with reading() as session:
        rows = lists.page_segments(session, after=read_cursor(query), limit=query["limit"] + 1)
    return Rows(rows, query["limit"], lambda row: row.key)


@area.operation("GET", "/segments/<key:key>", P.CONSOLE_READ, answer=SegmentShape, refuses=(404,))
def get_segment(key: str) -> Any:
    """One segment."""
    with reading() as session:
        row = lists.find_segment(session, key)
    if row is None:
        raise NotFound("There is no segment «{key}»", cure="Go on from the list of segments", key=key)
    return row


@area.operation("GET", "/scenarios", P.CONSOLE_READ, answer=ScenariosShape)
def list_scenarios() -> dict[str, Any]:
    """List the published and the stopped scenarios by key."""
    with reading() as session:
        return {"items": [_shape(row) for row in stopping.scenarios_with_segments(session)]}


@area.operation("GET", "/scenarios/<key:key>", P.CONSOLE_READ, answer=ScenarioShape, refuses=(404,))
def get_scenario(key: str) -> dict[str, Any]:
    """One scenario as it is published."""
    return _shape(_find(key))


@area.operation("POST", "/scenarios/<key:key>/stop", P.SCENARIOS_WRITE, body=EmptyShape, answer=StoppedShape, refuses=(404,))
def stop_scenario(_: dict[str, Any], key: str) -> dict[str, Any]:
    """Stop a scenario: no evaluation begins, and what has not left is cancelled."""
    cancelled = scenarios.stop_scenario(hub(), key)
    return {"effects_cancelled": cancelled, "scenario": _shape(_find(key))}


@area.operation(
    "POST", "/scenarios/<key:key>/resume", P.SCENARIOS_APPROVE, body=EmptyShape, answer=ScenarioShape, refuses=(404,)
)
def resume_scenario(_: dict[str, Any], key: str) -> dict[str, Any]:
    """Let a stopped scenario be evaluated again, as it was published."""
    scenarios.resume_scenario(hub(), key)
    return _shape(_find(key))


@area.operation(
    "POST",
    "/scenarios/<key:key>/evaluations",
    P.SCENARIOS_WRITE,
    body=EmptyShape,
    answer=EvaluationShape,
    status=202,
    refuses=(404,),
)
def start_evaluation(_: dict[str, Any], key: str) -> tuple[Any, dict[str, str]]:
    """Decide about everybody in the segment, and owe what follows from it; an open evaluation is the one asked for."""
    evaluation_id = evaluate.request_evaluation(hub(), key)
    return _shape_evaluation(_find_evaluation(evaluation_id)), {"Location": f"/api/v1/evaluations/{evaluation_id}"}


def _find_evaluation(evaluation_id: str) -> Any:
    with reading() as session:
        row = lists.find_evaluation(session, evaluation_id)
    if row is None:
        raise NotFound("There is no evaluation with this id", cure="Go on from the list of evaluations")
    return row


@area.operation("GET", "/evaluations", P.CONSOLE_READ, query=EvaluationsQuery, answer=page_of(EvaluationShape))
def list_evaluations(query: dict[str, Any]) -> Rows:
    """List evaluations, the newest first."""
    with reading() as session:
        rows = lists.page_evaluations(
            session, scenario_key=query.get("scenario"), before=read_cursor(query), limit=query["limit"] + 1
        )
    return Rows(rows, query["limit"], lambda row: row.id, _shape_evaluation)


@area.operation("GET", "/evaluations/<uuid:evaluation_id>", P.CONSOLE_READ, answer=EvaluationFiguresShape, refuses=(404,))
def get_evaluation(evaluation_id: str) -> dict[str, Any]:
    """One evaluation with its figures."""
    return {**_shape_evaluation(_find_evaluation(evaluation_id)), "figures": summary.evaluation_figures([evaluation_id])}


@area.operation(
    "GET",
    "/evaluations/<uuid:evaluation_id>/decisions",
    P.CONTACTS_READ,
    query=DecidedQuery,
    answer=page_of(DecidedShape),
    refuses=(404,),
)
def list_decisions(query: dict[str, Any], evaluation_id: str) -> Rows:
    """The decision on every contact considered, with its reason."""
    _find_evaluation(evaluation_id)
    with reading() as session:
        rows = rows_of.page_decisions(
            session, evaluation_id, reason=query.get("reason") or None, after=read_cursor(query), limit=query["limit"] + 1
        )
    return Rows(rows, query["limit"], lambda row: row.contact_id)
