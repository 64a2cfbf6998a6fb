"""The pages about connections: connecting, changing, pausing, taking away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient

from hub.services.context import Context
from hub.store import audit, connections, contacts, runs, vault
from hub.store.db import reading
from tests.conftest import Serve, add_user, form_token, sign_in
from tests.web.conftest import HOSTILE, NOBODY, Browser, Filled, Page

Connect = Callable[..., Any]


class Forms:
    """A signed-in browser that sends forms as the page has them."""

    def __init__(self, app: Flask, role: str = "admin") -> None:
        self.app = app
        self.client: FlaskClient = app.test_client()
        sign_in(self.client, add_user(app, role))

    def get(self, path: str, status: int = 200) -> Page:
        with self.app.app_context():
            answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        page = Page(answer.text)
        assert not page.problems
        return page

    def post(self, path: str, status: int = 303, **fields: Any) -> Page:
        names = {name.replace("__", "."): value for name, value in fields.items()}
        data = urlencode({"csrf_token": form_token(self.client), **names}, doseq=True)
        with self.app.app_context():
            answer = self.client.post(path, data=data, content_type="application/x-www-form-urlencoded")
        assert answer.status_code == status, answer.text
        if status == 303:
            return self.get(answer.headers["Location"])
        page = Page(answer.text)
        assert not page.problems
        return page


@pytest.fixture
def forms(app: Flask) -> Forms:
    return Forms(app)


def find(name: str) -> connections.ConnectionRow | None:
    with reading() as session:
        return connections.find_connection(session, name)


def actions() -> list[str]:
    with reading() as session:
        return [row.action for row in audit.page_entries(session)]


def test_the_list_shows_state_records_and_the_next_sync(browser: Browser, filled: Filled) -> None:
    text = browser.visit("/admin/connections").text
    for words in ("woocommerce", "WooCommerce", "HubSpot", "works", "customers 60", "15 mins"):
        assert words in text, words
    assert "Połączenia" in browser.visit("/admin/connections", "pl").text


def test_one_from_near(browser: Browser, filled: Filled) -> None:
    shop = find("woocommerce")
    assert shop
    visit = browser.visit(f"/admin/connections/{shop.id}")
    for words in (
        "customers",
        "orders",
        "products",
        "Calls today (UTC)",
        "Sync now",
        "Its fields are read by the platform's own",
    ):
        assert words in visit.text, words
    assert not [secret for secret in filled.secrets if secret in visit.answer.text]
    browser.visit(f"/admin/connections/{NOBODY}", status=404)
    browser.visit("/admin/connections/nonsense", status=404)


def test_a_shop_is_connected_and_the_name_may_be_chosen(forms: Forms, shop: Serve) -> None:
    given = shop(customers=3).credentials()
    page = forms.post("/admin/connections/new/woocommerce", **given, name="Mój sklep")
    assert "«Mój sklep» is connected" in page.text
    row = find("Mój sklep")
    assert row is not None
    assert row.state == connections.ACTIVE
    assert "connection.created" in actions()
    assert given["secret"] not in forms.get(f"/admin/connections/{row.id}").html


def test_the_same_account_again_is_no_second_connection(forms: Forms, shop: Serve) -> None:
    given = shop().credentials()
    forms.post("/admin/connections/new/woocommerce", **given)
    assert "was connected before" in forms.post("/admin/connections/new/woocommerce", **given).text
    with reading() as session:
        assert len(connections.list_connections(session)) == 1


def test_what_is_missing_is_told_at_the_field(forms: Forms) -> None:
    page = forms.post("/admin/connections/new/woocommerce", 400, url="https://shop.example", key="", secret="")
    field = page.one("input", id="f-key")
    assert field.attributes["aria-invalid"] == "true"
    assert "e-key" in field.attributes["aria-describedby"]
    assert "This is missing: Consumer key" in page.one("p", id="e-key").text
    assert page.one("input", id="f-url").attributes["value"] == "https://shop.example", "what was typed stays"
    assert "value" not in field.attributes or not field.attributes["value"]


def test_wrong_keys_are_an_input_to_correct(forms: Forms, shop: Serve) -> None:
    given = {**shop().credentials(), "secret": "cs_0000000000000000000000000000000000000000"}
    page = forms.post("/admin/connections/new/woocommerce", 400, **given)
    assert page.find("div", role="alert")
    assert given["secret"] not in page.html
    assert find("woocommerce") is None


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest", "http://10.0.0.7", "http://[::1]:99", "https://192.168.1.4", "http://0.0.0.0:1"]
)
def test_a_private_address_is_refused_at_its_field(forms: Forms, url: str) -> None:
    page = forms.post("/admin/connections/new/woocommerce", 400, url=url, key="ck_1234567890", secret="cs_1234567890")
    assert "The address leads into a private network" in page.one("p", id="e-url").text


@pytest.mark.parametrize("text", ["x" * 3000, "a\u0000b", HOSTILE, "ftp://x.example", "https://user:pw@x.example"])
def test_hostile_input_is_refused(forms: Forms, text: str) -> None:
    page = forms.post("/admin/connections/new/woocommerce", 400, url=text, key="ck_1234567890", secret="cs_1234567890")
    assert HOSTILE not in page.html


def test_unknown_platforms_do_not_exist(forms: Forms) -> None:
    forms.get("/admin/connections/new/nonsense", 404)
    forms.post("/admin/connections/new/nonsense", 404)


def test_a_shop_that_does_not_answer_is_told(forms: Forms, app: Flask) -> None:
    given = {"url": "http://127.0.0.1:9", "key": "ck_1234567890", "secret": "cs_1234567890"}
    page = forms.post("/admin/connections/new/woocommerce", 400, **given)
    assert "refuses the connection" in page.one("div", role="alert").text


def test_a_shop_that_is_broken_is_no_fault_of_the_input(forms: Forms, shop: Serve) -> None:
    broken = shop()
    broken.faults.faults = [("503", 1.0)]
    page = forms.post("/admin/connections/new/woocommerce", 502, **broken.credentials())
    assert page.find("div", role="alert")


def test_new_credentials_must_be_of_the_same_account(forms: Forms, shop: Serve) -> None:
    mine, other = shop().credentials(), shop().credentials()
    forms.post("/admin/connections/new/woocommerce", **mine)
    row = find("woocommerce")
    assert row
    page = forms.post(f"/admin/connections/{row.id}/credentials", 400, **other)
    assert "credentials of another account" in page.text
    assert "they work" in forms.post(f"/admin/connections/{row.id}/credentials", **mine).text
    shown = forms.get(f"/admin/connections/{row.id}/credentials")
    assert shown.one("input", id="f-url").attributes["value"] == mine["url"]
    assert mine["secret"] not in shown.html


def test_pausing_holds_the_schedule_and_a_check_does_not_end_it(forms: Forms, connected: Connect) -> None:
    pair = connected()
    path = f"/admin/connections/{pair.shop_id}"
    assert "is paused" in forms.post(f"{path}/pause").text
    forms.post(f"{path}/pause")
    assert "The platform answers" in forms.post(f"{path}/check").text
    row = find("woocommerce")
    assert row
    assert row.state == connections.PAUSED
    assert "is paused. Resume it first" in forms.post(f"{path}/sync").text
    forms.post(f"{path}/resume")
    assert actions().count("connection.paused") == 1
    assert actions().count("connection.resumed") == 1
    row = find("woocommerce")
    assert row
    assert row.state == connections.ACTIVE


def test_a_sync_of_chosen_streams_from_the_beginning(forms: Forms, connected: Connect) -> None:
    pair = connected()
    path = f"/admin/connections/{pair.shop_id}"
    page = forms.post(f"{path}/sync", stream=["orders", "customers"], full="yes")
    assert "The sync is queued" in page.text
    with reading() as session:
        assert [row.stream for row in runs.open_runs(session, pair.shop_id)] == ["customers", "orders"]
    forms.post(f"{path}/sync", stream=["orders"])
    with reading() as session:
        assert len(runs.open_runs(session, pair.shop_id)) == 2, "a sync that is under way is the one asked for"
    assert "sync.requested" in actions()
    assert "no stream" in forms.post(f"/admin/connections/{pair.shop_id}/sync", stream=["nonsense"]).text
    assert "cannot do this" in forms.post(f"/admin/connections/{pair.crm_id}/sync").text


def test_renaming(forms: Forms, connected: Connect) -> None:
    pair = connected()
    path = f"/admin/connections/{pair.shop_id}/name"
    forms.post(path, name="Sklep żółty", seen="woocommerce")
    assert find("Sklep żółty")
    assert "belongs to another account" in forms.post(path, 409, name="hubspot", seen="Sklep żółty").text
    for wrong in ("", "x" * 81, "a\nb", NOBODY):
        forms.post(path, 400, name=wrong, seen="Sklep żółty")
    page = forms.post(path, 409, name="mine", seen="woocommerce")
    assert "Somebody else changed this meanwhile" in page.text
    assert page.one("input", name="seen").attributes["value"] == "Sklep żółty"
    forms.post(path, name="mine", seen="Sklep żółty")
    assert find("mine")


def test_own_limits(forms: Forms, connected: Connect, context: Context) -> None:
    pair = connected()
    path = f"/admin/connections/{pair.shop_id}/limits"
    empty = dict.fromkeys(("seen_burst", "seen_window", "seen_daily", "seen_in_flight"), "")
    forms.post(path, burst="10", window="1,5", daily="", in_flight="2", **empty)
    row = find("woocommerce")
    assert row
    assert row.options["limits"] == {"burst": 10, "window": 1.5, "in_flight": 2}
    assert "10 in 1.5 sec" in forms.get(f"/admin/connections/{pair.shop_id}").text
    assert "Both versions" in forms.post(path, 409, burst="3", window="1", **empty).text
    seen = {"seen_burst": "10", "seen_window": "1.5", "seen_daily": "", "seen_in_flight": "2"}
    for wrong in (
        {"burst": "-1", "window": "1"},
        {"burst": "x", "window": "1"},
        {"burst": "5"},
        {"daily": "1e400"},
        {"in_flight": "nan"},
    ):
        forms.post(path, 400, **wrong, **seen)
    forms.post(path, burst="", window="", daily="", in_flight="", **seen)
    row = find("woocommerce")
    assert row
    assert "limits" not in row.options


def test_disconnecting_asks_for_the_name_and_keeps_the_contacts(
    forms: Forms, filled: Filled, context: Context, app: Flask
) -> None:
    row = find("woocommerce")
    assert row
    path = f"/admin/connections/{row.id}/disconnect"
    text = forms.get(path).text
    for words in ("240 records", "nobody can bring it back", "the ledger of consents"):
        assert words in text
    with reading() as session:
        people = contacts.count_contacts(session)
    assert people
    assert "This is not the connection's name" in forms.post(path, 400, name="wrong").one("p", id="e-name").text
    assert find("woocommerce")
    assert "is disconnected" in forms.post(path, name="woocommerce").text
    assert find("woocommerce") is None
    with reading() as session:
        assert contacts.count_contacts(session) == people
        assert vault.load_secret(session, context.vault, row.id, "credentials")[0] == {}
    assert "connection.removed" in actions()
    forms.post(path, 404, name="woocommerce")


def test_only_those_who_may_change_are_offered_to(app: Flask, connected: Connect) -> None:
    pair = connected()
    path = f"/admin/connections/{pair.shop_id}"
    auditor, ops = Browser(app, "auditor").visit(path).page, Browser(app, "ops").visit(path).page
    assert not auditor.find("form", action=f"{path}/sync")
    assert ops.find("form", action=f"{path}/sync")
    assert not ops.find("form", action=f"{path}/pause")
    assert not ops.find("a", href=f"{path}/disconnect")


def test_a_form_without_its_token_changes_nothing(app: Flask, connected: Connect) -> None:
    pair = connected()
    client = app.test_client()
    sign_in(client, add_user(app, "admin"))
    with app.app_context():
        answer = client.post(f"/admin/connections/{pair.shop_id}/pause", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 400
    row = find("woocommerce")
    assert row
    assert row.state == connections.ACTIVE
