from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.core.texts import error_text
from hub.core.types import Act, Channel, Target
from hub.mapping.apply import Mapped, RecordInvalid, compile_reads, compile_writes, preview
from hub.mapping.convert import REASONS
from hub.mapping.dictionary import load_reads, load_writes

CONTACTS = """
[reads.people]
id = "id"
[reads.people.fields]
email = { from = "email" }
phone = { from = ["billing.phone", "shipping.phone"], country = "billing.country" }
first_name = { from = ["first_name", "billing.first_name"], transforms = ["deleted_is_empty"] }
country = { from = "billing.country" }
registered_at = { from = "created" }
"""
ORDERS = """
[reads.orders]
id = "id"
[reads.orders.fields]
number = { from = "number" }
status = { from = "status" }
placed_at = { from = "created" }
currency = { from = "currency" }
total = { from = "total", currency = "currency" }
refunded = { from = "refunds[].total", currency = "currency", transforms = ["absolute"] }
buyer_id = { from = "customer_id", transforms = ["zero_is_empty"] }
items = { from = "line_items[]" }
"""
ACT = '[[reads.people.consents]]\nfrom = "tick"\nyes = ["1", "tak"]\nno = ["0"]\nat = "created"\ntopic = "offers"\n'
ORDER: dict[str, Any] = {
    "id": 5,
    "number": "5",
    "status": "processing",
    "created": "2026-01-02T03:04:05",
    "currency": "PLN",
    "total": "885.61",
    "refunds": [{"total": "-12.00"}, {"total": -0.5}],
    "customer_id": 0,
    "line_items": [{}, {}],
}


def people(raw: Any, more: str = "", **rest: Any) -> Mapped:
    return compile_reads(load_reads(CONTACTS + more, "people", Target.CONTACT), source="shop", **rest)(raw)


def order(**changes: Any) -> Mapped:
    return compile_reads(load_reads(ORDERS, "orders", Target.ORDER))({**ORDER, **changes})


def codes(caught: pytest.ExceptionInfo[RecordInvalid]) -> dict[str, str]:
    return {error.field: error.code for error in caught.value.errors}


def test_a_record_is_mapped_in_the_hubs_order() -> None:
    found = people({"created": "2026-01-02 03:04:05+0200", "id": 7, "first_name": " Ola ", "email": "Ola@Example.com"})
    assert found == Mapped("7", {"email": "ola@example.com", "first_name": "Ola", "registered_at": "2026-01-02T01:04:05Z"})
    assert list(found.standard) == ["email", "first_name", "registered_at"]


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_everything_empty_is_left_out(empty: Any) -> None:
    raw = {"id": "a", "email": empty, "first_name": empty, "created": empty, "billing": {"phone": empty, "country": empty}}
    assert people(raw).standard == {}
    assert people({"id": "a", "billing": []}).standard == {}


def test_the_first_value_that_is_not_empty_wins() -> None:
    raw = {
        "id": 1,
        "first_name": "[deleted]",
        "billing": {"phone": " ", "first_name": "Ola"},
        "shipping": {"phone": "533333309"},
    }
    assert people(raw).standard == {"phone": "+48533333309", "first_name": "Ola"}


def test_a_phone_number_is_read_in_the_records_own_country() -> None:
    raw = {"id": 1, "billing": {"phone": "603 123 456", "country": "CZ"}}
    assert people(raw).standard["phone"] == "+420603123456"
    raw["billing"] = {"phone": "603 123 456", "country": "?"}
    assert people(raw).standard["phone"] == "+48603123456"
    assert people(raw, country="CZ").standard["phone"] == "+420603123456"


def test_what_may_be_dropped_is_dropped_and_told_without_its_value() -> None:
    found = people({"id": 1, "email": "a@b.pl", "billing": {"phone": "tajne", "country": "Nibylandia"}})
    assert found.standard == {"email": "a@b.pl"}
    assert [(error.field, error.code, error.value_class) for error in found.dropped] == [
        ("phone", "bad_phone", "text of 5 characters"),
        ("country", "bad_country", "text of 10 characters"),
    ]
    assert "tajne" not in repr(found)


def test_a_bad_record_is_refused_with_every_reason_and_no_value() -> None:
    with pytest.raises(RecordInvalid) as caught:
        people({"id": 9, "email": "ola kowalska", "first_name": True, "created": "yesterday"})
    assert caught.value.external_id == "9"
    assert codes(caught) == {"email": "bad_email", "first_name": "wrong_type", "registered_at": "bad_time"}
    for text in (
        str(caught.value),
        json.dumps(caught.value.as_json()),
        error_text(caught.value, "pl"),
        repr(caught.value.errors),
    ):
        assert "kowalska" not in text
        assert "yesterday" not in text
    assert "  email: To nie jest adres e-mail (text of 12 characters): Popraw adres" in error_text(caught.value, "pl")
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.errors == caught.value.errors
    assert caught.value.errors[0].as_json()["code"] == "bad_email"


