"""Passkeys, with an authenticator made of software: as second factor, as both factors, and everything that is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from hub.services import accounts
from hub.services.context import Context
from hub.store import users
from hub.store.db import reading
from tests.conftest import form_token
from tests.web.conftest import HOSTILE, Page
from tests.web.people import PASSWORD, Person, make_owner, user_id

ORIGIN = "http://localhost"
PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass
class Authenticator:
    """One passkey on one device (WebAuthn Level 2, «none» attestation, ES256)."""

    name: str = "phone"
    origin: str = ORIGIN
    verified: bool = True
    count: int = 0
    id: bytes = b"a passkey's own id, 32 bytes lon"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def _said(self, kind: str, options: dict[str, Any]) -> bytes:
        return json.dumps({"type": kind, "challenge": options["challenge"], "origin": self.origin}).encode()

    def _data(self, party: str, flags: int) -> bytes:
        self.count += 1
        flags |= PRESENT | (VERIFIED if self.verified else 0)
        return hashlib.sha256(party.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def create(self, options: dict[str, Any]) -> str:
        numbers = self.key.public_key().public_numbers()
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        data = self._data(options["rp"]["id"], ATTESTED) + bytes(16) + len(self.id).to_bytes(2, "big") + self.id + public
        made = {
            "attestationObject": bytes_to_base64url(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            "clientDataJSON": bytes_to_base64url(self._said("webauthn.create", options)),
            "transports": ["internal"],
        }
        return self._answer(made)

    def get(self, options: dict[str, Any]) -> str:
        said, data = self._said("webauthn.get", options), self._data(options["rpId"], 0)
        signature = self.key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
        made = {
            "authenticatorData": bytes_to_base64url(data),
            "clientDataJSON": bytes_to_base64url(said),
            "signature": bytes_to_base64url(signature),
            "userHandle": None,
        }
        return self._answer(made)

    def _answer(self, response: dict[str, Any]) -> str:
        name = bytes_to_base64url(self.id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


def options(person: Person, path: str) -> dict[str, Any]:
    page = person.page(path)
    (form,) = (node for node in page.find("form") if "data-passkey" in node.attributes)
    found: dict[str, Any] = json.loads(form.attributes["data-options"])
    return found


def send(person: Person, path: str, credential: str, **values: str) -> Any:
    """Without loading the page again, which would ask another question."""
    token = form_token(person.client)
    with person.app.app_context():
        return person.client.post(
            path, data={"csrf_token": token, "credential": credential, **values}, headers={"Accept-Language": "en"}
        )


def add(person: Person, key: Authenticator, **values: str) -> Any:
    asked = options(person, "/account/second-factor/set-up")
    return send(person, "/account/second-factor/set-up", key.create(asked), passkey_name=key.name, **values)


@pytest.fixture
def owner(app: Flask) -> Person:
    return make_owner(app)


@pytest.fixture
def key(owner: Person) -> Authenticator:
    found = Authenticator()
    assert add(owner, found, confirm=PASSWORD).status_code == 303
    return found


def test_a_passkey_is_both_factors(app: Flask, owner: Person, key: Authenticator) -> None:
    person = Person(app)
    answer = send(person, "/account/login/passkey", key.get(options(person, "/account/login")), next="/admin/users")
    assert answer.status_code == 303
    assert answer.location == "/admin/users"
    assert person.is_in()
    page = person.page("/account/")
    assert "phone" in page.text
    assert "Passkey" in page.text


def test_a_passkey_is_the_second_factor(app: Flask, owner: Person, key: Authenticator) -> None:
    person = Person(app, email=owner.email)
    person.password()
    asked = options(person, "/account/second-factor")
    assert [one["id"] for one in asked["allowCredentials"]] == [bytes_to_base64url(key.id)]
    key.verified = False  # the password was shown
    assert send(person, "/account/second-factor/passkey", key.get(asked)).status_code == 303
    assert person.is_in()


def test_it_works_while_the_password_is_locked(app: Flask, owner: Person, key: Authenticator) -> None:
    person = Person(app, email=owner.email)
    while person.password("wrong password").status_code != 429:
        pass
    assert send(person, "/account/login/passkey", key.get(options(person, "/account/login"))).status_code == 303


def test_the_first_second_factor_brings_recovery_codes(app: Flask, owner: Person, context: Context) -> None:
    accounts.create(context, "ewa@shop.example", ("ops",), password=PASSWORD)
    person = Person(app, email="ewa@shop.example")
    assert person.password().location.endswith("/set-up")
    assert add(person, Authenticator()).location.endswith("/account/recovery-codes")
    assert len(person.page("/account/recovery-codes").find("code")) == 10
    assert person.is_in()


def twisted(key: Authenticator, asked: dict[str, Any], how: str) -> str:
    other = Authenticator(id=key.id)
    match how:
        case "challenge":
            return key.get({**asked, "challenge": bytes_to_base64url(b"x" * 32)})
        case "origin":
            key.origin = "https://evil.example"
            return key.get(asked)
        case "party":
            return key.get({**asked, "rpId": "evil.example"})
        case "key":
            return other.get(asked)
        case "unverified":
            key.verified = False
            return key.get(asked)
        case "counter":
            key.count = -1
            return key.get(asked)
        case "unknown":
            key.id = b"another passkey's id of 32 bytes"
            return key.get(asked)
        case "signature":
            answer = json.loads(key.get(asked))
            answer["response"]["signature"] = bytes_to_base64url(base64url_to_bytes(answer["response"]["signature"])[:-3])
            return json.dumps(answer)
    return how


@pytest.mark.parametrize(
    "how",
    [
        *("challenge", "origin", "party", "key", "unverified", "counter", "unknown", "signature"),
        *(
            "",
            "{}",
            "[]",
            "null",
            "{" * 5000,
            HOSTILE,
            '{"rawId": 1, "response": {}}',
            '{"rawId": "ż", "response": {}}',
            "x" * 30_000,
        ),
        '{"rawId": "eA", "id": "eA", "type": "public-key", "response": {"clientDataJSON": 7}}',
    ],
)
def test_a_wrong_answer_is_refused(app: Flask, owner: Person, key: Authenticator, how: str) -> None:
    person = Person(app)
    answer = send(person, "/account/login/passkey", twisted(key, options(person, "/account/login"), how))
    assert answer.status_code == 400
    page = Page(answer.text)
    assert not page.problems
    assert "The passkey was not accepted" in page.text
    assert not person.is_in()


def test_an_answer_counts_once_and_not_for_long(app: Flask, owner: Person, key: Authenticator, clock: Any) -> None:
    person = Person(app)
    answer = key.get(options(person, "/account/login"))
    clock.forward(601)
    assert send(person, "/account/login/passkey", answer).status_code == 400
    answer = key.get(options(person, "/account/login"))
    assert send(person, "/account/login/passkey", answer).status_code == 303
    person.post("/account/logout", on="/account/")
    assert send(person, "/account/login/passkey", answer).status_code == 400


def test_a_disabled_users_passkey_is_refused(app: Flask, owner: Person, context: Context) -> None:
    ewa = accounts.create(context, "ewa@shop.example", ("ops",), password=PASSWORD)
    person, key = Person(app, email="ewa@shop.example"), Authenticator()
    person.password()
    add(person, key)
    accounts.disable(context, ewa)
    assert not person.is_in()
    again = Person(app)
    assert send(again, "/account/login/passkey", key.get(options(again, "/account/login"))).status_code == 400


def test_anothers_passkey_is_no_second_factor(app: Flask, owner: Person, key: Authenticator, context: Context) -> None:
    accounts.create(context, "ewa@shop.example", ("ops",), password=PASSWORD)
    ewa = Person(app, email="ewa@shop.example")
    ewa.password()
    add(ewa, Authenticator(id=b"ewa's passkey's id, 32 bytes lon", name="ewa"))
    person = Person(app, email="ewa@shop.example")
    person.password()
    assert send(person, "/account/second-factor/passkey", key.get(options(person, "/account/second-factor"))).status_code == 400
    assert not person.is_in()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"passkey_name": ""}, "Give the passkey a name"),
        ({"passkey_name": "x" * 200}, "at most 60 characters"),
        ({"confirm": "wrong"}, "This is not your password"),
        ({"credential": "{}"}, "The passkey was not accepted"),
    ],
)
def test_a_bad_new_passkey_is_refused(app: Flask, owner: Person, values: dict[str, str], words: str) -> None:
    asked = options(owner, "/account/second-factor/set-up")
    given = {"credential": Authenticator().create(asked), "passkey_name": "phone", "confirm": PASSWORD, **values}
    answer = send(owner, "/account/second-factor/set-up", **given)
    assert answer.status_code == 400
    assert words in answer.text
    assert not Page(answer.text).problems


def test_the_same_passkey_is_not_kept_twice(owner: Person, key: Authenticator) -> None:
    answer = add(owner, key, confirm=PASSWORD)
    assert answer.status_code == 400
    assert "set up already" in answer.text


def test_removing_passkeys_leaves_a_second_factor(app: Flask, owner: Person, key: Authenticator, context: Context) -> None:
    with reading() as session:
        (row,) = users.list_passkeys(session, user_id(owner.email))
    path = f"/account/passkeys/{row.id}/remove"
    assert owner.post(path, {"confirm": "wrong"}, on="/account/").status_code == 400
    assert owner.post(path, {"confirm": PASSWORD}, on="/account/").status_code == 303
    assert "not exist" in owner.post(path, {"confirm": PASSWORD}, on="/account/").text
    accounts.create(context, "ewa@shop.example", ("ops",), password=PASSWORD)
    ewa = Person(app, email="ewa@shop.example")
    ewa.password()
    add(ewa, Authenticator())
    with reading() as session:
        (row,) = users.list_passkeys(session, user_id(ewa.email))
    answer = ewa.post(f"/account/passkeys/{row.id}/remove", {"confirm": PASSWORD}, on="/account/")
    assert answer.status_code == 400
    assert "only second factor" in answer.text
    foreign = owner.post(f"/account/passkeys/{row.id}/remove", {"confirm": PASSWORD}, on="/account/")
    assert foreign.status_code == 400
    assert ewa.is_in()


def test_a_session_sent_once_more_opens_nothing(app: Flask, owner: Person) -> None:
    """Whoever recorded the cookie and the answer has nothing, also of a passkey that counts nothing."""
    device = Authenticator(count=-1)
    assert add(owner, device, confirm=PASSWORD).status_code == 303
    person, thief = Person(app), Person(app)
    asked = options(person, "/account/login")
    device.count = -1
    answer = device.get(asked)
    form_token(person.client)
    recorded = person.client.get_cookie("hub_session")
    assert recorded is not None
    assert send(person, "/account/login/passkey", answer).status_code == 303
    thief.client.set_cookie("hub_session", recorded.value)
    assert send(thief, "/account/login/passkey", answer).status_code == 400
    assert not thief.is_in()


def test_strange_ways_to_reach_a_passkey_are_left_out(app: Flask, owner: Person) -> None:
    device = Authenticator()
    made = json.loads(device.create(options(owner, "/account/second-factor/set-up")))
    made["response"]["transports"] = ["usb", "\ud800", "\0", 7, None, ["nfc"]]
    answer = send(owner, "/account/second-factor/set-up", json.dumps(made), passkey_name="key", confirm=PASSWORD)
    assert answer.status_code == 303, answer.text
    with reading() as session:
        (kept,) = users.list_passkeys(session, user_id(owner.email))
    assert kept.transports == ["usb"]
