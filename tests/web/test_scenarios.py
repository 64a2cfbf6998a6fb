"""Writing a scenario, handing it in, and a second person who publishes it; stopping one; trying one out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from hub.services import evaluate, proposals
from hub.services.context import Context
from hub.store import audit, boxes, scenarios
from hub.store.db import reading
from hub.store.proposals import proposal
from tests.conftest import add_user, form_token, sign_in
from tests.web.conftest import HOSTILE, NOBODY, Browser, Page, Visit

FORM = {
    "name": "Second order",
    "key": "second-order",
    "connection": "hubspot",
    "automation": "list:61",
    "list": "",
    "channel": "email",
    "topic": "offers",
    "brand": "",
    "starts_per_minute": "600",
    "segment.name": "Two orders",
    "segment.key": "two-orders",
    "match": "all",
    "o0.has": "yes",
    "o0.paid": "yes",
    "o0.at_least": "2",
    "o0.within_days": "90",
    "f0.field": "country",
    "f0.relation": "is",
    "f0.value": "PL",
    "note": "Please look at the days",
}
SEGMENT = {"all": [{"orders": {"paid": True, "at_least": 2, "within_days": 90}}, {"field": "country", "is": "PL"}]}


class Seat:
    """A user of their own at a browser of their own."""

    def __init__(self, app: Flask, email: str, *roles: str) -> None:
        self.user = add_user(app, *roles, email=email)
        self.client = app.test_client()
        sign_in(self.client, self.user)
        self.app = app

    def post(self, path: str, data: Mapping[str, Any] | None = None, status: int = 303, lang: str = "en") -> Any:
        headers = {"X-CSRFToken": form_token(self.client), "Accept-Language": lang}
        with self.app.app_context():
            answer = self.client.post(path, data=dict(data or {}), headers=headers)
        assert answer.status_code == status, answer.text
        if status == 303:
            return str(answer.headers["Location"])
        page = Page(answer.text)
        assert not page.problems
        return Visit(answer, page)

    def get(self, path: str, status: int = 200, lang: str = "en") -> Visit:
        with self.app.app_context():
            answer = self.client.get(path, headers={"Accept-Language": lang})
        assert answer.status_code == status, answer.text
        page = Page(answer.text)
        assert not page.problems
        return Visit(answer, page)

    def step(self, path: str, verb: str, status: int = 303, **more: str) -> Any:
        """A button of the proposal's page, as it stands now."""
        with reading() as session:
            version = session.scalar(sa.select(proposal.c.version).where(proposal.c.id == path.rpartition("/")[2]))
        return self.post(f"{path}/{verb}", {"version": str(version), **more}, status)


@pytest.fixture
def marta(app: Flask, connected: Callable[..., Any]) -> Seat:
    connected({"customers": 20, "rebase": True}).run_sync("woocommerce")
    return Seat(app, "marta@hub.example", "marketer")


@pytest.fixture
def piotr(app: Flask) -> Seat:
    return Seat(app, "piotr@hub.example", "marketer")


def published() -> list[str]:
    with reading() as session:
        return [row.key for row in scenarios.list_scenarios(session)]


def trail() -> list[str]:
    with reading() as session:
        return [entry.action for entry in reversed(audit.page_entries(session, limit=100))]


def test_empty_pages_say_what_to_do_next(app: Flask) -> None:
    for lang in ("en", "pl"):
        for path in ("/admin/scenarios", "/admin/proposals", "/admin/segments"):
            assert Browser(app, "marketer").visit(path, lang).page.find("a", href="/admin/proposals/new")
            assert not Browser(app, "auditor").visit(path, lang).page.find("a", href="/admin/proposals/new")


