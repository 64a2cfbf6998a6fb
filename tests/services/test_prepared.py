"""Batches that were hashed and mapped ahead of their transaction: whatever happens in between, the result is the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shop_records import customer, order

from hub import connectors
from hub.core.connector import Page
from hub.core.errors import RateLimited
from hub.core.types import Counts, RunState
from hub.services import connections, summary, sync
from hub.services.intake import Intake, Prepared, prepare, store_batch
from hub.store import records
from hub.store.db import reading, transaction

ANNA = customer(1, "anna@poczta.example", first_name="Anna", last_name="Nowak", city="Łódź")
MOVED = {**ANNA, "billing": {**ANNA["billing"], "city": "Kraków"}}
BAD = customer(1, "no address")


def ahead(desk: Any, *raws: Any, stream: str = "customers", expected: bool = True, mapping: Path | None = None) -> Any:
    """A batch as the reading thread makes it, and its storing for later."""
    intake = desk.intake(stream, mapping)
    prepared = prepare(intake, raws, expected=expected)

    def store() -> Counts:
        with transaction() as session:
            return store_batch(session, intake, prepared, context_now(desk))

    return store


def context_now(desk: Any) -> Any:
    return desk.context.now()


def city(desk: Any) -> Any:
    return desk.profile(desk.contact_of("customers", 1))["city"]


@pytest.mark.parametrize("expected", [True, False])
def test_somebody_else_stored_the_same_records_in_between(desk: Any, expected: bool) -> None:
    late = ahead(desk, ANNA, customer(2, "jan@poczta.example"), expected=expected)
    assert desk.store("customers", ANNA, customer(2, "jan@poczta.example")).created == 2
    before = desk.profile(desk.contact_of("customers", 1))
    assert late() == Counts(read=2, unchanged=2)
    assert desk.people() == 2
    assert desk.profile(desk.contact_of("customers", 1)) == before


@pytest.mark.parametrize("expected", [True, False])
def test_somebody_else_made_the_contact_in_between(desk: Any, another_desk: Any, expected: bool) -> None:
    """Another shop's batch met the same address first: one person stays one contact."""
    late = ahead(desk, ANNA, expected=expected)
    other = another_desk()
    other.store("customers", customer(77, "anna@poczta.example", first_name="Anna", last_name="Nowak"))
    assert late().created == 1
    assert desk.contact_of("customers", 1) == other.contact_of("customers", 77)
    assert desk.people() == 1


@pytest.mark.parametrize("expected", [True, False])
def test_a_record_that_changes_back_is_stored_each_time(desk: Any, expected: bool) -> None:
    for raw, counts in (
        (ANNA, Counts(read=1, created=1)),
        (MOVED, Counts(read=1, updated=1)),
        (ANNA, Counts(read=1, updated=1)),
        (ANNA, Counts(read=1, unchanged=1)),
    ):
        assert ahead(desk, raw, expected=expected)() == counts
        assert city(desk) == raw["billing"]["city"]


@pytest.mark.parametrize("expected", [True, False])
def test_of_equal_ids_in_one_batch_the_last_one_stays(desk: Any, expected: bool) -> None:
    assert ahead(desk, ANNA, BAD, MOVED, expected=expected)() == Counts(read=3, created=1, unchanged=2)
    assert city(desk) == "Kraków"
    assert desk.refused() == []
    assert ahead(desk, MOVED, BAD, expected=expected)() == Counts(read=2, unchanged=1, quarantined=1)
    assert city(desk) == "Kraków", "what is stored stays"
    assert [entry.field for entry in desk.refused()] == ["email"]


def test_another_mapping_reads_the_same_records_anew(desk: Any, tmp_path: Path) -> None:
    """Mapped ahead by the old one, stored after the new one: each batch is what its own mapping says."""
    text = (connectors.folder("woocommerce") / "mapping.toml").read_text()
    changed = tmp_path / "mapping.toml"
    changed.write_text(text.replace('city = { from = "billing.city" }', 'city = { from = "first_name" }', 1))
    old, new = ahead(desk, ANNA), ahead(desk, ANNA, mapping=changed)
    assert old().created == 1
    assert new() == Counts(read=1, updated=1)
    assert city(desk) == "Anna"
    assert old() == Counts(read=1, updated=1)
    assert city(desk) == "Łódź"


