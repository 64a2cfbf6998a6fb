"""The pages of webhooks: set up, tested, changed by two people, sent again, removed with the host typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from hub.services import hooks
from hub.services.context import Context
from hub.store import hooks as store
from hub.store.db import reading
from hub.transport.simulation import Server
from tests.services.test_hooks import Receiver, deliver_due, log_of, row_of, tell
from tests.web.conftest import HOSTILE, NOBODY, Page
from tests.web.test_tokens import Visitor


@pytest.fixture
def admin(app: Flask) -> Visitor:
    return Visitor(app, "admin")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    with Server(made) as server:
        made.url = f"{server.url}/hook?key=abcdef"
        yield made


def the_webhook() -> Any:
    with reading() as session:
        (row,) = store.list_webhooks(session)
    return row


def test_a_webhook_is_set_up_tested_and_told(admin: Visitor, receiver: Receiver, context: Context) -> None:
    assert "No other system" in admin.page("/admin/webhooks").text
    values = {"url": receiver.url, "description": f"Stock {HOSTILE}", "kinds": ["run.finished", "run.failed"]}
    made = admin.send("/admin/webhooks", values, on="/admin/webhooks/new")
    place = made.headers["Location"]
    (secret,) = re.findall(r"whsec_[A-Za-z0-9+/=]+", admin.page(place).html)
    admin.send(f"{place}/ping", {}, on=place)
    tell(context, read=3)
    assert deliver_due(context) == 2
    assert receiver.verified(secret)["data"] == {"read": 3}
    admin.send(f"{place}/copied", {}, on=place)
    seen = admin.page(place, lang="pl")
    assert secret not in seen.html
    assert HOSTILE not in seen.html
    assert "key=abcdef" not in admin.page("/admin/webhooks").html
    for one in log_of(the_webhook().id):
        shown = admin.page(f"{place}/deliveries/{one.id}")
        assert one.event_id in shown.text
    admin.page(f"{place}?state=sent")
    admin.page(f"{place}?state=nothing", 404)
    admin.page(f"{place}/deliveries/{NOBODY}", 404)
    admin.page(f"/admin/webhooks/{NOBODY}", 404)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"url": "", "kinds": "*"}, "e-url"),
        ({"url": "https://10.0.0.1/", "kinds": "*"}, "e-url"),
        ({"url": "javascript:alert(1)", "kinds": "*"}, "e-url"),
        ({"url": "https://example.com/" + "x" * 3000, "kinds": "*"}, "e-url"),
        ({"url": "https://example.com/"}, "e-kinds"),
        ({"url": "https://example.com/", "kinds": "nothing"}, "e-kinds"),
        ({"url": "https://example.com/", "kinds": "*", "description": "x" * 201}, "e-description"),
        ({"url": "https://example.com/", "kinds": "*", "description": "a\x00b"}, "e-description"),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_kept(admin: Visitor, values: dict[str, str], field: str) -> None:
    answer = admin.send("/admin/webhooks", values, on="/admin/webhooks/new", status=400)
    page = Page(answer.text)
    assert not page.problems
    assert page.one("p", id=field).text
    assert page.one("input", name="url").attributes["value"] == values["url"][:2001]
    with reading() as session:
        assert store.list_webhooks(session) == []


def test_two_people_changing_one_webhook(admin: Visitor, receiver: Receiver, context: Context) -> None:
    webhook_id = hooks.create_webhook(context, receiver.url, ["*"], "first").id
    place = f"/admin/webhooks/{webhook_id}/edit"
    admin.send(place, {"url": receiver.url, "kinds": "*", "description": "theirs"}, on=place)
    values = {"url": receiver.url, "kinds": ["run.failed", "run.finished"], "description": "mine", "version": "1"}
    page = Page(admin.send(place, values, on=place, status=409).text)
    assert not page.problems
    assert "theirs" in page.text
    assert "mine" in page.text
    assert row_of(webhook_id).description == "theirs"
    carried = {node.attributes["name"]: node.attributes["value"] for node in page.find("input", type="hidden")}
    admin.send(place, carried, on=place)
    assert (row_of(webhook_id).description, row_of(webhook_id).kinds) == ("mine", ["run.failed", "run.finished"])


def test_a_webhook_that_failed_says_so_and_is_sent_again(admin: Visitor, receiver: Receiver, context: Context) -> None:
    webhook_id = hooks.create_webhook(context, receiver.url, ["*"]).id
    place = f"/admin/webhooks/{webhook_id}"
    receiver.status, receiver.body = 410, b"gone for anna.nowak@example.com"
    tell(context)
    deliver_due(context)
    assert "switched this webhook off" in admin.page(place).text
    assert "failed for too long" in admin.page("/admin/webhooks").text
    seen = admin.page(f"{place}/deliveries/{log_of(webhook_id)[0].id}")
    assert "anna.nowak@" not in seen.html
    admin.send(f"{place}/switch", {"active": "yes"}, on=place)
    receiver.status = 204
    admin.send(f"{place}/replay", {"days": "7"}, on=place)
    deliver_due(context)
    assert log_of(webhook_id)[0].state == "sent"
    admin.send(f"{place}/deliveries/{log_of(webhook_id)[0].id}/replay", {}, on=place)
    assert log_of(webhook_id)[0].state == "owed"
    admin.send(f"{place}/replay", {"days": "9999"}, on=place, status=400)
    admin.send(f"{place}/switch", {"active": "no"}, on=place)
    admin.send(f"{place}/switch", {"active": "no"}, on=place)
    assert not row_of(webhook_id).active


def test_a_new_secret_is_made_once_per_press(admin: Visitor, receiver: Receiver, context: Context) -> None:
    made = hooks.create_webhook(context, receiver.url, ["*"])
    place = f"/admin/webhooks/{made.id}"
    admin.send(f"{place}/secret", {"form_id": "once"}, on=place)
    (secret,) = re.findall(r"whsec_[A-Za-z0-9+/=]+", admin.page(place).html)
    admin.send(f"{place}/secret", {"form_id": "once"}, on=place)
    assert secret in admin.page(place).html
    assert secret != made.secret


def test_a_webhook_is_removed_with_its_host_typed(admin: Visitor, receiver: Receiver, context: Context) -> None:
    webhook_id = hooks.create_webhook(context, receiver.url, ["*"]).id
    place = f"/admin/webhooks/{webhook_id}/remove"
    wrong = Page(admin.send(place, {"name": "example.com"}, on=place, status=400).text)
    assert wrong.one("p", id="e-name").text
    admin.send(place, {"name": "127.0.0.1"}, on=place)
    admin.page(f"/admin/webhooks/{webhook_id}", 404)


def test_only_who_may_sees_webhooks(app: Flask) -> None:
    for role in ("marketer", "ops", "auditor", "consent_officer"):
        Visitor(app, role).page("/admin/webhooks", 403)
