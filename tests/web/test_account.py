"""Becoming a user: the owner by a one-time link, the others by an invitation; links that do not work say what to do."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask

from hub.services import invitations
from hub.services.context import Context
from hub.store import audit, users
from hub.store.db import reading
from tests.web.conftest import HOSTILE, Page
from tests.web.people import PASSWORD, Person, make_owner


def actions() -> list[str]:
    with reading() as session:
        return [row.action for row in audit.page_entries(session, limit=200)][::-1]


def set_up(context: Context) -> str:
    link = invitations.set_up_link(context)
    assert link
    return urlsplit(link).path


def test_the_owner_is_set_up_once(app: Flask, context: Context) -> None:
    link = set_up(context)
    owner = Person(app, email="Owner@Shop.example")
    answer = owner.join(link)
    assert answer.status_code == 303
    assert owner.is_in()
    assert len(set(owner.codes)) == 10
    with reading() as session:
        row = users.find_user(session, email="owner@shop.example")
        assert row is not None
        assert users.roles_of(session, row.id) == ("owner",)
        assert row.password.startswith("$argon2id$")
        assert owner.secret not in str(tuple(row))
        assert not any(code in str(row.mf_recovery_codes) for code in owner.codes)
        assert row.current_login_at is not None
    assert {"user.created", "user.second_factor_set", "user.signed_in"} <= set(actions())
    assert "used already" in Person(app).page(link, 410).text
    assert invitations.set_up_link(context) is None
    with reading() as session:
        assert audit.verify(session)[1] is None


def test_a_new_link_replaces_the_old_one_and_ends(app: Flask, context: Context, clock: object) -> None:
    first, second = set_up(context), set_up(context)
    assert "replaced" in Person(app).page(first, 410).text
    assert "Set up the owner" in Person(app).page(second).text
    clock.forward(24 * 3600 + 1)  # type: ignore[attr-defined]
    assert "hub user set-up-link" in Person(app).page(second, 410).text


@pytest.mark.parametrize("token", ["x", "a" * 5000, "%00", "ż", HOSTILE.replace("/", "")])
def test_a_link_of_nobody_is_no_fault(app: Flask, token: str) -> None:
    for kind in ("set-up", "invitation", "reset"):
        assert Person(app).get(f"/account/{kind}/{token}").status_code == 410


@pytest.mark.parametrize(
    ("field", "values", "words"),
    [
        ("email", {"email": "nobody"}, "not an e-mail address"),
        ("email", {"email": ""}, "not an e-mail address"),
        ("email", {"email": "a" * 300 + "@shop.example"}, "too long"),
        ("name", {"name": ""}, "Type a name"),
        ("name", {"name": "x" * 121}, "at most 120 characters"),
        ("name", {"name": "a\x00b"}, "cannot be used"),
        ("password", {"password": "short", "again": "short"}, "at least 10 characters"),
        ("password", {"password": "password1234", "again": "password1234"}, "easy to guess"),
        ("password", {"password": "ola@shop.example", "again": "ola@shop.example"}, "easy to guess"),
        ("password", {"password": "x" * 900, "again": "x" * 900}, "at most 200 characters"),
        ("again", {"again": "another one"}, "not the same password"),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    app: Flask, context: Context, field: str, values: dict[str, str], words: str
) -> None:
    person = Person(app)
    given = {"email": "ola@shop.example", "name": "Ola Nowak", "password": PASSWORD, "again": PASSWORD, **values}
    answer = person.post(set_up(context), given)
    assert answer.status_code == 400
    page = Page(answer.text)
    assert not page.problems
    node = page.one("input", name=field)
    assert node.attributes["aria-invalid"] == "true"
    assert words in page.one("p", id=f"e-{field}").text
    assert all("value" not in node.attributes for node in page.find("input", type="password"))
    if field != "name":
        assert page.one("input", name="name").attributes["value"] == "Ola Nowak"
    with reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(users.user)) == 0


def test_texts_are_polish_too(app: Flask, context: Context) -> None:
    person = Person(app, lang="pl")
    assert "hasło" in person.page(set_up(context)).text.lower()
    answer = person.post(set_up(context), {"email": "x", "name": "", "password": "krótkie", "again": "krótkie"})
    assert "To nie jest adres e-mail" in answer.text
    assert "co najmniej 10 znaków" in answer.text


def test_an_invitation_makes_a_user_with_its_role(app: Flask, context: Context) -> None:
    owner = make_owner(app)
    sent = owner.post(
        "/admin/users/invite", {"email": "Ewa@shop.example", "role": "marketer", "language": "pl"}, on="/admin/users"
    )
    assert sent.status_code == 303
    page = owner.page("/admin/users")
    link = page.find("code", **{"class": "secret"})[0].text
    assert "ewa@shop.example" in page.text
    owner.post("/admin/users/invitation/seen", on="/admin/users")
    assert link not in owner.page("/admin/users").text
    ewa = Person(app, email="ewa@shop.example")
    assert "ewa@shop.example" in ewa.page(urlsplit(link).path).text
    ewa.join(link, name="Ewa Lis")
    assert ewa.is_in()
    assert ewa.get("/admin/users").status_code == 403
    assert "Hasło" in ewa.get("/account/", headers={"Accept-Language": "en"}).text  # her own language now
    assert ewa.get(urlsplit(link).path).status_code == 410
    assert actions().count("user.created") == 2


def test_an_invitation_can_be_taken_back_replaced_and_runs_out(app: Flask, context: Context, clock: object) -> None:
    first = invitations.invite(context, "ewa@shop.example", "ops", "en", None, "Ola")
    second = invitations.invite(context, "ewa@shop.example", "auditor", "en", None, "Ola")
    person = Person(app)
    assert "Ask whoever invited you" in person.page(urlsplit(first.link).path, 410).text
    clock.forward(timedelta(days=7, seconds=1).total_seconds())  # type: ignore[attr-defined]
    assert "too old" in person.page(urlsplit(second.link).path, 410).text
    third = invitations.invite(context, "ewa@shop.example", "auditor", "en", None, "Ola")
    assert person.get(urlsplit(third.link).path).status_code == 200
    invitations.revoke(context, third.id)
    assert person.get(urlsplit(third.link).path).status_code == 410


def test_an_invitations_link_is_not_the_owners(app: Flask, context: Context) -> None:
    invited = invitations.invite(context, "ewa@shop.example", "ops", "en", None, "Ola")
    token = invited.link.rpartition("/")[2]
    assert Person(app).get(f"/account/set-up/{token}").status_code == 410
    assert Person(app).get(set_up(context).replace("set-up", "invitation")).status_code == 410


def test_whoever_stops_before_the_second_factor_begins_there_again(app: Flask, context: Context) -> None:
    person = Person(app)
    given = {"email": person.email, "name": "Ola", "password": PASSWORD, "again": PASSWORD}
    assert person.post(set_up(context), given).location.endswith("/account/second-factor/set-up")
    for path in ("/admin/", "/admin/users", "/account/"):
        assert "/account/login" in person.get(path).location
    again = Person(app)
    assert again.password().location.endswith("/account/second-factor/set-up")
    assert again.get("/account/second-factor").location.endswith("/set-up")
    again.set_up_app()
    assert again.is_in()
    assert not person.is_in()
    assert person.get("/account/second-factor/set-up").location.endswith("/account/second-factor")


@pytest.mark.parametrize("code", ["", "12345", "abcdef", "１２３４５６", "0" * 90, HOSTILE])
def test_a_wrong_first_code_keeps_the_key(app: Flask, context: Context, code: str) -> None:
    person = Person(app)
    person.post(set_up(context), {"email": person.email, "name": "Ola", "password": PASSWORD, "again": PASSWORD})
    before = person.page("/account/second-factor/set-up").one("code").text
    answer = person.post("/account/second-factor/set-up", {"code": code})
    assert answer.status_code == 400
    page = Page(answer.text)
    assert not page.problems
    assert page.one("code").text == before
    assert page.one("input", name="code").attributes["aria-invalid"] == "true"
    assert not person.is_in()


def test_the_key_is_drawn_without_asking_anybody(app: Flask, context: Context) -> None:
    person = Person(app)
    person.post(set_up(context), {"email": person.email, "name": "Ola", "password": PASSWORD, "again": PASSWORD})
    page = person.page("/account/second-factor/set-up")
    (drawing,) = page.find("svg")
    assert len(page.find("path")[0].attributes["d"]) > 3000
    assert drawing.attributes["viewbox"].split()[2] == page.find("rect")[0].attributes["width"]
    assert not page.find("img")
