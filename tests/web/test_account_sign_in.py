"""Signing in: both factors, locks that no guessing passes, answers that tell nothing, sessions that end."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import sqlalchemy as sa
from flask import Flask
from redis import Redis

from hub.services import accounts, letters
from hub.services.context import Context
from hub.store import audit, sign_ins, users
from hub.store.attempts import ACCOUNT, ADDRESS, network
from hub.store.db import reading
from hub.store.letters import letter
from tests.conftest import form_token, make_settings, open_app
from tests.web.conftest import HOSTILE, Page
from tests.web.people import PASSWORD, Person, make_owner, user_id

WRONG = "not the password at all"


@pytest.fixture
def owner(app: Flask) -> Person:
    return make_owner(app)


def elsewhere(app: Flask, person: Person, **given: Any) -> Person:
    """The same person at another browser."""
    return Person(app, **{"email": person.email, "secret": person.secret, "step": person.step, **given})


def outcomes(email: str) -> list[tuple[str, str]]:
    with reading() as session:
        rows = session.execute(
            sa.select(users.sign_in).where(users.sign_in.c.email == email).order_by(users.sign_in.c.id)
        ).all()
    return [(row.method, row.outcome) for row in rows]


def test_password_then_code(app: Flask, owner: Person) -> None:
    person = elsewhere(app, owner)
    assert person.password().location.endswith("/account/second-factor")
    assert not person.is_in()
    person.page("/account/second-factor")
    answer = person.post("/account/second-factor", {"code": person.code()})
    assert answer.location.endswith("/admin/")
    assert person.is_in()
    assert outcomes(owner.email)[-1] == ("totp", "ok")
    assert "Test browser" in person.page("/account/").text


@pytest.mark.parametrize(
    "wished",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil",
        "javascript:alert(1)",
        "evil",
        "/a\nb",
        "/" + "x" * 3000,
    ],
)
def test_next_never_leads_elsewhere(app: Flask, owner: Person, wished: str) -> None:
    person = elsewhere(app, owner)
    assert person.sign_in(next=wished).location == "/admin/"


def test_next_leads_back_to_the_page(app: Flask, owner: Person) -> None:
    person = elsewhere(app, owner)
    asked = person.get("/admin/users?x=1&y=ż")
    form = person.page(asked.location)
    wished = form.find("input", name="next")[0].attributes["value"]
    assert unquote(person.sign_in(next=wished).location) == wished
    assert wished == "/admin/users?x=1&y=ż"
    assert person.get("/account/login?next=/admin/users").location == "/admin/users"


def test_unknown_and_wrong_get_the_same_answer(app: Flask, owner: Person) -> None:
    accounts.create(app.extensions["hub"], "off@shop.example", ("ops",), password=PASSWORD)
    accounts.disable(app.extensions["hub"], user_id("off@shop.example"))
    texts = set()
    for email, password in ((owner.email, WRONG), ("nobody@shop.example", WRONG), ("off@shop.example", PASSWORD), ("x", WRONG)):
        person = Person(app, email=email)
        answer = person.password(password)
        assert answer.status_code == 400
        assert not Page(answer.text).problems
        body = Page(answer.text).text
        assert "e-mail address or the password is wrong" in body
        texts.add(re.sub(re.escape(email), "", body))
    assert len(texts) == 1
    assert outcomes("nobody@shop.example") == [("password", "wrong")]
    assert outcomes("off@shop.example") == [("password", "disabled")]


def test_known_and_unknown_take_the_same_time(app: Flask, owner: Person) -> None:
    times: dict[str, list[float]] = {owner.email: [], "nobody@shop.example": []}
    for round_ in range(4):
        for email, found in times.items():
            person = Person(app, email=email, address=f"192.0.2.{round_}")
            person.get("/account/login")
            started = time.perf_counter()
            person.password(WRONG)
            found.append(time.perf_counter() - started)
    known, unknown = (statistics.median(found[1:]) for found in times.values())
    assert known / unknown == pytest.approx(1, abs=0.6)


def test_a_thousand_wrong_passwords_let_nobody_in(app: Flask, owner: Person, context: Context) -> None:
    """From a thousand addresses, so that only the account's own limit holds; the last one has the right password."""
    person = Person(app, email=owner.email)
    token = form_token(person.client)

    def guess(number: int) -> int:
        with app.app_context():
            answer = person.client.post(
                "/account/login",
                data={"csrf_token": token, "email": owner.email, "password": WRONG},
                environ_base={"REMOTE_ADDR": f"198.51.{number // 250}.{number % 250}"},
            )
        return answer.status_code

    statuses = [guess(number) for number in range(999)]
    assert set(statuses) == {400, 429}
    assert statuses.count(400) == ACCOUNT.free
    assert person.password(PASSWORD).status_code == 429
    assert "wait" in person.password(PASSWORD).text
    assert not person.is_in()
    told = [row.kind for row in _letters() if row.recipient == owner.email]
    assert told.count("sign_in_locked") == 1
    with reading() as session:
        assert "sign_in.locked" in [row.action for row in audit.page_entries(session, limit=100)]
    page = owner.page("/admin/users")
    assert "Locked after wrong passwords" in page.text
    assert owner.is_in()


