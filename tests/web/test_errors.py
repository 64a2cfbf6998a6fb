"""Error pages."""

from __future__ import annotations

import logging

import pytest
from flask import Flask

from hub.store import runs
from hub.web.admin import runs as pages
from tests.web.conftest import Browser


def test_not_found_in_both_languages(browser: Browser) -> None:
    assert "This page does not exist" in browser.visit("/admin/nothing", status=404).text
    assert "Ta strona nie istnieje" in browser.visit("/nothing", "pl", status=404).text


@pytest.mark.parametrize(("lang", "words"), [("en", "The hub itself has a fault"), ("pl", "Błąd leży w samym hubie")])
def test_a_bug_shows_an_id_that_stands_in_the_log(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, lang: str, words: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret cause")

    monkeypatch.setattr(runs, "page_runs", fail)
    with caplog.at_level(logging.ERROR, logger="hub.web"):
        visit = browser.visit("/admin/runs", lang, status=500)
    (record,) = [record for record in caplog.records if record.name == "hub.web"]
    incident = record.__dict__["incident"]
    assert incident in visit.text
    assert words in visit.text
    assert "secret cause" not in visit.answer.text
    assert record.exc_info is not None
    assert visit.answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in visit.answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/account/login", "/account/second-factor", "/admin/", "/", "/nothing", "/api/v1/me"])
@pytest.mark.parametrize("host", ["", "[", "[::1", "a b", "x@y", "evil.example:99999999", "a" * 5000, "..", "%00", "ż", "a/b"])
def test_no_name_of_a_host_is_a_fault(browser: Browser, path: str, host: str) -> None:
    browser.role = ""
    assert browser.ask(path, headers={"Host": host}).status_code in (200, 302, 400, 401, 404)


def test_every_view_shows_or_changes_never_both(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith(("admin.", "health.")):
            assert rule.methods in ({"GET", "HEAD"}, {"POST"}), rule
    assert pages.PAGE <= 100
