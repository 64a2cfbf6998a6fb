"""Proposals: scenarios that one person writes and hands in, and another one publishes or sends back."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from hub.core.roles import Permission
from hub.services import evaluate, proposals
from hub.services.scenarios import ScenarioSchema
from hub.store import lists
from hub.store.db import reading
from hub.store.proposals import DISCARDED, DRAFT, PUBLISHED, REJECTED, WAITING
from hub.web.api.kit import Area, Rows, caller, hub, match
from hub.web.api.paging import read_cursor
from hub.web.api.shapes import Choice, Code, Flag, Free, Id, Moment, PageQuery, Shape, Text, Whole, about, page_of

area = Area("proposals", "Scenarios handed in for publishing: whoever wrote one may not publish it.")
P = Permission
STATES = (DRAFT, WAITING, PUBLISHED, REJECTED, DISCARDED)
EXAMPLE = {
    "key": "welcome",
    "name": "Welcome",
    "segment": {"key": "buyers", "name": "Buyers", "definition": {"orders": {"paid": True, "within_days": 90}}},
    "connection": "crm",
    "channel": "email",
    "topic": "offers",
    "automation": "list:61",
}
_FIELDS = tuple(ScenarioSchema().fields)


class ProposalShape(Shape):
    id = Id("The proposal's id", required=True)
    scenario_key = Code("The scenario's key", "welcome", required=True)
    definition = Free("The whole scenario: docs/scenarios.md", EXAMPLE, required=True)
    state = Code("draft, waiting, published, rejected, discarded", "draft", required=True)
    based_on = Whole("The scenario's version when the draft was begun", required=True, allow_none=True)
    version = Whole("Grows with every change", required=True, example=1)
    author_id = Id("Who began it", required=True, allow_none=True)
    author_name = Code("Their name", "Anna", required=True)
    note = Code("What the author says", required=True)
    decided_by = Id("Who published or sent it back", required=True, allow_none=True)
    decided_by_name = Code("Their name", required=True, allow_none=True)
    decision_note = Code("What they say", required=True, allow_none=True)
    created_at = Moment("When it was begun", required=True)
    updated_at = Moment("When it changed last", required=True)
    submitted_at = Moment("When it was handed in", required=True, allow_none=True)
    decided_at = Moment("When it was decided", required=True, allow_none=True)


class NewProposalShape(Shape):
    definition = fields.Dict(
        keys=fields.String(), required=True, metadata=about(f"The whole scenario, with {', '.join(_FIELDS)}", EXAMPLE)
    )
    note = Text("What you want to say to whoever publishes it", 2000, lines=True, load_default="")


class ProposalChangeShape(Shape):
    definition = fields.Dict(keys=fields.String(), metadata=about("The whole scenario", EXAMPLE))
    note = Text("What you want to say to whoever publishes it", 2000, lines=True)


class VerdictShape(Shape):
    version = Whole("The version that you looked at", 1, 1_000_000_000, required=True, example=3)
    note = Text("What you want to say to the author; needed when sending back", 2000, lines=True, load_default="")


class SubmissionShape(Shape):
    version = Whole("The version that you looked at", 1, 1_000_000_000, required=True, example=2)


class ProposalsQuery(PageQuery):
    state = Choice("Only in this state", STATES)
    scenario = Text("Only for this scenario: its key", 80)


class TrialQueryShape(Shape):
    definition = fields.Dict(keys=fields.String(), required=True, metadata=about("The whole scenario", EXAMPLE))


class TrialShape(Shape):
    considered = Whole("Members that were asked about", required=True, example=120)
    whole = Flag("Whether these were all", required=True)
    allowed = Whole("How many of them would be allowed in", required=True, example=40)
    refused = Free("How many would be refused, by reason", {"no_consent": 80}, required=True)


def _find(proposal_id: str) -> Any:
    with reading() as session:
        return proposals.read_proposal(session, proposal_id)


@area.operation("GET", "/proposals", P.CONSOLE_READ, query=ProposalsQuery, answer=page_of(ProposalShape))
def list_proposals(query: dict[str, Any]) -> Rows:
    """List proposals, the last begun first."""
    with reading() as session:
        rows = lists.page_proposals(
            session,
            state=query.get("state"),
            scenario_key=query.get("scenario"),
            before=read_cursor(query),
            limit=query["limit"] + 1,
        )
    return Rows(rows, query["limit"], lambda row: row.id)


@area.operation("GET", "/proposals/<uuid:proposal_id>", P.CONSOLE_READ, answer=ProposalShape, refuses=(404,))
def get_proposal(proposal_id: str) -> Any:
    """One proposal."""
    return _find(proposal_id)


@area.operation(
    "POST",
    "/proposals",
    P.SCENARIOS_WRITE,
    body=NewProposalShape,
    answer=ProposalShape,
    status=201,
    refuses=(404,),
    example={"definition": EXAMPLE, "note": "For the winter sale"},
)
def create_proposal(body: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """Begin a draft of a scenario. It is checked whole; nothing is published."""
    made = proposals.save_draft(hub(), caller().user_id, body["definition"], note_text=body["note"])
    return _find(made), {"Location": f"/api/v1/proposals/{made}"}


@area.operation(
    "POST",
    "/proposals/try",
    P.SCENARIOS_WRITE,
    body=TrialQueryShape,
    answer=TrialShape,
    refuses=(404,),
    example={"definition": EXAMPLE},
)
def try_proposal(body: dict[str, Any]) -> dict[str, Any]:
    """What a scenario would decide now. Nothing is kept and nothing is sent; after a few seconds it stops."""
    found = evaluate.try_evaluation(hub(), body["definition"])
    return {
        "considered": found.considered,
        "whole": found.whole,
        "allowed": sum(count for (allowed, _), count in found.reasons.items() if allowed),
        "refused": {reason: count for (allowed, reason), count in found.reasons.items() if not allowed},
    }


@area.operation(
    "PATCH",
    "/proposals/<uuid:proposal_id>",
    P.SCENARIOS_WRITE,
    body=ProposalChangeShape,
    answer=ProposalShape,
    example={"definition": EXAMPLE},
)
def change_proposal(body: dict[str, Any], proposal_id: str) -> Any:
    """Change a draft; whoever changes it may not publish it. One that was handed in is a draft again."""
    row = _find(proposal_id)
    match(ProposalShape, row)
    proposals.save_draft(
        hub(),
        caller().user_id,
        body.get("definition", row.definition),
        proposal_id=proposal_id,
        seen_version=row.version,
        note_text=body.get("note", row.note),
    )
    return _find(proposal_id)


@area.operation(
    "POST",
    "/proposals/<uuid:proposal_id>/submit",
    P.SCENARIOS_WRITE,
    body=SubmissionShape,
    answer=ProposalShape,
    refuses=(404,),
)
def submit_proposal(body: dict[str, Any], proposal_id: str) -> Any:
    """Hand a draft in for publishing."""
    proposals.submit_proposal(hub(), caller().user_id, proposal_id, body["version"])
    return _find(proposal_id)


@area.operation(
    "POST",
    "/proposals/<uuid:proposal_id>/approve",
    P.SCENARIOS_APPROVE,
    body=VerdictShape,
    answer=ProposalShape,
    refuses=(404,),
)
def approve_proposal(body: dict[str, Any], proposal_id: str) -> Any:
    """Publish what somebody else wrote and handed in."""
    proposals.publish_proposal(hub(), caller().user_id, proposal_id, body["version"], body["note"])
    return _find(proposal_id)


@area.operation(
    "POST",
    "/proposals/<uuid:proposal_id>/reject",
    P.SCENARIOS_APPROVE,
    body=VerdictShape,
    answer=ProposalShape,
    refuses=(404,),
)
def reject_proposal(body: dict[str, Any], proposal_id: str) -> Any:
    """Send it back to its author, with a note."""
    proposals.reject_proposal(hub(), caller().user_id, proposal_id, body["version"], body["note"])
    return _find(proposal_id)


@area.operation("DELETE", "/proposals/<uuid:proposal_id>", P.SCENARIOS_WRITE, status=204)
def discard_proposal(proposal_id: str) -> None:
    """Put a draft away; changing it brings it back."""
    row = _find(proposal_id)
    match(ProposalShape, row)
    proposals.discard_proposal(hub(), caller().user_id, proposal_id, row.version)
