"""Webhooks: signature vectors, the window, and what an event becomes."""

from __future__ import annotations

import json

import pytest

from hub.connectors import hubspot
from hub.connectors.hubspot import webhooks
from hub.connectors.hubspot.client import HubSpot
from hub.core.connector import Account
from hub.core.errors import Forbidden, Invalid, Refused
from hub.transport import Http

SECRET = "11111111-2222-4333-8444-555555555555"
RECEIVED = "https://hub.example.test/webhooks/hubspot?conn=abc%3A1"
SIGNED = "https://hub.example.test/webhooks/hubspot?conn=abc:1"
BODY = (
    b'[{"eventId":101,"subscriptionId":7,"portalId":5551234,"appId":9001,"occurredAt":1767225600000,'
    b'"subscriptionType":"contact.propertyChange","attemptNumber":0,"objectId":2001,"propertyName":"lifecyclestage",'
    b'"propertyValue":"lead","changeSource":"CRM_UI"}]'
)
STAMP = "1767225600123"
NOW = 1767225600.123
V1 = "3b8166b9c4471ffff2c4aa3dcc92f7794d39471a6d348e3d3ecf247d41c7fe27"
V3 = "Qmt/JERsiWEQh1qCTtdpWLJtrZp0erPcaqb6XMo4T80="
HEADERS = {"X-HubSpot-Signature-v3": V3, "X-HubSpot-Request-Timestamp": STAMP}


def connector(now=NOW, **options):
    credentials = {"client_id": "id", "client_secret": SECRET, "refresh_token": "r"}

    class Tokens:
        pass

    account = Account("c", "crm", credentials, {"webhook_url": RECEIVED, **options})
    return HubSpot(hubspot.DECLARATION, account, Http("crm", tokens=Tokens()), clock=lambda: now)  # type: ignore[arg-type]


def signed(items, **options):
    body = json.dumps(items).encode()
    headers = {**HEADERS, "X-HubSpot-Signature-v3": webhooks.signature_v3(SECRET, "POST", RECEIVED, body, STAMP)}
    return connector(**options).receive(headers, body)


def test_vectors():
    assert webhooks.signed_uri(RECEIVED) == SIGNED
    assert webhooks.signature_v3(SECRET, "POST", RECEIVED, BODY, STAMP) == V3
    assert webhooks.signature_v1(SECRET, BODY) == V1


def test_only_twelve_escapes_of_the_query_are_decoded():
    assert webhooks.signed_uri("https://h.test/a%3Ab?c=%3a%20%26%2C#part") == "https://h.test/a%3Ab?c=:%20%26,"
    assert webhooks.signed_uri("https://h.test/a") == "https://h.test/a"


def test_an_event():
    (event,) = connector().receive({name.lower(): value for name, value in HEADERS.items()}, BODY)
    assert (event.kind, event.stream, event.external_id) == ("contact.propertyChange", "contacts", "2001")
    assert event.dedupe_key == "5551234:7:101:2001:1767225600000"
    assert event.occurred_at is not None
    assert event.occurred_at.isoformat() == "2026-01-01T00:00:00+00:00"
    assert event.body["propertyValue"] == "lead"


@pytest.mark.parametrize("shift", [-301, 301])
def test_outside_the_window(shift):
    with pytest.raises(Forbidden):
        connector(NOW + shift).receive(HEADERS, BODY)


@pytest.mark.parametrize("shift", [-299, 299])
def test_inside_the_window(shift):
    assert connector(NOW + shift).receive(HEADERS, BODY)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-HubSpot-Signature-v3": V3},
        {**HEADERS, "X-HubSpot-Request-Timestamp": "²"},
        {**HEADERS, "X-HubSpot-Signature-v3": "ż"},
        {**HEADERS, "X-HubSpot-Signature-v3": V3[::-1]},
        {"X-HubSpot-Signature": V1},
    ],
)
def test_what_is_not_signed_is_forbidden(headers):
    with pytest.raises(Forbidden):
        connector().receive(headers, BODY)


def test_changed_bytes_are_forbidden():
    with pytest.raises(Forbidden):
        connector().receive(HEADERS, BODY + b" ")


def test_version_1_only_by_setting():
    assert connector(accept_v1=True).receive({"X-HubSpot-Signature": V1}, BODY)
    with pytest.raises(Forbidden):
        connector(accept_v1=True).receive({"X-HubSpot-Signature": V1[::-1]}, BODY)
    with pytest.raises(Forbidden):  # version 3 counts when it is there
        connector(accept_v1=True).receive({**HEADERS, "X-HubSpot-Signature": V1}, BODY + b" ")


def test_the_address_is_never_taken_from_the_request():
    with pytest.raises(Refused, match="webhook_url"):
        connector(webhook_url="").receive({**HEADERS, "Host": "hub.example.test"}, BODY)


def test_a_token_connection_has_no_secret_to_check_with():
    account = Account("c", "crm", {"token": "pat-eu1-made-up"}, {"webhook_url": RECEIVED})
    with pytest.raises(Refused, match="client_secret"):
        hubspot.build(account, Http("crm")).receive(HEADERS, BODY)


@pytest.mark.parametrize("kind", ["deal.creation", "contact.unheardOf", "object.creation", "contact"])
def test_an_unknown_type_is_refused_by_name(kind):
    with pytest.raises(Refused, match=kind):
        signed([{"subscriptionType": kind, "objectId": 1}])


def test_generic_events_about_contacts_and_merges():
    generic = {"subscriptionType": "object.creation", "objectTypeId": "0-1", "objectId": 5}
    merge = {"subscriptionType": "contact.merge", "primaryObjectId": 1, "mergedObjectIds": [2], "newObjectId": 9}
    first, second = signed([generic, merge])
    assert (first.kind, first.external_id, first.occurred_at) == ("contact.creation", "5", None)
    assert (second.kind, second.external_id) == ("contact.merge", "9")


def test_events_of_other_accounts_of_the_app_are_left_out():
    item = {"subscriptionType": "contact.creation", "objectId": 5, "eventId": 1}
    events = signed([{**item, "portalId": 1}, {**item, "portalId": 2}], portal_id="2")
    assert [event.dedupe_key for event in events] == ["2::1:5:"]


@pytest.mark.parametrize("body", [b"{}", b"no", b'[{"objectId":1}]', b'[{"subscriptionType":"contact.creation"}]', b"[1]"])
def test_what_is_no_list_of_events_is_invalid(body):
    headers = {**HEADERS, "X-HubSpot-Signature-v3": webhooks.signature_v3(SECRET, "POST", RECEIVED, body, STAMP)}
    with pytest.raises(Invalid):
        connector().receive(headers, body)


def test_a_time_that_no_calendar_has_is_invalid():
    with pytest.raises(Invalid):
        signed([{"subscriptionType": "contact.creation", "objectId": 5, "occurredAt": 10**18}])


def test_the_simulators_deliveries_pass(bench, memory_tokens):
    url = "https://hub.example.test/hook"
    headers, body = bench.sim.webhook(url, [{"subscriptionType": "contact.deletion", "objectId": 7}])
    (event,) = bench.connect_app(memory_tokens("r"), webhook_url=url).receive(headers, body)
    assert event.external_id == "7"
