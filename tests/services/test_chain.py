"""The whole chain: shop → contacts, consents, orders → segment → scenario → CRM, against both simulators."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from hub.core.errors import Invalid, RateLimited
from hub.core.types import Act, Channel, ConsentAct, Lane
from hub.services import connections, delivery, evaluate, settling, summary
from hub.services.consent import record_act
from hub.services.evaluate import publish_scenario, request_evaluation
from hub.store import boxes, contacts, dues, ledger, quarantine, records, scenarios
from hub.store import connections as store
from hub.store.boxes import Effect, Parcel
from hub.store.db import reading, transaction

UPSERT = "POST /crm/objects/2026-03/contacts/batch/upsert"


def never() -> bool:
    return False


def buy(served: Any, number: int, email: str, *, tick: bool = True, **rest: Any) -> None:
    """A paid order of a guest, with or without the newsletter's tick."""
    key = "_wc_other/hub/newsletter-optin"
    served.simulator.put_order(
        {
            "id": number,
            "customer_id": 0,
            "status": "completed",
            "total": "100.00",
            "date_created_gmt": rest.pop("at", None) or stamp(days=2),
            "date_paid_gmt": stamp(days=2),
            "billing": {"email": email, "first_name": "", "last_name": "", "phone": "", **rest},
            "meta_data": [{"id": 1, "key": key, "value": "1"}] if tick else [],
            "refunds": [],
        }
    )


