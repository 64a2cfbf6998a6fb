"""OAuth 2: one refresh for many threads, and what its failures mean."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment

import orjson
import pytest

from hub.core.errors import PlatformError, ReauthorizeNeeded, SetupError, Unavailable
from hub.core.http import Call, OAuth2, Token
from hub.core.redact import HIDDEN, redact
from hub.transport import Http

Connect = Callable[..., Http]
AUTH = OAuth2("/oauth/v3/token", "client-id-1", "client-secret-1")
GET = Call("GET", "/contacts")


class Vendor:
    """Issues access-2, access-3 …; accepts what is in `valid`. `token_answer` replaces the token address' answer."""

    def __init__(self, *valid: str) -> None:
        self.valid = set(valid)
        self.issued = 1
        self.refreshes: list[dict[str, list[str]]] = []
        self.calls: list[str] = []
        self.rotates = True
        self.token_answer: tuple[str, bytes] | None = None
        self.before_token: Callable[[], None] = lambda: None
        self.lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        json = [("Content-Type", "application/json")]
        if environ["PATH_INFO"] == "/oauth/v3/token":
            status, body = self.refresh(environ)
            start_response(status, json)
            return [body]
        token = environ.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        with self.lock:
            self.calls.append(token)
        start_response("200 OK" if token in self.valid else "401 Unauthorized", json)
        return [b"{}"]

    def refresh(self, environ: WSGIEnvironment) -> tuple[str, bytes]:
        asked = parse_qs(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])).decode())
        time.sleep(0.05)
        with self.lock:
            self.refreshes.append(asked)
        self.before_token()
        if self.token_answer:
            return self.token_answer
        self.issued += 1
        self.valid = {f"access-{self.issued}"}
        said = {"access_token": f"access-{self.issued}", "expires_in": 1800, "token_type": "bearer"}
        if self.rotates:
            said["refresh_token"] = f"refresh-{self.issued}"
        return "200 OK", orjson.dumps(said)


def token(minutes: float | None = 30, version: int = 1) -> Token:
    expires_at = None if minutes is None else datetime.now(UTC) + timedelta(minutes=minutes)
    return Token("access-1", "refresh-1", expires_at, version)


def test_a_live_token_is_used_as_it_is(serve: Any, connect: Connect, tokens: Any) -> None:
    vendor = Vendor("access-1")
    http = connect(serve(vendor), AUTH, tokens=tokens(token()))
    assert http.call(GET).status == 200
    assert vendor.refreshes == []


@pytest.mark.parametrize("minutes", [-10, 0, 4])
def test_a_token_is_replaced_before_it_expires(serve: Any, connect: Connect, tokens: Any, minutes: int) -> None:
    vendor, store = Vendor("access-1"), tokens(token(minutes))
    assert connect(serve(vendor), AUTH, tokens=store).call(GET).status == 200
    assert vendor.calls == ["access-2"]
    assert (store.load().refresh, store.load().version) == ("refresh-2", 2)
    left = store.load().expires_at - datetime.now(UTC)
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)
    assert vendor.refreshes == [
        {
            "grant_type": ["refresh_token"],
            "refresh_token": ["refresh-1"],
            "client_id": ["client-id-1"],
            "client_secret": ["client-secret-1"],
        }
    ]


def test_eight_threads_make_one_refresh(serve: Any, connect: Connect, tokens: Any) -> None:
    vendor, store = Vendor("access-1"), tokens(token(-1))
    url = serve(vendor)
    clients = [connect(url, AUTH, tokens=store) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda http: http.call(GET), clients))
    assert [answer.status for answer in answers] == [200] * 8
    assert len(vendor.refreshes) == store.saves == 1


def test_eight_threads_refused_at_once_make_one_refresh(serve: Any, connect: Connect, tokens: Any) -> None:
    vendor, store = Vendor(), tokens(token(None))
    url = serve(vendor)
    clients = [connect(url, AUTH, tokens=store) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda http: http.call(GET), clients))
    assert [answer.status for answer in answers] == [200] * 8
    assert len(vendor.refreshes) == 1


def test_who_does_not_get_the_lock_comes_back_later(serve: Any, connect: Connect, tokens: Any) -> None:
    vendor, store = Vendor(), tokens(token(-1), waiting=0.05)
    with store.refreshing(), pytest.raises(Unavailable, match="Another worker") as caught:
        connect(serve(vendor), AUTH, tokens=store).call(GET)
    assert caught.value.connection == "Shop"
    assert vendor.refreshes == vendor.calls == []


def test_a_refused_token_is_refreshed_once(serve: Any, connect: Connect, tokens: Any) -> None:
    vendor, store = Vendor(), tokens(token())
    assert connect(serve(vendor), AUTH, tokens=store).call(GET).status == 200
    assert vendor.calls == ["access-1", "access-2"]


