"""Single sign-on against a small provider that answers on a real socket, and everything it may get wrong."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask, jsonify, request
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from redis import Redis
from webauthn.helpers import bytes_to_base64url

from hub.core.redact import forget_secrets
from hub.services import accounts, invitations
from hub.store import users
from hub.store.db import reading
from hub.transport.simulation import Server
from tests.conftest import make_settings, open_app
from tests.web.people import PASSWORD, Person, user_id

CLIENT, SECRET = "the-hub", "a secret between the two"


@dataclass
class Provider:
    """What it says of the person; `twist` changes the claims, `changes` its whole description."""

    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)
    key: Any = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    sign: Callable[[dict[str, Any]], str] | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    token_status: int = 200

    def app(self) -> Flask:
        app = Flask("provider")

        @app.get("/.well-known/openid-configuration")
        def described() -> Any:
            return jsonify(
                {
                    "issuer": self.url,
                    "authorization_endpoint": f"{self.url}/authorize",
                    "token_endpoint": f"{self.url}/token",
                    "jwks_uri": f"{self.url}/keys",
                    **self.changes,
                }
            )

        @app.get("/keys")
        def keys() -> Any:
            return jsonify({"keys": [self.key.as_dict(private=False)]})

        @app.post("/token")
        def token() -> Any:
            self.asked.append(dict(request.form))
            given = self.codes.pop(request.form.get("code", ""), None)
            verifier = request.form.get("code_verifier", "")
            challenge = bytes_to_base64url(hashlib.sha256(verifier.encode()).digest())
            if given is None or given["code_challenge"] != challenge or given["redirect_uri"] != request.form["redirect_uri"]:
                return jsonify({"error": "invalid_grant"}), 400
            if self.token_status != 200:
                return "<html>maintenance</html>", self.token_status
            claims = {
                "iss": self.url,
                "sub": "subject-1",
                "aud": CLIENT,
                "iat": int(time.time()),
                "exp": int(time.time()) + 300,
                "nonce": given["nonce"],
                **self.claims,
            }
            claims = {name: value for name, value in claims.items() if value is not None}
            signed = self.sign(claims) if self.sign else jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)
            return jsonify({"access_token": "a", "token_type": "Bearer", "id_token": signed})

        return app

    def authorize(self, address: str) -> str:
        """What the person does at the provider: yes. Returns where the browser is sent back to."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert query["client_id"] == CLIENT
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        self.codes["code-1"] = query
        back = urlsplit(query["redirect_uri"])
        return f"{back.path}?code=code-1&state={query['state']}"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with ExitStack() as stack:
        found = Provider()
        found.url = stack.enter_context(Server(found.app())).url.rstrip("/")
        yield found


@pytest.fixture
def app(provider: Provider, database: str, redis_url: str, tmp_path: Path) -> Iterator[Flask]:
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    settings = make_settings(
        tmp_path / "data",
        database,
        redis_url,
        oidc_issuer=provider.url,
        oidc_client_id=CLIENT,
        oidc_client_secret=SECRET,
    )
    with open_app(settings) as app, app.app_context():
        accounts.create(app.extensions["hub"], "owner@shop.example", ("owner",), name="Ola", password=PASSWORD)
        yield app
    forget_secrets()


def go(provider: Provider, person: Person, next_: str = "") -> Any:
    out = person.get(f"/account/single-sign-on?next={next_}")
    assert out.status_code == 302, out.text
    return person.get(provider.authorize(out.location))


VOUCHED = {"email": "Owner@Shop.example", "email_verified": True}


def test_a_known_address_signs_in_and_sets_up_a_second_factor(app: Flask, provider: Provider) -> None:
    provider.claims = VOUCHED
    person = Person(app)
    assert "single-sign-on" in person.page("/account/login").html
    assert go(provider, person).location.endswith("/account/second-factor/set-up")
    person.set_up_app()
    assert person.is_in()
    with reading() as session:
        row = users.find_user(session, email="owner@shop.example")
    assert row is not None
    assert row.oidc_subject == f"{provider.url}|subject-1"
    assert "client_secret" not in str(provider.asked)


def test_a_second_factor_at_the_provider_is_enough(app: Flask, provider: Provider) -> None:
    provider.claims = {**VOUCHED, "amr": ["pwd", "mfa"]}
    person = Person(app)
    assert go(provider, person, "/admin/users").location == "/admin/users"
    assert person.is_in()
    assert "Single sign-on" in person.page("/account/").text


def test_the_pinned_subject_counts_not_the_address(app: Flask, provider: Provider) -> None:
    provider.claims = {**VOUCHED, "amr": ["mfa"]}
    go(provider, Person(app))
    provider.claims = {"email": "renamed@shop.example", "amr": ["mfa"]}
    person = Person(app)
    go(provider, person)
    assert "owner@shop.example" in person.page("/account/").text
    provider.claims = {**VOUCHED, "sub": "subject-2", "amr": ["mfa"]}
    other = Person(app)
    answer = go(provider, other)
    assert answer.status_code == 400
    assert "Another account of the provider" in answer.text
    assert not other.is_in()


