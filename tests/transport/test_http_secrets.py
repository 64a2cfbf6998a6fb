"""Credentials: put where they belong, and never written down anywhere else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import pickle
import re
import traceback
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl, quote, unquote
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from hub.core.errors import HubError, ReauthorizeNeeded
from hub.core.http import Auth, Basic, Bearer, Call, OAuth1, OAuth2, Placement, Token
from hub.transport import Http
from hub.transport.signing import OAuth1SignedAuth
from hub.transport.simulation import Faults

Connect = Callable[..., Http]
KEY, SECRET = "ck_0123456789abcdef0123", "cs_fedcba9876543210+/= ą"
ACCESS, REFRESH = "CJ-access-token-value", "na1-refresh-token-value"
KINDS: dict[str, Auth] = {
    "basic": Basic(KEY, SECRET),
    "bearer": Bearer(ACCESS),
    "oauth1 header": OAuth1(KEY, SECRET),
    "oauth1 query": OAuth1(KEY, SECRET, Placement.QUERY),
    "oauth2": OAuth2("/token", "client-id", SECRET),
}


class Seen:
    """Notes what came in, and repeats it in its answer, as careless servers do."""

    def __init__(self, status: str = "200 OK") -> None:
        self.status = status
        self.query = self.authorization = ""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.query = environ["QUERY_STRING"]
        self.authorization = environ.get("HTTP_AUTHORIZATION", "")
        start_response(self.status, [("Content-Type", "application/json"), ("Location", "/?" + self.query)])
        return [f'{{"message": "no: {self.query} {self.authorization}"}}'.encode()]


def traces() -> list[str]:
    basic = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
    plain = [KEY, SECRET, ACCESS, REFRESH, basic]
    return [*plain, *(quote(text, safe="") for text in plain)]


def written(error: BaseException, caplog: pytest.LogCaptureFixture) -> str:
    """Everything that could be written down about an error."""
    logging.getLogger("test").error("it failed", exc_info=error)
    parts = [str(error), repr(error), "".join(traceback.format_exception(error)), caplog.text]
    parts += [str(record.__dict__) for record in caplog.records if record.name != "test"]
    if isinstance(error, HubError):
        parts += [str(error.as_json()), repr(pickle.loads(pickle.dumps(error)).__dict__)]
    return "\n".join(parts)


def assert_clean(text: str) -> None:
    for secret in traces():
        assert secret not in text, f"{secret} in {text}"
    assert not re.findall(r"""oauth_signature=["']?(?!["']?\[hidden\])""", text)


@pytest.mark.parametrize("kind", KINDS)
def test_reprs_hold_no_secret(kind: str, connect: Connect, tokens: Any) -> None:
    http = connect("https://shop.example", KINDS[kind], tokens=tokens(Token(ACCESS, REFRESH, None, 1)))
    for secret in (SECRET, ACCESS, REFRESH):
        assert secret not in repr(KINDS[kind]) + repr(http) + repr(http._auth) + repr(http.tokens.load() if http.tokens else "")


FAILURES = ["400 Bad", "401 No", "403 No", "404 No", "429 Slow", "500 Error", "302 Found"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [*FAILURES, "200 OK"])
def test_answers_write_no_secret(
    kind: str, status: str, serve: Any, connect: Connect, tokens: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    http = connect(serve(Seen(status)), KINDS[kind], tokens=tokens(Token(ACCESS, REFRESH, None, 1)))
    call = Call("GET", "/wp-json/wc/v3/orders", {"page": 1})
    if status == "200 OK":
        http.call(call)
        assert_clean(caplog.text)
        assert "/wp-json/wc/v3/orders" in caplog.text
        return
    with pytest.raises(HubError) as caught:
        http.call(call)
    assert_clean(written(caught.value, caplog))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("failure", ["refused", "unknown", "drop", "tls", "private", "silent"])
def test_broken_connections_write_no_secret(
    kind: str,
    failure: str,
    serve: Any,
    raw_serve: Any,
    connect: Connect,
    tokens: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    urls = {
        "refused": lambda: "http://127.0.0.1:1",
        "unknown": lambda: "http://no-such-host.invalid",
        "drop": lambda: serve(Faults(Seen(), [("drop", 1.0)])),
        "tls": lambda: raw_serve(lambda sock: sock.sendall(b"HTTP/1.1 400 no")).replace("http:", "https:"),
        "private": lambda: "http://localhost:1",
        "silent": lambda: raw_serve(lambda sock: sock.recv(1)),
    }
    http = connect(
        urls[failure](), KINDS[kind], tokens=tokens(Token(ACCESS, REFRESH, None, 1)), read_timeout=0.2, connect_timeout=1.0
    )
    with pytest.raises(HubError) as caught:
        http.call(Call("GET", "/wp-json", {"page": 1}))
    assert_clean(written(caught.value, caplog))


@pytest.mark.parametrize("token", [f"{ACCESS}\n", f"{ACCESS}\r\nX-Evil: 1", f"{ACCESS}’", "żółć-token"])
def test_a_token_copied_wrongly_is_said_to_be(
    serve: Any, connect: Connect, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen = Seen()
    with pytest.raises(ReauthorizeNeeded, match="Copy it again") as caught:
        connect(serve(seen), Bearer(token)).call(Call("GET", "/"))
    assert_clean(written(caught.value, caplog))
    assert seen.authorization == ""


def test_basic(serve: Any, connect: Connect) -> None:
    seen = Seen()
    connect(serve(seen), Basic("ключ", SECRET)).call(Call("GET", "/"))
    scheme, _, value = seen.authorization.partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(value).decode() == f"ключ:{SECRET}"


def test_bearer(serve: Any, connect: Connect) -> None:
    seen = Seen()
    connect(serve(seen), Bearer(ACCESS)).call(Call("GET", "/"))
    assert seen.authorization == f"Bearer {ACCESS}"


def expect_signature(method: str, url: str, params: list[tuple[str, str]]) -> str:
    """RFC 5849 §3.4 by hand."""

    def enc(text: str) -> str:
        return quote(text, safe="~-._")

    pairs = sorted((enc(name), enc(value)) for name, value in params if name != "oauth_signature")
    joined = "&".join(f"{name}={value}" for name, value in pairs)
    base = f"{method}&{enc(url)}&{enc(joined)}"
    return base64.b64encode(hmac.new((enc(SECRET) + "&").encode(), base.encode(), hashlib.sha256).digest()).decode()


@pytest.mark.parametrize("placement", list(Placement))
@pytest.mark.parametrize(
    "query", [{}, {"page": 2, "per_page": 100}, {"search": "zażółć +&=%20 ~", "status[]": "any", "empty": ""}]
)
def test_oauth1(serve: Any, connect: Connect, placement: Placement, query: dict[str, str | int]) -> None:
    seen = Seen()
    url = serve(seen)
    http = connect(url, OAuth1(KEY, SECRET, placement))
    http.call(Call("POST", "/wp-json/wc/v3/orders", query, json={"not": "signed"}))
    sent = parse_qsl(seen.query, keep_blank_values=True)
    if placement is Placement.HEADER:
        assert "oauth" not in seen.query
        fields = [part.partition("=") for part in seen.authorization.removeprefix("OAuth ").split(", ")]
        sent += [(name, unquote(value.strip('"'))) for name, _, value in fields]
    else:
        assert seen.authorization == ""
    assert {name: value for name, value in sent if not name.startswith("oauth_")} == {k: str(v) for k, v in query.items()}
    oauth = dict(pair for pair in sent if pair[0].startswith("oauth_"))
    assert oauth["oauth_consumer_key"] == KEY
    assert oauth["oauth_signature_method"] == "HMAC-SHA256"
    assert oauth["oauth_signature"] == expect_signature("POST", f"{url}/wp-json/wc/v3/orders", sent)


def test_oauth1_never_repeats_a_nonce(serve: Any, connect: Connect) -> None:
    seen, nonces = Seen(), set()
    http = connect(serve(seen), OAuth1(KEY, SECRET, Placement.QUERY))
    for _ in range(20):
        http.call(Call("GET", "/"))
        nonces.add(dict(parse_qsl(seen.query))["oauth_nonce"])
    assert len(nonces) == 20


def test_oauth1_default_ports_are_not_signed() -> None:
    signed = OAuth1SignedAuth(OAuth1(KEY, SECRET))
    assert signed.sign("GET", "http://Shop.example:80/a", []) == expect_signature("GET", "http://shop.example/a", [])
    assert signed.sign("GET", "https://shop.example:8443/a", []) == expect_signature("GET", "https://shop.example:8443/a", [])
