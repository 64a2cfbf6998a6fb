"""The pages about runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hub.core.errors import ReauthorizeNeeded, Unavailable
from hub.core.types import Counts, RunState
from hub.services.context import Context
from hub.store import runs
from hub.store.db import new_id, transaction
from tests.web.conftest import NOBODY, Browser, Filled, save_run

Connect = Callable[..., Any]


def test_empty_pages_say_what_to_do_next(browser: Browser, connected: Connect) -> None:
    visit = browser.visit("/admin/runs")
    assert visit.page.find("a", href="/admin/connections/new")
    assert "hub demo" in visit.text
    assert not Browser(browser.app, "auditor").visit("/admin/runs").page.find("a", href="/admin/connections/new")
    assert "Nie ma jeszcze żadnego przebiegu" in browser.visit("/admin/runs", "pl").text
    shop_id = connected().shop_id
    visit = browser.visit("/admin/runs")
    assert visit.page.find("a", href=f"/admin/connections/{shop_id}")
    assert "hub sync" in visit.text


def test_the_table_shows_what_the_runs_did(browser: Browser, filled: Filled) -> None:
    text = browser.visit("/admin/runs").text
    for words in (
        "woocommerce · customers",
        "woocommerce · orders",
        "hubspot · contacts",
        "Nothing runs now",
        "done",
        "failed",
    ):
        assert words in text
    assert "The platform gave an answer that the hub does not understand" in text
    polish = browser.visit("/admin/runs", "pl").text
    assert "Platforma dała odpowiedź, której hub nie rozumie" in polish
    assert "zakończone" in polish


def test_filters_are_links(browser: Browser, filled: Filled) -> None:
    failed = browser.visit("/admin/runs?state=failed").page
    rows = [node for node in failed.find("tr", role="row") if "·" in node.text]
    assert [" ".join(row.text.split())[:18] for row in rows] == ["hubspot · contacts"]
    shop = browser.visit("/admin/runs?connection=woocommerce").page
    assert shop.find("option", value="woocommerce")[0].attributes["selected"] == ""
    assert not [row for row in shop.find("tr", role="row") if "hubspot" in row.text]
    assert "No run is like that" in browser.visit("/admin/runs?connection=woocommerce&state=failed").text


def test_filters_that_mean_nothing_are_404(browser: Browser, filled: Filled) -> None:
    for query in ("state=nonsense", "connection=nobody", "before=nonsense", f"before={NOBODY}", "connection=a%00b"):
        browser.visit(f"/admin/runs?{query}", status=404)


def test_paging_shows_every_run_once(browser: Browser, connected: Connect, context: Context) -> None:
    pair = connected()
    made = [
        save_run(context, pair.shop_id, created_at=context.now() - timedelta(minutes=number // 3), position=number % 3)
        for number in range(60)
    ]
    seen, path = [], "/admin/runs?connection=woocommerce"
    for _ in range(3):
        page = browser.visit(path).page
        seen += [
            link.attributes["href"].rsplit("/", 1)[1] for link in page.find("a") if "/admin/runs/" in link.attributes["href"]
        ]
        following = page.find("a", rel="next")
        path = "/admin/runs" + following[0].attributes["href"] if following else ""
    assert path == ""
    assert sorted(seen) == sorted(made)


def _start(context: Context, connection_id: str, batches: int, total: int | None) -> tuple[str, str]:
    """A group of two runs, the first of them at work; returns both ids."""
    now = context.now()
    with transaction() as session:
        group = runs.add_runs(session, connection_id, ["customers", "orders"], now)
        first, second = (row.id for row in runs.list_runs(session, group_id=group))
        runs.claim_run(session, first, "worker", now, 60)
        for _ in range(batches):
            runs.renew_run(session, first, "worker", now, 60, Counts(500, 500), 0.5, total)
    return first, second


def test_a_running_run_tells_records_rate_share_and_time_left(browser: Browser, connected: Connect, context: Context) -> None:
    run_id, _ = _start(context, connected().shop_id, 10, 20_000)
    for path in ("/admin/runs", f"/admin/runs/{run_id}"):
        page = browser.visit(path).page
        assert "5,000 of 20,000 records 25% 10 batches 1,000 records/s about 15 secs left" in page.text
        assert page.one("progress").attributes["value"] == "25.0"
        live = page.one("div", id="live")
        assert live.attributes["data-running"] == "yes"
        assert "5,000" in live.attributes["data-news"]
        assert page.one("p", role="status").text == ""
        assert page.one("script").attributes["src"].startswith("/static/live.js?v=")
        assert "http-equiv" not in page.html
    polish = browser.visit("/admin/runs", "pl").text.replace("\xa0", " ")
    assert "5 000 z 20 000 rekordów 25% 10 partii 1 000 rekordów/s zostało około 15 sek." in polish
    assert "w kolejce" in polish


def test_without_a_total_nothing_is_claimed_about_the_end(browser: Browser, connected: Connect, context: Context) -> None:
    _start(context, connected().shop_id, 2, None)
    page = browser.visit("/admin/runs").page
    assert "1,000 records 2 batches 1,000 records/s" in page.text
    assert "left" not in page.text
    assert not page.find("progress")


def test_more_records_than_announced_is_never_above_all(browser: Browser, connected: Connect, context: Context) -> None:
    _start(context, connected().shop_id, 4, 1_500)
    page = browser.visit("/admin/runs").page
    assert page.one("progress").attributes["value"] == "100.0"
    assert "left" not in page.text


def test_a_waiting_run_says_why_and_until_when(browser: Browser, connected: Connect, context: Context) -> None:
    run_id, _ = _start(context, connected().shop_id, 1, 1_500)
    error = Unavailable("{host} did not answer in time", host="shop.example")
    later = context.now() + timedelta(minutes=7)
    with transaction() as session:
        runs.release_run(session, run_id, "worker", RunState.WAITING, context.now(), error=error.as_json(), not_before=later)
    text = browser.visit("/admin/runs", "pl").text
    assert "shop.example nie odpowiada na czas" in text
    assert re.search(r"Ruszy dalej samoczynnie: .* CES?T za [67] minut", text)


def test_a_wait_that_is_over_waits_for_a_worker_only(browser: Browser, connected: Connect, context: Context) -> None:
    run_id, _ = _start(context, connected().shop_id, 1, 1_500)
    with transaction() as session:
        before = context.now() - timedelta(minutes=1)
        runs.release_run(session, run_id, "worker", RunState.WAITING, context.now(), not_before=before)
    text = browser.visit(f"/admin/runs/{run_id}").text
    assert "Waits for a worker" in text
    assert "Goes on by itself" not in text


def test_a_worker_without_a_sign_of_life_is_named(browser: Browser, connected: Connect, context: Context, clock: Any) -> None:
    clock.forward(-3600)
    _start(context, connected().shop_id, 1, 1_500)
    assert "Its worker gives no sign of life" in browser.visit("/admin/runs").text


def test_one_run_draws_its_batches_and_says_the_same_as_a_table(browser: Browser, connected: Connect, context: Context) -> None:
    run_id, _ = _start(context, connected().shop_id, 450, 1_000_000)
    page = browser.visit(f"/admin/runs/{run_id}").page
    bars = [node for node in page.find("rect") if node.attributes["class"] == "bar"]
    assert len(bars) == 150
    assert "from 1,000 to 1,000" in page.one("svg").attributes["aria-label"]
    twin = page.one("details", id="twin")
    assert "448–450" in twin.text
    assert len(page.find("th", scope="row")) >= 150


def test_a_failed_run_shows_error_cure_and_a_redacted_sample(browser: Browser, filled: Filled) -> None:
    visit = browser.visit(f"/admin/runs/{filled.failed_id}")
    assert "What went wrong" in visit.text
    assert "req-7" in visit.text
    sample = visit.page.one("details", id="sample").text
    assert "a…@example.com" in sample
    assert "[hidden]" in sample


def test_the_cure_is_said_in_the_readers_language(browser: Browser, connected: Connect, context: Context) -> None:
    run_id = save_run(context, connected().shop_id, state="failed", error=ReauthorizeNeeded(status=401).as_json())
    assert "Connect the account again" in browser.visit(f"/admin/runs/{run_id}").text
    assert "Połącz konto ponownie" in browser.visit(f"/admin/runs/{run_id}", "pl").text


def test_a_run_shows_the_quarantine_of_its_stream(browser: Browser, filled: Filled) -> None:
    page = browser.visit(f"/admin/runs/{filled.run_id}").page
    assert "This is not an e-mail address" in page.text
    assert page.find("a", href="/admin/quarantine?connection=woocommerce&direction=in&stream=customers")


def test_unknown_runs_are_404(browser: Browser, filled: Filled) -> None:
    assert "There is no run with this id" in browser.visit(f"/admin/runs/{new_id()}", status=404).text
    browser.visit("/admin/runs/7", status=404)