def test_an_invited_address_becomes_a_user(app: Flask, provider: Provider) -> None:
    invitations.invite(app.extensions["hub"], "ewa@shop.example", "auditor", "en", None, "Ola")
    provider.claims = {"email": "ewa@shop.example", "email_verified": True, "name": "Ewa Lis", "amr": ["mfa"]}
    person = Person(app)
    assert go(provider, person).status_code == 303
    assert "Ewa Lis" in person.page("/account/").text
    with reading() as session:
        assert users.roles_of(session, user_id("ewa@shop.example")) == ("auditor",)


def other_key(claims: dict[str, Any]) -> str:
    return str(jwt.encode({"alg": "RS256", "kid": "one"}, claims, RSAKey.generate_key(2048)))


def by_secret(claims: dict[str, Any]) -> str:
    return str(jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET + " " * 10)))


@pytest.mark.parametrize(
    ("claims", "sign"),
    [
        ({**VOUCHED, "email": "stranger@shop.example"}, None),
        ({**VOUCHED, "email_verified": False}, None),
        ({**VOUCHED, "email_verified": "true"}, None),
        ({"email": "owner@shop.example"}, None),
        ({"email_verified": True}, None),
        ({**VOUCHED, "email": "no address"}, None),
        ({**VOUCHED, "iss": "https://evil.example"}, None),
        ({**VOUCHED, "aud": "somebody else"}, None),
        ({**VOUCHED, "aud": ["somebody", CLIENT], "azp": "somebody"}, None),
        ({**VOUCHED, "exp": 1}, None),
        ({**VOUCHED, "exp": None}, None),
        ({**VOUCHED, "nonce": "another"}, None),
        ({**VOUCHED, "nonce": None}, None),
        ({**VOUCHED, "sub": None}, None),
        ({**VOUCHED, "sub": "x" * 300}, None),
        (VOUCHED, other_key),
        (VOUCHED, by_secret),
        (VOUCHED, lambda _: "eyJhbGciOiJub25lIn0.e30."),
        (VOUCHED, lambda _: "no token"),
        (VOUCHED, lambda _: ""),
    ],
)
def test_what_does_not_fit_is_refused(app: Flask, provider: Provider, claims: dict[str, Any], sign: Any) -> None:
    provider.claims, provider.sign = {"amr": ["mfa"], **claims}, sign
    person = Person(app)
    answer = go(provider, person)
    assert answer.status_code == 400, answer.text
    assert not person.is_in()
    with reading() as session:
        row = users.find_user(session, email="owner@shop.example")
        assert row is not None
        assert row.oidc_subject is None


@pytest.mark.parametrize(
    "query", ["", "?code=code-1", "?code=code-1&state=x", "?error=access_denied&state={state}", "?state={state}"]
)
def test_an_answer_that_was_not_asked_for_is_refused(app: Flask, provider: Provider, query: str) -> None:
    person = Person(app)
    out = person.get("/account/single-sign-on")
    back = provider.authorize(out.location)
    state = parse_qs(urlsplit(back).query)["state"][0]
    assert person.get(f"/account/single-sign-on/answer{query.format(state=state)}").status_code == 400
    assert person.get(back).status_code == 400  # the question is closed
    assert Person(app).get(back).status_code == 400


def test_new_keys_of_the_provider_are_found(app: Flask, provider: Provider) -> None:
    provider.claims = {**VOUCHED, "amr": ["mfa"]}
    go(provider, Person(app))
    provider.key = RSAKey.generate_key(2048, {"kid": "two"})
    person = Person(app)
    assert go(provider, person).status_code == 303
    assert person.is_in()


def test_a_provider_in_trouble_is_no_fault_of_ours(app: Flask, provider: Provider) -> None:
    provider.changes = {"issuer": "https://another.example"}
    assert Person(app).get("/account/single-sign-on").status_code == 503
    provider.changes = {"token_endpoint": None}
    assert Person(app).get("/account/single-sign-on").status_code == 503
    provider.changes = {}
    provider.token_status = 502
    assert go(provider, Person(app)).status_code == 400


def test_a_disabled_user_does_not_get_in(app: Flask, provider: Provider) -> None:
    context = app.extensions["hub"]
    accounts.create(context, "ewa@shop.example", ("ops",), password=PASSWORD)
    accounts.disable(context, user_id("ewa@shop.example"))
    provider.claims = {"email": "ewa@shop.example", "email_verified": True, "amr": ["mfa"]}
    person = Person(app)
    assert "disabled" in go(provider, person).text
    assert not person.is_in()


def test_without_a_provider_there_is_no_such_page(database: str, redis_url: str, tmp_path: Path) -> None:
    with open_app(make_settings(tmp_path / "other", database, redis_url)) as app:
        assert Person(app).get("/account/single-sign-on").status_code == 404
        assert Person(app).get("/account/single-sign-on/answer?code=1&state=2").status_code == 404
