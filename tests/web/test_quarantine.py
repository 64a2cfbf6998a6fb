"""The page of what could not be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hub.services.context import Context
from tests.web.conftest import NOBODY, Browser, Filled, save_entry


def test_an_empty_quarantine_is_good_news(browser: Browser) -> None:
    assert "Nothing is in quarantine" in browser.visit("/admin/quarantine").text
    assert "Kwarantanna jest pusta" in browser.visit("/admin/quarantine", "pl").text


def test_entries_say_reason_cure_and_kind_of_value(browser: Browser, filled: Filled) -> None:
    text = browser.visit("/admin/quarantine?code=bad_email").text
    assert "This is not an e-mail address. Correct the address on the platform." in text
    assert "text of 12 characters" in text
    polish = browser.visit("/admin/quarantine?code=bad_email", "pl").text
    assert "To nie jest adres e-mail" in polish
    assert "tekst o długości 12 znaków" in polish
    assert "odczytane z platformy" in polish


def test_the_raw_record_is_there_but_veiled(browser: Browser, filled: Filled) -> None:
    page = browser.visit("/admin/quarantine?code=bad_email").page
    raw = page.one("pre").text
    assert '"email": "j…@example.com"' in raw
    assert '"phone": "…00"' in raw
    assert page.one("pre").attributes["tabindex"] == "0"


def test_what_the_platform_said_is_veiled_too(browser: Browser, filled: Filled) -> None:
    assert "e…@example.com is invalid" in browser.visit("/admin/quarantine?direction=out").text


def test_filters(browser: Browser, filled: Filled) -> None:
    for query, there in {
        "connection=hubspot": False,
        "direction=out": False,
        "code=rejected": False,
        "connection=woocommerce": True,
        "direction=in&stream=customers": True,
        "direction=in&code=": True,
    }.items():
        page = browser.visit(f"/admin/quarantine?{query}").page
        assert ("77" in [node.text for node in page.find("th", role="rowheader")]) is there, query


def test_a_filter_without_entries_offers_the_way_back(browser: Browser, filled: Filled) -> None:
    page = browser.visit("/admin/quarantine?stream=nothing").page
    assert "No entry is like that" in page.text
    assert page.find("a", href="/admin/quarantine")


def test_filters_that_mean_nothing_are_404(browser: Browser, filled: Filled) -> None:
    for query in ("connection=nobody", "before=x", f"before={NOBODY}", "code=%00"):
        browser.visit(f"/admin/quarantine?{query}", status=404)


def test_paging_shows_every_entry_once(browser: Browser, connected: Callable[..., Any], context: Context) -> None:
    pair = connected()
    for number in range(60):
        save_entry(context, pair.shop_id, external_id=str(number))
    seen, path = [], "/admin/quarantine?stream=customers"
    while path:
        page = browser.visit(path).page
        seen += [node.text for node in page.find("th", role="rowheader")]
        following = page.find("a", rel="next")
        path = "/admin/quarantine" + following[0].attributes["href"] if following else ""
        assert not following or "stream=customers" in path
    assert sorted(seen, key=int) == [str(number) for number in range(60)]
