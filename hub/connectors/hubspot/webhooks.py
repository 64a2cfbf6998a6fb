"""What HubSpot calls us with: verified over the raw bytes, then one `Event` per item.

HubSpot retries every answer but a 2xx, calls again for what it has told already, and promises no order.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
from marshmallow import ValidationError

from hub.connectors.hubspot.schema import EventSchema
from hub.core.connector import Account, Event
from hub.core.errors import Forbidden, Invalid, Refused

WINDOW = 300.0
"""Seconds that a v3 timestamp may lie in the past or, with clocks that differ, in the future."""
CONTACT_TYPE = "0-1"
HAPPENINGS = ("creation", "propertyChange", "deletion", "merge", "restore", "associationChange", "privacyDeletion")
DECODED = {"%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'", "%28": "(", "%29": ")"} | {
    "%2A": "*",
    "%2C": ",",
    "%3B": ";",
}
"""The only escapes of the query that HubSpot decodes before it signs (v3)."""


def signed_uri(url: str) -> str:
    """The address as a v3 signature covers it: no fragment, twelve escapes of the query decoded."""
    address = url.split("#")[0]
    query = urlsplit(address).query
    if not query:
        return address
    decoded = query
    for escape, plain in DECODED.items():
        decoded = decoded.replace(escape, plain).replace(escape.lower(), plain)
    return address[: -len(query)] + decoded


def signature_v1(secret: str, raw_body: bytes) -> str:
    return hashlib.sha256(secret.encode() + raw_body).hexdigest()


def signature_v3(secret: str, method: str, url: str, raw_body: bytes, timestamp: str) -> str:
    message = method.encode() + signed_uri(url).encode() + raw_body + timestamp.encode()
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


def verify(account: Account, headers: Mapping[str, str], raw_body: bytes, now: float) -> None:
    """Raise `Forbidden` unless HubSpot signed these bytes, for our address, within the window around `now`."""
    secret = account.credentials.get("client_secret", "")
    if not secret:
        raise Refused(
            "This connection cannot receive webhooks",
            cure="HubSpot signs webhooks of apps only: connect with client_id, client_secret and refresh_token",
        )
    given = {name.lower(): value for name, value in headers.items()}
    if given.get("x-hubspot-signature-v3"):
        _verify_v3(account, secret, given, raw_body, now)
    elif account.options.get("accept_v1") is True and given.get("x-hubspot-signature"):
        _compare(signature_v1(secret, raw_body), given["x-hubspot-signature"])
    else:
        raise Forbidden(
            "The webhook has no signature of version 3", cure="Older ones are taken only with the option «accept_v1»"
        )


def _verify_v3(account: Account, secret: str, given: Mapping[str, str], raw_body: bytes, now: float) -> None:
    url = str(account.options.get("webhook_url") or "")
    if not url:
        raise Refused(
            "The hub does not know the address at which HubSpot calls it",
            cure="Set the connection's option «webhook_url» to the target URL of the app, exactly as it stands there",
        )
    timestamp = given.get("x-hubspot-request-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp) / 1000) > WINDOW:
        raise Forbidden("The webhook is too old or its time is not readable", cure="Check the server's clock")
    _compare(signature_v3(secret, "POST", url, raw_body, timestamp), given["x-hubspot-signature-v3"])


def _compare(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise Forbidden(
            "The webhook's signature is wrong",
            cure="Check that «client_secret» and the option «webhook_url» are those of the app",
        )


def receive(account: Account, headers: Mapping[str, str], raw_body: bytes, now: float) -> list[Event]:
    """The events of one delivery; `now` in seconds since 1970. Those of other accounts of the app are left out."""
    verify(account, headers, raw_body, now)
    try:
        items = orjson.loads(raw_body)
        parsed = EventSchema(many=True).load(items)
    except (orjson.JSONDecodeError, ValidationError) as error:
        raise Invalid("The webhook is not a list of HubSpot events", cause=str(error)[:300]) from error
    portal = str(account.options.get("portal_id") or "")
    return [
        _event(facts, item)
        for facts, item in zip(parsed, items, strict=True)
        if not portal or facts["portal_id"] is None or str(facts["portal_id"]) == portal
    ]


def _event(facts: Mapping[str, Any], item: dict[str, Any]) -> Event:
    kind = facts["subscription_type"]
    family, _, happening = kind.partition(".")
    about_contact = family == "contact" or (family == "object" and facts["object_type_id"] == CONTACT_TYPE)
    if happening not in HAPPENINGS or not about_contact:
        raise Refused(
            "HubSpot sent an event that the hub does not know: {kind}",
            cure="Switch this subscription off in the app's webhook settings",
            kind=" ".join((kind, facts["object_type_id"] or "")).strip(),
        )
    at = facts["occurred_at"]
    about = facts["object_id"] or facts["new_object_id"] or facts["primary_object_id"]
    if about is None:
        raise Invalid("A HubSpot event names no object", fields={"objectId": "It is missing"})
    key = (facts["portal_id"], facts["subscription_id"], facts["event_id"], about, at)
    return Event(
        kind=f"contact.{happening}",
        stream="contacts",
        external_id=str(about),
        occurred_at=None if at is None else datetime.fromtimestamp(at / 1000, UTC),
        dedupe_key=":".join("" if part is None else str(part) for part in key),
        body=item,
    )