@pytest.mark.parametrize("bad", [None, "", " ", True, 1.5, [], {}, "x" * 201, "a\0b", "\ud800", 2**70])
def test_a_record_needs_an_id(bad: Any) -> None:
    with pytest.raises(RecordInvalid) as caught:
        people({"id": bad})
    assert codes(caught) == {"id": "bad_id"}
    assert caught.value.external_id == ""


@pytest.mark.parametrize("raw", [None, [], "text", 5])
def test_what_is_no_record_is_refused(raw: Any) -> None:
    with pytest.raises(RecordInvalid) as caught:
        people(raw)
    assert codes(caught) == {"record": "not_a_record"}


def test_an_order_keeps_money_in_minor_units() -> None:
    found = order()
    assert found.standard["total"] == 88561
    assert found.standard["refunded"] == 1250
    assert found.standard["items"] == 2
    assert "buyer_id" not in found.standard
    assert order(customer_id=12).standard["buyer_id"] == "12"
    assert order(refunds=[], line_items=[]).standard["refunded"] == 0
    assert order(refunds=[], line_items=[]).standard["items"] == 0
    assert "refunded" not in order(refunds=None).standard
    json.dumps(found.standard)


@pytest.mark.parametrize(
    ("total", "currency", "expected"),
    [
        ("885.61", "PLN", 88561), ("-0.01", "PLN", -1), ("0", "PLN", 0), ("61.800000", "PLN", 6180), ("0.005", "PLN", 1),
        ("-0.005", "PLN", -1), ("0.0049", "PLN", 0), (885.61, "PLN", 88561), (0.1, "PLN", 10), (7, "PLN", 700),
        (1e-9, "PLN", 0),
        ("1000", "JPY", 1000), ("1000.00", "JPY", 1000), ("1000.5", "JPY", 1001), ("12000", "HUF", 1200000),
        ("1.2345", "TND", 1235),
        ("+5", "pln", 500), ("1.1", "CLF", 11000),
    ],
)  # fmt: skip
def test_amounts_are_exact(total: Any, currency: str, expected: int) -> None:
    assert order(total=total, currency=currency, refunds=None).standard["total"] == expected