def _letters() -> list[Any]:
    with reading() as session:
        return list(session.execute(sa.select(letter)).all())


def test_a_lock_ends_and_grows(app: Flask, owner: Person, clock: Any) -> None:
    person = elsewhere(app, owner)
    for _ in range(ACCOUNT.free):
        assert person.password(WRONG).status_code == 400
    assert person.password().status_code == 429
    clock.forward(ACCOUNT.first + 1)
    assert person.password(WRONG).status_code == 400
    clock.forward(ACCOUNT.first + 1)
    assert person.password().status_code == 429
    clock.forward(ACCOUNT.first + 1)
    assert person.password().status_code == 303
    person.step = 0
    assert person.post("/account/second-factor", {"code": person.code()}).status_code == 303
    for _ in range(ACCOUNT.free - 1):  # counted anew
        assert elsewhere(app, owner).password(WRONG).status_code == 400


def test_an_unknown_address_is_locked_alike(app: Flask, owner: Person) -> None:
    statuses = [Person(app, email="nobody@shop.example").password(WRONG).status_code for _ in range(ACCOUNT.free + 2)]
    assert statuses == [400] * ACCOUNT.free + [429] * 2
    assert "nobody here has this address" in owner.page("/admin/users").text


def test_one_network_address_is_limited_over_all_accounts(app: Flask, owner: Person) -> None:
    statuses = [Person(app, email=f"a{number}@shop.example").password(WRONG).status_code for number in range(ADDRESS.free + 3)]
    assert statuses[ADDRESS.free :] == [429] * 3
    assert elsewhere(app, owner, address="203.0.113.9").password().status_code == 303


def test_many_at_once_get_no_further_than_one_after_the_other(
    app: Flask, owner: Person, in_threads: Callable[..., list[Any]]
) -> None:
    def guess(number: int) -> Callable[[], int]:
        return lambda: Person(app, email=owner.email, address=f"198.51.100.{number}").password(WRONG).status_code

    statuses = in_threads(*(guess(number) for number in range(12)))
    assert sorted(statuses) == [400] * ACCOUNT.free + [429] * (12 - ACCOUNT.free)


def test_ipv6_neighbours_are_one_address() -> None:
    assert network("2001:db8:1:2::5") == network("2001:db8:1:2:ffff::9")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1")
    assert network("not an address") == "not an address"


def test_codes_are_limited_too(app: Flask, owner: Person) -> None:
    person = elsewhere(app, owner)
    person.password()
    statuses = [person.post("/account/second-factor", {"code": f"00000{number}"}).status_code for number in range(7)]
    assert statuses == [400] * ACCOUNT.free + [429] * 2
    assert person.post("/account/second-factor", {"code": person.code()}).status_code == 429
    assert not person.is_in()
    assert ("totp", "wrong") in outcomes(owner.email)


