"""The simulated shop keeps what it made up; what people change in the shop is seen all the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hub.connectors.woocommerce import simulator
from hub.connectors.woocommerce.simulator import FIRST_CUSTOMER
from hub.connectors.woocommerce.simulator_table import Table

FIELDS = "id,email,billing"


@pytest.fixture
def customers() -> Any:
    return simulator.build(customers=5, recorded=False, orders=False)


def shown(table: Table, number: int, fields: str = FIELDS) -> Any:
    return json.loads(table.text(number, fields))


def test_a_record_is_the_same_each_time_and_for_each_choice_of_fields(customers: Any) -> None:
    table = customers.tables["customers"]
    first = shown(table, FIRST_CUSTOMER)
    assert shown(table, FIRST_CUSTOMER) == first
    assert list(shown(table, FIRST_CUSTOMER, "id,email")) == ["id", "email"]
    assert shown(table, FIRST_CUSTOMER) == first
    assert shown(table, FIRST_CUSTOMER + 1) != first


def test_a_change_is_seen_although_the_record_was_shown_before(customers: Any) -> None:
    table = customers.tables["customers"]
    before = shown(table, FIRST_CUSTOMER)
    customers.put_customer({"id": FIRST_CUSTOMER, "email": "new@poczta.example"})
    after = shown(table, FIRST_CUSTOMER)
    assert (before["email"] != "new@poczta.example", after["email"]) == (True, "new@poczta.example")
    assert after["billing"]["city"] == before["billing"]["city"]
    customers.delete_customer(FIRST_CUSTOMER)
    assert table.get(FIRST_CUSTOMER) is None
    assert FIRST_CUSTOMER not in table.ids


def test_what_has_no_room_is_made_anew_each_time(customers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.connectors.woocommerce.simulator_table.MADE_ONCE", 2)
    table = customers.tables["customers"]
    texts = [[table.text(FIRST_CUSTOMER + index, FIELDS) for index in range(5)] for _ in range(2)]
    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 5
