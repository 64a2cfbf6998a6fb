"""A person at a browser: keeps cookies, reads forms with their tokens, has an authenticator app."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from passlib.totp import TOTP
from werkzeug.test import TestResponse

from hub.services import accounts, invitations
from hub.web.account.parts import context
from tests.web.conftest import Page

PASSWORD = "seven green lanterns under water"
TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass
class Person:
    """`secret` is what the authenticator app holds; `codes` are the recovery codes that were shown."""

    app: Flask
    email: str = "ola@shop.example"
    address: str = "192.0.2.7"
    lang: str = "en"
    secret: str = ""
    codes: list[str] = field(default_factory=list)
    step: int = 0

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    def get(self, path: str, **rest: Any) -> TestResponse:
        with self.app.app_context():  # as a server does it: nothing is kept from the request before
            return self.client.get(path, **self._given(rest))

    def page(self, path: str, status: int = 200, **rest: Any) -> Page:
        answer = self.get(path, **rest)
        assert answer.status_code == status, answer.text
        page = Page(answer.text)
        assert not page.problems
        return page

    def post(self, path: str, values: dict[str, Any] | None = None, *, on: str = "", **rest: Any) -> TestResponse:
        """Send a form of the page `on` (the same path by default), with that page's token."""
        found = TOKEN.search(self.get(on or path).text)
        token = {"csrf_token": html.unescape(found[1])} if found else {}
        with self.app.app_context():
            return self.client.post(path, data={**token, **(values or {})}, **self._given(rest))

    def _given(self, rest: dict[str, Any]) -> dict[str, Any]:
        headers = {"Accept-Language": self.lang, "User-Agent": "Test browser", **rest.pop("headers", {})}
        return {"headers": headers, "environ_base": {"REMOTE_ADDR": self.address}, **rest}

    def code(self, *, again: bool = False) -> str:
        """What the app shows; each call the next one, so that none is used twice (unless `again`). Three fit at one time."""
        if not again:
            self.step += 1
        at = context().now().timestamp() + (-30, 0, 30)[self.step % 3]  # first now, then the next one, then the last one
        return str(TOTP(key=self.secret).generate(time=at).token)

    def set_up_app(self) -> TestResponse:
        """The second factor after the password, with the key read from the page."""
        page = self.page("/account/second-factor/set-up")
        self.secret = page.one("code").text.replace("-", "")
        answer = self.post("/account/second-factor/set-up", {"code": self.code()})
        assert answer.status_code == 303, answer.text
        if answer.location.endswith("/recovery-codes"):
            self.codes = [node.text for node in self.page("/account/recovery-codes").find("code")]
            answer = self.post("/account/recovery-codes")
        return answer

    def join(self, link: str, **values: str) -> TestResponse:
        """Take up a link for the set-up or of an invitation, with everything that follows."""
        given = {"email": self.email, "name": "Ola Nowak", "password": PASSWORD, "again": PASSWORD, **values}
        answer = self.post(urlsplit(link).path, given)
        assert answer.status_code == 303, answer.text
        return self.set_up_app()

    def password(self, password: str = PASSWORD, **values: str) -> TestResponse:
        return self.post("/account/login", {"email": self.email, "password": password, **values})

    def sign_in(self, **values: str) -> TestResponse:
        answer = self.password(**values)
        assert answer.status_code == 303, answer.text
        return self.post("/account/second-factor", {"code": self.code()})

    def is_in(self) -> bool:
        return self.get("/account/").status_code == 200


def make_owner(app: Flask, **given: Any) -> Person:
    """The owner of a fresh hub, set up by the one-time link and signed in."""
    person = Person(app, **{"email": "owner@shop.example", **given})
    link = invitations.set_up_link(context())
    assert link
    person.join(link)
    return person


def user_id(email: str) -> str:
    return str(accounts.find(email=email).id)