def test_a_code_works_once(app: Flask, owner: Person) -> None:
    code = owner.code()
    for person, status in ((elsewhere(app, owner), 303), (elsewhere(app, owner), 400)):
        person.password()
        assert person.post("/account/second-factor", {"code": code}).status_code == status
    assert not person.is_in()


def test_a_recovery_code_works_once(app: Flask, owner: Person) -> None:
    first, second = elsewhere(app, owner), elsewhere(app, owner)
    for person, status in ((first, 303), (second, 400)):
        person.password()
        assert person.post("/account/second-factor", {"code": owner.codes[0].upper().replace("-", " ")}).status_code == status
    assert first.is_in()
    assert not second.is_in()
    assert "9" in first.page("/account/").text


@pytest.mark.parametrize("code", ["", " ", "1" * 90, "１２３４５６", HOSTILE, "a" * 5000, "x\x00y"])
def test_hostile_codes_are_refused_at_the_field(app: Flask, owner: Person, code: str) -> None:
    person = elsewhere(app, owner)
    person.password()
    answer = person.post("/account/second-factor", {"code": code})
    assert answer.status_code == 400
    assert not Page(answer.text).problems


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"email": ""},
        {"password": ""},
        {"email": "a" * 9000},
        {"email": "a\x00@b"},
        {"email": HOSTILE},
        {"password": "p" * 90000},
    ],
)
def test_hostile_sign_ins_are_refused(app: Flask, owner: Person, values: dict[str, str]) -> None:
    answer = Person(app).post("/account/login", {"email": owner.email, "password": WRONG, **values})
    assert answer.status_code == 400
    assert not Page(answer.text).problems


def test_the_second_step_waits_a_quarter_of_an_hour(app: Flask, owner: Person, clock: Any) -> None:
    person = elsewhere(app, owner)
    person.password()
    clock.forward(15 * 60 + 1)
    assert "/account/login" in person.get("/account/second-factor").location
    assert Person(app).get("/account/second-factor").location.endswith("/account/login")


def test_a_session_ends_by_its_age(app: Flask, owner: Person, clock: Any) -> None:
    clock.forward(12 * 3600 - 5)
    assert owner.is_in()
    clock.forward(10)
    assert not owner.is_in()
    assert owner.get("/account/").location.startswith("/account/login?next=")


def test_the_session_is_a_new_one_after_signing_in(app: Flask, owner: Person) -> None:
    person = elsewhere(app, owner)
    person.get("/account/login")
    with person.client.session_transaction() as session:
        session["planted"] = "by somebody else"
    person.sign_in()
    with person.client.session_transaction() as session:
        assert "planted" not in session


def test_signing_out_needs_a_token_and_ends_it(app: Flask, owner: Person) -> None:
    with app.app_context():
        assert owner.client.post("/account/logout").status_code == 400
    assert owner.is_in()
    assert owner.post("/account/logout", on="/account/").location.endswith("/account/login")
    assert not owner.is_in()
    assert owner.post("/account/logout", on="/account/login").status_code == 303


def test_an_old_form_is_told_kindly(app: Flask, owner: Person) -> None:
    with app.app_context():
        answer = owner.client.post(
            "/account/profile", data={"csrf_token": "x", "name": "Ola", "language": "en"}, headers={"Accept-Language": "en"}
        )
    assert answer.status_code == 400
    assert "open for too long" in answer.text


def test_a_form_sent_after_the_sign_in_ended_is_not_lost(app: Flask, owner: Person, clock: Any) -> None:
    person = elsewhere(app, owner)
    person.sign_in()
    token = re.search(r'name="csrf_token" value="([^"]+)"', person.get("/admin/users").text)
    assert token
    clock.forward(13 * 3600)
    typed = {
        "email": "ewa@shop.example",
        "role": "auditor",
        "language": "pl",
        "note": f"long text\nż {HOSTILE}",
        "password": "hidden word",
    }
    with app.app_context():
        answer = person.client.post(
            "/admin/users/invite", data={"csrf_token": token[1], **typed}, headers={"Sec-Fetch-Site": "same-origin"}
        )
    assert answer.status_code == 401
    assert "/account/login?next=%2Faccount%2Fkept" in answer.text
    person.step = 0
    person.sign_in(next="/account/kept")
    page = person.page("/account/kept")
    kept = {node.attributes["name"]: node.attributes["value"] for node in page.find("input", type="hidden")}
    assert kept["email"] == "ewa@shop.example"
    assert kept["note"].replace("\r\n", "\n") == typed["note"]
    assert "password" not in kept
    assert "hidden word" not in page.html
    sent = person.post("/admin/users/invite", {name: kept[name] for name in ("email", "role", "language")}, on="/account/kept")
    assert sent.status_code == 303
    assert Person(app).get("/account/kept").status_code == 302
    person.post("/account/kept")
    assert person.get("/account/kept").status_code == 302