def test_one_writes_and_another_publishes(marta: Seat, piotr: Seat) -> None:
    marta.get("/admin/proposals/new")
    place = marta.post("/admin/proposals/new", {**FORM, "step": "draft"})
    assert marta.post("/admin/proposals/new", {**FORM, "step": "draft"}) == place, "sent twice it is one draft"
    page = marta.get(place)
    assert "At least 2 paid orders in the last 90 days" in page.text
    assert "Country is «PL»" in page.text
    marta.step(place, "submit")
    assert "somebody else has to publish it" in marta.get(place).text
    assert not marta.get(place).page.find("form", action=f"{place}/publish")
    refused = marta.step(place, "publish", 403)
    assert "You wrote this scenario" in refused.text
    assert published() == []
    assert "Waiting for a second person" in piotr.get("/admin/scenarios").text
    piotr.step(place, "publish")
    piotr.step(place, "publish")
    assert published() == ["second-order"]
    with reading() as session:
        row = session.execute(sa.select(scenarios.segment)).one()
    assert row.definition == SEGMENT
    page = piotr.get("/admin/scenarios/second-order")
    assert "Published by Piotr" in page.text
    assert trail()[-2:] == ["scenario.published", "proposal.published"]
    for lang in ("en", "pl"):
        for path in ("/admin/scenarios", "/admin/proposals", place, "/admin/segments", "/admin/segments/two-orders?count=now"):
            piotr.get(path, lang=lang)


def test_owners_too_need_somebody_else(app: Flask, marta: Seat) -> None:
    owner = Seat(app, "boss@hub.example", "owner")
    place = owner.post("/admin/proposals/new", {**FORM, "step": "submit"})
    owner.step(place, "publish", 403)
    owner.user.name = "Somebody else"
    app.extensions["hub_security"].datastore.commit()
    owner.step(place, "publish", 403)
    assert published() == []
    marta.step(place, "publish")
    assert published() == ["second-order"]


def test_whoever_changed_it_may_not_publish_it_either(app: Flask, marta: Seat, piotr: Seat) -> None:
    place = marta.post("/admin/proposals/new", {**FORM, "step": "submit"})
    version = piotr.get(f"{place}/edit").page.one("input", name="version").attributes["value"]
    piotr.post(f"{place}/edit", {**FORM, "name": "Better", "version": version, "step": "submit"})
    piotr.step(place, "publish", 403)
    marta.step(place, "publish", 403)
    Seat(app, "ewa@hub.example", "marketer").step(place, "publish")
    assert published() == ["second-order"]


def test_roles_that_may_not_are_refused(app: Flask, marta: Seat) -> None:
    place = marta.post("/admin/proposals/new", {**FORM, "step": "submit"})
    for role in ("admin", "consent_officer", "ops", "auditor"):
        other = Seat(app, f"{role}@hub.example", role)
        other.get(place)
        for verb in ("publish", "reject", "discard", "submit"):
            other.step(place, verb, 403)
        other.post("/admin/proposals/new", FORM, 403)
        other.post("/admin/scenarios/second-order/stop", {}, 403)
    assert published() == []


def test_it_is_sent_back_with_a_note_and_handed_in_again(marta: Seat, piotr: Seat) -> None:
    place = marta.post("/admin/proposals/new", {**FORM, "step": "submit"})
    shown = piotr.step(place, "reject", 400)
    assert shown.page.one("textarea", name="note").attributes["aria-invalid"] == "true"
    piotr.step(place, "reject", note="Thirty days are enough")
    assert "Thirty days are enough" in marta.get(place).text
    version = marta.get(f"{place}/edit").page.one("input", name="version").attributes["value"]
    marta.post(f"{place}/edit", {**FORM, "o0.within_days": "30", "version": version, "step": "submit"})
    piotr.step(place, "publish")
    assert "in the last 30 days" in piotr.get("/admin/scenarios/second-order").text