@pytest.mark.parametrize(
    ("total", "code"),
    [
        ("885,61", "bad_number"), ("1 000.00", "bad_number"), ("1e5", "bad_number"), ("٣", "bad_number"), (".5", "bad_number"),
        ("5.", "bad_number"), ("nan", "bad_number"), (True, "wrong_type"), ([], "wrong_type"), ({}, "wrong_type"),
        (float("nan"), "too_large"), (float("inf"), "too_large"), (10**30, "too_large"), ("9" * 19, "too_large"),
        ("9" * 50, "bad_number"), ("", "missing"), (None, "missing"),
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(total: Any, code: str) -> None:
    with pytest.raises(RecordInvalid) as caught:
        order(total=total)
    assert codes(caught) == {"total": code}


def test_an_amount_needs_its_currency() -> None:
    with pytest.raises(RecordInvalid) as caught:
        order(currency="zł", refunds=None)
    assert codes(caught) == {"currency": "bad_currency", "total": "no_currency"}
    text = '[reads.products]\nid = "id"\n[reads.products.fields]\nname = { from = "name" }\nprice = { from = "price" }'
    mapping = load_reads(text, "products", Target.PRODUCT)
    raw = {"id": 1, "name": "Kawa", "price": "12.50"}
    assert compile_reads(mapping, currency="PLN")(raw).standard == {"name": "Kawa", "price": 1250}
    found = compile_reads(mapping)(raw)
    assert found.standard == {"name": "Kawa"}
    assert [error.code for error in found.dropped] == ["no_currency"]


def test_texts_keep_their_order() -> None:
    text = (
        '[reads.products]\nid = "id"\n[reads.products.fields]\nname = { from = "name" }\n'
        'categories = { from = ["categories[].name", "tags[]"], transforms = ["plain_text"] }'
    )
    apply = compile_reads(load_reads(text, "products", Target.PRODUCT))
    raw = {"id": 1, "name": "Kawa", "categories": [{"name": " Kawa &amp; herbata"}, {"name": ""}, {}, {"name": 5}]}
    assert apply(raw).standard["categories"] == ["Kawa & herbata", "5"]
    assert apply({**raw, "categories": [], "tags": ["b", "a"]}).standard["categories"] == ["b", "a"]
    assert "categories" not in apply({**raw, "categories": []}).standard


def test_another_shape_than_the_path_is_an_error_of_the_field() -> None:
    with pytest.raises(RecordInvalid) as caught:
        order(refunds="soon", line_items={"a": 1})
    assert codes(caught) == {"refunded": "wrong_shape", "items": "wrong_shape"}
    found = people({"id": 1, "first_name": "Ola", "billing": "x"})
    assert [error.code for error in found.dropped] == ["wrong_shape", "wrong_shape"]


def test_a_yes_is_an_act_with_its_evidence() -> None:
    found = people({"id": 1, "tick": 1, "created": "2026-01-02T03:04:05"}, f'{ACT}channel = "email"\nbrand = "b"')
    (act,) = found.consents
    assert (act.act, act.channel, act.topic, act.brand, act.source) == (Act.GRANTED, Channel.EMAIL, "offers", "b", "shop")
    assert act.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert act.source_ref == "people:1:tick"
    assert act.evidence == {"field": "tick", "value": 1, "record": "1", "stream": "people"}


@pytest.mark.parametrize("value", [None, "", "2", "nie", False, [], ["1"], {"1": 1}, 1.5])
def test_everything_that_is_not_a_listed_answer_is_no_act(value: Any) -> None:
    found = people({"id": 1, "tick": value, "created": "2026-01-02"}, f'{ACT}channel = "email"')
    assert found.consents == []
    assert found.dropped == []


def test_a_refusal_is_an_act_of_its_own() -> None:
    (act,) = people({"id": 1, "tick": " 0 ", "created": "2026-01-02"}, f'{ACT}channel = "email"').consents
    assert act.act is Act.WITHDRAWN
    assert act.source_ref == "people:1:tick:withdrawn:2026-01-02T00:00:00+00:00"


def test_one_tick_for_two_scopes_gives_two_acts_with_two_references() -> None:
    more = f'{ACT}channel = "email"\n{ACT}channel = "sms"'
    acts = people({"id": 1, "tick": "TAK", "created": "2026-01-02"}, more).consents
    assert [act.source_ref for act in acts] == ["people:1:tick", "people:1:tick#sms.offers."]


def test_a_later_edit_of_the_record_repeats_no_act() -> None:
    more = f'{ACT}channel = "email"'
    first, second = (people({"id": 1, "tick": "1", "created": f"2026-01-0{day}"}, more).consents[0] for day in (1, 2))
    assert first.source_ref == second.source_ref


@pytest.mark.parametrize("created", [None, ""])
def test_an_act_without_a_time_is_told_and_not_recorded(created: Any) -> None:
    found = people({"id": 1, "tick": "1", "created": created}, f'{ACT}channel = "email"')
    assert found.consents == []
    assert [(error.field, error.code) for error in found.dropped] == [("consent:tick", "no_consent_time")]


def test_standard_records_become_the_platforms_properties() -> None:
    text = """
[writes.contacts]
key = "email"
[writes.contacts.fields]
email = { from = "email" }
firstname = { from = "first_name", transforms = ["upper"] }
score = { from = "score" }
"""
    apply = compile_writes(load_writes(text, "contacts", extra_fields=["score"]))
    assert apply({"email": "a@b.pl", "first_name": "Ola", "score": 7}) == {"email": "a@b.pl", "firstname": "OLA", "score": "7"}
    assert apply({"email": "a@b.pl", "first_name": None}) == {"email": "a@b.pl"}


def test_amounts_and_lists_go_out_as_people_write_them() -> None:
    text = '[writes.x]\nkey = "a"\n[writes.x.fields]\nprice = { from = "total" }\n'
    apply = compile_writes(load_writes(text, "x", Target.ORDER))
    assert apply({"total": 88561, "currency": "PLN"}) == {"price": "885.61"}
    assert apply({"total": -5, "currency": "JPY"}) == {"price": "-5"}
    assert apply({"total": 0, "currency": "PLN"}) == {"price": "0.00"}
    lists = compile_writes(load_writes(text.replace("total", "categories"), "x", Target.PRODUCT))
    assert lists({"categories": ["a", "b"]}) == {"price": "a;b"}


def test_a_preview_shows_each_field_with_its_result_or_error() -> None:
    mapping = load_reads(ORDERS, "orders", Target.ORDER)
    lines = {line.field: line for line in preview(mapping, {**ORDER, "total": "x", "number": ""})}
    assert (lines["id"].raw, lines["id"].value) == (5, "5")
    assert (lines["items"].raw, lines["items"].value) == ([{}, {}], 2)
    assert lines["total"].error is not None
    assert lines["total"].error.code == "bad_number"
    assert lines["number"].error is not None
    assert lines["number"].error.code == "missing"
    first = preview(mapping, {"id": []})[0]
    assert first.error is not None


def test_every_reason_has_a_text_and_a_cure() -> None:
    assert all(reason and cure for reason, cure in REASONS.values())
