"""List members and automations: once per person, even when a call is repeated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hub.core.connector import Outcome, Outgoing
from hub.core.errors import Invalid, NotFound, ReauthorizeNeeded, Refused, Unavailable
from hub.transport.simulation import Faults


@pytest.fixture
def written(bench, people):
    """Five contacts with their ids."""
    records = people(5)
    results = bench.connect().write("contacts", records)
    return [replace(record, remote_id=result.remote_id) for record, result in zip(records, results, strict=True)]


def outcomes(results):
    return [result.outcome.value for result in results]


def order(record, list_id, member=True):
    return replace(record, values={"list_id": list_id, "member": member, "remote_id": record.remote_id})


def test_a_list_starts_once(bench, written):
    connector = bench.connect()
    assert outcomes(connector.trigger("list:61", written)) == ["created"] * 5
    assert outcomes(connector.trigger("list:61", written)) == ["unchanged"] * 5
    state = bench.sim.state()
    assert (state["triggered"], state["triggered_twice"], state["members"]["61"]) == (5, 0, 5)


def test_a_lost_answer_starts_nothing_twice(bench, written):
    connector = bench.connect()
    bench.sim.control("lose", {})
    with pytest.raises(Unavailable):
        connector.trigger("list:61", written)
    assert outcomes(connector.trigger("list:61", written)) == ["unchanged"] * 5
    assert bench.sim.state()["triggered_twice"] == 0


def test_people_unknown_to_hubspot_are_rejected(bench, written):
    records = [written[0], replace(written[1], remote_id="999999"), replace(written[2], remote_id=None)]
    assert outcomes(bench.connect().trigger("list:61", records)) == ["created", "rejected", "rejected"]


def test_one_person_twice_in_a_call(bench, written):
    results = bench.connect().trigger("list:61", [written[0], written[1], written[0]])
    assert outcomes(results) == ["created"] * 3
    assert bench.sim.state()["triggered"] == 2


def test_six_hundred_go_in_two_calls_and_a_failure_between_postpones(bench, people):
    ids = [bench.sim.contacts.create({"email": f"m{at}@example.test"})["id"] for at in range(600)]
    records = [Outgoing(f"k{at}", {}, remote_id=one) for at, one in enumerate(ids)]
    faults = Faults(bench.sim.app)
    connector = bench.connect()
    lists = bench.sim.lists
    change = lists.change

    def once(*given):
        bench.sim.control("fail", {"count": 1, "status": 503})
        return change(*given)

    lists.change = once
    results = connector.trigger("list:62", records)
    assert outcomes(results) == ["created"] * 500 + ["postponed"] * 100
    assert faults.spoiled == {}


@pytest.mark.parametrize(("automation", "error"), [("list:77", NotFound), ("list:63", Refused)])
def test_a_list_that_takes_no_members_is_the_set_ups_fault(bench, written, automation, error):
    with pytest.raises(error, match=automation.partition(":")[2]):
        bench.connect().trigger(automation, written)


@pytest.mark.parametrize(
    ("automation", "error"), [("flow:1", Refused), ("list:", Invalid), ("list:a/b", Invalid), ("", Refused)]
)
def test_automations_that_cannot_be(bench, written, automation, error):
    with pytest.raises(error):
        bench.connect().trigger(automation, written)
    assert bench.calls() == 1


def test_a_workflow_enrols_by_address(bench, written):
    assert outcomes(bench.connect().trigger("workflow:4411", written[:2])) == ["created"] * 2
    assert [one["email"] for one in bench.sim.lists.enrolments] == ["p0@example.test", "p1@example.test"]


@pytest.mark.parametrize("known", [True, False])
def test_a_repeated_enrolment_looks_first(bench, written, known):
    connector, record = bench.connect(), written[0]
    bench.sim.control("lose", {})
    with pytest.raises(Unavailable):
        connector.trigger("workflow:4411", [record])
    again = replace(record, attempt=2, remote_id=record.remote_id if known else None)
    assert outcomes(connector.trigger("workflow:4411", [again])) == ["unchanged"]
    assert bench.sim.state()["triggered_twice"] == 0


def test_a_repeated_enrolment_that_never_arrived_is_made(bench, written):
    assert outcomes(bench.connect().trigger("workflow:4411", [replace(written[0], attempt=2)])) == ["created"]


def test_enrolments_that_hubspot_refuses(bench, written):
    stranger = Outgoing("s", {"email": "stranger@example.test"})
    nobody = Outgoing("n", {})
    assert outcomes(bench.connect().trigger("workflow:4411", [stranger, nobody, written[0]])) == [
        "rejected",
        "rejected",
        "created",
    ]
    bench.sim.control("workflow", {"enabled": False})
    (result,) = bench.connect().trigger("workflow:4411", written[1:2])
    assert (result.outcome, result.reason) == (Outcome.REJECTED, "Workflow 4411 is turned off.")


def test_a_missing_scope_names_itself(bench, written):
    bench.sim.control("missing_scope", {"scope": "automation"})
    with pytest.raises(ReauthorizeNeeded, match="automation") as caught:
        bench.connect().trigger("workflow:4411", written)
    assert caught.value.details == {"scopes": ["automation"]}


def test_members_come_and_go(bench, written):
    connector = bench.connect()
    add = [order(record, "62") for record in written[:3]]
    assert outcomes(connector.write("list_members", add)) == ["created"] * 3
    mixed = [order(written[0], "62"), order(written[1], "62", False), order(written[4], "62", False), order(written[3], "61")]
    assert outcomes(connector.write("list_members", mixed)) == ["unchanged", "updated", "unchanged", "created"]
    assert bench.sim.state()["members"] == {"61": 1, "62": 2, "63": 0}


def test_members_that_do_not_exist(bench, written):
    gone = replace(written[0], remote_id="999999")
    none = replace(written[0], remote_id=None)
    results = bench.connect().write("list_members", [order(gone, "62"), order(gone, "61", False), order(none, "62")])
    assert outcomes(results) == ["rejected", "unchanged", "rejected"]


def test_of_two_orders_for_one_member_the_later_counts(bench, written):
    results = bench.connect().write("list_members", [order(written[0], "62"), order(written[0], "62", False)])
    assert outcomes(results) == ["unchanged", "unchanged"]
    assert bench.sim.state()["members"]["62"] == 0


def test_a_second_list_that_is_gone_does_not_hide_the_first(bench, written):
    results = bench.connect().write("list_members", [order(written[0], "62"), order(written[0], "77")])
    assert outcomes(results) == ["created", "postponed"]


def test_a_record_without_list_is_invalid(bench, written):
    with pytest.raises(Invalid):
        bench.connect().write("list_members", [written[0]])
