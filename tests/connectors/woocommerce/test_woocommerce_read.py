"""Reading loses nothing, whatever the shop does meanwhile."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hub.core import errors
from hub.core.connector import Page

SMALL = {"recorded": False, "customers": 450, "orders": False}


def ids(pages: list[Page]) -> list[int]:
    return [record["id"] for page in pages for record in page.records]


@pytest.mark.parametrize("width", [1, 8])
@pytest.mark.parametrize("seed", range(6))
def test_rows_deleted_and_added_between_pages(seed: int, width: int, open_bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if width > 1:
        monkeypatch.setattr("hub.connectors.woocommerce.client.FAST", 0.0)
    bench = open_bench("woocommerce", **SMALL)
    simulator, draw = bench.simulator, random.Random(seed)
    table = simulator.tables["customers"]
    seen: list[int] = []
    cursor = None
    while True:  # now and then the run is broken off and resumed
        for page in bench.connect().read("customers", cursor):
            seen += [record["id"] for record in page.records]
            cursor = page.cursor
            for number in draw.sample(list(table.ids), min(draw.choice([0, 1, 3, 120]), len(table.ids) // 3)):
                simulator.delete_customer(number)
            if cursor["sweep"] and draw.random() < 0.5:
                simulator.put_customer({"email": f"nowa{len(seen)}@example.com"})
            if draw.random() < 0.2:
                break
        if cursor and cursor["sweep"] is None:
            break
    assert set(table.ids) <= {*seen, *[number for number in table.ids if number > max(seen)]}
    assert len(seen) == len(set(seen))


def test_prefetch_keeps_eight_calls_in_flight(open_bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.connectors.woocommerce.client.FAST", 0.0)
    widths: list[int] = []
    bench = open_bench("woocommerce", **{**SMALL, "customers": 1200})
    connector = bench.connect()
    ask = connector._shop.call_ahead
    monkeypatch.setattr(connector._shop, "call_ahead", lambda calls, width: widths.append(width) or ask(calls, width))
    assert len(ids(list(connector.read("customers", None)))) == 1200
    assert widths == [8]


def test_orders_changed_while_reading_come_in_the_next_window(open_bench: Any) -> None:
    bench = open_bench("woocommerce")
    connector = bench.connect()
    pages = connector.read("orders", None)
    first = next(pages)
    early = first.records[0]["id"]
    bench.simulator.touch_order(early)
    new = bench.simulator.put_order({"status": "processing"})
    rest = list(pages)
    assert new in ids(rest)
    again = ids(list(connector.read("orders", rest[-1].cursor)))
    assert {early, new} <= set(again)
    assert len(again) < 10


def test_four_orders_in_the_second_of_the_bound(open_bench: Any) -> None:
    bench = open_bench("woocommerce")
    connector = bench.connect()
    cursor = list(connector.read("orders", None))[-1].cursor
    bound = datetime.fromisoformat(cursor["since"]).replace(tzinfo=UTC)
    assert datetime.now(UTC) - bound < timedelta(seconds=180)
    numbers = list(bench.simulator.tables["orders"].ids[:8])
    for at, number in enumerate(numbers):  # four in the bound's very second, four a second later
        bench.simulator.touch_order(number, bound + timedelta(seconds=at // 4))
    assert ids(list(connector.read("orders", cursor))) == numbers[4:]


@pytest.mark.parametrize("zone", ["Europe/Warsaw", "America/New_York", "Pacific/Auckland", "UTC"])
def test_the_sites_time_zone_hides_nothing(zone: str, open_bench: Any) -> None:
    bench = open_bench("woocommerce", timezone=zone)
    connector = bench.connect()
    cursor = list(connector.read("orders", None))[-1].cursor
    bench.simulator.touch_order(200)
    assert 200 in ids(list(connector.read("orders", cursor)))
    assert len(ids(list(connector.read("orders", cursor)))) < 10


@pytest.mark.parametrize("date", ["", "yesterday", "Sun, 22 Nov 2099 16:47:02 GMT"])
def test_a_clock_that_cannot_be_used_only_costs_repeats(date: str, open_bench: Any) -> None:
    bench = open_bench("woocommerce")
    bench.simulator.date_header = date
    connector = bench.connect()
    cursor = list(connector.read("orders", None))[-1].cursor
    assert datetime.fromisoformat(cursor["since"]).replace(tzinfo=UTC) < datetime.now(UTC)
    bench.simulator.touch_order(200, datetime.now(UTC))
    assert 200 in ids(list(connector.read("orders", cursor)))


def test_drafts_staff_and_text_come_as_the_shop_has_them(open_bench: Any) -> None:
    connector = open_bench("woocommerce").connect()
    orders = [record for page in connector.read("orders", None) for record in page.records]
    assert any(order["status"] == "checkout-draft" for order in orders)
    assert not any(name in order for order in orders for name in ("order_key", "payment_url"))
    pages = list(connector.read("customers", None))
    customers = [record for page in pages for record in page.records]
    assert {customer["role"] for customer in customers} == {"customer", "administrator", "shop_manager"}
    assert pages[0].total == 207
    assert any("Ż" in customer["first_name"] for customer in customers)


@pytest.mark.parametrize("fast", [0.0, 9.0])
def test_a_shop_that_repeats_its_pages_is_found_out(fast: float, open_bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.connectors.woocommerce.client.FAST", fast)
    bench = open_bench("woocommerce", **SMALL)
    bench.simulator.repeats_pages = True
    with pytest.raises(errors.ContractBroken, match="repeats the same pages of customers"):
        list(bench.connect().read("customers", None))
    assert bench.simulator.state()["calls"] < 30


def test_an_empty_shop_has_one_empty_page(open_bench: Any) -> None:
    bench = open_bench("woocommerce")
    bench.simulator.hide_everything()
    for stream in ("customers", "orders", "products"):
        (page,) = bench.connect().read(stream, None)
        assert page.records == []
        assert page.cursor["sweep"] is None


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("{}", "something else than a list"),
        ('[{"email":"x"}]', "without an id"),
        ('[{"id":"7"}]', "not a whole number"),
        ('[{"id":true}]', "not a whole number"),
        ('["x"]', "without an id"),
        ('[{"id":9},{"id":8}]', "another order"),
    ],
)
def test_answers_that_make_no_sense(body: str, words: str, open_bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = open_bench("woocommerce")
    monkeypatch.setattr(bench.simulator, "_list", lambda *_: (200, body, []))
    with pytest.raises(errors.ContractBroken, match=words) as caught:
        list(bench.connect().read("customers", None))
    assert caught.value.sample
    assert caught.value.connection == "test"