def test_another_sites_form_is_not_kept(app: Flask) -> None:
    person = Person(app)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {}):
        with app.app_context():
            answer = person.client.post("/admin/users/invite", data={"email": "x@evil.example"}, headers=headers)
        assert answer.status_code == 401
        assert "hub_kept" not in str(answer.headers)
        assert "x@evil.example" not in answer.text


def test_a_forgotten_password_is_replaced_by_letter(app: Flask, owner: Person, context: Context) -> None:
    for _ in range(ACCOUNT.free + 1):
        elsewhere(app, owner).password(WRONG)
    answers = [
        Person(app, address="203.0.113.5").post("/account/forgot", {"email": email})
        for email in (owner.email, "nobody@shop.example")
    ]
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.location for answer in answers}) == 1
    found = [row for row in _letters() if row.kind == "password_reset"]
    assert [row.recipient for row in found] == [owner.email]
    values = context.vault.open(found[0].id, "letter", found[0].key_id, found[0].sealed)["values"]
    link = re.search(r"/account/reset/[^\"]+", values)
    assert link
    person = elsewhere(app, owner)
    person.page(link[0])
    assert person.post(link[0], {"password": "short", "again": "short"}).status_code == 400
    fresh = "eleven quiet bicycles at noon"
    assert person.post(link[0], {"password": fresh, "again": fresh}).status_code == 303
    assert not owner.is_in()
    assert person.get(link[0]).status_code == 410
    assert person.password(fresh).status_code == 303  # the lock is gone, the second factor is not
    assert not person.is_in()
    assert "password_changed" in [row.kind for row in _letters()]


def test_a_reset_link_ends(app: Flask, owner: Person, context: Context, clock: Any) -> None:
    accounts.request_reset(context, owner.email, "192.0.2.1")
    (found,) = [row for row in _letters() if row.kind == "password_reset"]
    link = re.search(r"/account/reset/[^\"]+", context.vault.open(found.id, "letter", found.key_id, found.sealed)["values"])
    assert link
    assert owner.get(link[0]).status_code == 200
    clock.forward(3601)
    assert owner.get(link[0]).status_code == 410


def test_asking_for_letters_is_limited(app: Flask, owner: Person) -> None:
    statuses = [Person(app).post("/account/forgot", {"email": owner.email}).status_code for _ in range(ACCOUNT.free + 2)]
    assert statuses == [303] * ACCOUNT.free + [429] * 2
    assert Person(app, address="203.0.113.7").post("/account/forgot", {"email": "no address"}).status_code == 400


def test_cookies_are_for_https_where_the_hub_is(database: str, redis_url: str, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, database, redis_url, public_url="https://hub.example.com", trusted_proxies=1)
    with open_app(settings) as app, app.app_context():
        answer = app.test_client().get(
            "/account/login", headers={"X-Forwarded-For": "10.9.9.9, 192.0.2.44", "X-Forwarded-Proto": "https"}
        )
        cookie = next(value for name, value in answer.headers if name == "Set-Cookie" and "session" in value)
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert cookie.startswith("__Host-")