def stamp(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S")


def contact_by(email: str) -> str:
    with reading() as session:
        return contacts.owners(session, "email", [email])[email].contact_id


def effects(**where: Any) -> list[Any]:
    with reading() as session:
        statement = sa.select(boxes.outbox).order_by(boxes.outbox.c.id)
        for name, value in where.items():
            statement = statement.where(boxes.outbox.c[name] == value)
        return list(session.execute(statement))


def decisions(evaluation_id: str) -> dict[str, tuple[bool, str]]:
    with reading() as session:
        return {row.contact_id: (row.allowed, row.reason) for row in scenarios.list_decisions(session, evaluation_id)}


def withdraw(pair: Any, contact_id: str, reference: str = "web:no", **rest: Any) -> None:
    given = {"at": pair.context.now(), "topic": "offers", "brand": "", **rest}
    act = ConsentAct(Act.WITHDRAWN, Channel.EMAIL, given["topic"], given["brand"], given["at"], "web", reference)
    assert record_act(pair.context, contact_id, act)


def consent(pair: Any, contact_id: str, reference: str, **rest: Any) -> None:
    given = {"at": pair.context.now(), **rest}
    assert record_act(
        pair.context, contact_id, ConsentAct(Act.GRANTED, Channel.EMAIL, "offers", "", given["at"], "web", reference)
    )


@pytest.fixture
def pair(connected: Any) -> Any:
    """Three guests bought something: two with the tick, one without; published, not yet evaluated."""
    found = connected()
    for number, (name, tick) in enumerate((("anna", True), ("jan", True), ("ewa", False)), 1):
        buy(found.shop, number, f"{name}@poczta.example", tick=tick, first_name=name.title())
    found.run_sync("woocommerce")
    found.publish()
    return found


def parcels(pair: Any) -> list[Parcel]:
    with reading() as session:
        return [parcel for parcel, _ in dues.due_parcels(session, pair.context.now())]


# The straight way


def test_the_whole_chain_and_a_second_time_nothing(connected: Any) -> None:
    pair = connected({"customers": 200, "rebase": True})
    assert [row.state for row in pair.run_sync("woocommerce")] == ["done"] * 3
    segment_list = pair.crm.simulator.segment_list_id
    pair.publish(list=segment_list)
    first = pair.evaluate()
    verdicts = Counter(decisions(first).values())
    allowed = verdicts[True, "allowed"]
    assert allowed > 20
    assert verdicts[False, "no_consent"] > 5
    pair.run_deliveries()
    state = pair.crm.state()
    assert (state["contacts"], state["triggered"], state["triggered_twice"]) == (allowed, allowed, 0)
    assert state["members"] == {"61": allowed, segment_list: allowed, "63": 0}
    figures = summary.evaluation_figures([first])
    assert (figures["pushed"], figures["triggered"], figures["open"], figures["rejected"]) == (allowed, allowed, 0, 0)
    again = pair.evaluate()
    assert Counter(decisions(again).values())[False, "already_started"] == allowed
    assert pair.run_deliveries() == 0
    assert pair.crm.state() == state, "not even a call"


def test_only_those_with_consent_reach_the_platform(pair: Any) -> None:
    evaluation_id = pair.evaluate()
    assert decisions(evaluation_id) == {
        contact_by("anna@poczta.example"): (True, "allowed"),
        contact_by("jan@poczta.example"): (True, "allowed"),
        contact_by("ewa@poczta.example"): (False, "no_consent"),
    }
    pair.run_deliveries()
    known = {one["properties"]["email"] for one in pair.crm.simulator.contacts.by_id.values()}
    assert known == {"anna@poczta.example", "jan@poczta.example"}


def test_a_contact_is_pushed_before_anything_is_started_for_them(pair: Any) -> None:
    pair.publish(list=pair.crm.simulator.segment_list_id)
    pair.evaluate()
    assert {parcel.effect for parcel in parcels(pair)} == {"push_contact"}
    assert Counter(row.state for row in effects()) == {"owed": 2, "held": 4}
    push = parcels(pair)[0]
    assert delivery.deliver(pair.context, push, "test", never) == 2
    assert {parcel.effect for parcel in parcels(pair)} == {"set_member", "start_automation"}


# Changes of mind


def test_a_withdrawal_between_evaluation_and_claim_wins(pair: Any) -> None:
    evaluation_id = pair.evaluate()
    anna = contact_by("anna@poczta.example")
    withdraw(pair, anna)
    pair.run_deliveries()
    assert pair.crm.state()["contacts"] == pair.crm.state()["triggered"] == 1
    assert decisions(evaluation_id)[anna] == (False, "withdrawn")
    assert {(row.effect, row.state, row.reason) for row in effects(contact_id=anna)} == {
        ("push_contact", "cancelled", "withdrawn"),
        ("start_automation", "cancelled", "withdrawn"),
        ("set_member", "cancelled", "not_on_platform"),  # from the list that starts the automation
    }


def test_a_withdrawal_after_the_push_still_stops_the_start(pair: Any) -> None:
    evaluation_id = pair.evaluate()
    delivery.deliver(pair.context, parcels(pair)[0], "test", never)
    anna = contact_by("anna@poczta.example")
    withdraw(pair, anna, topic="*")
    pair.run_deliveries()
    assert pair.crm.state()["triggered"] == 1
    assert decisions(evaluation_id)[anna] == (False, "withdrawn")


def test_a_later_consent_is_started_once(pair: Any) -> None:
    pair.evaluate()
    anna = contact_by("anna@poczta.example")
    withdraw(pair, anna)
    pair.run_deliveries()
    consent(pair, anna, "web:yes")
    for _ in range(3):
        pair.evaluate()
        pair.run_deliveries()
    assert (pair.crm.state()["triggered"], pair.crm.state()["triggered_twice"]) == (2, 0)


def test_withdrawing_and_consenting_again_and_again_starts_once(pair: Any) -> None:
    anna = contact_by("anna@poczta.example")
    for number in range(3):
        pair.evaluate()
        withdraw(pair, anna, f"web:no:{number}")
        pair.run_deliveries()
        consent(pair, anna, f"web:yes:{number}")
    pair.evaluate()
    pair.run_deliveries()
    assert (pair.crm.state()["triggered"], pair.crm.state()["triggered_twice"]) == (2, 0)


@pytest.mark.parametrize("how", ["suppressed", "paused"])
def test_suppression_and_pause_are_asked_at_claim(pair: Any, how: str) -> None:
    evaluation_id = pair.evaluate()
    anna, now = contact_by("anna@poczta.example"), pair.context.now()
    with transaction() as session:
        if how == "suppressed":
            ledger.suppress(session, Channel.EMAIL, "anna@poczta.example", "complaint", now)
        else:
            ledger.set_pause(session, anna, Channel.EMAIL, now + timedelta(days=3))
    pair.run_deliveries()
    assert pair.crm.state()["triggered"] == 1
    assert decisions(evaluation_id)[anna] == (False, how)


def test_a_withdrawal_owes_leaving_in_the_urgent_lane(pair: Any) -> None:
    segment_list = pair.crm.simulator.segment_list_id
    pair.publish(list=segment_list)
    pair.evaluate()
    pair.run_deliveries()
    assert pair.crm.state()["members"][segment_list] == 2
    withdraw(pair, contact_by("anna@poczta.example"))
    both = sorted((segment_list, pair.crm.simulator.list_id))
    assert parcels(pair) == [Parcel(pair.crm_id, Lane.URGENT.value, Effect.SET_MEMBER.value, f"-{list_id}") for list_id in both]
    pair.run_deliveries()
    assert [pair.crm.state()["members"][list_id] for list_id in both] == [1, 1]


def test_leaving_is_owed_for_what_was_withdrawn_and_nothing_else(pair: Any) -> None:
    """Another topic, another brand, and a withdrawal that a newer yes has outlived take nobody off a list."""
    pair.publish(list=pair.crm.simulator.segment_list_id)
    anna, now = contact_by("anna@poczta.example"), pair.context.now()
    withdraw(pair, anna, "a", topic="news")
    withdraw(pair, anna, "b", brand="outlet", topic="*")
    withdraw(pair, anna, "c", at=now - timedelta(days=30))
    assert effects(lane="urgent") == []
    withdraw(pair, anna, "long" * 70, topic="*")
    withdraw(pair, anna, "long" * 70 + "2")
    assert len(effects(lane="urgent")) == 4  # twice from each of the two lists


def test_acts_that_cannot_be_recorded_are_refused(pair: Any) -> None:
    anna, now = contact_by("anna@poczta.example"), pair.context.now()
    for act, field in (
        (ConsentAct(Act.GRANTED, Channel.EMAIL, "*", "", now, "web", "x"), "topic"),
        (ConsentAct(Act.GRANTED, Channel.EMAIL, "offers", "", now + timedelta(hours=1), "web", "x"), "at"),
        (ConsentAct(Act.GRANTED, Channel.EMAIL, "offers", "", now.replace(tzinfo=None), "web", "x"), "at"),
    ):
        with pytest.raises(Invalid) as caught:
            record_act(pair.context, anna, act)
        assert list(caught.value.fields) == [field]


# Changed people, refused people


def test_a_changed_profile_is_pushed_again_without_a_second_start(pair: Any) -> None:
    """Also back to what it was before: the platform always gets the newest."""
    pair.evaluate()
    pair.run_deliveries()
    for name in ("Hanna", "Anna", "Hanna", "Anna"):
        with transaction() as session:
            anna = contacts.contact.c.id == contact_by("anna@poczta.example")
            session.execute(sa.update(contacts.contact).where(anna).values(first_name=name))
        pair.evaluate()
        assert pair.run_deliveries() == 1
        found = [one["properties"] for one in pair.crm.simulator.contacts.by_id.values()]
        assert [one["firstname"] for one in found if one["email"] == "anna@poczta.example"] == [name]
    assert (pair.crm.state()["triggered"], pair.crm.state()["triggered_twice"]) == (2, 0)


@pytest.mark.parametrize(("burst", "most_calls"), [(100_000, 24), (110, 60)])
def test_one_poisoned_record_in_a_thousand(connected: Any, burst: int, most_calls: int) -> None:
    """Also where the budget refuses calls in the middle of the search for the bad one."""
    pair = connected({}, {"burst": burst})
    connections.connect(pair.context, "hubspot", pair.crm.credentials(), options={"limits": {"burst": burst}})
    with pair.shop.simulator._lock:
        for number in range(1, 1001):
            buy(pair.shop, number, f"p{number}@poczta.example")
    pair.crm.simulator.poison.add("p500@poczta.example")
    pair.run_sync("woocommerce")
    pair.publish()
    first = pair.evaluate()
    assert summary.evaluation_figures([first])["decisions"]["allowed"] == 1000
    pair.run_deliveries()
    state = pair.crm.state()
    assert (state["contacts"], state["triggered"]) == (999, 999)
    assert state["by_path"][UPSERT] <= most_calls
    poisoned = contact_by("p500@poczta.example")
    assert {row.effect: (row.state, row.reason) for row in effects(contact_id=poisoned)}["start_automation"] == (
        "cancelled",
        "rejected",
    )
    with reading() as session:
        [entry] = quarantine.list_entries(session)
    assert (entry.direction, entry.external_id, entry.whole) == ("out", poisoned, True)
    assert "allowed options" in entry.reason, "the vendor's own words"
    again = pair.evaluate()
    assert decisions_of(again, poisoned) == (False, "platform_refuses")
    assert pair.run_deliveries() == 0
    assert pair.crm.state() == state, "the next run makes no call"
    pair.crm.simulator.poison.clear()
    with transaction() as session:
        session.execute(sa.update(contacts.contact).where(contacts.contact.c.id == poisoned).values(first_name="Mended"))
    pair.evaluate()
    pair.run_deliveries()
    assert pair.crm.state()["triggered"] == 1000
    with reading() as session:
        assert quarantine.list_entries(session) == []


def decisions_of(evaluation_id: str, contact_id: str) -> tuple[bool, str]:
    with reading() as session:
        row = session.execute(
            sa.select(scenarios.decision).where(
                scenarios.decision.c.evaluation_id == evaluation_id, scenarios.decision.c.contact_id == contact_id
            )
        ).one()
    return row.allowed, row.reason


# Limits


def many(pair: Any, count: int, **scenario: Any) -> None:
    """So many contacts that are on the platform already, each with an automation owed."""
    for number in range(100, 100 + count):
        buy(pair.shop, number, f"m{number}@poczta.example")
    pair.run_sync("woocommerce")
    pair.publish(**scenario)
    pair.evaluate()
    for parcel in parcels(pair):
        if parcel.effect == "push_contact":
            delivery.deliver(pair.context, parcel, "test", never)


def test_a_throttle_holds_across_workers(connected: Any, in_threads: Any, clock: Any) -> None:
    pair = connected()
    many(pair, 25, starts_per_minute=10)
    [parcel] = parcels(pair)
    in_threads(*[lambda: delivery.deliver(pair.context, parcel, "test", never)] * 2)
    assert pair.crm.state()["triggered"] == 10
    assert delivery.deliver(pair.context, parcel, "test", never) == 0
    clock.forward(59)
    assert delivery.deliver(pair.context, parcel, "test", never) == 0
    clock.forward(2)
    pair.run_deliveries()
    assert pair.crm.state()["triggered"] == 20
    clock.forward(61)
    pair.run_deliveries()
    assert (pair.crm.state()["triggered"], pair.crm.state()["triggered_twice"]) == (25, 0)


def test_a_crash_within_a_throttle_does_not_stop_it_for_ever(connected: Any, clock: Any) -> None:
    """The claims of a worker that died fill the throttle: they must not stand in their own way."""
    pair = connected()
    many(pair, 6, starts_per_minute=3)
    [parcel] = parcels(pair)
    with transaction() as session:
        assert len(boxes.claim(session, parcel, "dead", pair.context.now(), 40.0, 3)) == 3
    assert delivery.deliver(pair.context, parcel, "test", never) == 0
    clock.forward(41)
    assert delivery.deliver(pair.context, parcel, "test", never) == 3
    clock.forward(61)
    pair.run_deliveries()
    assert (pair.crm.state()["triggered"], pair.crm.state()["triggered_twice"]) == (6, 0)


class EmptyBudget:
    """Our own budget is used up after so many calls."""

    def __init__(self, calls: int = 0) -> None:
        self.calls = calls

    def take(self, lane: Lane) -> None:
        if self.calls <= 0:
            raise RateLimited("used up", after=7.0, local=True)
        self.calls -= 1

    def learn(self, answer: object) -> None:
        """Nothing to learn."""


class NotedHolds:
    def __init__(self) -> None:
        self.held: dict[str, float] = {}

    def hold(self, key: str, seconds: float) -> None:
        self.held[key] = seconds


def test_a_refusal_of_our_own_budget_counts_as_no_attempt_and_holds_the_lane(pair: Any) -> None:
    pair.evaluate()
    [parcel] = parcels(pair)
    holds = NotedHolds()
    poor = replace(pair.context, budget=lambda *_: EmptyBudget(), holds=holds)
    before = pair.crm.state()
    for _ in range(3):
        assert delivery.deliver(poor, parcel, "test", never) == 0
    assert holds.held == {parcel.lane_key: pytest.approx(7.0 - settling.DISPATCH)}, (
        "the way to the next call is part of the wait"
    )
    assert [(row.state, row.attempts, row.claimed_by) for row in effects(effect="push_contact")] == [("owed", 0, None)] * 2
    assert pair.crm.state() == before
    assert parcels(pair) == [parcel], "due at once: it is the lane that waits"
    pair.run_deliveries()
    assert pair.crm.state()["triggered"] == 2


def test_what_one_connection_is_held_back_with_hides_nothing_of_another(pair: Any, crm: Any) -> None:
    """Thousands of effects that wait for a budget stand before the two of a platform that could take them."""
    pair.evaluate()
    [row, _] = effects(effect="push_contact")
    other = "00000000-0000-7000-8000-000000000000"
    copied = ("effect", "contact_id", "lane", "detail", "gate", "evaluation_id")
    now = pair.context.now()
    with transaction() as session:
        mine = store.get_connection(session, "hubspot")
        store.save_connection(session, replace(mine, id=other, name="another", account_id="another"))
        boxes.owe(
            session,
            [
                {
                    **{name: getattr(row, name) for name in copied},
                    "connection_id": other,
                    "idempotency_key": f"many:{number}",
                    "state": "owed",
                    "not_before": None,
                }
                for number in range(dues.DUE_AT_ONCE + 10)
            ],
            now,
        )
    with reading() as session:
        due = dict(dues.due_parcels(session, now))
    assert {parcel.connection_id: count for parcel, count in due.items()} == {other: dues.DUE_AT_ONCE, pair.crm_id: 2}


# Connections that are closed, workers that die


@pytest.mark.parametrize("state", [store.PAUSED, store.REAUTHORIZE])
def test_from_a_closed_connection_nothing_leaves_and_nothing_is_lost(pair: Any, state: str) -> None:
    pair.evaluate()
    [parcel] = parcels(pair)
    with transaction() as session:
        store.set_state(session, pair.crm_id, state, None, pair.context.now())
    before = pair.crm.state()
    assert parcels(pair) == []
    assert delivery.deliver(pair.context, parcel, "test", never) == 0
    assert pair.crm.state() == before
    assert {row.state for row in effects()} == {"owed", "held"}
    with transaction() as session:
        store.set_state(session, pair.crm_id, store.ACTIVE, None, pair.context.now())
    pair.run_deliveries()
    assert pair.crm.state()["triggered"] == 2


def test_a_revoked_grant_pauses_the_connection_until_it_is_connected_again(pair: Any, clock: Any) -> None:
    pair.evaluate()
    pair.crm.simulator.control("revoke", {})
    pair.run_deliveries()
    with reading() as session:
        row = store.get_connection(session, "hubspot")
    assert row.state == store.REAUTHORIZE
    assert row.error is not None
    assert row.error["code"] == "reauthorize_needed"
    assert pair.crm.state()["contacts"] == 0
    pair.crm.simulator.control("renew", {})
    again = connections.connect(pair.context, "hubspot", pair.crm.credentials())
    assert (again.new, again.connection.id, again.connection.state) == (False, pair.crm_id, store.ACTIVE)
    clock.forward(60)
    pair.run_deliveries()
    assert (pair.crm.state()["triggered"], pair.crm.state()["triggered_twice"]) == (2, 0)


@pytest.mark.parametrize("fault", [{"fail": 3}, {"lock": 2}, {"lose": 2}, {"fail": 2, "status": 500}])
def test_a_platform_that_fails_now_and_then_gets_everything_once(pair: Any, clock: Any, fault: dict[str, int]) -> None:
    pair.evaluate()
    name = next(iter(fault))
    pair.crm.simulator.control(name, {"count": fault[name], "status": fault.get("status", 503)})
    for _ in range(12):
        pair.run_deliveries()
        clock.forward(700)
    state = pair.crm.state()
    assert (state["contacts"], state["triggered"], state["triggered_twice"]) == (2, 2, 0)
    assert {row.state for row in effects()} == {"done"}
    assert {row.outcome for row in effects(effect="start_automation")} == {"created"}, "counted as the platform counts"


@pytest.mark.parametrize("automation", ["list", "workflow"])
@pytest.mark.parametrize("effect", ["push_contact", "start_automation"])
def test_a_worker_that_dies_after_the_call_is_repeated_harmlessly(
    pair: Any, clock: Any, monkeypatch: pytest.MonkeyPatch, automation: str, effect: str
) -> None:
    """The platform did it, the hub never heard: the claim runs out, and nothing is done twice."""
    simulator = pair.crm.simulator
    number = simulator.list_id if automation == "list" else simulator.workflow_id
    pair.publish(automation=f"{automation}:{number}")
    pair.evaluate()
    true = delivery.settle_results
    died: list[str] = []

    def die(context: Any, parcel: Parcel, *rest: Any) -> bool:
        if parcel.effect == effect and not died:
            died.append(parcel.effect)
            raise KeyboardInterrupt
        return true(context, parcel, *rest)

    monkeypatch.setattr(delivery, "settle_results", die)
    with pytest.raises(KeyboardInterrupt):
        pair.run_deliveries()
    claimed = [row.id for row in effects(effect=effect) if row.state == "claimed"]
    assert claimed
    pair.run_deliveries()
    assert [row.id for row in effects(effect=effect) if row.state == "claimed"] == claimed, "nobody else may have it yet"
    clock.forward(pair.context.settings.lease + 1)
    pair.run_deliveries()
    state = pair.crm.state()
    assert (state["contacts"], state["triggered"], state["triggered_twice"]) == (2, 2, 0)
    assert {row.state for row in effects()} == {"done"}


def test_a_verdict_that_comes_too_late_changes_nothing(pair: Any, clock: Any) -> None:
    """The claim ran out, somebody else has the effects: the first worker's verdict is dropped."""
    pair.evaluate()
    [parcel] = parcels(pair)
    with transaction() as session:
        rows = boxes.claim(session, parcel, "slow", pair.context.now(), 40.0, 10)
    clock.forward(41)
    with transaction() as session:
        assert len(boxes.claim(session, parcel, "fast", pair.context.now(), 40.0, 10)) == 2
        late = boxes.settle(session, [row.id for row in rows], "slow", boxes.EffectState.DONE, pair.context.now())
    assert late == set()
    assert {(row.state, row.claimed_by, row.attempts) for row in effects(effect="push_contact")} == {("claimed", "fast", 2)}


def test_many_workers_send_everything_once(connected: Any, in_threads: Any) -> None:
    pair = connected()
    many(pair, 120)
    verbs = [lambda parcel=parcel: delivery.deliver(pair.context, parcel, "test", never) for parcel in parcels(pair)] * 4
    results = in_threads(*verbs)
    assert not [result for result in results if isinstance(result, Exception)], results
    assert (pair.crm.state()["triggered"], pair.crm.state()["triggered_twice"]) == (120, 0)


# Evaluations


def test_two_who_ask_at_once_get_one_evaluation(pair: Any, in_threads: Any) -> None:
    for _ in range(5):
        found = in_threads(*[lambda: request_evaluation(pair.context, "welcome")] * 6)
        assert len(set(found)) == 1, found
        assert evaluate.advance_evaluation(pair.context, found[0], "test", never)


def test_an_evaluation_that_is_broken_off_considers_everybody_once(
    connected: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = connected()
    for number in range(1, 31):
        buy(pair.shop, number, f"p{number}@poczta.example")
    pair.run_sync("woocommerce")
    pair.publish()
    monkeypatch.setattr(evaluate, "CHUNK", 7)
    evaluation_id = evaluate.request_evaluation(pair.context, "welcome")
    true, calls = evaluate._owe, []

    def die(*args: Any) -> None:
        calls.append(1)
        true(*args)
        if len(calls) in (2, 4):
            raise KeyboardInterrupt

    monkeypatch.setattr(evaluate, "_owe", die)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            evaluate.advance_evaluation(pair.context, evaluation_id, "dies", never)
        assert not evaluate.advance_evaluation(pair.context, evaluation_id, "early", never)
        clock.forward(pair.context.settings.lease + 1)
    assert evaluate.advance_evaluation(pair.context, evaluation_id, "slice", lambda: True)
    assert evaluate.advance_evaluation(pair.context, evaluation_id, "last", never)
    with reading() as session:
        row = scenarios.find_evaluation(session, evaluation_id)
    assert row is not None
    assert (row.state, row.considered, row.allowed) == ("done", 30, 30)
    assert len(effects(effect="start_automation")) == 30


def test_a_scenario_that_cannot_be_is_refused_with_the_field(pair: Any) -> None:
    good = {
        "key": "x",
        "name": "X",
        "segment": {"key": "s", "name": "S", "definition": {"orders": {}}},
        "connection": "hubspot",
        "channel": "email",
        "topic": "offers",
        "automation": "list:61",
    }
    assert publish_scenario(pair.context, good)
    for changed, field in (
        ({"key": "Not a key"}, "key"),
        ({"channel": "pigeon"}, "channel"),
        ({"automation": "61"}, "automation"),
        ({"automation": "flow:61"}, "automation"),
        ({"starts_per_minute": 0}, "starts_per_minute"),
        ({"surprise": 1}, "surprise"),
        ({"segment": {**good["segment"], "definition": {"orders": {"at_least": 0}}}}, "segment.definition.orders.at_least"),  # type: ignore[dict-item]
    ):
        with pytest.raises(Invalid) as caught:
            publish_scenario(pair.context, {**good, **changed})
        assert list(caught.value.fields) == [field], changed


def test_no_act_was_invented_on_the_way(connected: Any) -> None:
    """Invariant 1: every act in the ledger is a tick in the shop, whatever else was read, evaluated and delivered."""
    pair = connected({"customers": 60, "rebase": True})
    for _ in range(2):
        pair.run_sync("woocommerce")
        pair.publish()
        pair.evaluate()
        pair.run_deliveries()
    with reading() as session:
        acts = session.execute(sa.select(ledger.consent_act)).all()
        standard = set(session.scalars(sa.select(records.record.c.external_id).where(records.record.c.stream == "orders")))
    assert acts
    for act in acts:
        assert act.evidence["value"] == "1"
        assert act.evidence["record"] in standard
        table = pair.shop.simulator.tables["orders"]
        metas = {meta["key"]: meta["value"] for meta in table.get(int(act.evidence["record"]))["meta_data"]}
        kind = {"email": "newsletter", "sms": "sms"}[act.channel]
        assert metas[f"_wc_other/hub/{kind}-optin"] == "1"
