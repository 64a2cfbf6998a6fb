"""Where two things cross: withdrawals and joins, two scenarios and one push, a slow call and its lease, a list that is gone."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hub.core.types import Act, Channel, ConsentAct
from hub.services import delivery, settling
from hub.services.consent import may_contact
from hub.services.evidence import note_acts
from hub.store import boxes, connections, dues, quarantine
from hub.store.boxes import EffectState
from hub.store.db import reading, transaction
from tests.services.test_chain import buy, contact_by, decisions, effects, pair, parcels, withdraw

__all__ = ["pair"]


def act(what: Act, at: Any, reference: str, **rest: Any) -> ConsentAct:
    return ConsentAct(what, Channel.EMAIL, rest.get("topic", "offers"), "", at, "shop", reference, {"record": "1"})


def test_a_list_that_is_gone_stops_what_needs_it_and_nothing_else(pair: Any) -> None:
    """A scenario with a wrong list: those effects are refused with the reason, the connection goes on."""
    pair.publish(list="999")
    evaluation_id = pair.evaluate()
    pair.run_deliveries()
    assert pair.crm.state()["triggered"] == 2
    assert {row.state for row in effects(detail="+999")} == {"rejected"}
    with reading() as session:
        row = connections.get_connection(session, "hubspot")
        entries = [entry for entry in quarantine.list_entries(session) if entry.direction == "out"]
    assert row.state == connections.ACTIVE
    assert {entry.field for entry in entries} == {"+999"}
    assert all(allowed for allowed, reason in decisions(evaluation_id).values() if reason == "allowed")


def test_a_push_that_one_scenario_may_not_make_is_made_for_the_other(pair: Any) -> None:
    """Two scenarios wait for one push; consent for the first one's topic goes, the second one's start still leaves."""
    anna, now = contact_by("anna@poczta.example"), pair.context.now()
    pair.publish(key="news", topic="news")
    with transaction() as session:
        note_acts(session, "x", [(anna, act(Act.GRANTED, now - timedelta(days=1), "r1", topic="news"))], now)
    first = pair.evaluate("welcome")
    second = pair.evaluate("news")
    withdraw(pair, anna, topic="offers")
    pair.run_deliveries()
    assert decisions(first)[anna] == (False, "withdrawn")
    assert decisions(second)[anna] == (True, "allowed")
    started = effects(contact_id=anna, effect="start_automation", evaluation_id=second)
    assert [row.state for row in started] == ["done"]


def test_a_join_that_a_withdrawal_overtook_is_undone(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate said yes, the call is on its way, the person says no, their leaving is quicker: they leave again."""
    simulator = pair.crm.simulator
    pair.publish(list=simulator.segment_list_id)
    pair.evaluate()
    push = next(parcel for parcel in parcels(pair) if parcel.effect == "push_contact")
    delivery.deliver(pair.context, push, "test", lambda: False)
    anna = contact_by("anna@poczta.example")
    true = delivery._call
    crossed: list[str] = []

    def slow(connector: Any, parcel: Any, records: Any) -> Any:
        if parcel.detail.startswith("+") and not crossed:
            crossed.append(parcel.detail)
            withdraw(pair, anna)
            for leaving in [one for one in parcels(pair) if one.lane == "urgent"]:
                delivery.deliver(pair.context, leaving, "quick", lambda: False)
        return true(connector, parcel, records)

    monkeypatch.setattr(delivery, "_call", slow)
    pair.run_deliveries()
    assert crossed
    assert pair.crm.state()["members"][simulator.segment_list_id] == 1


def test_a_withdrawal_found_by_a_sync_leaves_every_list(pair: Any) -> None:
    pair.publish(list=pair.crm.simulator.segment_list_id)
    pair.evaluate()
    pair.run_deliveries()
    anna, now = contact_by("anna@poczta.example"), pair.context.now()
    with transaction() as session:
        note_acts(session, pair.shop_id, [(anna, act(Act.WITHDRAWN, now, "orders:9:tick:withdrawn"))], now)
    assert {parcel.lane for parcel in parcels(pair)} == {"urgent"}
    pair.run_deliveries()
    lists = (pair.crm.simulator.segment_list_id, pair.crm.simulator.list_id)
    assert [pair.crm.state()["members"][one] for one in lists] == [1, 1]


def test_a_yes_from_the_future_is_not_believed_and_noted(pair: Any) -> None:
    """A local time read as UTC: it must not beat a withdrawal made in between."""
    buy(pair.shop, 7, "late@poczta.example", at=(pair.context.now() + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S"))
    pair.run_sync("woocommerce")
    late = contact_by("late@poczta.example")
    later = pair.context.now() + timedelta(hours=3)
    assert may_contact(pair.context, late, Channel.EMAIL, "offers", later).reason == "no_consent"
    with reading() as session:
        [entry] = [one for one in quarantine.list_entries(session) if one.code == "future_consent"]
    assert (entry.external_id, entry.whole) == ("7", False)


def test_each_no_of_one_field_counts(pair: Any) -> None:
    """yes, no, yes by another way, no again in the same field: the last no is not lost."""
    anna, now = contact_by("anna@poczta.example"), pair.context.now()
    for days, what, reference in (
        (5, Act.WITHDRAWN, "people:1:tick:withdrawn:5"),
        (4, Act.GRANTED, "form:2"),
        (3, Act.WITHDRAWN, "people:1:tick:withdrawn:3"),
    ):
        with transaction() as session:
            note_acts(session, "x", [(anna, act(what, now - timedelta(hours=days), reference))], now)
    later = now + timedelta(days=9)
    assert may_contact(pair.context, anna, Channel.EMAIL, "offers", later).reason == "withdrawn"


def test_a_slow_call_keeps_its_claim(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform needs longer than the lease: nobody else may send the same meanwhile."""
    pair.context = replace(pair.context, settings=replace(pair.context.settings, lease=1.0))
    pair.evaluate()
    [parcel] = parcels(pair)
    true = delivery._call
    stolen: list[int] = []

    def slow(connector: Any, one: Any, records: Any) -> Any:
        time.sleep(2.5)
        with transaction() as session:
            stolen.append(len(boxes.claim(session, one, "thief", pair.context.now(), 1.0, 10)))
        return true(connector, one, records)

    monkeypatch.setattr(delivery, "_call", slow)
    assert delivery.deliver(pair.context, parcel, "slow", lambda: True) == 2
    assert stolen == [0]


def test_what_was_held_across_two_transactions_is_let_go(pair: Any) -> None:
    """As after two workers crossed: held although the contact has been pushed, or although no push is on its way."""
    pair.evaluate()
    pair.run_deliveries()
    with transaction() as session:
        session.execute(boxes.outbox.update().where(boxes.outbox.c.effect == "start_automation").values(state="held"))
    assert settling.sweep_held(pair.context) == 2
    assert {row.state for row in effects(effect="start_automation")} == {EffectState.OWED.value}
    with reading() as session:
        assert dues.count_open(session) == 2
