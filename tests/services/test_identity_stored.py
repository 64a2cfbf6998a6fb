"""Contacts made of batches: in whatever order and by however many workers the records come, one person is one contact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from shop_records import customer, order

from hub.core.types import Act, Channel, ConsentAct, Counts
from hub.services.consent import SHARED_ADDRESS, gate, may_contact, record_act
from hub.store import contacts
from hub.store.db import reading

CUSTOMERS = [
    customer(1, "anna@poczta.example", first_name="Anna", last_name="Nowak", phone="600 100 201"),
    customer(2, "jan@poczta.example", first_name="Jan", last_name="Nowak", phone="600 100 201"),
    customer(3, "biuro@firma.example", first_name="Ewa", last_name="Żuk"),
    customer(4),
]
ORDERS = [
    order(11, 1, "anna@poczta.example"),
    order(12, 1, "brak@brak.pl"),
    order(13, 3, "ewa.prywatnie@poczta.example"),
    order(14, 4),
    order(15, 4),
    order(16, 0, "guest@poczta.example"),
    order(17, 0, "guest@poczta.example", phone="600 300 300"),
    order(18, 0, "deleted@site.invalid"),
]


def shape(desk: Any) -> set[frozenset[str]]:
    """The records by whom they belong to, whatever the contacts' ids are."""
    groups: dict[str | None, set[str]] = {}
    for stream, raws in (("customers", CUSTOMERS), ("orders", ORDERS)):
        for raw in raws:
            groups.setdefault(desk.contact_of(stream, raw["id"]), set()).add(f"{stream}:{raw['id']}")
    nobody = groups.pop(None, set())
    return {frozenset(group) for group in groups.values()} | {frozenset([f"nobody {one}"]) for one in nobody}


WANTED = {
    frozenset({"customers:1", "orders:11", "orders:12"}),
    frozenset({"customers:2"}),
    frozenset({"customers:3", "orders:13"}),
    frozenset({"customers:4", "orders:14", "orders:15"}),
    frozenset({"orders:16", "orders:17"}),
    frozenset({"nobody orders:18"}),
}


def test_customers_then_orders(desk: Any) -> None:
    desk.store("customers", *CUSTOMERS)
    desk.store("orders", *ORDERS)
    assert shape(desk) == WANTED
    assert desk.people() == 5


@settings(max_examples=15)
@given(st.permutations(ORDERS), st.permutations(CUSTOMERS), st.integers(0, 8), st.integers(0, 8), st.booleans())
def test_any_order_of_arrival_makes_the_same_people(
    another_desk: Callable[[], Any], orders: list[Any], customers: list[Any], cut: int, gap: int, orders_first: bool
) -> None:
    """A customer may be read after their first orders: they registered while the shop was being read."""
    desk = another_desk()
    raws = fresh_addresses(desk, customers), fresh_addresses(desk, orders)
    steps: list[tuple[str, list[Any]]] = [("orders", raws[1][:cut]), ("orders", raws[1][cut:])]
    steps[gap % 3 : gap % 3] = [("customers", raws[0])]
    if orders_first:
        steps.sort(key=lambda step: step[0], reverse=True)
    for stream, batch in steps:
        desk.store(stream, *batch)
    assert shape(desk) == WANTED


def fresh_addresses(desk: Any, raws: list[Any]) -> list[Any]:
    """The same people at addresses of their own, so that the examples do not meet."""
    tail = desk.connection_id[-8:]
    digits = str(int(tail, 16) % 1000000).rjust(6, "7")

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: moved(item) for name, item in value.items()}
        if isinstance(value, str):
            return value.replace(".example", f"-{tail}.example").replace("600 100 201", f"60{digits}1")
        return value

    return [moved(raw) for raw in raws]


def test_the_same_batches_again_make_no_new_people(desk: Any) -> None:
    for _ in range(2):
        desk.store("customers", *CUSTOMERS)
        desk.store("orders", *ORDERS)
    assert shape(desk) == WANTED
    assert desk.people() == 5


