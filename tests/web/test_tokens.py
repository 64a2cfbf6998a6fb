"""The page of API tokens: shown once, never stronger than its maker, revoked with its name typed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from hub.services.context import Context
from hub.store import audit, tokens
from hub.store.db import reading
from tests.conftest import add_user, sign_in
from tests.web.conftest import HOSTILE, NOBODY, Page


class Visitor:
    """Keeps the cookies, reads each page strictly, sends its forms with their hidden fields."""

    def __init__(self, app: Flask, role: str) -> None:
        self.app = app
        self.client: FlaskClient = app.test_client()
        self.user = add_user(app, role)
        sign_in(self.client, self.user)

    def _open(self, path: str, **rest: Any) -> Any:
        with self.app.app_context():
            return self.client.open(path, buffered=True, **rest)

    def page(self, path: str, status: int = 200, lang: str = "en") -> Page:
        answer = self._open(path, headers={"Accept-Language": lang})
        assert answer.status_code == status, answer.text
        page = Page(answer.text)
        assert not page.problems
        return page

    def send(self, path: str, values: dict[str, Any], *, on: str, status: int = 303) -> Any:
        """Post with the CSRF token and the hidden fields of the page `on`, as the browser's form would."""
        page = self.page(on)
        hidden = {
            node.attributes["name"]: node.attributes["value"] for node in page.find("input", type="hidden") if node.attributes
        }
        answer = self._open(path, method="POST", data={**hidden, **values})
        assert answer.status_code == status, answer.text
        return answer


@pytest.fixture
def owner(app: Flask) -> Visitor:
    return Visitor(app, "owner")


def made_token(visitor: Visitor) -> str:
    (found,) = re.findall(r"hub_[\w-]{32}", visitor.page("/admin/tokens").html)
    return str(found)


def listed() -> list[Any]:
    with reading() as session:
        return list(tokens.page_tokens(session))


@pytest.mark.parametrize("lang", ["en", "pl"])
def test_the_empty_page_says_what_to_do(owner: Visitor, lang: str) -> None:
    page = owner.page("/admin/tokens", lang=lang)
    assert page.one("p", **{"class": "empty"}).text
    assert len(page.find("input", name="scopes")) == len(owner.user.permissions)


def test_a_token_is_made_shown_and_hidden(owner: Visitor) -> None:
    values = {"name": f"Form {HOSTILE}", "scopes": ["contacts:read", "consents:write"], "days": "30"}
    owner.send("/admin/tokens", values, on="/admin/tokens")
    token = made_token(owner)
    answer = owner._open("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.json["permissions"] == ["consents:write", "contacts:read"]
    assert HOSTILE not in owner.page("/admin/tokens").html
    owner.send("/admin/tokens/copied", {}, on="/admin/tokens")
    assert token not in owner.page("/admin/tokens").html
    with reading() as session:
        (entry,) = audit.page_entries(session, action="token.created")
    assert token not in str(entry)
    assert entry.actor_name == "Owner"


def test_pressing_twice_makes_one(owner: Visitor) -> None:
    values = {"name": "twice", "scopes": "contacts:read", "days": "30", "form_id": "the-same-form"}
    owner.send("/admin/tokens", values, on="/admin/tokens")
    owner.send("/admin/tokens", values, on="/admin/tokens")
    assert [row.name for row in listed()] == ["twice"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "", "scopes": "contacts:read", "days": "30"}, "e-name"),
        ({"name": "x" * 121, "scopes": "contacts:read", "days": "30"}, "e-name"),
        ({"name": "x\x00", "scopes": "contacts:read", "days": "30"}, "e-name"),
        ({"name": "x", "days": "30"}, "e-scopes"),
        ({"name": "x", "scopes": "everything", "days": "30"}, "e-scopes"),
        ({"name": "x", "scopes": "users:write", "days": "30"}, "e-scopes"),
        ({"name": "x", "scopes": "contacts:read", "days": "366"}, "e-days"),
        ({"name": "x", "scopes": "contacts:read", "days": "-1"}, "e-days"),
        ({"name": "x", "scopes": "contacts:read", "days": "0"}, "e-days"),
        ({"name": "x", "scopes": "contacts:read", "days": "٣"}, "e-days"),
    ],
)
def test_what_is_wrong_is_told_at_its_field(app: Flask, values: dict[str, str], field: str) -> None:
    marketer = Visitor(app, "marketer")
    page = Page(marketer.send("/admin/tokens", values, on="/admin/tokens", status=400).text)
    assert not page.problems
    assert page.one("p", id=field).text
    assert listed() == []


def test_owners_may_make_tokens_without_an_end(owner: Visitor) -> None:
    owner.send("/admin/tokens", {"name": "endless", "scopes": "contacts:read", "days": "0"}, on="/admin/tokens")
    assert listed()[0].expires_at is None


def test_a_token_is_revoked_with_its_name_typed(owner: Visitor) -> None:
    owner.send("/admin/tokens", {"name": "old", "scopes": "contacts:read", "days": "30"}, on="/admin/tokens")
    token, place = made_token(owner), f"/admin/tokens/{listed()[0].id}/revoke"
    wrong = Page(owner.send(place, {"name": "new"}, on=place, status=400).text)
    assert not wrong.problems
    assert wrong.one("p", id="e-name").text
    owner.send(place, {"name": "old"}, on=place)
    owner.send(place, {"name": "old"}, on=place)
    assert owner._open("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    with reading() as session:
        assert len(audit.page_entries(session, action="token.revoked")) == 1


def test_tokens_of_others_are_theirs(app: Flask, owner: Visitor, context: Context) -> None:
    owner.send("/admin/tokens", {"name": "secret one", "scopes": "contacts:read", "days": "30"}, on="/admin/tokens")
    token_id = listed()[0].id
    marketer = Visitor(app, "marketer")
    assert "secret one" not in marketer.page("/admin/tokens?everybody=yes").html
    marketer.page(f"/admin/tokens/{token_id}/revoke", 404)
    marketer.page(f"/admin/tokens/{NOBODY}/revoke", 404)
    marketer.send("/admin/tokens", {"name": "mine", "scopes": "contacts:read", "days": "30"}, on="/admin/tokens")
    seen = owner.page("/admin/tokens?everybody=yes").html
    assert "secret one" in seen
    assert "Marketer" in seen
    mine = owner.page(f"/admin/tokens/{listed()[0].id}/revoke")
    assert "mine" in mine.text
