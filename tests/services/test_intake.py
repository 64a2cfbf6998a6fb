"""One batch of raw records: what is stored, what is refused and why, and that the counts add up (`Desk.store` checks)."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from shop_records import customer, order

from hub import connectors
from hub.core.types import Act, Counts
from hub.store import ledger, records
from hub.store.db import reading


def test_duplicates_inside_a_batch_count_once_and_the_last_one_stays(desk: Any) -> None:
    counts = desk.store("customers", customer(1, "a@b.example", city="Łódź"), customer(1, "a@b.example", city="Kraków"))
    assert counts == Counts(read=2, created=1, unchanged=1)
    assert desk.profile(desk.contact_of("customers", 1))["city"] == "Kraków"


def test_the_same_batch_again_changes_nothing(desk: Any) -> None:
    batch = [customer(1, "a@b.example"), customer(2)]
    assert desk.store("customers", *batch) == Counts(read=2, created=2)
    before = desk.profile(desk.contact_of("customers", 1))
    assert desk.store("customers", *batch) == Counts(read=2, unchanged=2)
    assert desk.profile(desk.contact_of("customers", 1)) == before
    assert desk.people() == 2


@pytest.mark.parametrize(
    ("raw", "field", "code"),
    [
        ("text", "record", "not_a_record"),
        (None, "record", "not_a_record"),
        ([1, 2], "record", "not_a_record"),
        ({}, "id", "bad_id"),
        (customer(""), "id", "bad_id"),
        (customer("x" * 121), "id", "bad_id"),
        (customer("x\0y"), "id", "bad_id"),
        ({**customer(1), "id": True}, "id", "bad_id"),
        ({**customer(1), "id": 1.5}, "id", "bad_id"),
        ({**customer(1), "id": 2**63}, "id", "bad_id"),
        (customer(1, "anna nowak@poczta.example"), "email", "bad_email"),
        ({**customer(1), "email": 7}, "email", "wrong_type"),
        ({**customer(1), "billing": "nothing"}, "city", "wrong_shape"),
        (customer(1, first_name="An\0na"), "first_name", "bad_characters"),
        (customer(1, date_created_gmt="yesterday"), "registered_at", "bad_time"),
    ],
)
def test_a_record_that_cannot_be_used_goes_to_quarantine_whole(desk: Any, raw: Any, field: str, code: str) -> None:
    sound = customer(77, "sound@poczta.example")
    counts = desk.store("customers", raw, sound)
    assert counts == Counts(read=2, created=1, quarantined=1)
    found = {entry.field: entry for entry in desk.refused()}
    entry = found[field]
    assert (entry.code, entry.whole, entry.direction, entry.stream) == (code, True, "in", "customers")
    assert entry.reason
    assert entry.cure
    assert desk.people() == 1
    again = desk.store("customers", raw, sound)
    assert again == Counts(read=2, unchanged=1, quarantined=1)
    assert len(desk.refused()) == len(found)


def test_an_unusable_field_is_left_out_and_noted(desk: Any) -> None:
    assert desk.store("customers", customer(1, "a@b.example", phone="brak")) == Counts(read=1, created=1)
    [entry] = desk.refused()
    assert (entry.field, entry.code, entry.whole, entry.raw) == ("phone", "bad_phone", False, None)
    assert entry.value_class == "text of 4 characters"
    assert desk.profile(desk.contact_of("customers", 1))["phone"] is None
    desk.store("customers", customer(1, "a@b.example", phone="brak"))
    assert len(desk.refused()) == 1, "read again without a change, it is still left out"
    desk.store("customers", customer(1, "a@b.example", phone="600 100 200"))
    assert desk.refused() == []
    assert desk.profile(desk.contact_of("customers", 1))["phone"] == "+48600100200"


def test_a_refused_record_that_becomes_sound_leaves_the_quarantine(desk: Any) -> None:
    desk.store("customers", customer(1, "broken address"))
    assert [entry.external_id for entry in desk.refused()] == ["1"]
    assert desk.store("customers", customer(1, "whole@poczta.example")) == Counts(read=1, created=1)
    assert desk.refused() == []


def test_a_refused_record_that_goes_back_to_what_is_stored_leaves_the_quarantine_too(desk: Any) -> None:
    desk.store("customers", customer(1, "a@b.example"))
    desk.store("customers", customer(1, "broken address"))
    assert len(desk.refused()) == 1
    assert desk.profile(desk.contact_of("customers", 1))["email"] == "a@b.example", "what is stored stays"
    assert desk.store("customers", customer(1, "a@b.example")) == Counts(read=1, unchanged=1)
    assert desk.refused() == []


def test_ids_are_the_same_however_they_are_written(desk: Any) -> None:
    desk.store("customers", customer(5, "a@b.example"))
    assert desk.store("customers", customer(" 5 ", "a@b.example")).created == 0
    assert desk.people() == 1


def test_an_order_whose_buyer_has_an_impossible_id_is_refused(desk: Any) -> None:
    raw = {**order(9, email="a@b.example"), "customer_id": "x" * 500}
    assert desk.store("orders", raw, order(10, email="b@b.example")) == Counts(read=2, created=1, quarantined=1)
    assert [(entry.field, entry.code) for entry in desk.refused()] == [("buyer_id", "bad_id")]


def test_secrets_are_never_stored(desk: Any, context: Any) -> None:
    """Whoever holds an order's key can view and pay the order; a plugin's key may stand in any field."""
    key, secret = "wc_order_NTyMiM3OCbkiP", "ck_" + "5e1f" * 10
    more = {
        "order_key": key,
        "payment_url": f"https://shop.example/pay?key={key}",
        "plugin": {"api_key": secret, "note": secret},
    }
    desk.store("orders", {**order(1, email="a@b.example"), **more}, {**order(2, email="no address"), **more})
    [entry] = desk.refused()
    assert entry.raw["billing"]["email"] == "no address", "kept for the person who mends it"
    with reading() as session:
        texts = [
            str(row)
            for table in sa.inspect(session.connection()).get_table_names()
            for row in session.execute(sa.text(f"SELECT * FROM {table}"))
        ]
    assert not [text for text in texts if key in text or secret in text]
    if context.settings.sql_url.startswith("sqlite"):
        with sqlite3.connect(context.settings.sql_url.removeprefix("sqlite:///")) as connection:
            dump = "\n".join(connection.iterdump())
        connection.close()
        assert key not in dump
        assert secret not in dump


def test_a_changed_mapping_reads_unchanged_records_anew(desk: Any, tmp_path: Path) -> None:
    raw = customer(1, "a@b.example", first_name="Anna", city="Łódź")
    desk.store("customers", raw)
    text = (connectors.folder("woocommerce") / "mapping.toml").read_text()
    changed = tmp_path / "mapping.toml"
    changed.write_text(text.replace('city = { from = "billing.city" }', 'city = { from = "first_name" }', 1))
    assert desk.store("customers", raw, mapping=changed) == Counts(read=1, updated=1)
    assert desk.profile(desk.contact_of("customers", 1))["city"] == "Anna"
    assert desk.store("customers", raw, mapping=changed) == Counts(read=1, unchanged=1)


@pytest.mark.parametrize("tick", [None, "0", "", "no", "true", "2"])
def test_the_absence_of_a_tick_is_no_act(desk: Any, tick: str | None) -> None:
    desk.store("orders", order(1, email="a@b.example", tick=tick))
    with reading() as session:
        assert ledger.count_acts(session) == 0


def test_a_tick_is_one_act_with_its_evidence_however_often_it_is_read(desk: Any) -> None:
    desk.store("orders", order(1, email="a@b.example", tick="1"))
    desk.store("orders", order(1, email="a@b.example", tick="1", status="processing"))
    desk.store("orders", order(1, email="a@b.example", tick="0"))
    with reading() as session:
        [act] = session.execute(sa.select(ledger.consent_act)).all()
    assert (act.act, act.channel, act.topic, act.brand) == (Act.GRANTED.value, "email", "offers", "")
    assert act.at.isoformat() == "2026-11-20T10:00:00+00:00", "the moment of the tick, not of our reading"
    assert act.evidence["record"] == "1"
    assert act.evidence["value"] == "1"
    assert act.contact_id == desk.contact_of("orders", 1)


def test_two_shops_with_the_same_numbers_are_two_acts(desk: Any, another_desk: Any) -> None:
    desk.store("orders", order(1, email="a@b.example", tick="1"))
    another_desk().store("orders", order(1, email="b@b.example", tick="1"))
    with reading() as session:
        assert ledger.count_acts(session) == 2


nasty = st.text(st.characters(codec="utf-8") | st.sampled_from("\0\x1e\x1f\\\"{},'\n"), max_size=12)


@settings(max_examples=35)
@given(st.lists(st.tuples(st.integers(1, 9), nasty, nasty), max_size=6))
def test_any_text_is_stored_as_it_is_or_refused(desk: Any, drawn: list[tuple[int, str, str]]) -> None:
    """Whatever people and plugins type: no batch fails for it, on either database."""
    batch = [customer(number, first_name=first, city=city, plugin={"said": first}) for number, first, city in drawn]
    desk.store("customers", *batch)
    last = {number: (first, city) for number, first, city in drawn}
    refused = {entry.external_id for entry in desk.refused()}
    for number, (first, city) in last.items():
        if str(number) in refused:
            assert "\0" in first + city
            continue
        with reading() as session:
            standard = records.stored_standard(session, desk.connection_id, "customers", str(number))
        assert (standard.get("first_name"), standard.get("city")) == (first.strip() or None, city.strip() or None)
