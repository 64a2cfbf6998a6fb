"""The pages of evaluations and decisions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from hub.core.texts import catalog
from hub.rules import consent, scenario
from hub.services.consent import SHARED_ADDRESS
from hub.services.context import Context
from hub.store import contacts, scenarios
from hub.store.db import new_id, reading, transaction
from hub.web.words import REASONS
from tests.web.conftest import Browser, Filled


def _codes() -> set[str]:
    """Every reason that the rules can give: their constants, but for the topic «*»."""
    named = {**vars(consent), **vars(scenario)}
    found = {value for name, value in named.items() if name.isupper() and isinstance(value, str)}
    return found - {consent.EVERY_TOPIC} | {SHARED_ADDRESS, "contact_gone", "not_on_platform", "rejected"}


@pytest.mark.parametrize("code", sorted(_codes()))
def test_every_reason_has_words_in_both_languages(code: str) -> None:
    assert REASONS[code] != code
    assert catalog("pl").gettext(REASONS[code]) != REASONS[code]


def test_empty_pages_say_what_to_do_next(browser: Browser, connected: Callable[..., Any]) -> None:
    assert browser.visit("/admin/decisions").page.find("a", href="/admin/proposals/new")
    assert not Browser(browser.app, "auditor").visit("/admin/decisions").page.find("a", href="/admin/proposals/new")
    connected().publish()
    assert browser.visit("/admin/decisions", "pl").page.find("a", href="/admin/scenarios/welcome")


def test_reasons_are_counted_and_drawn(browser: Browser, filled: Filled) -> None:
    with reading() as session:
        counts = scenarios.count_decisions(session, [filled.evaluation_id])
    assert len(counts) > 1
    page = browser.visit("/admin/decisions").page
    drawn = [node for node in page.find("svg") if node.attributes["class"] == "share"]
    assert len(drawn) == len(counts)
    for _, reason in counts:
        assert page.find("a", href=f"/admin/decisions/{filled.evaluation_id}?reason={reason}#contacts")
        assert REASONS[reason] in page.text
    polish = browser.visit("/admin/decisions", "pl").text
    assert all(catalog("pl").gettext(REASONS[reason]) in polish for _, reason in counts)
    assert "Latest evaluations" in page.text


def test_contacts_of_one_reason(browser: Browser, filled: Filled) -> None:
    with reading() as session:
        counts = scenarios.count_decisions(session, [filled.evaluation_id])
    path = f"/admin/decisions/{filled.evaluation_id}"
    for (allowed, reason), count in counts.items():
        page = browser.visit(f"{path}?reason={reason}").page
        badges = [node.text for node in page.find("span") if node.attributes.get("class") in ("badge done", "badge refused")]
        words = [text for text in badges if text in ("allowed", "refused")]
        assert words == ["allowed" if allowed else "refused"] * min(count, 50)
    assert "No contact is like that" in browser.visit(f"{path}?reason=nothing").text


def test_e_mails_are_veiled(browser: Browser, filled: Filled) -> None:
    with reading() as session:
        emails = session.scalars(sa.select(contacts.contact.c.email).where(contacts.contact.c.email.is_not(None))).all()
    html = browser.visit(f"/admin/decisions/{filled.evaluation_id}").answer.text
    assert "…@" in html
    assert not [email for email in emails if email in html]


def test_what_was_sent_is_counted(browser: Browser, filled: Filled) -> None:
    page = browser.visit(f"/admin/decisions/{filled.evaluation_id}").page
    assert "Start the automation" in page.text
    assert "Write the contact to the platform" in page.text


def test_paging_shows_every_contact_once(browser: Browser, filled: Filled, context: Context) -> None:
    ids = [new_id() for _ in range(130)]
    with transaction() as session:
        rows = [{"evaluation_id": filled.evaluation_id, "contact_id": one, "allowed": False} for one in ids]
        scenarios.save_decisions(session, [{**row, "reason": "no_address", "at": context.now()} for row in rows])
    seen, start = [], f"/admin/decisions/{filled.evaluation_id}"
    path = f"{start}?reason=no_address"
    while path:
        page = browser.visit(path).page
        seen += [node.text.strip()[-12:] for node in page.find("th", role="rowheader") if "no name" in node.text]
        following = page.find("a", rel="next")
        path = start + following[0].attributes["href"] if following else ""
    assert sorted(seen) == sorted(one[-12:] for one in ids)


def test_an_open_evaluation_is_live(browser: Browser, filled: Filled, context: Context) -> None:
    page = browser.visit("/admin/decisions").page
    assert page.one("div", id="live").attributes["data-running"] == "no"
    with transaction() as session:
        plan = scenarios.load_plan(session, scenarios.find_scenario(session, "welcome").id)
        open_id = scenarios.add_evaluation(session, plan, context.now())
    for path in ("/admin/decisions", f"/admin/decisions/{open_id}"):
        assert browser.visit(path).page.one("div", id="live").attributes["data-running"] == "yes"


def test_unknown_evaluations_are_404(browser: Browser, filled: Filled) -> None:
    browser.visit(f"/admin/decisions/{new_id()}", "pl", status=404)
    browser.visit(f"/admin/decisions/{filled.evaluation_id}?after=x", status=404)
    browser.visit("/admin/decisions/latest", status=404)