def test_a_buyer_who_was_not_read_yet_keeps_their_orders(desk: Any) -> None:
    desk.store("orders", order(1, 7, "first@poczta.example"), order(2, 7, "second@poczta.example"))
    desk.store("orders", order(3, 7, "third@poczta.example"))
    contact_id = desk.contact_of("orders", 1)
    assert desk.orders_of(contact_id) == ["1", "2", "3"]
    assert desk.store("customers", customer(7, "own@poczta.example")) == Counts(read=1, created=1)
    assert desk.contact_of("customers", 7) == contact_id
    assert desk.profile(contact_id)["email"] == "own@poczta.example"
    assert desk.people() == 1


def test_what_is_typed_into_a_customers_order_gives_them_nobodys_address(desk: Any) -> None:
    desk.store("customers", customer(1, "anna@poczta.example"), customer(2, "jan@poczta.example"))
    desk.store("orders", order(5, 1, "jan@poczta.example"), order(6, 1, "new@poczta.example"))
    anna, jan = desk.contact_of("customers", 1), desk.contact_of("customers", 2)
    assert desk.orders_of(anna) == ["5", "6"]
    assert desk.orders_of(jan) == []
    with reading() as session:
        assert contacts.owners(session, "email", ["new@poczta.example"]) == {}


def test_an_order_fills_gaps_and_overwrites_nothing(desk: Any) -> None:
    desk.store("customers", customer(1, "anna@poczta.example", first_name="Anna"))
    desk.store("orders", order(5, 1, "anna@poczta.example", first_name="Ania", city="Łódź", phone="600 100 200"))
    profile = desk.profile(desk.contact_of("customers", 1))
    assert (profile["first_name"], profile["city"], profile["phone"]) == ("Anna", "Łódź", "+48600100200")


def test_a_shared_mailbox_is_refused_by_the_gate(desk: Any, context: Any) -> None:
    """Two people behind one address: the permission of the one is not the other's."""
    desk.store(
        "customers",
        customer(1, "biuro@firma.example", first_name="Ewa", last_name="Żuk"),
        customer(2, "biuro@firma.example", first_name="Jan", last_name="Żuk"),
    )
    ewa, jan = str(desk.contact_of("customers", 1)), str(desk.contact_of("customers", 2))
    assert ewa != jan
    for contact_id in (ewa, jan):
        record_act(
            context,
            contact_id,
            ConsentAct(Act.GRANTED, Channel.EMAIL, "offers", "", context.now(), "test", f"web:{contact_id}"),
        )
    with reading() as session:
        decisions = gate(session, contacts.profiles(session, [ewa, jan]), Channel.EMAIL, "offers", "", context.now())
    assert decisions[ewa].allowed
    assert (decisions[jan].allowed, decisions[jan].reason) == (False, SHARED_ADDRESS)
    assert may_contact(context, jan, Channel.EMAIL, "offers", context.now()) == decisions[jan]
    assert may_contact(context, ewa, Channel.EMAIL, "offers", context.now()) == decisions[ewa]


@pytest.mark.parametrize("run", range(3))
def test_workers_at_once_make_no_twins(desk: Any, another_desk: Any, in_threads: Any, run: int) -> None:
    """Overlapping batches of one shop, and the same people in another shop; also people with no address at all."""
    other = another_desk()
    batch = [customer(number, f"p{number}@poczta.example") for number in range(40)]
    batch += [customer(number, phone="brak") for number in range(40, 60)]
    results = in_threads(
        lambda: desk.store("customers", *batch[:50]),
        lambda: desk.store("customers", *batch[10:]),
        lambda: desk.store("customers", *reversed(batch)),
        lambda: other.store("customers", *batch[20:40]),
    )
    assert all(isinstance(result, Counts) for result in results), results
    assert desk.people() == 60
    for number in range(20, 40):
        assert desk.contact_of("customers", number) == other.contact_of("customers", number)
    with reading() as session:
        assert len(session.scalars(sa.select(contacts.identifier.c.value)).all()) == 40
