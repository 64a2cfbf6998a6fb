"""The first page after signing in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from flask import Flask

from hub.core.errors import ReauthorizeNeeded
from hub.services import overview
from hub.services.context import Context
from hub.store import connections, hooks, proposals, sign_ins
from hub.store.db import new_id, reading, transaction
from tests.web.conftest import Browser, Filled, save_run


def test_an_empty_hub_says_what_to_do_next(app: Flask) -> None:
    owner = Browser(app).visit("/admin/")
    assert "The hub is empty" in owner.text
    assert owner.page.find("a", href="/admin/connections/new")
    marketer = Browser(app, "marketer").visit("/admin/")
    assert "Ask an admin to connect the first account" in marketer.text
    assert not marketer.page.find("a", href="/admin/connections/new")
    assert "Hub jest pusty" in Browser(app).visit("/admin/", "pl").text


def test_it_tells_what_failed_what_is_owed_and_what_was_decided(browser: Browser, filled: Filled) -> None:
    page = browser.visit("/admin/").page
    assert "2 entries in quarantine" in page.text or "entries in quarantine" in page.text
    assert "Allowed: consent is given" in page.text
    (chart,) = page.find("svg", role="img")
    assert "allowed" in chart.attributes["aria-label"]
    assert page.find("a", href="/admin/decisions")
    assert "Contacts" in page.text


def test_the_last_sync_counts_not_an_older_one(browser: Browser, connected: Callable[..., Any], context: Context) -> None:
    pair = connected()
    early = context.now() - timedelta(hours=2)
    failed = save_run(context, pair.shop_id, state="failed", created_at=early, finished_at=early)
    assert f"/admin/runs/{failed}" in browser.visit("/admin/").answer.text
    save_run(context, pair.shop_id, state="done")
    text = browser.visit("/admin/")
    assert "The last sync of" not in text.text
    assert f"/admin/runs/{failed}" not in text.answer.text


def test_dead_credentials_are_the_first_thing_to_do(browser: Browser, connected: Callable[..., Any], context: Context) -> None:
    pair = connected()
    with transaction() as session:
        error = ReauthorizeNeeded(connection="hubspot").as_json()
        connections.set_state(session, pair.crm_id, connections.REAUTHORIZE, error, context.now())
    page = browser.visit("/admin/", "pl").page
    assert "«hubspot»" in page.text or "„hubspot”" in page.text
    assert page.find("a", href=f"/admin/connections/{pair.crm_id}")


def test_what_waits_is_told_to_those_who_can_do_something(app: Flask, connected: Callable[..., Any], context: Context) -> None:
    connected()
    now = context.now()
    with transaction() as session:
        sign_ins.add_sign_in(session, None, "a@b.example", "password", sign_ins.LOCKED, "198.51.100.7", "", now)
        session.execute(
            sa.insert(proposals.proposal).values(
                id=new_id(),
                scenario_key="x",
                definition={},
                state=proposals.WAITING,
                author_name="Ewa",
                note="",
                created_at=now,
                updated_at=now,
                **({"editors": []} if "editors" in proposals.proposal.c else {}),
            )
        )
        webhook = {"id": new_id(), "url": "https://x.example", "description": "", "kinds": ["*"], "key_id": "k", "sealed": b"x"}
        times = {"created_at": now, "updated_at": now}
        session.execute(sa.insert(hooks.webhook).values(**webhook, **times, active=True, failures=3))
    texts = {
        "1 address was locked after wrong passwords": {"owner"},
        "1 scenario waits for a second person to publish it": {"owner", "marketer"},
        "1 webhook cannot be delivered": {"owner", "admin"},
    }
    for role in ("owner", "admin", "marketer", "ops"):
        text = Browser(app, role).visit("/admin/").text
        for sentence, told in texts.items():
            assert (sentence in text) is (role in told), (role, sentence)


def test_the_page_is_small(browser: Browser, filled: Filled) -> None:
    answer = browser.ask("/admin/", headers={"Accept-Encoding": "gzip", "Sec-Fetch-Site": "none"})
    sizes = [len(answer.data)]
    page = browser.visit("/admin/").page
    links = [node.attributes["href"] for node in page.find("link")] + [node.attributes["src"] for node in page.find("script")]
    sizes += [len(browser.ask(link, headers={"Accept-Encoding": "gzip"}).data) for link in links]
    assert len(sizes) >= 4
    assert sum(sizes) < 120_000 / 2, sizes


def test_nobody_waits_for_the_counts_of_a_large_hub(
    connected: Callable[..., Any], context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = connected({"customers": 20, "rebase": True})
    monkeypatch.setattr(overview, "QUICK_SECONDS", 0.0)
    now, zone = context.now().replace(hour=12), ZoneInfo("UTC")

    def count(minutes: float) -> int:
        with reading() as session:
            return overview.count_totals(context, session, now + timedelta(minutes=minutes), zone).contacts

    before = count(0)
    pair.run_sync("woocommerce")
    assert count(1) == before, "kept for two minutes"
    assert count(3) == before, "the next ones are counted beside the page"
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and "_count_beside" in thread.name:
            thread.join(10)
    assert count(4) > before
    assert count(40) > before, "too old to be told"
