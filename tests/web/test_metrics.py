"""What Prometheus scrapes: true figures, nothing personal, and not for everybody."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families

from tests.web.conftest import Browser, Filled, save_run


def scrape(browser: Browser, **rest: Any) -> dict[tuple[str, ...], float]:
    """Each sample by its name and its labels' values, in the labels' order."""
    answer = browser.ask("/metrics", **rest)
    assert answer.status_code == 200, answer.text
    assert answer.content_type.startswith("text/plain; version=")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_figures_are_those_of_the_database(browser: Browser, filled: Filled) -> None:
    found = scrape(browser)
    assert found["hub_contacts",] > 0
    assert found["hub_connections", "active"] == 2
    assert found["hub_run_last_succeeded", "woocommerce", "customers"] == 1
    assert found["hub_run_last_succeeded", "hubspot", "contacts"] == 0, "the run that failed"
    assert found["hub_quarantine_entries", "woocommerce", "in"] >= 1
    assert found["hub_up", "database"] == found["hub_up", "redis"] == 1
    assert found["hub_api_calls_today", "hubspot"] > 0
    assert found["hub_workers",] == 0


def test_a_scheduler_is_heard_of(browser: Browser, app: Flask) -> None:
    assert scrape(browser)["hub_scheduler_up",] == 0
    app.extensions["hub_queues"].beat()
    assert scrape(browser)["hub_scheduler_up",] == 1


def test_nothing_personal_and_no_secret_is_told(browser: Browser, filled: Filled) -> None:
    text = browser.ask("/metrics").text
    assert "@" not in text
    assert not [secret for secret in filled.secrets if secret in text]


def test_requests_are_counted_by_route_and_never_by_path(browser: Browser) -> None:
    for number in range(5):
        browser.ask(f"/nothing-{number}")
    found = scrape(browser)
    assert found["hub_http_requests_total", "none", "GET", "404"] >= 5
    assert not [key for key in found if "nothing-" in "".join(key)]


@pytest.mark.parametrize(("role", "status"), [("", 403), ("marketer", 403), ("ops", 200), ("auditor", 200), ("owner", 200)])
def test_from_elsewhere_only_who_may_see_health(browser: Browser, role: str, status: int) -> None:
    browser.role = role
    assert browser.ask("/metrics", address="10.0.0.9").status_code == status


def test_a_proxy_on_this_machine_is_elsewhere(browser: Browser) -> None:
    browser.role = ""
    assert browser.ask("/metrics").status_code == 200
    assert browser.ask("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403


def test_a_database_that_is_away_is_told(app: Flask, tmp_path: Any, context: Any) -> None:
    from tests.conftest import make_settings, open_app

    with open_app(make_settings(tmp_path / "bare", f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.sqlite'}")) as bare:
        answer = bare.test_client().get("/metrics")
    assert answer.status_code == 200
    assert 'hub_up{part="database"} 0.0' in answer.text
    assert 'hub_up{part="redis"} 0.0' in answer.text


def test_a_run_that_waits_is_open(browser: Browser, filled: Filled, context: Any, connected: Any) -> None:
    from hub.store import connections
    from hub.store.db import reading

    with reading() as session:
        connection_id = connections.get_connection(session, "woocommerce").id
    save_run(context, connection_id, state="waiting", finished_at=None)
    assert scrape(browser)["hub_runs_open", "waiting"] == 1


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8321", 200),
        ("127.0.0.1", 200),
        ("[::1]:8321", 200),
        ("evil.example:8321", 403),
    ],
)
def test_a_strange_name_for_this_machine_is_elsewhere(browser: Browser, host: str, status: int) -> None:
    browser.role = ""
    assert browser.ask("/metrics", headers={"Host": host}).status_code == status
