"""Contacts: verdicts, partial answers, and the search for the one that spoils a batch."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from hub.core.connector import Outcome, Outgoing
from hub.core.errors import ContractBroken, Invalid, RateLimited, Refused, Unavailable

UPSERT = "POST /crm/objects/2026-03/contacts/batch/upsert"
PATCH = "PATCH /crm/objects/2026-03/contacts/<contact>"


def outcomes(results):
    return [result.outcome.value for result in results]


def test_new_ones_are_created_then_updated(bench, people):
    connector = bench.connect()
    first = connector.write("contacts", people(3))
    again = connector.write("contacts", people(3))
    assert outcomes(first) == ["created"] * 3
    assert outcomes(again) == ["updated"] * 3
    assert [one.remote_id for one in first] == [one.remote_id for one in again]
    assert bench.sim.state()["contacts"] == 3


def test_nothing_to_write_makes_no_call(bench):
    assert bench.connect().write("contacts", []) == []
    assert bench.calls() == 0


def test_values_go_as_text(bench):
    values = {"email": " Ola@Example.TEST ", "firstname": None, "phone": 48, "city": ["a", "b"], "state": True}
    bench.connect().write("contacts", [Outgoing("k", values)])
    held = next(iter(bench.sim.contacts.by_id.values()))["properties"]
    assert (held["email"], held["firstname"], held["phone"]) == ("ola@example.test", "", "48")
    assert (held["city"], held["state"]) == ("a;b", "true")


@pytest.mark.parametrize("place", [0, 1, 49, 50, 51, 99, 437, 999])
def test_one_poison_in_a_thousand_costs_at_most_24_calls(bench, people, place):
    connector = bench.connect()
    bench.sim.poison.add(f"p{place}@example.test")
    results = []
    for batch in range(10):
        results += connector.write("contacts", people(100, batch * 100))
    assert bench.calls() <= 24
    assert bench.sim.state()["contacts"] == 999
    assert [at for at, result in enumerate(results) if result.outcome is Outcome.REJECTED] == [place]
    assert outcomes(results).count("created") == 999
    assert (results[place].reason, results[place].field) == ("was not one of the allowed options", "lifecyclestage")


@pytest.mark.parametrize("places", [(0, 99), (49, 50), (10, 11), (98, 99), (0, 1)])
def test_two_poisons_in_one_batch(bench, people, places):
    bench.sim.poison.update(f"p{place}@example.test" for place in places)
    results = bench.connect().write("contacts", people(100))
    assert [at for at, result in enumerate(results) if result.outcome is Outcome.REJECTED] == list(places)
    assert bench.sim.state()["contacts"] == 98
    assert bench.calls() <= 30


def test_many_poisons_at_random_are_all_found_in_the_end(bench, people):
    chosen = set(random.Random(5).sample(range(100), 30))
    bench.sim.poison.update(f"p{place}@example.test" for place in chosen)
    connector, waiting, rejected = bench.connect(), people(100), set()
    for _ in range(20):
        before = bench.calls()
        results = connector.write("contacts", waiting)
        assert bench.calls() - before <= 40
        rejected |= {one.key for one, result in zip(waiting, results, strict=True) if result.outcome is Outcome.REJECTED}
        waiting = [one for one, result in zip(waiting, results, strict=True) if result.outcome is Outcome.POSTPONED]
        if not waiting:
            break
    assert rejected == {f"k{place}" for place in chosen}
    assert bench.sim.state()["contacts"] == 70


def test_an_address_that_hubspot_names_costs_one_more_call(bench, people):
    records = people(100)
    records[42] = Outgoing("bad", {"email": "not-an-address"})
    results = bench.connect().write("contacts", records)
    assert bench.calls() == 2
    assert (results[42].outcome, results[42].field) == (Outcome.REJECTED, "email")
    assert results[42].reason == "Email address not-an-address is invalid"
    assert outcomes(results).count("created") == 99


def test_a_partial_answer_is_matched_by_trace(serve, people):
    bench = serve(strict_batches=False, poison="p3@example.test,p7@example.test")
    bench.sim.contacts.reverse_results = True
    results = bench.connect().write("contacts", people(10))
    assert bench.calls() == 1
    assert [at for at, result in enumerate(results) if result.outcome is Outcome.REJECTED] == [3, 7]
    for at, result in enumerate(results):
        if result.outcome is Outcome.CREATED:
            assert bench.sim.contacts.by_id[result.remote_id]["properties"]["email"] == f"p{at}@example.test"


def test_results_out_of_order_without_traces_are_matched_by_key(bench, people):
    bench.sim.contacts.reverse_results = True
    bench.sim.contacts.repeat_traces = False
    results = bench.connect().write("contacts", people(10))
    for at, result in enumerate(results):
        assert bench.sim.contacts.by_id[result.remote_id]["properties"]["email"] == f"p{at}@example.test"


def test_a_contact_found_by_a_further_address_is_matched(bench, people):
    contact = bench.sim.contacts.create(
        {"email": "main@example.test", "hs_additional_emails": "p0@example.test;x@example.test"}
    )
    bench.sim.contacts.repeat_traces = False
    results = bench.connect().write("contacts", people(2))
    assert results[0] == replace(results[0], outcome=Outcome.UPDATED, remote_id=contact["id"])
    assert contact["properties"]["email"] == "main@example.test"


def test_duplicates_in_a_batch_are_sent_once_and_the_later_wins(bench):
    records = [
        Outgoing("a", {"email": "ola@example.test", "firstname": "Old"}),
        Outgoing("b", {"email": "jan@example.test", "firstname": "Jan"}),
        Outgoing("c", {"email": "OLA@example.test", "firstname": "New"}),
    ]
    results = bench.connect().write("contacts", records)
    assert results[0] == results[2]
    assert bench.sim.contacts.by_id[results[0].remote_id]["properties"]["firstname"] == "New"
    assert bench.sim.state()["upserted"] == 2


def test_a_record_without_key_is_rejected_without_a_call(bench):
    (result,) = bench.connect().write("contacts", [Outgoing("a", {"firstname": "Ola"})])
    assert (result.outcome, result.field, bench.calls()) == (Outcome.REJECTED, "email", 0)


def test_an_unknown_property_is_the_dictionarys_fault(bench, people):
    with pytest.raises(Invalid) as caught:
        bench.connect().write("contacts", people(100, shoe_size="38"))
    assert "create it" in caught.value.fields["shoe_size"]
    assert bench.calls() == 1


def test_a_read_only_property_is_the_dictionarys_fault(bench, people):
    with pytest.raises(Invalid) as caught:
        bench.connect().write("contacts", people(5, hs_object_id="1"))
    assert "take it out" in caught.value.fields["hs_object_id"]


def test_an_unknown_property_in_a_partial_answer(serve, people):
    bench = serve(strict_batches=False)
    with pytest.raises(Invalid):
        bench.connect().write("contacts", people(3, shoe_size="38"))
    mixed = people(2) + people(1, 2, shoe_size="38")
    assert outcomes(bench.connect().write("contacts", mixed)) == ["created", "created", "postponed"]


def unique_property(bench):
    body = {"name": "hub_id", "label": "Hub", "type": "string", "fieldType": "text", "groupName": "g", "hasUniqueValue": True}
    bench.sim.contacts.add_property(body)


def test_a_unique_property_as_key_follows_a_changed_address(bench):
    unique_property(bench)
    connector = bench.connect(id_property="hub_id")
    (first,) = connector.write("contacts", [Outgoing("k1", {"email": "old@example.test"})])
    (second,) = connector.write("contacts", [Outgoing("k1", {"email": "new@example.test"})])
    assert (second.outcome, second.remote_id) == (Outcome.UPDATED, first.remote_id)
    assert bench.sim.state()["contacts"] == 1


def test_an_existing_id_in_the_way_is_adopted(bench):
    unique_property(bench)
    taken = bench.sim.contacts.create({"email": "ola@example.test"})
    (result, other) = bench.connect(id_property="hub_id").write(
        "contacts",
        [Outgoing("k1", {"email": "ola@example.test", "city": "Łódź"}), Outgoing("k2", {"email": "jan@example.test"})],
    )
    assert (result.outcome, result.remote_id, other.outcome) == (Outcome.UPDATED, taken["id"], Outcome.CREATED)
    assert taken["properties"]["city"] == "Łódź"
    assert bench.sim.state()["by_path"][PATCH] == 1


def test_a_property_that_is_not_unique_cannot_be_the_key(bench, people):
    with pytest.raises(Invalid) as caught:
        bench.connect(id_property="city").write("contacts", people(2))
    assert "id_property" in caught.value.fields
    assert bench.calls() == 1


def test_a_lost_answer_repeated_writes_nothing_twice(bench, people):
    connector = bench.connect()
    bench.sim.control("lose", {"count": 1})
    with pytest.raises(Unavailable):
        connector.write("contacts", people(5))
    assert outcomes(connector.write("contacts", people(5))) == ["updated"] * 5
    assert bench.sim.state()["contacts"] == 5


def test_a_limit_before_any_verdict_raises(serve, people):
    bench = serve(burst=1, window=60.0)
    connector = bench.connect()
    connector.write("contacts", people(1))
    with pytest.raises(RateLimited) as caught:
        connector.write("contacts", people(1))
    assert caught.value.after == 10.0
    assert caught.value.details == {"policy": "TEN_SECONDLY_ROLLING"}


def test_a_limit_in_the_middle_keeps_the_verdicts_and_postpones_the_rest(serve, people):
    bench = serve(burst=3, window=60.0, poison="p90@example.test")
    results = bench.connect().write("contacts", people(100))
    assert outcomes(results)[:75] == ["created"] * 75
    assert {(one.outcome, one.after) for one in results[75:]} == {(Outcome.POSTPONED, 10.0)}
    assert bench.sim.state()["contacts"] == 75


def test_an_answer_that_says_nothing_is_not_a_success(bench, people, monkeypatch):
    silent = (200, {"status": "COMPLETE", "results": []})
    monkeypatch.setattr(bench.sim.contacts, "batch", lambda kind, body: silent)
    with pytest.raises(ContractBroken):
        bench.connect().write("contacts", people(3))


def test_what_has_no_verdict_is_postponed(bench, people, monkeypatch):
    whole = bench.sim.contacts.batch

    def without_the_last(kind, body):
        status, answer = whole(kind, body)
        return status, {**answer, "results": answer["results"][:-1]}

    monkeypatch.setattr(bench.sim.contacts, "batch", without_the_last)
    assert outcomes(bench.connect().write("contacts", people(3))) == ["created", "created", "postponed"]


def test_errors_that_name_nobody_are_traced_by_asking_again(bench, people, monkeypatch):
    bench.sim.contacts.strict_batches = False
    bench.sim.poison.add("p2@example.test")
    whole = bench.sim.contacts.batch

    def nameless(kind, body):
        _, answer = whole(kind, body)
        return 200, {**answer, "errors": [{**one, "context": {}} for one in answer.get("errors", ())]}

    monkeypatch.setattr(bench.sim.contacts, "batch", nameless)
    assert outcomes(bench.connect().write("contacts", people(4))) == ["created", "created", "rejected", "created"]


def test_streams_and_sizes_are_refused_politely(bench, people):
    connector = bench.connect()
    for wrong in (lambda: connector.write("deals", people(1)), lambda: connector.write("contacts", people(101))):
        with pytest.raises(Refused):
            wrong()
    with pytest.raises(Refused):
        connector.read("contacts", None)