def test_a_fresh_token_that_is_refused_too_needs_a_person(serve: Any, connect: Connect, tokens: Any) -> None:
    vendor, store = Vendor(), tokens(token())
    vendor.token_answer = ("200 OK", b'{"access_token": "access-9", "refresh_token": "refresh-9"}')
    with pytest.raises(ReauthorizeNeeded) as caught:
        connect(serve(vendor), AUTH, tokens=store).call(GET)
    assert caught.value.status == 401
    assert vendor.calls == ["access-1", "access-9"]
    assert len(vendor.refreshes) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("500 Error", b"{}"),
        ("503 Busy", b"<html>"),
        ("429 Slow", b'{"policyName": "SECONDLY"}'),
        ("404 None", b"{}"),
        ("302 Found", b""),
        ("400 Bad", b"<html>a firewall</html>"),
        ("401 No", b""),
        ("200 OK", b"<html>"),
        ("200 OK", b"[]"),
        ("200 OK", b"{}"),
        ("200 OK", b'{"access_tok'),
    ],
)
def test_a_failing_token_address_is_no_revocation(serve: Any, connect: Connect, tokens: Any, status: str, body: bytes) -> None:
    vendor, store = Vendor(), tokens(token(-1))
    vendor.token_answer = (status, body)
    with pytest.raises(Unavailable) as caught:
        connect(serve(vendor), AUTH, tokens=store).call(GET)
    assert caught.value.after
    assert caught.value.connection == "Shop"
    assert store.load() == token(-1, 1).__class__("access-1", "refresh-1", store.load().expires_at, 1)
    vendor.token_answer = None
    assert connect(serve(vendor), AUTH, tokens=store).call(GET).status == 200


@pytest.mark.parametrize(
    "body", [b'{"error": "invalid_grant"}', b'{"status": "BAD_REFRESH_TOKEN", "message": "missing or unknown"}']
)
def test_a_dead_refresh_token_needs_a_person(serve: Any, connect: Connect, tokens: Any, body: bytes) -> None:
    vendor, store = Vendor(), tokens(token(-1))
    vendor.token_answer = ("400 Bad", body)
    with pytest.raises(ReauthorizeNeeded, match="no longer accepts the refresh token") as caught:
        connect(serve(vendor), AUTH, tokens=store).call(GET)
    assert caught.value.connection == "Shop"
    assert caught.value.status == 400


def test_a_refresh_token_replaced_meanwhile_is_no_revocation(serve: Any, connect: Connect, tokens: Any) -> None:
    vendor, store = Vendor("access-7"), tokens(token(-1))
    vendor.token_answer = ("400 Bad", b'{"error": "invalid_grant"}')
    newer = Token("access-7", "refresh-7", datetime.now(UTC) + timedelta(hours=1), 2)
    vendor.before_token = lambda: store.save(newer, replacing=1) and None
    http = connect(serve(vendor), AUTH, tokens=store)
    with pytest.raises(Unavailable, match="replaced meanwhile"):
        http.call(GET)
    assert http.call(GET).status == 200


def test_a_token_saved_by_somebody_faster_is_used(serve: Any, connect: Connect, tokens: Any) -> None:
    vendor, store = Vendor(), tokens(token(-1))
    newer = Token("access-2", "refresh-7", datetime.now(UTC) + timedelta(hours=1), 2)
    vendor.before_token = lambda: store.save(newer, replacing=1) and None
    assert connect(serve(vendor), AUTH, tokens=store).call(GET).status == 200
    assert store.load() == newer


def test_an_answer_without_a_refresh_token_keeps_the_old_one(serve: Any, connect: Connect, tokens: Any) -> None:
    vendor, store = Vendor(), tokens(token(-1))
    vendor.rotates = False
    connect(serve(vendor), AUTH, tokens=store).call(GET)
    assert (store.load().access, store.load().refresh) == ("access-2", "refresh-1")


@pytest.mark.parametrize("expires_in", ["null", '"soon"', '"1800"', "1e999", "{}", "1800"])
def test_how_long_it_lives_need_not_be_a_number(serve: Any, connect: Connect, tokens: Any, expires_in: str) -> None:
    vendor, store = Vendor("access-2"), tokens(token(-1))
    said = f'{{"access_token": "access-2", "expires_in": {expires_in}}}'.replace("1e999", "100000000000000000000")
    vendor.token_answer = ("200 OK", said.encode())
    assert connect(serve(vendor), AUTH, tokens=store).call(GET).status == 200
    assert store.load().expires_at - datetime.now(UTC) <= timedelta(minutes=30)


def test_a_silent_token_address_is_not_waited_for_for_ever(raw_serve: Any, connect: Connect, tokens: Any) -> None:
    http = connect(raw_serve(lambda sock: time.sleep(3)), AUTH, tokens=tokens(token(-1)), read_timeout=0.3)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="did not answer in time"):
        http.call(GET)
    assert time.monotonic() - began < 2.0


def test_no_place_for_tokens(connect: Connect) -> None:
    with pytest.raises(SetupError):
        connect("https://api.example", AUTH)


@pytest.mark.parametrize("access", ["access\n1", "access-’", "dostęp"])
def test_a_token_that_cannot_be_one(serve: Any, connect: Connect, tokens: Any, access: str) -> None:
    store = tokens(Token(access, "refresh-1", None, 1))
    with pytest.raises(PlatformError, match="Copy it again") as caught:
        connect(serve(Vendor()), AUTH, tokens=store).call(GET)
    assert access not in str(caught.value)


def test_replaced_tokens_are_not_kept_in_mind(serve: Any, connect: Connect, tokens: Any) -> None:
    vendor, store = Vendor("access-1"), tokens(token())
    http = connect(serve(vendor), AUTH, tokens=store)
    http.call(GET)
    assert redact("access-1") == HIDDEN
    for _ in range(3):
        vendor.valid.clear()
        http.call(GET)
    assert redact("access-1 access-3 refresh-3 access-4 refresh-4") == f"access-1 access-3 refresh-3 {HIDDEN} refresh-4"
