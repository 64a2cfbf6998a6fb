"""Deliveries of WooCommerce's webhooks, verified over the raw bytes.

Facts of recordings/webhook-*.json: the signature is base64(HMAC-SHA256(secret, body)); there is no timestamp, so repeats
are caught by the delivery's own id; a ping is form-encoded and not signed; the body is the state at delivery, `{"id":N}`
after a deletion, and the API's error object when the record was gone by then.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from hub.connectors.woocommerce.schema import narrow
from hub.core.connector import Account, Event
from hub.core.errors import Forbidden, Invalid, Refused

STREAMS = {"customer": "customers", "order": "orders", "product": "products"}
EVENTS = ("created", "updated", "deleted", "restored")
PING = re.compile(rb"webhook_id=\d+")


def receive(account: Account, headers: Mapping[str, str], raw_body: bytes) -> list[Event]:
    """What a delivery says. Raises `Forbidden` for a missing or wrong signature, `Refused` for a topic nobody asked for."""
    given = {name.lower(): value for name, value in headers.items()}
    signature = given.get("x-wc-webhook-signature", "")
    if not signature and "x-wc-webhook-topic" not in given and PING.fullmatch(raw_body.strip()):
        return []  # sent at each activation and after failures; it proves and changes nothing
    verify(account.credentials.get("webhook_secret", ""), signature, raw_body)
    topic = given.get("x-wc-webhook-topic", "")
    resource, _, event = topic.partition(".")
    if resource not in STREAMS or event not in EVENTS:
        raise Refused(
            "The hub does not listen to the webhook topic «{topic}»",
            cure="Delete this webhook in WooCommerce → Settings → Advanced → Webhooks; useful topics are {known}",
            topic=topic,
            known="customer, order and product with .created, .updated, .deleted, .restored",
        )
    body = _read(raw_body)
    if "id" not in body and "code" in body:
        # The record was deleted before the delivery ran; the error object does not say which one it was.
        return []
    number = body.get("id")
    if not isinstance(number, int) or isinstance(number, bool):
        raise Invalid("The webhook's body has no record id", fields={"id": "A whole number is expected"})
    stream = STREAMS[resource]
    return [
        Event(
            kind=topic,
            stream=stream,
            external_id=str(number),
            occurred_at=_changed_at(body),
            dedupe_key=given.get("x-wc-webhook-delivery-id") or hashlib.sha256(raw_body).hexdigest(),
            body=narrow(stream, body) if event != "deleted" else None,
        )
    ]


def verify(secret: str, signature: str, raw_body: bytes) -> None:
    """Compare in constant time; the secret is the webhook's own, not the API key's."""
    if not secret:
        raise Refused(
            "No webhook secret is set for this connection",
            cure="Put the secret of the shop's webhook into «webhook_secret»",
        )
    if not signature:
        raise Forbidden("The webhook is not signed", cure="Only WooCommerce itself may call this address")
    expected = base64.b64encode(hmac.new(secret.encode(), raw_body, hashlib.sha256).digest())
    if not hmac.compare_digest(expected, signature.strip().encode("utf-8", "replace")):
        raise Forbidden(
            "The webhook's signature does not match its body",
            cure="Put the same secret into the webhook's settings in WooCommerce and into «webhook_secret»",
        )


def _read(raw_body: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(raw_body)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise Invalid("The webhook's body is not a JSON object", fields={"body": "WooCommerce sends one record as an object"})
    return body


def _changed_at(body: dict[str, Any]) -> datetime | None:
    """The record's last change; the moment of the event itself is not in a delivery."""
    text = body.get("date_modified_gmt")
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        return None