def test_the_slower_one_sees_the_other_version(marta: Seat, piotr: Seat) -> None:
    place = marta.post("/admin/proposals/new", {**FORM, "step": "draft"})
    version = marta.get(f"{place}/edit").page.one("input", name="version").attributes["value"]
    piotr.post(f"{place}/edit", {**FORM, "topic": "news", "o0.paid": "no", "version": version})
    shown = marta.post(f"{place}/edit", {**FORM, "topic": "parties", "version": version}, 409)
    assert "Saved by somebody else meanwhile: news" in shown.text
    assert "Saved by somebody else meanwhile: not paid" in shown.text, "conditions, too, and in words"
    assert shown.page.one("input", name="topic").attributes["value"] == "parties"
    newer = shown.page.one("input", name="version").attributes["value"]
    marta.post(f"{place}/edit", {**FORM, "topic": "parties", "version": newer})
    stale = marta.post(f"{place}/submit", {"version": version}, 409)
    assert "changed" in stale.text


def test_a_change_is_shown_beside_what_is_published(marta: Seat, piotr: Seat, context: Context) -> None:
    piotr.step(marta.post("/admin/proposals/new", {**FORM, "step": "submit"}), "publish")
    evaluate.publish_scenario(context, {**definition(), "key": "twin"})
    page = marta.get("/admin/scenarios/second-order/change").page
    assert page.one("input", name="o0.within_days").attributes["value"] == "90"
    assert page.one("input", name="f0.value").attributes["value"] == "PL"
    place = marta.post(
        "/admin/scenarios/second-order/change", {**FORM, "o0.within_days": "7", "topic": "news", "step": "submit"}
    )
    text = piotr.get(place).text
    assert "For whom until now" in text
    assert "in the last 7 days" in text
    assert "changes for them: twin" in text
    assert "offersnews" in text
    evaluate.publish_scenario(context, {**definition(), "topic": "other"})
    shown = piotr.step(place, "publish", 409)
    assert "published by other means" in shown.text


def definition() -> dict[str, Any]:
    plain = {name: FORM[name] for name in ("key", "name", "connection", "automation", "channel", "topic")}
    return {**plain, "segment": {"key": "two-orders", "name": "Two orders", "definition": SEGMENT}}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"key": "No Spaces"}, "key"),
        ({"key": ""}, "key"),
        ({"name": "x" * 201}, "name"),
        ({"topic": ""}, "topic"),
        ({"topic": "a\x00"}, "topic"),
        ({"automation": "letter:5"}, "automation"),
        ({"automation": "list:"}, "automation"),
        ({"starts_per_minute": "-1"}, "starts_per_minute"),
        ({"starts_per_minute": "0"}, "starts_per_minute"),
        ({"starts_per_minute": "9" * 30}, "starts_per_minute"),
        ({"o0.at_least": "two"}, "o0.at_least"),
        ({"o0.total": "12,345", "o0.currency": "PLN"}, "o0.total"),
        ({"o0.total": "NaN", "o0.currency": "PLN"}, "o0.total"),
        ({"o0.total": "100"}, "o0.currency"),
        ({"f0.value": ""}, "f0.value"),
        ({"o0.has": "", "f0.field": ""}, "json"),
        ({"json": "{"}, "json"),
        ({"json": "[" * 5000}, "json"),
        ({"segment.key": "Ä"}, "segment.key"),
        ({"note": "x" * 3000}, "note"),
        ({"channel": "smoke"}, "channel"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(marta: Seat, change: dict[str, str], field: str) -> None:
    shown = marta.post("/admin/proposals/new", {**FORM, **change}, 400, "pl")
    assert shown.page.find("p", id=f"e-{field}"), shown.text
    assert shown.page.one("input", name="segment.name").attributes["value"] == FORM["segment.name"]


@pytest.mark.parametrize(
    "conditions",
    [
        "7",
        "[]",
        "{}",
        '{"nothing": 1}',
        '{"orders": {"within_days": -1}}',
        '{"orders": {"within_days": 99999999999999999999999}}',
        '{"field": "soul", "known": true}',
        '{"field": "city", "is": "a\\u0000b"}',
        '{"field": "city", "is": "\\ud800"}',
        json.dumps({"any": [{"field": "city", "known": True}] * 200}),
        '{"not":' * 40 + '{"field": "city", "known": true}' + "}" * 40,
        '{"not":' * 900 + '{"field": "city", "known": true}' + "}" * 900,
        json.dumps({"all": HOSTILE}),
    ],
)
def test_conditions_that_nobody_can_follow_are_refused(marta: Seat, conditions: str) -> None:
    shown = marta.post("/admin/proposals/new", {**FORM, "json": conditions}, 400)
    assert shown.page.one("textarea", name="json").attributes["aria-invalid"] == "true"
    assert HOSTILE not in shown.answer.text


def test_a_second_draft_of_one_scenario_is_not_begun(marta: Seat, piotr: Seat) -> None:
    place = marta.post("/admin/proposals/new", FORM)
    shown = piotr.post("/admin/proposals/new", {**FORM, "topic": "news"}, 409)
    assert shown.page.find("a", href=place)
    marta.step(place, "discard")
    assert piotr.post("/admin/proposals/new", {**FORM, "topic": "news"}) != place


def test_unknown_ones_are_404(marta: Seat) -> None:
    for path in (
        *(f"/admin/proposals/{NOBODY}", f"/admin/proposals/{NOBODY}/edit", "/admin/proposals/x", "/admin/segments/none"),
        *("/admin/scenarios/none", "/admin/scenarios/none/change", "/admin/scenarios/none/try", "/admin/scenarios/%00"),
        *("/admin/segments/%00", f"/admin/scenarios/{'x' * 90}"),
    ):
        marta.get(path, 404)
    for verb in ("submit", "publish", "reject", "discard"):
        marta.post(f"/admin/proposals/{NOBODY}/{verb}", {"version": "1", "note": "x"}, 404)
    for verb in ("evaluate", "stop"):
        marta.post(f"/admin/scenarios/none/{verb}", {}, 404)


def test_a_trial_keeps_and_sends_nothing(marta: Seat) -> None:
    place = marta.post("/admin/proposals/new", {**FORM, "o0.at_least": "1", "f0.field": ""})
    page = marta.get(f"{place}/try")
    assert "Nothing was kept and nothing was sent" in page.text
    assert "consent" in page.text
    with reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(boxes.outbox)) == 0
        assert session.scalar(sa.select(sa.func.count()).select_from(scenarios.decision)) == 0