RAWS = st.sampled_from(
    [ANNA, MOVED, BAD, customer(2, "anna@poczta.example"), customer(3, "", phone="600 100 200"), customer(4), {}, "text", None]
)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.booleans(), st.lists(RAWS, max_size=6)), max_size=4))
def test_what_is_mapped_ahead_is_stored_like_everything_else(another_desk: Any, batches: list[Any]) -> None:
    """The same batches, each ahead or not at will, and never ahead: counts, links and quarantine are equal."""
    one, other = another_desk(), another_desk()
    for expected, raws in batches:
        assert ahead(one, *raws, expected=expected)() == other.store("customers", *raws)
    shapes = []
    for desk in (one, other):
        with reading() as session:
            known = records.known_records(session, desk.connection_id, "customers", ["1", "2", "3", "4"])
        refused = {
            (entry.external_id, entry.field, entry.code)
            for entry in desk.refused()
            if entry.connection_id == desk.connection_id
        }
        shapes.append(({key: row.raw_hash for key, row in known.items()}, refused))
    assert shapes[0] == shapes[1]


def test_orders_mapped_ahead_find_their_buyers(desk: Any) -> None:
    orders = ahead(desk, order(11, 1, "anna@poczta.example"), order(12, 0, "guest@poczta.example"), stream="orders")
    desk.store("customers", ANNA)
    assert orders() == Counts(read=2, created=2)
    assert desk.contact_of("orders", 11) == desk.contact_of("customers", 1)
    assert desk.orders_of(desk.contact_of("customers", 1)) == ["11"]


# In a run


def connect(context: Any, served: Any) -> None:
    connections.connect(context, "woocommerce", served.credentials(), name="shop")


def test_nothing_is_mapped_where_nothing_changed(
    context: Any, shop: Any, run_sync: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(context, shop(customers=300, orders=False))
    run_sync("shop")
    mapped: list[str] = []
    true = Intake.map

    def count(self: Intake, external_id: str, raw: Any) -> Any:
        mapped.append(external_id)
        return true(self, external_id, raw)

    monkeypatch.setattr(Intake, "map", count)
    [row, *_] = run_sync("shop")
    assert (row.unchanged, row.created, row.updated) == (300, 0, 0)
    assert mapped == []


def test_a_first_reading_is_mapped_ahead_and_looked_up_behind_the_lock(
    context: Any, shop: Any, run_sync: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Prepared] = []

    def note(session: Any, intake: Intake, given: Prepared, now: Any) -> Counts:
        seen.append(given)
        return store_batch(session, intake, given, now)

    monkeypatch.setattr(sync, "store_batch", note)
    connect(context, shop(customers=250, orders=False, recorded=False))
    run_sync("shop")
    customers = [given for given in seen if given.read == 250]
    assert [(given.expected, len(given.mapped)) for given in customers] == [(True, 250)]


class Refusing:
    """A shop of small pages whose budget lets two calls through each time."""

    def __init__(self, platform: Any) -> None:
        self.DECLARATION, self._platform = platform.DECLARATION, platform

    def build(self, account: Any, http: Any) -> Any:
        connector = self._platform.build(account, http)
        true = connector.read

        def read(stream: str, cursor: Any) -> Iterator[Page]:
            pages = true(stream, cursor)
            for _ in range(2):
                page = next(pages, None)
                if page is None:
                    return
                yield page
            if next(pages, None) is not None:
                raise RateLimited(after=0.01, local=True)

        connector.read = read
        return connector


def test_a_budget_of_few_calls_gets_on_all_the_same(context: Any, shop: Any, clock: Any) -> None:
    """What was read before the budget ran out is stored: else the same two pages would be read for ever."""
    connect(context, shop(customers=700, orders=False))
    tight = replace(context, platform=lambda name: Refusing(context.platform(name)))
    group = sync.request_sync(tight, "shop", ["customers"])
    for _ in range(10):
        run = summary.group_runs(group)[0]
        if run.state == RunState.DONE:
            break
        sync.advance_run(tight, run.id, "test", lambda: False)
        clock.forward(1)
    run = summary.group_runs(group)[0]
    assert (run.state, run.created) == (RunState.DONE, 700)
