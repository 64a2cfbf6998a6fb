"""The users page: invite, change roles, disable, help; the last owner stays, and nobody else may."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from hub.core.roles import Role
from hub.services import accounts
from hub.services.context import Context
from hub.store import audit, users
from hub.store.db import reading
from hub.store.letters import letter
from tests.web.conftest import HOSTILE, NOBODY, Page
from tests.web.people import PASSWORD, Person, make_owner, user_id


@pytest.fixture
def owner(app: Flask) -> Person:
    return make_owner(app)


@pytest.fixture
def ewa(context: Context, owner: Person) -> str:
    return accounts.create(context, "ewa@shop.example", ("marketer",), name="Ewa Lis", password=PASSWORD)


def roles(email: str) -> tuple[str, ...]:
    with reading() as session:
        return users.roles_of(session, user_id(email))


def last_entry() -> Any:
    with reading() as session:
        return audit.page_entries(session, limit=1)[0]


@pytest.mark.parametrize("lang", ["en", "pl"])
def test_the_pages_are_valid(owner: Person, ewa: str, lang: str) -> None:
    for path in ("/admin/users", f"/admin/users/{ewa}"):
        page = owner.page(f"{path}?lang={lang}")
        assert page.one("html").attributes["lang"] == lang
        assert "Ewa Lis" in page.text


def test_an_invitation_goes_out_as_a_letter(owner: Person, context: Context) -> None:
    owner.post("/admin/users/invite", {"email": "Jan@Shop.example ", "role": "ops", "language": "pl"}, on="/admin/users")
    with reading() as session:
        (row,) = session.execute(sa.select(letter).where(letter.c.kind == "invitation")).all()
    assert (row.recipient, row.language, row.state) == ("jan@shop.example", "pl", "owed")
    link = owner.page("/admin/users").find("code", **{"class": "secret"})[0].text
    assert link.encode() not in row.sealed
    assert last_entry().action == "user.invited"
    assert link.rpartition("/")[2] not in str(tuple(last_entry()))
    page = owner.page("/admin/users")
    assert "jan@shop.example" in page.text
    revoke = next(node.attributes["action"] for node in page.find("form") if "/revoke" in node.attributes.get("action", ""))
    assert owner.post(revoke, on="/admin/users").status_code == 303
    assert owner.post(revoke, on="/admin/users").status_code == 404
    assert "Nobody has an open invitation" in owner.page("/admin/users").text


@pytest.mark.parametrize(
    ("values", "field", "status"),
    [
        ({"email": "nobody"}, "email", 400),
        ({"email": ""}, "email", 400),
        ({"email": HOSTILE}, "email", 400),
        ({"email": "a" * 9000 + "@shop.example"}, "email", 400),
        ({"email": "żółw@\x00"}, "email", 400),
        ({"role": "god"}, "role", 400),
        ({"role": ""}, "role", 400),
        ({"language": "de"}, "language", 400),
        ({"email": "ewa@shop.example"}, "", 409),
    ],
)
def test_bad_invitations_are_refused_with_what_was_typed(
    owner: Person, ewa: str, values: dict[str, str], field: str, status: int
) -> None:
    given = {"email": "jan@shop.example", "role": "ops", "language": "pl", **values}
    answer = owner.post("/admin/users/invite", given, on="/admin/users")
    assert answer.status_code == status
    page = Page(answer.text)
    assert not page.problems
    if field:
        assert page.one("p", id=f"e-{field}").text
    if field != "email":
        assert page.one("input", name="email").attributes["value"] == given["email"]


def test_roles_change_at_once(app: Flask, owner: Person, ewa: str) -> None:
    person = Person(app, email="ewa@shop.example")
    person.password()
    person.set_up_app()
    assert person.get("/admin/users").status_code == 403
    answer = owner.post(f"/admin/users/{ewa}/roles", {"roles": ["owner", "auditor"]}, on=f"/admin/users/{ewa}")
    assert answer.status_code == 303
    assert roles("ewa@shop.example") == ("auditor", "owner")
    assert person.get("/admin/users").status_code == 200
    entry = last_entry()
    assert (entry.action, entry.before, entry.after) == (
        "user.roles_changed",
        {"roles": ["marketer"]},
        {"roles": ["auditor", "owner"]},
    )
    assert entry.actor_name == "Ola Nowak"


@pytest.mark.parametrize("chosen", [[], ["god"], ["ops", "god"], ["x" * 500]])
def test_bad_roles_are_refused(owner: Person, ewa: str, chosen: list[str]) -> None:
    answer = owner.post(f"/admin/users/{ewa}/roles", {"roles": chosen}, on=f"/admin/users/{ewa}")
    assert answer.status_code == 400
    assert "Choose one of the roles" in answer.text
    assert roles("ewa@shop.example") == ("marketer",)


def test_the_last_owner_stays(owner: Person, ewa: str, context: Context) -> None:
    mine = user_id(owner.email)
    page = f"/admin/users/{mine}"
    answer = owner.post(f"{page}/roles", {"roles": ["ops"]}, on=page)
    assert answer.status_code == 409
    assert "only active owner" in answer.text
    answer = owner.post(f"{page}/disable", {"address": owner.email}, on=page)
    assert answer.status_code == 409
    assert owner.is_in()
    accounts.change_roles(context, ewa, ("owner",))
    accounts.disable(context, ewa)
    assert owner.post(f"{page}/roles", {"roles": ["ops"]}, on=page).status_code == 409
    accounts.enable(context, ewa)
    assert owner.post(f"{page}/roles", {"roles": ["ops"]}, on=page).status_code == 303
    assert owner.get("/admin/users").status_code == 403


def test_two_owners_cannot_take_the_role_from_each_other(
    app: Flask, owner: Person, ewa: str, context: Context, in_threads: Callable[..., list[Any]]
) -> None:
    accounts.change_roles(context, ewa, ("owner",))
    mine = user_id(owner.email)
    in_threads(
        lambda: accounts.change_roles(context, mine, ("ops",)),
        lambda: accounts.change_roles(context, ewa, ("ops",)),
    )
    with reading() as session:
        assert len(users.active_with_role(session, Role.OWNER)) == 1


def test_disabling_is_confirmed_and_ends_sessions(app: Flask, owner: Person, ewa: str) -> None:
    person = Person(app, email="ewa@shop.example")
    person.password()
    person.set_up_app()
    page = f"/admin/users/{ewa}"
    for address in ("", "owner@shop.example", "x" * 5000, HOSTILE):
        answer = owner.post(f"{page}/disable", {"address": address}, on=page)
        assert answer.status_code == 400
        assert "Type the address exactly" in answer.text
    assert person.is_in()
    assert owner.post(f"{page}/disable", {"address": "Ewa@shop.example"}, on=page).status_code == 303
    assert not person.is_in()
    assert Person(app, email="ewa@shop.example").password().status_code == 400
    assert owner.post(f"{page}/disable", {"address": "ewa@shop.example"}, on=page).status_code == 303  # once more: no harm
    assert owner.post(f"{page}/enable", on=page).status_code == 303
    assert Person(app, email="ewa@shop.example").password().status_code == 303


def test_a_lost_phone(app: Flask, owner: Person, ewa: str) -> None:
    person = Person(app, email="ewa@shop.example")
    person.password()
    person.set_up_app()
    owner.post(f"/admin/users/{ewa}/reset-second-factor", on=f"/admin/users/{ewa}")
    assert last_entry().action == "user.second_factor_reset"
    assert not person.is_in()
    again = Person(app, email="ewa@shop.example")
    assert again.password().location.endswith("/account/second-factor/set-up")
    again.set_up_app()
    assert again.is_in()


@pytest.mark.parametrize("path", ["", "/roles", "/disable", "/enable", "/reset-second-factor"])
def test_a_user_that_does_not_exist(owner: Person, path: str) -> None:
    for one in (NOBODY, "not-an-id"):
        address = f"/admin/users/{one}{path}"
        answer = owner.post(address, {"roles": ["ops"], "address": "x"}, on="/admin/users") if path else owner.get(address)
        assert answer.status_code == 404


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OWNER])
def test_only_owners_may(app: Flask, owner: Person, context: Context, role: Role) -> None:
    accounts.create(context, "jan@shop.example", (role.value,), password=PASSWORD)
    person = Person(app, email="jan@shop.example")
    person.password()
    person.set_up_app()
    mine = user_id(owner.email)
    assert person.get("/admin/users").status_code == 403
    for path in ("/admin/users/invite", f"/admin/users/{mine}/disable", f"/admin/users/{mine}/roles"):
        answer = person.post(path, {"address": owner.email, "roles": ["ops"]}, on="/account/")
        assert answer.status_code == 403
    assert owner.is_in()


def test_own_account(app: Flask, owner: Person, context: Context) -> None:
    page = owner.page("/account/")
    assert "Code from the app" in page.text
    assert owner.post("/account/profile", {"name": " Ola  Kos ", "language": "pl"}, on="/account/").status_code == 303
    page = owner.page("/account/")
    assert "Ola Kos" in page.text
    assert page.one("html").attributes["lang"] == "pl"
    for values in ({"name": "", "language": "pl"}, {"name": "x" * 130, "language": "pl"}, {"name": "Ola", "language": "xx"}):
        answer = owner.post("/account/profile", values, on="/account/")
        assert answer.status_code == 400
        assert not Page(answer.text).problems


def test_changing_the_password_ends_other_sessions(app: Flask, owner: Person) -> None:
    other = Person(app, email=owner.email, secret=owner.secret, step=owner.step)
    other.sign_in()
    fresh = "eleven quiet bicycles at noon"
    wrong = owner.post("/account/password", {"confirm": "wrong", "password": fresh, "again": fresh}, on="/account/")
    assert wrong.status_code == 400
    assert "This is not your password" in wrong.text
    weak = owner.post(
        "/account/password", {"confirm": PASSWORD, "password": "qwertyuiop", "again": "qwertyuiop"}, on="/account/"
    )
    assert weak.status_code == 400
    done = owner.post("/account/password", {"confirm": PASSWORD, "password": fresh, "again": fresh}, on="/account/")
    assert done.status_code == 303
    assert owner.is_in()
    assert not other.is_in()
    assert Person(app, email=owner.email).password(fresh).status_code == 303


def test_new_recovery_codes_and_signing_out_everywhere(app: Flask, owner: Person) -> None:
    assert owner.post("/account/recovery-codes/new", {"confirm": "wrong"}, on="/account/").status_code == 400
    assert owner.post("/account/recovery-codes/new", {"confirm": PASSWORD}, on="/account/").status_code == 303
    fresh = [node.text for node in owner.page("/account/recovery-codes").find("code")]
    assert len(set(fresh) | set(owner.codes)) == 20
    owner.post("/account/recovery-codes")
    assert owner.get("/account/recovery-codes").status_code == 302
    other = Person(app, email=owner.email)
    other.password()
    assert other.post("/account/second-factor", {"code": owner.codes[1]}).status_code == 400
    assert other.post("/account/second-factor", {"code": fresh[1]}).status_code == 303
    assert owner.post("/account/sign-out-everywhere", on="/account/").status_code == 303
    assert not owner.is_in()
    assert not other.is_in()


def test_a_new_app_takes_the_old_ones_place(app: Flask, owner: Person) -> None:
    old = owner.secret
    page = owner.page("/account/second-factor/set-up")
    owner.secret, owner.step = page.one("code").text.replace("-", ""), 0
    refused = owner.post("/account/second-factor/set-up", {"code": owner.code(), "confirm": "wrong"})
    assert refused.status_code == 400
    assert owner.post("/account/second-factor/set-up", {"code": owner.code(), "confirm": PASSWORD}).status_code == 303
    person = Person(app, email=owner.email, secret=old)
    person.password()
    assert person.post("/account/second-factor", {"code": person.code()}).status_code == 400
    person.secret = owner.secret
    person.step = 0
    assert person.post("/account/second-factor", {"code": person.code()}).status_code == 303


def test_texts_hold_no_markup_of_others(app: Flask, owner: Person, context: Context) -> None:
    owner.post("/account/profile", {"name": HOSTILE, "language": "en"}, on="/account/")
    for path in ("/account/", "/admin/users", f"/admin/users/{user_id(owner.email)}"):
        assert not re.search("<script>alert", owner.page(path).html)


def test_two_people_giving_roles_see_one_another(owner: Person, ewa: str, context: Context) -> None:
    page = f"/admin/users/{ewa}"
    accounts.change_roles(context, ewa, ("auditor",))
    late = owner.post(f"{page}/roles", {"roles": ["ops"], "seen": "marketer"}, on=page)
    assert late.status_code == 409
    assert "Somebody else has given these roles meanwhile" in late.text
    assert roles("ewa@shop.example") == ("auditor",)
    assert owner.post(f"{page}/roles", {"roles": ["ops"], "seen": "auditor"}, on=page).status_code == 303
    assert roles("ewa@shop.example") == ("ops",)
