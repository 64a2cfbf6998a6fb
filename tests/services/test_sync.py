"""Moving streams forward: nothing is lost or kept by halves, whatever breaks, and each error has its own consequence."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.connector import Page
from hub.core.errors import Conflict, ContractBroken, NotFound, RateLimited, ReauthorizeNeeded, Refused, Unavailable
from hub.core.types import RunState
from hub.services import connections, intake, sync
from hub.services.sync import GIVE_UP, GIVE_UP_STRANGE, advance_run, request_sync
from hub.store import connections as store
from hub.store import ledger, records, runs
from hub.store.db import new_id, reading, transaction

pytestmark = pytest.mark.usefixtures("app")


def never() -> bool:
    return False


def connect(context: Any, served: Any, name: str = "woocommerce") -> str:
    return connections.connect(context, "woocommerce", served.credentials(), name=name).connection.id


def run_of(group_id: str, stream: str = "customers") -> Any:
    with reading() as session:
        return next(row for row in runs.list_runs(session, group_id=group_id) if row.stream == stream)


def due_at(context: Any) -> list[str]:
    with reading() as session:
        return [row[0] for row in runs.due_runs(session, context.now())]


def stored_ids(stream: str) -> set[str]:
    with reading() as session:
        table = records.record.c
        return set(session.scalars(sa.select(table.external_id).where(table.stream == stream, table.raw_hash.is_not(None))))


def cursor_of(connection_id: str, stream: str = "customers") -> Any:
    with reading() as session:
        return runs.load_cursor(session, connection_id, stream)


def with_settings(context: Any, **changes: Any) -> Any:
    return replace(context, settings=replace(context.settings, **changes))


class Broken:
    """A platform whose connector is the true one, but whose reading breaks off after some pages."""

    def __init__(self, platform: Any, error: Exception, after: int = 0) -> None:
        self.DECLARATION = platform.DECLARATION
        self._platform, self._error, self.after = platform, error, after

    def build(self, account: Any, http: Any) -> Any:
        connector = self._platform.build(account, http)
        true_read = connector.read

        def read(stream: str, cursor: Mapping[str, Any] | None) -> Iterator[Page]:
            for number, page in enumerate(true_read(stream, cursor)):
                if number >= self.after:
                    raise self._error
                yield page
            raise self._error

        connector.read = read
        return connector


def breaking(context: Any, error: Exception, after: int = 0) -> Any:
    return replace(context, platform=lambda name: Broken(context.platform(name), error, after))


# A whole sync


def test_a_sync_reads_what_the_shop_has(context: Any, shop: Any, run_sync: Any) -> None:
    served = shop(customers=120, rebase=True)
    connect(context, served)
    rows = run_sync("woocommerce")
    assert [row.state for row in rows] == ["done"] * 3
    state = served.state()
    assert len(stored_ids("customers")) == state["customers"] == 120
    assert len(stored_ids("orders")) == state["orders"]
    for row in rows:
        assert row.read == row.created + row.updated + row.unchanged + row.quarantined
        assert row.batches >= 1
        assert row.finished_at is not None
        assert row.lease_owner is None
    again = run_sync("woocommerce")
    assert [(row.created, row.updated, row.quarantined) for row in again] == [(0, 0, 0)] * 3


def test_streams_come_in_order(context: Any, shop: Any) -> None:
    """Orders name customers: they never start before the customers have ended, in whatever way."""
    connect(context, shop(customers=10))
    group_id = request_sync(context, "woocommerce")
    customers, orders, products = (run_of(group_id, name).id for name in ("customers", "orders", "products"))
    assert due_at(context) == [customers]
    short = with_settings(context, slice=0.000001, batch_size=1)
    served_by = "somebody"
    assert advance_run(short, customers, served_by, lambda: True)
    assert due_at(context) in ([customers], [orders])
    while due_at(context) == [customers]:
        advance_run(context, customers, "test", never)
    assert due_at(context) == [orders]
    advance_run(breaking(context, Refused("no")), orders, "test", never)
    assert run_of(group_id, "orders").state == RunState.FAILED
    assert due_at(context) == [products]


def test_a_sync_while_one_is_open_is_the_same_sync(context: Any, shop: Any) -> None:
    connect(context, shop())
    first = request_sync(context, "woocommerce")
    assert request_sync(context, "woocommerce") == first
    assert request_sync(context, "woocommerce", ["orders"]) == first


def test_two_who_ask_at_once_get_one_sync(context: Any, shop: Any, in_threads: Any) -> None:
    connect(context, shop())
    groups = in_threads(*[lambda: request_sync(context, "woocommerce")] * 4)
    assert len(set(groups)) == 1, groups
    with reading() as session:
        assert len(runs.list_runs(session)) == 3


def test_what_cannot_be_synced_is_refused(context: Any, shop: Any, crm: Any) -> None:
    connection_id = connect(context, shop())
    connections.connect(context, "hubspot", crm().credentials())
    with pytest.raises(NotFound, match="woocommerce"):
        request_sync(context, "nobody")
    with pytest.raises(Refused, match="no stream"):
        request_sync(context, "woocommerce", ["coupons"])
    with pytest.raises(Refused, match="cannot do this"):
        request_sync(context, "hubspot")
    with transaction() as session:
        store.set_state(session, connection_id, store.REAUTHORIZE, None, context.now())
    with pytest.raises(Conflict):
        request_sync(context, "woocommerce")


def test_scheduled_syncs_are_taken_once(context: Any, shop: Any, in_threads: Any, clock: Any) -> None:
    connect(context, shop())
    connect(context, shop(seed=2, timezone="UTC"), "second")
    assert sync.request_due_syncs(context) == []
    clock.forward(context.settings.sync_every + 1)
    taken = in_threads(*[lambda: sync.request_due_syncs(context)] * 3)
    assert sorted(len(groups) for groups in taken) == [0, 0, 2] or sum(len(groups) for groups in taken) == 2, taken
    assert sync.request_due_syncs(context) == []
    with reading() as session:
        assert len(runs.list_runs(session)) == 6


def test_a_scheduled_sync_that_cannot_start_stops_no_other(context: Any, shop: Any, clock: Any) -> None:
    """Between the look and the start a connection may have lost its credentials."""
    connect(context, shop())
    connect(context, shop(seed=2, timezone="UTC"), "second")
    clock.forward(context.settings.sync_every + 1)
    true_platform = context.platform
    refused: list[str] = []

    def platform(name: str) -> Any:
        if not refused:
            refused.append(name)
            raise Refused("not this one")
        return true_platform(name)

    assert len(sync.request_due_syncs(replace(context, platform=platform))) == 1


# Failures in the middle


@pytest.mark.parametrize("where", ["store_batch", "save_cursor", "renew_run"])
def test_a_failure_inside_a_batch_leaves_nothing_of_it(
    context: Any, shop: Any, run_sync: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Raised at each step of the transaction, in the second batch: the first stays, the second is gone as a whole."""
    served = shop(customers=250)
    connection_id = connect(context, served)
    context = with_settings(context, batch_size=100)
    group_id = request_sync(context, "woocommerce")
    run = run_of(group_id)
    module = sync if where == "store_batch" else runs
    true, calls = getattr(module, where), []

    def failing(*args: Any, **rest: Any) -> Any:
        calls.append(1)
        result = true(*args, **rest)
        if len(calls) == 2:
            raise RuntimeError("a bug")
        return result

    monkeypatch.setattr(module, where, failing)
    with pytest.raises(RuntimeError):
        advance_run(context, run.id, "first", never)
    after = run_of(group_id)
    assert (after.batches, after.read, len(stored_ids("customers"))) == (1, 100, 100)
    checkpoint = cursor_of(connection_id)
    with reading() as session:
        assert len(runs.list_batches(session, run.id)) == 1
    sync.abandon_run(context, run.id, "first", "RuntimeError")
    assert run_of(group_id).state == RunState.FAILED
    assert cursor_of(connection_id) == checkpoint
    monkeypatch.undo()
    run_sync("woocommerce")  # the rest of the group that is still open
    rows = run_sync("woocommerce")
    assert [row.state for row in rows] == ["done"] * 3
    assert len(stored_ids("customers")) == 250