def test_stopping_cancels_what_has_not_left_and_resuming_begins_anew(
    app: Flask, connected: Callable[..., Any], context: Context
) -> None:
    pair = connected({"customers": 40, "rebase": True})
    pair.run_sync("woocommerce")
    pair.publish()
    marta = Seat(app, "marta@hub.example", "marketer")
    place = marta.post("/admin/scenarios/welcome/evaluate")
    evaluation_id = place.rpartition("/")[2]
    assert evaluate.advance_evaluation(context, evaluation_id, "test", lambda: False)
    with reading() as session:
        before = scenarios.count_decisions(session, [evaluation_id])
    assert before[True, "allowed"] > 0
    marta.post("/admin/scenarios/welcome/stop")
    marta.post("/admin/scenarios/welcome/stop")
    with reading() as session:
        after = scenarios.count_decisions(session, [evaluation_id])
    assert after[False, "scenario_stopped"] == before[True, "allowed"]
    pair.run_deliveries()
    with reading() as session:
        states = session.execute(sa.select(boxes.outbox.c.effect, boxes.outbox.c.state).distinct()).all()
    assert {state for effect, state in states if effect == boxes.Effect.START_AUTOMATION} == {"cancelled"}
    marta.post("/admin/scenarios/welcome/evaluate", {}, 409)
    assert "stopped" in marta.get("/admin/scenarios/welcome").text
    marta.post("/admin/scenarios/welcome/resume")
    again = pair.evaluate()
    with reading() as session:
        assert scenarios.count_decisions(session, [again])[True, "allowed"] == before[True, "allowed"]
    assert trail().count("scenario.stopped") == 1


def test_the_terminal_publishes_and_is_noted(marta: Seat, context: Context) -> None:
    evaluate.publish_scenario(context, definition())
    assert trail()[-1] == "scenario.published"
    assert proposals.UNDECIDED
    assert marta.get("/admin/scenarios/second-order").page.find("h1")
