"""One tree, two readers: SQL over all contacts finds exactly those that Python finds one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.rules.segments import FIELDS, matches, parse_segment
from hub.store import connections, contacts, orders, segments
from hub.store.connections import ConnectionRow
from hub.store.db import new_id, reading, transaction

AT = datetime(2026, 11, 22, 12, 30, 15, 123456, tzinfo=UTC)
TEXTS = ["Łódź", "PL", "łódź", "%", "_", "o'Neil", "a b", "0"]
_numbers = count(1)

conditions: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(lambda name, text: {"field": name, "is": text}, st.sampled_from(FIELDS), st.sampled_from(TEXTS)),
    st.builds(lambda name: {"field": name, "known": True}, st.sampled_from(FIELDS)),
    st.builds(
        lambda paid, days, least, money: {
            "orders": {"paid": paid, "at_least": least} | ({"within_days": days} if days else {}) | money
        },
        st.booleans(),
        st.sampled_from([None, 1, 30, 90]),
        st.integers(1, 3),
        st.sampled_from([{}, {"total_at_least": 1, "currency": "PLN"}, {"total_at_least": 300, "currency": "EUR"}]),
    ),
)
trees = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"not": part}, inner),
    ),
    max_leaves=6,
)
people = st.fixed_dictionaries({name: st.sampled_from([None, "", *TEXTS]) for name in FIELDS if name != "country"}) | st.just(
    {"country": "PL", "city": "Łódź"}
)
moments = st.builds(
    lambda days, microseconds: AT - timedelta(days=days) + timedelta(microseconds=microseconds),
    st.sampled_from([0, 1, 30, 90, 400]),
    st.sampled_from([-1, 0, 1]),
)
purchases = st.fixed_dictionaries(
    {
        "paid": st.booleans(),
        "placed_at": moments,
        "paid_at": st.none() | moments,
        "currency": st.sampled_from(["PLN", "EUR"]),
        "total": st.integers(0, 400),
        "refunded": st.integers(0, 400),
    }
)


@pytest.fixture
def connection_id(app: object) -> str:
    row = ConnectionRow(new_id(), "shop", "woocommerce", "1", "Shop", {}, {}, "active", None, None, AT, AT)
    with transaction() as session:
        connections.save_connection(session, row)
    return row.id


def save(connection_id: str, person: dict[str, Any], bought: list[dict[str, Any]]) -> str:
    contact_id = new_id()
    with transaction() as session:
        blank = dict.fromkeys(contacts.PROFILE)
        contacts.save_contacts(session, [{**blank, **person, "id": contact_id, "created_at": AT, "updated_at": AT}])
        orders.save_orders(
            session,
            [
                {
                    "connection_id": connection_id,
                    "external_id": str(next(_numbers)),
                    "contact_id": contact_id,
                    "number": "1",
                    "status": "completed",
                    "guest": False,
                    "email": None,
                    **order,
                }
                for order in bought
            ],
        )
    return contact_id


@settings(max_examples=70)
@given(st.lists(trees, min_size=1, max_size=4), st.lists(st.tuples(people, st.lists(purchases, max_size=4)), max_size=4))
def test_sql_finds_whom_python_finds(connection_id: str, definitions: list[Any], crowd: list[tuple[Any, Any]]) -> None:
    ids = sorted(save(connection_id, *one) for one in crowd)
    with reading() as session:
        profiles = contacts.profiles(session, ids)
        facts = {contact_id: segments.order_facts(session, contact_id) for contact_id in ids}
        for definition in definitions:
            node = parse_segment(definition)
            found = [one for one in segments.members(session, node, AT, None, 1_000_000) if one in profiles]
            wanted = [one for one in ids if matches(node, profiles[one], facts[one], AT)]
            assert found == wanted, definition


@pytest.mark.parametrize("away", [-1, 0, 1], ids=["just outside", "at the start", "just inside"])
@pytest.mark.parametrize("paid", [True, False])
def test_the_time_span_has_the_same_ends_in_both(connection_id: str, away: int, paid: bool) -> None:
    """To the microsecond, at its start and at its end; unpaid orders count from when they were placed."""
    start, end = AT - timedelta(days=90) + timedelta(microseconds=away), AT - timedelta(microseconds=away)
    node = parse_segment({"orders": {"paid": paid, "within_days": 90}})
    money = {"currency": "PLN", "total": 1, "refunded": 0}
    for moment in (start, end):
        times = {"placed_at": AT - timedelta(days=200), "paid_at": moment} if paid else {"placed_at": moment, "paid_at": None}
        contact_id = save(connection_id, {}, [{"paid": paid, **times, **money}])
        inside = away > 0 or (away == 0 and moment == end)
        with reading() as session:
            assert matches(node, {}, segments.order_facts(session, contact_id), AT) is inside
            assert (contact_id in segments.members(session, node, AT, None, 10)) is inside


def test_members_come_in_pages_that_miss_nobody(connection_id: str) -> None:
    ids = sorted(save(connection_id, {"city": "Łódź"}, []) for _ in range(7))
    node = parse_segment({"field": "city", "is": "Łódź"})
    seen: list[str] = []
    with reading() as session:
        while page := segments.members(session, node, AT, seen[-1] if seen else None, 3):
            seen += page
    assert seen == ids


def test_orders_without_a_contact_make_nobody_a_member(connection_id: str) -> None:
    contact_id = save(connection_id, {"city": "Łódź"}, [])
    with transaction() as session:
        row = {"connection_id": connection_id, "external_id": "x", "contact_id": None, "number": "1", "status": "completed"}
        row |= {"paid": True, "guest": True, "email": None, "placed_at": AT, "paid_at": AT, "currency": "PLN"}
        orders.save_orders(session, [{**row, "total": 1, "refunded": 0}])
    with reading() as session:
        assert segments.members(session, parse_segment({"orders": {}}), AT, None, 10) == []
        assert segments.members(session, parse_segment({"not": {"orders": {}}}), AT, None, 10) == [contact_id]


def test_times_before_the_year_1000_come_back_as_they_were(connection_id: str) -> None:
    """Some shop systems write 0001-01-01 for «never»."""
    early = datetime(1, 1, 1, tzinfo=UTC)
    bought = {"paid": True, "placed_at": early, "paid_at": early, "currency": "PLN", "total": 1, "refunded": 0}
    contact_id = save(connection_id, {}, [bought])
    with reading() as session:
        assert [fact.at for fact in segments.order_facts(session, contact_id)] == [early]