def test_a_stolen_lease_lets_nothing_of_the_late_batch_stay(
    context: Any, shop: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was away longer than its lease comes back with a batch: somebody else has the run now."""
    connection_id = connect(context, shop(customers=150))
    group_id = request_sync(context, "woocommerce")
    run = run_of(group_id)
    true = intake.store_batch

    def slow(session: Any, *args: Any) -> Any:
        session.rollback()  # SQLite has one writer: the thief has to get in between
        clock.forward(context.settings.lease + 1)
        with transaction() as other:
            assert runs.claim_run(other, run.id, "thief", context.now(), 40.0) is not None
        return true(session, *args)

    monkeypatch.setattr(sync, "store_batch", slow)
    assert advance_run(context, run.id, "late", never)
    assert stored_ids("customers") == set()
    assert cursor_of(connection_id) is None
    stolen = run_of(group_id)
    assert (stolen.lease_owner, stolen.state, stolen.read, stolen.batches) == ("thief", "running", 0, 0)


def test_a_claimed_run_is_not_to_be_had_until_its_lease_is_over(context: Any, shop: Any, clock: Any) -> None:
    connect(context, shop())
    run = run_of(request_sync(context, "woocommerce"))
    with transaction() as session:
        assert runs.claim_run(session, run.id, "one", context.now(), 40.0) is not None
    assert not advance_run(context, run.id, "two", never)
    assert due_at(context) == []
    clock.forward(41)
    assert due_at(context) == [run.id]
    assert advance_run(context, run.id, "two", never)
    assert not advance_run(context, run.id, "three", never), "a finished run is not to be had"
    assert not advance_run(context, new_id(), "three", never)


@settings(max_examples=5)
@given(st.lists(st.integers(0, 4), max_size=6), st.integers(1, 3))
def test_resuming_loses_nothing(context: Any, shop: Any, cuts: list[int], pages: int) -> None:
    """Broken off after any number of pages, as often as you like: in the end the hub has what the shop has."""
    served = shop(customers=210, seed=len(cuts) * 10 + pages, timezone=f"Etc/GMT+{new_zone()}")
    with transaction() as session:
        for row in store.list_connections(session):
            session.execute(sa.delete(store.connection).where(store.connection.c.id == row.id))
    connection_id = connect(context, served)
    context = with_settings(context, batch_size=pages * 100)
    group_id = request_sync(context, "woocommerce")
    for stream in ("customers", "orders", "products"):
        run = run_of(group_id, stream)
        for cut in cuts:
            advance_run(breaking(context, Unavailable("away", after=0.0), cut), run.id, "cut", never)
            with transaction() as session:
                session.execute(sa.update(runs.run).where(runs.run.c.id == run.id).values(not_before=None))
        while run_of(group_id, stream).state in runs.OPEN_STATES:
            assert advance_run(context, run.id, "whole", never)
        assert run_of(group_id, stream).state == RunState.DONE
        with reading() as session:
            counted = records.count_records(session, connection_id).get(stream, 0)
        wanted = len(served.simulator.tables[stream].ids)
        assert counted == wanted, stream


_zones = iter(range(10_000))


def new_zone() -> int:
    return next(_zones) % 12


def test_slices_and_stops_end_between_batches(context: Any, shop: Any) -> None:
    connect(context, shop(customers=250))
    group_id = request_sync(context, "woocommerce")
    run = run_of(group_id)
    narrow = with_settings(context, batch_size=100)
    assert advance_run(narrow, run.id, "one", lambda: True)
    paused = run_of(group_id)
    assert (paused.state, paused.read, paused.lease_owner) == (RunState.WAITING, 100, None)
    assert due_at(context) == [run.id], "goes on at once"
    assert advance_run(narrow, run.id, "two", never)
    assert (run_of(group_id).state, run_of(group_id).read) == (RunState.DONE, 250)


# Each error has its own consequence


@pytest.mark.parametrize(
    ("error", "state", "wait", "connection", "failures"),
    [
        (Unavailable("away"), "waiting", 5.0, "active", 1),
        (Unavailable("away", after=77.0), "waiting", 77.0, "active", 1),
        (RateLimited("slow down", after=3.0), "waiting", 3.0, "active", 1),
        (RateLimited("our own budget", after=3.0, local=True), "waiting", 3.0, "active", 0),
        (ContractBroken("what is this"), "waiting", 5.0, "active", 1),
        (ReauthorizeNeeded("revoked"), "failed", None, "reauthorize", 1),
        (Refused("cannot"), "failed", None, "active", 1),
    ],
)
def test_errors_are_sorted_by_what_happens_next(
    context: Any, shop: Any, error: Any, state: str, wait: float | None, connection: str, failures: int
) -> None:
    connection_id = connect(context, shop(customers=5))
    run = run_of(request_sync(context, "woocommerce"))
    before = context.now()
    assert advance_run(breaking(context, error), run.id, "test", never)
    with reading() as session:
        found = runs.find_run(session, run.id)
        row = store.get_connection(session, connection_id)
    assert found is not None
    assert (found.state, found.failures, found.lease_owner) == (state, failures, None)
    assert found.error["code"] == error.code
    assert row.state == connection
    if wait is None:
        assert found.not_before is None
        assert found.finished_at is not None
    else:
        waited = (found.not_before - before).total_seconds()
        assert wait <= waited < wait + 5
        assert due_at(context) == []
    if connection == "reauthorize":
        assert row.error is not None
        assert row.error["code"] == "reauthorize_needed"


def test_the_vendors_retry_after_reaches_the_run(context: Any, shop: Any) -> None:
    """Through the whole pipe: WordPress in maintenance says 600 seconds."""
    served = shop(customers=5)
    connect(context, served)
    served.simulator.maintenance(True)
    run = run_of(request_sync(context, "woocommerce"))
    assert advance_run(context, run.id, "test", never)
    with reading() as session:
        found = runs.find_run(session, run.id)
    assert found is not None
    assert 590 < (found.not_before - context.now()).total_seconds() <= 600
    served.simulator.maintenance(False)
    with transaction() as session:
        session.execute(sa.update(runs.run).values(not_before=None))
    assert advance_run(context, run.id, "test", never)
    with reading() as session:
        found = runs.find_run(session, run.id)
    assert found is not None
    assert (found.state, found.failures, found.error) == ("done", 0, None)


def fail_until_given_up(context: Any, clock: Any, run_id: str, error: Exception) -> tuple[int, float]:
    """(attempts, seconds) until the run fails for good."""
    began = context.now()
    for attempt in range(1, 100):
        assert advance_run(breaking(context, error), run_id, "test", never)
        with reading() as session:
            found = runs.find_run(session, run_id)
        assert found is not None
        if found.state == RunState.FAILED:
            return attempt, (context.now() - began).total_seconds()
        clock.forward((found.not_before - context.now()).total_seconds() + 0.01)
    raise AssertionError("it never gives up")


def test_an_unreachable_shop_is_given_up_after_hours(context: Any, shop: Any, clock: Any) -> None:
    connect(context, shop())
    attempts, seconds = fail_until_given_up(
        context, clock, run_of(request_sync(context, "woocommerce")).id, Unavailable("away")
    )
    assert attempts == GIVE_UP
    assert 2 * 3600 < seconds < 10 * 3600


def test_a_shop_that_keeps_saying_one_second_is_given_time_all_the_same(context: Any, shop: Any, clock: Any) -> None:
    connect(context, shop())
    run = run_of(request_sync(context, "woocommerce"))
    attempts, seconds = fail_until_given_up(context, clock, run.id, Unavailable("away", after=1.0))
    assert attempts == GIVE_UP
    assert seconds > 2 * 3600


def test_strange_answers_are_given_up_sooner(context: Any, shop: Any, clock: Any) -> None:
    connect(context, shop())
    run = run_of(request_sync(context, "woocommerce"))
    attempts, _ = fail_until_given_up(context, clock, run.id, ContractBroken("what", sample="<html>"))
    assert attempts == GIVE_UP_STRANGE
    assert request_sync(context, "woocommerce") == run.group_id, "the next streams of the group are still open"


def test_our_own_budget_is_no_failure_however_often(context: Any, shop: Any) -> None:
    connect(context, shop())
    run = run_of(request_sync(context, "woocommerce"))
    for _ in range(GIVE_UP + 3):
        advance_run(breaking(context, RateLimited("ours", after=0.0, local=True)), run.id, "test", never)
        with transaction() as session:
            session.execute(sa.update(runs.run).values(not_before=None))
    assert (run_of(run.group_id).state, run_of(run.group_id).failures) == (RunState.WAITING, 0)


@pytest.mark.parametrize("fault", ["html", "truncate", "drop", "500", "429"])
def test_a_shop_that_breaks_now_and_then_is_read_whole(context: Any, shop: Any, clock: Any, fault: str) -> None:
    served = shop(customers=60)
    connect(context, served)
    served.faults.faults = [(fault, 0.3)]
    group_id = request_sync(context, "woocommerce")
    patience = time.monotonic() + 60
    while time.monotonic() < patience:
        waiting = due_at(context)
        if not waiting:
            with reading() as session:
                still = [row for row in runs.list_runs(session, group_id=group_id) if row.state in runs.OPEN_STATES]
            if not still:
                break
            clock.forward(3600)
            time.sleep(0.02)  # a budget blocked by a 429 counts by Redis' own clock, which nobody can move
        for run_id in waiting:
            advance_run(context, run_id, "test", never)
    with reading() as session:
        assert [row.state for row in runs.list_runs(session, group_id=group_id)] == ["done"] * 3
    assert len(stored_ids("customers")) == 60
    assert len(stored_ids("orders")) == served.state()["orders"]


def test_ticks_of_a_whole_shop_become_acts_once(context: Any, shop: Any, run_sync: Any) -> None:
    connect(context, shop(customers=100))
    run_sync("woocommerce")
    with reading() as session:
        first = ledger.count_acts(session)
    assert first > 0
    with transaction() as session:
        session.execute(sa.delete(runs.checkpoint))
        session.execute(sa.update(records.record).values(raw_hash="another mapping"))
    run_sync("woocommerce")
    with reading() as session:
        assert ledger.count_acts(session) == first
