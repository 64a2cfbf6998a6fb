"""The data dictionary: what feeds what, and a dictionary of one's own from check to undo."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from flask import Flask

from hub.connectors import folder
from hub.services import own_dictionary
from hub.services.context import Context
from hub.store import audit
from hub.store.db import reading
from hub.web.admin.dictionary import line_of
from tests.web.conftest import HOSTILE, NOBODY, Browser, Page, Visit

SHIPPED = (folder("woocommerce") / "mapping.toml").read_text("utf-8")
OTHER = SHIPPED.replace(
    'city = { from = "billing.city" }', 'city = { from = "billing.address_1", transforms = ["one_line"] }', 1
)


@pytest.fixture
def place(connected: Callable[..., Any]) -> str:
    return f"/admin/dictionary/{connected({'customers': 5, 'rebase': True}).shop_id}"


def version(browser: Browser, place: str) -> str:
    return browser.visit(f"{place}/own").page.one("input", name="version").attributes["value"]


def send(browser: Browser, path: str, status: int, lang: str = "en", **data: Any) -> Visit | None:
    answer = browser.ask(path, method="POST", data=data, headers={"Accept-Language": lang})
    assert answer.status_code == status, answer.text
    if status == 303:
        return None
    page = Page(answer.text)
    assert not page.problems
    return Visit(answer, page)


def test_every_field_is_told_in_both_languages(browser: Browser) -> None:
    assert "Phone number in E.164" in browser.visit("/admin/dictionary").text
    polish = browser.visit("/admin/dictionary", "pl").text
    assert "Numer telefonu w zapisie E.164" in polish
    assert "No account is connected yet" not in polish


def test_a_connections_dictionary_says_what_feeds_what(browser: Browser, place: str) -> None:
    for lang in ("en", "pl"):
        browser.visit(place, lang)
    text = browser.visit(place).text
    for word in ("billing.phone", "zero_is_empty", "meta_data[key=_wc_other/hub/newsletter-optin].value", "Read: orders"):
        assert word in text
    assert place in [node.attributes["href"] for node in browser.visit("/admin/dictionary").page.find("a")]
    assert browser.ask(f"{place}/mapping.toml").text == SHIPPED


def test_ones_own_is_checked_shown_saved_and_undone(browser: Browser, place: str, context: Context) -> None:
    shown = send(browser, f"{place}/own", 200, text=OTHER, version=version(browser, place), step="check")
    assert shown is not None
    assert "reads.customers.fields.city" in shown.text
    assert "billing.address_1 → one_line" in shown.text
    assert "the shipped one" in browser.visit(place).text, "checking saves nothing"
    send(browser, f"{place}/own", 303, text=OTHER.replace("\n", "\r\n"), version=version(browser, place), step="save")
    assert "billing.address_1" in browser.visit(place).text
    assert browser.ask(f"{place}/mapping.toml").text == OTHER
    send(browser, f"{place}/undo", 303, version=version(browser, place))
    assert "the shipped one" in browser.visit(place).text
    send(browser, f"{place}/undo", 303, version=version(browser, place))
    send(browser, f"{place}/restore", 303, version=version(browser, place))
    send(browser, f"{place}/restore", 409, version=version(browser, place))
    assert browser.ask(f"{place}/mapping.toml").text == SHIPPED
    with reading() as session:
        actions = [entry.action for entry in audit.page_entries(session) if entry.subject_kind == "connection"]
    assert actions.count("mapping.changed") == 2
    assert actions.count("mapping.restored") == 2


def test_a_saved_dictionary_is_read_by(browser: Browser, connected: Callable[..., Any], context: Context) -> None:
    pair = connected({"customers": 5, "rebase": True})
    pair.run_sync("woocommerce")
    place = f"/admin/dictionary/{pair.shop_id}"
    send(browser, f"{place}/own", 303, text=OTHER, version=version(browser, place), step="save")
    again = {run.stream: run for run in pair.run_sync("woocommerce")}
    assert again["customers"].read == again["customers"].updated > 0
    assert again["orders"].updated == 0, "only streams that are read another way are read anew"


def test_a_file_may_be_given_instead(browser: Browser, place: str) -> None:
    seen = version(browser, place)
    data = {"file": (BytesIO("\ufeff".encode() + OTHER.encode()), "own.toml"), "text": "", "version": seen, "step": "save"}
    send(browser, f"{place}/own", 303, **data)
    assert "billing.address_1" in browser.visit(place).text
    bad = {"file": (BytesIO(b"\xff\xfe\x00x"), "own.toml"), "version": seen, "step": "check"}
    shown = send(browser, f"{place}/own", 400, **bad)
    assert shown is not None
    assert "save the file as UTF-8" in shown.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("[reads.customers\nid = 1", "line 1"),
        ("reads = 5", "reads"),
        ("[reads]\ncustomers = 5", "reads.customers"),
        ("reads = " + "[" * 3000, "read"),
        (
            "[reads.customers]\nid = 'id'\n[reads.customers.fields]\nemial = { from = 'email' }",
            "Line 4: reads.customers.fields.emial",
        ),
        ("[reads.customers]\nid = 'id'\n[reads.customers.fields]\nemail = { from = 'emial' }", "did you mean"),
        ("[reads.parties]\nid = 'id'\n[reads.parties.fields]\nemail = { from = 'email' }", "parties"),
        (f"[reads.customers]\nid = '{HOSTILE}'", "reads.customers"),
        ("a = 'b\x00'", "UTF-8"),
        ("# " + "x" * 250_000, "200000"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place(browser: Browser, place: str, text: str, said: str) -> None:
    for step in ("check", "save"):
        shown = send(browser, f"{place}/own", 400, text=text, version=version(browser, place), step=step)
        assert shown is not None
        assert said in shown.text
        assert HOSTILE not in shown.answer.text
    assert "the shipped one" in browser.visit(place).text


def test_who_is_slower_sees_what_was_saved(browser: Browser, place: str, context: Context) -> None:
    seen = version(browser, place)
    own_dictionary.save_dictionary(context, place.rpartition("/")[2], OTHER, seen)
    mine = OTHER.replace("one_line", "lower")
    shown = send(browser, f"{place}/own", 409, text=mine, version=seen, step="save")
    assert shown is not None
    assert "What was saved meanwhile" in shown.text
    assert "lower" in shown.page.one("textarea", name="text").text
    newer = shown.page.one("input", name="version").attributes["value"]
    send(browser, f"{place}/own", 303, text=mine, version=newer, step="save")
    send(browser, f"{place}/undo", 409, version=seen)


def test_others_only_look(app: Flask, place: str) -> None:
    for role in ("marketer", "auditor", "ops"):
        browser = Browser(app, role)
        assert not browser.visit(place).page.find("a", href=f"{place}/own")
        assert browser.ask(f"{place}/own").status_code == 403
        for path in ("own", "restore", "undo"):
            assert browser.ask(f"{place}/{path}", method="POST", data={"text": OTHER}).status_code == 403
    Browser(app).visit(f"/admin/dictionary/{NOBODY}", "pl", status=404)


def test_lines_are_found() -> None:
    text = "[reads.a]\nid = 'x'\n# [reads.b]\n[reads.a.fields]\nemail = { from = 'e' }\n[[reads.a.consents]]\nfrom = 'x'"
    assert [
        line_of(text, place) for place in ("reads.a.id", "reads.a.fields.email.from", "reads.a.consents.0.at", "writes")
    ] == [2, 5, 6, 0]
