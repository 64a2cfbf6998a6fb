"""Reading a segment's definition: what is wrong is named by its place, and the tree answers for one contact."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.core.errors import Invalid
from hub.rules.segments import OrderFact, matches, parse_segment

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
ORDERS: dict[str, Any] = {"paid": True, "within_days": 90, "at_least": 2}


@pytest.mark.parametrize(
    ("definition", "place"),
    [
        (None, "definition"),
        ({}, "definition"),
        ([ORDERS], "definition"),
        ({"orders": ORDERS, "not": {}}, "definition"),
        ({"every": []}, "definition.every"),
        ({"all": []}, "definition.all"),
        ({"all": {"orders": ORDERS}}, "definition.all"),
        ({"all": [{"orders": ORDERS}, {"any": [{"not": {"field": "shoe"}}]}]}, "definition.all[1].any[0].not.field"),
        ({"field": "city", "is": ""}, "definition"),
        ({"field": "city", "is": 7}, "definition"),
        ({"field": "city", "known": False}, "definition"),
        ({"field": "city", "is": "Łódź", "known": True}, "definition"),
        ({"orders": []}, "definition.orders"),
        ({"orders": {"within_days": 0}}, "definition.orders.within_days"),
        ({"orders": {"within_days": "90"}}, "definition.orders.within_days"),
        ({"any": [{"orders": {"at_least": 0}}]}, "definition.any[0].orders.at_least"),
        ({"orders": {"colour": "red"}}, "definition.orders.colour"),
        ({"orders": {"total_at_least": 100}}, "definition.orders.currency"),
        ({"orders": {"currency": "PLN"}}, "definition.orders.currency"),
        ({"orders": {"currency": "zł", "total_at_least": 1}}, "definition.orders.currency"),
    ],
)
def test_errors_name_the_place(definition: Any, place: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_segment(definition)
    assert list(caught.value.fields) == [place]
    text = caught.value.fields[place]
    assert text
    assert "[" not in text.replace("[[", ""), "a sentence, not a Python list"


def paid(days: float, total: int = 1000, currency: str = "PLN") -> OrderFact:
    return OrderFact(True, AT - timedelta(days=days), total, currency)


def test_the_time_span_ends_now_and_begins_just_after_its_start() -> None:
    node = parse_segment({"orders": {"within_days": 90}})
    moment = timedelta(microseconds=1)
    assert matches(node, {}, [OrderFact(True, AT, 1, "PLN")], AT)
    assert not matches(node, {}, [OrderFact(True, AT + moment, 1, "PLN")], AT)
    assert not matches(node, {}, [paid(90)], AT)
    assert matches(node, {}, [OrderFact(True, AT - timedelta(days=90) + moment, 1, "PLN")], AT)


def test_money_counts_one_currency_only() -> None:
    node = parse_segment({"orders": {"total_at_least": 2000, "currency": "PLN"}})
    assert matches(node, {}, [paid(1), paid(2)], AT)
    assert not matches(node, {}, [paid(1), paid(2, currency="EUR")], AT)
    assert not matches(node, {}, [paid(1), paid(2, total=999)], AT)


def test_fields_and_groups() -> None:
    node = parse_segment({"all": [{"field": "city", "is": "Łódź"}, {"not": {"field": "phone", "known": True}}]})
    assert matches(node, {"city": "Łódź", "phone": None}, [], AT)
    assert matches(node, {"city": "Łódź", "phone": ""}, [], AT)
    assert not matches(node, {"city": "Łódź", "phone": "+48600100200"}, [], AT)
    assert not matches(node, {"city": "łódź"}, [], AT)
    either = parse_segment({"any": [{"field": "city", "is": "Łódź"}, {"orders": {}}]})
    assert matches(either, {}, [paid(400)], AT)
    assert not matches(either, {}, [OrderFact(False, AT, 1, "PLN")], AT)
