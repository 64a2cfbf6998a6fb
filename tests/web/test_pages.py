"""What holds for every page: valid, in the reader's language, strict headers, nothing personal in clear."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask

from tests.conftest import add_user, sign_in
from tests.web.conftest import HOSTILE, Browser, Filled

CLEAR_EMAIL = re.compile(r"[^\s@…<>\"'(]{2,}@[\w.-]+")
EXAMPLES = ("user:password@host", "hub@example.com")
"""Of the meanings of HUB_MAIL_URL and HUB_MAIL_FROM."""
PAGES: dict[str, Callable[[Filled], str]] = {
    "overview": lambda filled: "/admin/",
    "connections": lambda filled: "/admin/connections",
    "platforms": lambda filled: "/admin/connections/new",
    "connect": lambda filled: "/admin/connections/new/hubspot",
    "audit trail": lambda filled: "/admin/audit",
    "settings": lambda filled: "/admin/settings",
    "runs": lambda filled: "/admin/runs",
    "run": lambda filled: f"/admin/runs/{filled.run_id}",
    "failed run": lambda filled: f"/admin/runs/{filled.failed_id}",
    "quarantine": lambda filled: "/admin/quarantine",
    "decisions": lambda filled: "/admin/decisions",
    "evaluation": lambda filled: f"/admin/decisions/{filled.evaluation_id}",
}


@pytest.mark.parametrize("lang", ["en", "pl"])
def test_every_page_is_valid_and_keeps_secrets(browser: Browser, filled: Filled, lang: str) -> None:
    for name, path in PAGES.items():
        visit = browser.visit(path(filled), lang)
        html = visit.answer.text
        assert not [one for one in CLEAR_EMAIL.findall(html) if not one.endswith(EXAMPLES)], name
        assert not [secret for secret in [*filled.secrets, "verysecret99"] if secret in html], name
        assert HOSTILE not in html, name
        outside = [
            node.attributes[key] for node in visit.page.nodes for key in ("href", "src", "action") if key in node.attributes
        ]
        assert not [link for link in outside if "//" in link], name
        footer = {"en": "Times are in Europe/Warsaw", "pl": "Godziny w strefie Europe/Warsaw"}
        assert footer[lang] in visit.text


def test_hostile_names_are_shown_as_text(browser: Browser, filled: Filled) -> None:
    for name in ("failed run", "quarantine", "decisions", "evaluation"):
        assert HOSTILE in browser.visit(PAGES[name](filled)).text, name


def test_headers_of_every_answer(browser: Browser) -> None:
    for path, status in (("/admin/runs", 200), ("/admin/nothing", 404), ("/healthz", 200), ("/static/console.css", 200)):
        answer = browser.ask(path)
        assert answer.status_code == status
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "camera=()" in answer.headers["Permissions-Policy"]
    for path in ("/admin/runs", "/admin/nothing", "/admin/", "/healthz"):
        assert browser.ask(path).headers["Cache-Control"] == "no-store"


def test_the_front_door_leads_to_the_overview(browser: Browser) -> None:
    answer = browser.ask("/")
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/admin/"


def test_language_is_asked_for_then_remembered_then_the_browsers_own(app: Flask) -> None:
    client = app.test_client()
    sign_in(client, add_user(app, "owner"))

    def lang(path: str, accept: str) -> str:
        found = re.search(r'<html lang="(\w+)"', client.get(path, headers={"Accept-Language": accept}).text)
        assert found
        return found[1]

    assert lang("/admin/runs", "de, pl;q=0.9, en;q=0.1") == "pl"
    assert lang("/admin/runs", "de") == "en"
    assert lang("/admin/runs?lang=pl", "en") == "pl"
    assert lang("/admin/runs", "en") == "pl", "remembered"
    assert lang("/admin/runs?lang=en", "pl") == "en"
    assert lang("/admin/runs?lang=%3Cscript%3E", "pl") == "en", "an unknown one changes nothing"


def test_the_language_switch_keeps_the_page_and_its_filters(browser: Browser) -> None:
    page = browser.visit("/admin/runs?state=failed").page
    assert page.one("a", hreflang="pl").attributes["href"] == "?state=failed&lang=pl"
    assert page.one("a", hreflang="en").attributes["aria-current"] == "true"
    assert browser.visit("/admin/nothing?x=1", status=404).page.one("a", hreflang="pl").attributes["href"] == "?x=1&lang=pl"


def test_the_cookie_says_the_language_only(browser: Browser) -> None:
    (cookie,) = [
        one for one in browser.ask("/admin/runs?lang=pl").headers.getlist("Set-Cookie") if one.startswith("hub_lang=pl;")
    ]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "hub_lang" not in " ".join(browser.ask("/admin/runs").headers.getlist("Set-Cookie"))


def test_static_files_are_small_and_call_nobody(browser: Browser) -> None:
    css, script = browser.ask("/static/console.css").text, browser.ask("/static/live.js").text
    assert len(css.encode()) <= 20_000
    assert "url(" not in css
    assert "@import" not in css
    assert "http" not in script
    assert "innerHTML" not in script
    assert len(script.encode()) < 4_000