def test_the_address_behind_proxies_is_the_visitors(database: str, redis_url: str, tmp_path: Path) -> None:
    """Only so many entries are believed as there are proxies; what stands before them, the visitor may have made up."""
    for proxies, address in ((0, "127.0.0.1"), (1, "192.0.2.44")):
        settings = make_settings(tmp_path / str(proxies), database, redis_url, trusted_proxies=proxies)
        with open_app(settings) as app, app.app_context():
            client = app.test_client()
            data = {"csrf_token": form_token(client), "email": f"{proxies}@shop.example", "password": "z"}
            client.post("/account/login", data=data, headers={"X-Forwarded-For": "10.9.9.9, 192.0.2.44"})
            with reading() as session:
                found = session.execute(sa.select(users.sign_in).where(users.sign_in.c.email == data["email"])).one()
            assert found.address == address


def test_nothing_secret_is_written_down(app: Flask, owner: Person, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere(app, owner).sign_in()
    with reading() as session:
        trail = str([tuple(row) for row in audit.page_entries(session, limit=200)])
        row = users.find_user(session, email=owner.email)
    assert row is not None
    for secret in (PASSWORD, owner.secret, *owner.codes, row.fs_uniquifier):
        assert secret not in trail + caplog.text


def test_old_tries_are_forgotten(app: Flask, owner: Person, context: Context, clock: Any) -> None:
    from hub.services.sign_ins import KEPT, forget_old

    assert forget_old(context) == 0
    later = replace(context, now=lambda: context.now() + KEPT * 1.01)
    assert forget_old(later) >= 1
    with reading() as session:
        assert sign_ins.recent_of(session, user_id(owner.email)) == []


def test_letters_of_the_tests_can_be_written(app: Flask, owner: Person, context: Context) -> None:
    for _ in range(ACCOUNT.free):
        elsewhere(app, owner).password(WRONG)
    for row in _letters():
        assert letters.send_letter(context, row.id)
    assert list((context.settings.data / "letters").glob("*-sign_in_locked-*.eml"))


def test_without_redis_nobody_guesses(app: Flask, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    person = elsewhere(app, owner)
    person.get("/account/login")
    monkeypatch.setitem(app.extensions, "hub_redis", Redis.from_url("unix:///nowhere.sock"))
    answer = person.password()
    assert answer.status_code == 503
    assert not Page(answer.text).problems
    assert "Redis does not answer" in answer.text
    assert owner.is_in()


def test_looking_whether_the_page_is_there_is_no_try(app: Flask, owner: Person) -> None:
    for _ in range(ADDRESS.free):
        person = elsewhere(app, owner)
        assert person.client.head("/account/login", environ_base={"REMOTE_ADDR": owner.address}).status_code == 200
    assert outcomes("") == []
    person = elsewhere(app, owner)
    assert person.password().status_code == 303
    for _ in range(ACCOUNT.free):
        person.client.head("/account/second-factor", environ_base={"REMOTE_ADDR": owner.address})
    assert person.post("/account/second-factor", {"code": person.code()}).location.endswith("/admin/")
    assert ("recovery_code", "wrong") not in outcomes(owner.email)


def test_every_cookie_is_for_https_where_the_hub_is(settings: Any) -> None:
    with open_app(replace(settings, public_url="https://hub.example")) as app:
        answer = app.test_client().get("/account/login?lang=pl", base_url="https://hub.example")
    cookies = answer.headers.getlist("Set-Cookie")
    assert {cookie.partition("=")[0] for cookie in cookies} == {"__Host-hub_session", "hub_lang"}
    assert all("Secure" in cookie and "HttpOnly" in cookie and "SameSite=Lax" in cookie for cookie in cookies)


def test_a_copy_of_the_session_ends_with_signing_out(app: Flask, owner: Person) -> None:
    kept = owner.client.get_cookie("hub_session")
    assert kept is not None
    desktop, copy = elsewhere(app, owner), elsewhere(app, owner)
    desktop.sign_in()
    copy.client.set_cookie("hub_session", kept.value)
    assert copy.is_in()
    owner.post("/account/logout", on="/account/")
    assert not copy.is_in()
    assert copy.get("/admin/").status_code == 302
    assert desktop.is_in(), "the other browser stays"
    assert "later signed out" in desktop.page("/account/").text
