"""What every page has around it: menu, compression, files that may be kept, limits on what is sent to us, headers."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import re
from dataclasses import replace

import pytest
from flask import Flask

from hub.store import connections
from hub.web.sheets import cell
from tests.conftest import add_user, form_token, sign_in
from tests.web.conftest import Browser, Filled
from tests.web.test_connections import Forms

ZIPPED = {"Accept-Encoding": "gzip"}


@pytest.mark.parametrize(
    ("role", "there", "missing"),
    [
        ("owner", {"/admin/", "/admin/connections", "/admin/audit", "/admin/settings"}, set()),
        ("ops", {"/admin/", "/admin/runs"}, {"/admin/audit", "/admin/contacts", "/admin/users"}),
        ("marketer", {"/admin/decisions"}, {"/admin/audit", "/admin/users"}),
    ],
)
def test_the_menu_has_what_one_may_see(app: Flask, role: str, there: set[str], missing: set[str]) -> None:
    page = Browser(app, role).visit("/admin/runs").page
    links = {node.attributes.get("href") for node in page.find("a")}
    assert there <= links
    assert not missing & links
    (current,) = list(page.find("a", aria_current="page"))
    assert current.attributes["href"] == "/admin/runs"


def test_every_place_of_the_menu_answers(browser: Browser) -> None:
    page = browser.visit("/admin/").page
    (menu,) = page.find("nav", id="menu")
    places = [node.attributes["href"] for node in page.find("a") if node.attributes.get("href", "").startswith("/admin/")]
    assert menu.attributes["popover"] == ""
    assert page.one("button", popovertarget="menu")
    for path in {place for place in places if "?" not in place}:
        browser.visit(path)


def test_signing_out_is_a_form(browser: Browser) -> None:
    page = browser.visit("/admin/").page
    (form,) = [node for node in page.find("form", method="post") if "logout" in node.attributes["action"]]
    assert form
    assert page.find("input", name="csrf_token")[0].attributes["value"]


def test_pages_are_compressed_only_for_ones_own_questions(browser: Browser, filled: Filled) -> None:
    for site, zipped in (("none", True), ("same-origin", True), ("cross-site", False), ("same-site", False), ("", False)):
        answer = browser.ask("/admin/runs", headers={**ZIPPED, **({"Sec-Fetch-Site": site} if site else {})})
        assert (answer.headers.get("Content-Encoding") == "gzip") is zipped, site
        assert {"Accept-Encoding", "Sec-Fetch-Site"} <= set(answer.vary)
        assert b"<!doctype html>" in (gzip.decompress(answer.data) if zipped else answer.data)
    plain = browser.ask("/admin/runs", headers={"Accept-Encoding": "identity", "Sec-Fetch-Site": "none"})
    assert "Content-Encoding" not in plain.headers


def test_files_are_kept_for_a_year_under_an_address_of_their_content(browser: Browser) -> None:
    page = browser.visit("/admin/").page
    links = [node.attributes["href"] for node in page.find("link", rel="stylesheet")]
    assert len(links) == 2
    for link in links:
        assert "?v=" in link
        answer = browser.ask(link, headers=ZIPPED)
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["Content-Encoding"] == "gzip"
        plain = browser.ask(link)
        assert gzip.decompress(answer.data) == plain.data
        assert answer.headers["ETag"] != plain.headers["ETag"]
    assert "immutable" not in browser.ask("/static/console.css").headers["Cache-Control"]
    assert browser.ask("/static/nothing.css", headers=ZIPPED).status_code == 404


def test_too_much_is_refused_before_it_is_read(app: Flask) -> None:
    forms = Forms(app, "admin")
    assert "Too much was sent at once" in forms.post("/admin/settings", 413, name="x" * 1_100_000).text
    for fields in ({"name": "x" * 600_000}, {f"f{number}": "x" for number in range(600)}):
        parts = [
            f'--limit\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
        ]
        body = "".join([*parts, "--limit--\r\n"])
        with app.app_context():
            answer = forms.client.post("/admin/settings", data=body, content_type="multipart/form-data; boundary=limit")
        assert answer.status_code == 413


def test_a_post_of_nobody_is_401_in_words(app: Flask) -> None:
    answer = app.test_client().post("/admin/settings", data={"name": "Herbata"}, headers={"Accept-Language": "en"})
    assert answer.status_code == 401
    assert "Sign in first" in answer.text
    assert "Herbata" not in answer.text, "what a stranger's page sends does not become a form of ours"


def test_a_form_without_its_token_comes_back_with_what_was_typed(app: Flask) -> None:
    client = app.test_client()
    sign_in(client, add_user(app, "owner"))
    data = {"name": "Herbata", "password": "hush-hush", "version": "0"}
    answer = client.post("/admin/settings", data=data, headers={"Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 400
    assert 'value="Herbata"' in answer.text
    assert "hush-hush" not in answer.text
    foreign = client.post("/admin/settings", data=data, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 400
    assert "Herbata" not in foreign.text


def test_https_is_kept_where_the_hub_is_opened_over_https(app: Flask) -> None:
    assert "Strict-Transport-Security" not in Browser(app).ask("/healthz").headers
    app.config["HUB_SETTINGS"] = replace(app.config["HUB_SETTINGS"], public_url="https://hub.example.com")
    assert Browser(app).ask("/healthz").headers["Strict-Transport-Security"] == "max-age=31536000"


def test_errors_of_the_machine_door_have_one_shape(app: Flask) -> None:
    client = app.test_client()
    for path, method, status in (
        ("/api/v1/nothing", "GET", (401, 404)),
        ("/readyz", "POST", (405,)),
        ("/healthz", "DELETE", (405,)),
    ):
        answer = client.open(path, method=method)
        assert answer.status_code in status
        error = json.loads(answer.text)["error"]
        assert {"code", "message"} <= set(error)


def test_a_database_that_is_gone_still_gives_a_page(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("gone")

    monkeypatch.setattr(connections, "list_connections", fail)
    with caplog.at_level(logging.ERROR, logger="hub.web"):
        answer = browser.ask("/admin/connections")
    assert answer.status_code == 500
    (record,) = [record for record in caplog.records if record.name == "hub.web"]
    assert record.__dict__["incident"] in answer.text
    assert "/admin/audit" not in answer.text, "the menu would ask the database"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert cell(f"{start}1+1") == f"'{start}1+1"
    assert cell("1+1") == "1+1"
    assert cell(-5) == "-5", "a number is no formula"
    assert cell(None) == ""


@pytest.mark.parametrize("text", ["x;=1+1", 'a"; "=1', "x;\n-1", "600;+48", "a\t@b"])
def test_no_later_part_is_a_formula_where_semicolons_end_cells(text: str) -> None:
    assert re.search(r"[;\t][\s\"]*[=+@-]", cell(text)) is None
    assert cell("a;b; c") == "a;b; c"


def test_the_quarantine_as_a_file(app: Flask, filled: Filled) -> None:
    veiled = Browser(app, "ops").ask("/admin/quarantine.csv?code=bad_email")
    header, *rows = list(csv.reader(io.StringIO(veiled.text.lstrip("\ufeff"))))
    assert len(rows) == 1
    assert "jan.kowalski@example.com" not in veiled.text
    assert dict(zip(header, rows[0], strict=True))["connection"] == "woocommerce"
    assert Browser(app, "admin").ask("/admin/quarantine.csv", method="POST").status_code == 403
    officer = Forms(app, "consent_officer")
    with app.app_context():
        token = {"csrf_token": form_token(officer.client)}
        answer = officer.client.post("/admin/quarantine.csv?code=bad_email", data=token)
    assert answer.status_code == 200
    assert "jan.kowalski@example.com" in answer.text
    assert "quarantine.exported" in Browser(app, "auditor").visit("/admin/audit").text
