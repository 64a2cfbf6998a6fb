"""The connector reads what a real shop answered: shapes, refusals, webhooks, the signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from hub import connectors
from hub.connectors.woocommerce import auth, webhooks
from hub.connectors.woocommerce.schema import FIELDS, RAW_FIELDS, SCHEMAS, narrow
from hub.core import errors
from hub.core.connector import Account
from hub.core.http import Answer, OAuth1
from hub.mapping.dictionary import load_reads
from hub.transport.signing import OAuth1SignedAuth

FOLDER = connectors.folder("woocommerce") / "recordings"
SECRET = "hub-webhook-secret"
ACCOUNT = Account("c1", "test", {"webhook_secret": SECRET})


def recorded(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def answer(name: str) -> Answer:
    response = recorded(name)["response"]
    headers = {header.lower(): value for header, value in response["headers"].items()}
    return Answer(response["status"], headers, orjson.dumps(response["body"]), 0.1)


@pytest.mark.parametrize("stream", SCHEMAS)
def test_the_data_set_has_the_schema_and_narrows_to_the_fields_asked_for(stream: str) -> None:
    for record in recorded(f"dataset/{stream}"):
        small = narrow(stream, record)
        SCHEMAS[stream]().load(small)
        assert set(small) == {path.split(".")[0] for path in FIELDS[stream]}
        assert "order_key" not in small
        assert list(small) == [name for name in record if name in small]


@pytest.mark.parametrize("stream", SCHEMAS)
def test_the_mapping_names_paths_that_exist(stream: str) -> None:
    target = connectors.load("woocommerce").DECLARATION.stream(stream).target
    assert target
    load_reads(Path(FOLDER.parent / "mapping.toml"), stream, target, known_paths=RAW_FIELDS[stream])


@pytest.mark.parametrize(
    ("name", "field", "words"),
    [
        ("auth-none", "key", "recognise"),
        ("auth-bad-key-basic", "key", "recognise"),
        ("auth-bad-secret-basic", "secret", "secret is wrong"),
        ("auth-oauth-bad-key", "key", "does not know the key"),
        ("auth-oauth-bad-signature", "secret", "secret is wrong"),
        ("auth-write-only-key-read", "key", "not allowed to read"),
        ("auth-customer-role-key-orders", "key", "owner"),
    ],
)
def test_each_refusal_has_its_own_sentence(name: str, field: str, words: str) -> None:
    error = auth.judge(answer(name))
    assert isinstance(error, errors.ReauthorizeNeeded)
    assert error.details["field"] == field
    assert words in str(error)
    assert f"«{field}»" in error.cure or field == "key"


@pytest.mark.parametrize("name", ["auth-oauth-old-timestamp", "auth-oauth-nonce-replayed"])
def test_a_wrong_clock_or_a_repeat_does_not_kill_the_connection(name: str) -> None:
    assert isinstance(auth.judge(answer(name)), errors.Unavailable)


def test_the_signature_of_the_recorded_vector() -> None:
    query = {"per_page": "2", "search": "Żółć & +x"}
    signer = OAuth1SignedAuth(OAuth1("ck_" + "a" * 40, "cs_" + "b" * 40))
    params = [
        ("oauth_consumer_key", "ck_" + "a" * 40),
        ("oauth_nonce", "abcdef0123456789"),
        ("oauth_signature_method", "HMAC-SHA256"),
        ("oauth_timestamp", "1700000000"),
        ("oauth_version", "1.0"),
    ]
    url = "http://shop.example/wp-json/wc/v3/customers?" + urlencode(query)
    assert signer.sign("GET", url, params) == "n0OkAWuLZ+CdmF0PSEW6S9dOOhAEUzYx2t1YWAYC0FM="


def delivery(name: str) -> tuple[dict[str, str], bytes]:
    received = recorded(name)["received"]
    return received["headers"], received["raw_body"].encode()


@pytest.mark.parametrize(
    ("name", "kind", "number", "has_body"),
    [
        ("customer-created", "customer.created", "211", True),
        ("customer-updated", "customer.updated", "30", True),
        ("customer-deleted", "customer.deleted", "211", False),
        ("order-created", "order.created", "514", True),
        ("order-created-state-at-delivery", "order.created", "503", True),
        ("order-updated", "order.updated", "312", True),
        ("order-deleted", "order.deleted", "514", False),
    ],
)
def test_recorded_deliveries(name: str, kind: str, number: str, has_body: bool) -> None:
    headers, body = delivery(f"webhook-delivery-{name}")
    (event,) = webhooks.receive(ACCOUNT, headers, body)
    assert (event.kind, event.external_id, event.stream) == (kind, number, kind.split(".")[0] + "s")
    assert event.dedupe_key == headers["X-WC-Webhook-Delivery-ID"]
    assert bool(event.body) == has_body
    assert b"order_key" not in orjson.dumps(event.body)
    assert (event.occurred_at is not None) == has_body


def test_a_payload_that_is_an_error_object_and_a_ping_say_nothing() -> None:
    assert webhooks.receive(ACCOUNT, *delivery("webhook-delivery-customer-created-already-deleted")) == []
    ping = recorded("webhook-ping-delivery")["received"][0]
    assert webhooks.receive(ACCOUNT, ping["headers"], ping["body"].encode()) == []


def test_an_unknown_topic_is_named() -> None:
    with pytest.raises(errors.Refused, match=r"«action[.]woocommerce_order_status_completed»"):
        webhooks.receive(ACCOUNT, *delivery("webhook-delivery-action-woocommerce-order-status-completed"))


def test_a_delivery_without_secret_signature_or_sense() -> None:
    headers, body = delivery("webhook-delivery-order-deleted")
    with pytest.raises(errors.Refused, match="webhook_secret"):
        webhooks.receive(Account("c1", "test", {}), headers, body)
    with pytest.raises(errors.Forbidden):
        webhooks.receive(ACCOUNT, {"X-WC-Webhook-Topic": "order.deleted"}, body)
    for nonsense in (b"[]", b"{", b'{"id":"x"}', b'{"id":true}'):
        digest = base64.b64encode(hmac.new(SECRET.encode(), nonsense, hashlib.sha256).digest()).decode()
        with pytest.raises(errors.Invalid):
            webhooks.receive(ACCOUNT, {**headers, "X-WC-Webhook-Signature": digest}, nonsense)
