"""Publishing by a second person, asked of the verbs themselves: whoever wrote any of it does not publish it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from hub.core.errors import Conflict, Invalid, NotFound
from hub.core.types import Actor
from hub.services import evaluate, proposals
from hub.services.audit import acting
from hub.services.context import Context
from hub.services.preferences import ChangedMeanwhile
from hub.services.proposals import OwnProposal, PublishedMeanwhile
from hub.services.scenarios import DEEPEST, check_segment, publish_scenario, published_definition, stop_scenario
from hub.store import audit, boxes, hooks, scenarios
from hub.store.db import new_id, reading
from hub.store.proposals import find_proposal, proposal
from tests.conftest import add_user


def definition(**changes: Any) -> dict[str, Any]:
    given = {
        "key": "welcome",
        "name": "Welcome",
        "segment": {"key": "buyers", "name": "Buyers", "definition": {"orders": {"paid": True, "within_days": 90}}},
        "connection": "hubspot",
        "channel": "email",
        "topic": "offers",
        "automation": "list:61",
    }
    return {**given, **changes}


@pytest.fixture
def people(app: Flask, connected: Callable[..., Any]) -> tuple[str, str, str]:
    """Ids of three users."""
    connected()
    ids = [add_user(app, "marketer", email=f"{name}@hub.example").id for name in ("anna", "jan", "ewa")]
    return str(ids[0]), str(ids[1]), str(ids[2])


def state(proposal_id: str) -> Any:
    with reading() as session:
        return find_proposal(session, proposal_id)


def published() -> list[str]:
    with reading() as session:
        return [row.key for row in scenarios.list_scenarios(session)]


def test_the_way_of_a_proposal(context: Context, people: tuple[str, str, str]) -> None:
    anna, jan, _ = people
    one = proposals.save_draft(context, anna, definition())
    assert proposals.save_draft(context, anna, definition()) == one
    with pytest.raises(Conflict):
        proposals.publish_proposal(context, jan, one, 1)
    proposals.submit_proposal(context, anna, one, 1)
    proposals.submit_proposal(context, anna, one, 1)
    scenario_id = proposals.publish_proposal(context, jan, one, 2, "Good")
    assert proposals.publish_proposal(context, jan, one, 2) == scenario_id
    row = state(one)
    assert (row.state, row.decided_by, row.decision_note, row.editors) == ("published", jan, "Good", [anna])
    for verb in (proposals.discard_proposal, proposals.submit_proposal):
        with pytest.raises(Conflict):
            verb(context, anna, one, None)
    with reading() as session:
        entries = [entry for entry in reversed(audit.page_entries(session)) if entry.subject_kind != "connection"]
        assert published_definition(session, "welcome") == row.definition
    actions = [entry.action for entry in entries]
    assert actions == ["proposal.created", "proposal.submitted", "scenario.published", "proposal.published"]


def test_no_name_role_or_door_makes_a_second_person_of_the_first(context: Context, people: tuple[str, str, str]) -> None:
    anna, jan, ewa = people
    one = proposals.save_draft(context, anna, definition())
    proposals.save_draft(context, jan, definition(topic="news"), proposal_id=one, seen_version=1)
    proposals.submit_proposal(context, ewa, one, None)
    for actor in (Actor("user", anna, "Somebody else"), Actor("token", new_id(), "a token"), Actor("user", ewa, "Ewa")):
        for user_id in (anna, jan, ""):
            with acting(actor), pytest.raises(OwnProposal):
                proposals.publish_proposal(context, user_id, one, None)
    assert published() == []
    proposals.publish_proposal(context, ewa, one, None)
    assert published() == ["welcome"]


def test_editing_what_waits_takes_it_back(context: Context, people: tuple[str, str, str]) -> None:
    anna, jan, ewa = people
    one = proposals.save_draft(context, anna, definition())
    proposals.submit_proposal(context, anna, one, None)
    seen = state(one).version
    proposals.save_draft(context, anna, definition(topic="news"), proposal_id=one, seen_version=seen)
    with pytest.raises(ChangedMeanwhile):
        proposals.publish_proposal(context, jan, one, seen)
    with pytest.raises(Conflict):
        proposals.publish_proposal(context, jan, one, None)
    assert published() == []
    proposals.submit_proposal(context, anna, one, None)
    with pytest.raises(Invalid):
        proposals.reject_proposal(context, ewa, one, None, "  ")
    proposals.reject_proposal(context, ewa, one, None, "No")
    assert state(one).state == "rejected"


def test_only_one_publishes(context: Context, people: tuple[str, str, str], in_threads: Callable[..., list[Any]]) -> None:
    anna, jan, ewa = people
    one = proposals.save_draft(context, anna, definition())
    proposals.submit_proposal(context, anna, one, None)
    seen = state(one).version
    results = in_threads(
        *(lambda who=who: proposals.publish_proposal(context, who, one, seen) for who in (jan, ewa)),
        lambda: proposals.reject_proposal(context, ewa, one, seen, "No"),
    )
    assert sum(isinstance(result, Conflict) for result in results) == 2
    with reading() as session:
        assert len([entry for entry in audit.page_entries(session) if entry.action == "scenario.published"]) <= 1


def test_what_was_published_meanwhile_is_looked_at_first(context: Context, people: tuple[str, str, str]) -> None:
    anna, jan, _ = people
    one = proposals.save_draft(context, anna, definition(topic="news"))
    proposals.submit_proposal(context, anna, one, None)
    publish_scenario(context, definition())
    with pytest.raises(PublishedMeanwhile):
        proposals.publish_proposal(context, jan, one, None)
    with reading() as session:
        changes = proposals.compare(session, state(one))
    assert changes == [("topic", "offers", "news")]
    proposals.save_draft(context, anna, definition(topic="news"), proposal_id=one, seen_version=None)
    proposals.submit_proposal(context, anna, one, None)
    proposals.publish_proposal(context, jan, one, None)


def test_a_discarded_one_comes_back_by_saving(context: Context, people: tuple[str, str, str]) -> None:
    anna, jan, _ = people
    one = proposals.save_draft(context, anna, definition())
    proposals.discard_proposal(context, anna, one, 1)
    proposals.discard_proposal(context, anna, one, 1)
    other = proposals.save_draft(context, jan, definition())
    assert other != one
    with pytest.raises(Conflict):
        proposals.save_draft(context, anna, definition(), proposal_id=one, seen_version=None)
    proposals.discard_proposal(context, jan, other, None)
    proposals.save_draft(context, anna, definition(), proposal_id=one, seen_version=None)
    assert state(one).state == "draft"
    with pytest.raises(Invalid):
        proposals.save_draft(context, anna, definition(key="other"), proposal_id=one, seen_version=None)


def test_unknown_proposals(context: Context, people: tuple[str, str, str]) -> None:
    for verb in (proposals.submit_proposal, proposals.publish_proposal, proposals.discard_proposal):
        with pytest.raises(NotFound):
            verb(context, people[0], new_id(), None)


def test_a_gone_connection_stops_it(context: Context, people: tuple[str, str, str]) -> None:
    with pytest.raises(NotFound):
        proposals.save_draft(context, people[0], definition(connection="gone"))
    with reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(proposal)) == 0


def test_whoever_listens_is_told(context: Context, people: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "listeners", lambda session, kind: told.append(kind) or [])
    told: list[str] = []
    anna, jan, _ = people
    one = proposals.save_draft(context, anna, definition())
    proposals.submit_proposal(context, anna, one, None)
    proposals.reject_proposal(context, jan, one, None, "No")
    proposals.save_draft(context, anna, definition(topic="x"), proposal_id=one, seen_version=None)
    proposals.submit_proposal(context, anna, one, None)
    proposals.publish_proposal(context, jan, one, None)
    assert told == ["scenario.submitted", "scenario.rejected", "scenario.submitted", "scenario.published"]


def test_a_trial_decides_as_the_evaluation_does(connected: Callable[..., Any], context: Context) -> None:
    pair = connected({"customers": 40, "rebase": True})
    pair.run_sync("woocommerce")
    pair.publish()
    with reading() as session:
        written = published_definition(session, "welcome")
    assert written is not None
    trial = evaluate.try_evaluation(context, written)
    with reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(boxes.outbox)) == 0
    evaluation_id = pair.evaluate()
    with reading() as session:
        counts = scenarios.count_decisions(session, [evaluation_id])
    assert (trial.reasons, trial.whole, trial.considered) == (counts, True, sum(counts.values()))
    assert len(counts) > 1
    again = evaluate.try_evaluation(context, written)
    assert again.reasons[False, "already_started"] == counts[True, "allowed"]


def test_a_stopped_scenario_is_not_evaluated(connected: Callable[..., Any], context: Context) -> None:
    pair = connected({"customers": 20, "rebase": True})
    pair.run_sync("woocommerce")
    pair.publish()
    open_id = evaluate.request_evaluation(context, "welcome")
    assert stop_scenario(context, "welcome") == 0
    with reading() as session:
        row = scenarios.find_evaluation(session, open_id)
    assert row is not None
    assert row.state == "failed"
    assert not evaluate.advance_evaluation(context, open_id, "test", lambda: False)
    with pytest.raises(Conflict):
        evaluate.request_evaluation(context, "welcome")


def nested(levels: int) -> Any:
    found: Any = {"field": "city", "known": True}
    for _ in range(levels):
        found = {"not": found}
    return found


def test_segments_have_bounds() -> None:
    assert check_segment(nested(DEEPEST - 1), "x")
    for wrong in (nested(DEEPEST), nested(300), {"all": [nested(1)] * 101}, {"all": [[[]]]}):
        with pytest.raises(Invalid):
            check_segment(wrong, "x")
