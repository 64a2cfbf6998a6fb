"""Ways in, the check, tokens that expire, and the table of refusals."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.connectors import folder, hubspot
from hub.connectors.hubspot import schema
from hub.connectors.hubspot.judge import make_judge, read_refusal, seconds_to_midnight
from hub.core.connector import Account, Outgoing
from hub.core.errors import ContractBroken, Invalid, RateLimited, ReauthorizeNeeded, RecordRejected, Unavailable
from hub.core.http import Answer
from hub.transport import Http
from hub.transport.verdicts import judge_answer

RECORDINGS = sorted((Path(folder("hubspot")) / "recordings").glob("*.json"))
APP = {"client_id": "id", "client_secret": "made-up-secret", "refresh_token": "made-up-refresh"}
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def recording(name):
    return json.loads((folder("hubspot") / "recordings" / f"{name}.json").read_text())


def answer_of(name):
    said = recording(name)["response"]
    headers = {key.lower(): value for key, value in said["headers"].items()}
    body = b"" if said["body"] is None else json.dumps(said["body"]).encode()
    return Answer(said["status"], headers, body, 0.1)


def judged(status, body=None, headers=None):
    raw = b"<html>" if body is None else json.dumps(body).encode()
    return judge(Answer(status, headers or {}, raw, 0.1))


def judge(answer):
    own = make_judge("Europe/Warsaw", NOW.timestamp)
    return judge_answer(answer, connection="crm", judge=own, now=NOW)


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recordings_say_what_they_are(path):
    said = json.loads(path.read_text())
    assert set(said) == {"note", "source", "evidence", "dated", "request", "response"}
    assert set(said["request"]) == {"method", "path", "query", "body"}
    assert set(said["response"]) == {"status", "headers", "body"}
    assert "not recorded from a real server" in said["evidence"]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("account_details", schema.AccountSchema()),
        ("introspect", schema.IntrospectionSchema()),
        ("upsert", schema.UpsertSchema()),
        ("upsert_partial", schema.UpsertSchema()),
        ("memberships_add", schema.MembershipsSchema()),
        ("memberships_change", schema.MembershipsSchema()),
        ("contact_patched", schema.ContactSchema()),
        ("workflow_enrolments", schema.EnrolmentSchema(many=True)),
    ],
)
def test_recorded_answers_are_understood(name, form):
    assert schema.load(form, answer_of(name), "crm")


def test_an_answer_of_another_shape_is_named():
    with pytest.raises(ContractBroken) as caught:
        schema.load(schema.UpsertSchema(), answer_of("account_details"), "crm")
    assert "portalId" in caught.value.sample


@pytest.mark.parametrize(
    ("name", "error", "after"),
    [
        ("rate_limited", RateLimited, 10.0),
        ("rate_limited_daily", RateLimited, 11 * 3600.0),
        ("token_expired", ReauthorizeNeeded, None),
        ("token_wrong", ReauthorizeNeeded, None),
        ("missing_scopes", ReauthorizeNeeded, None),
        ("locked", Unavailable, 2.0),
        ("migration", Unavailable, 7200.0),
        ("upsert_invalid_email", RecordRejected, None),
        ("upsert_unknown_property", RecordRejected, None),
        ("conflict", RecordRejected, None),
    ],
)
def test_recorded_refusals(name, error, after):
    found = judge(answer_of(name))
    assert type(found) is error
    assert found.connection == "crm"
    assert found.request_id == "a4360000-0000-4000-8000-000000000002"
    assert getattr(found, "after", None) == after


def test_refusals_name_what_they_are_about():
    assert judge(answer_of("conflict")).details["existing_id"] == "2002"
    invalid = judge(answer_of("upsert_invalid_email"))
    assert (invalid.field, invalid.vendor_code) == ("email", "INVALID_EMAIL")
    assert judge(answer_of("upsert_unknown_property")).field == "shoe_size"
    scopes = judge(answer_of("missing_scopes"))
    assert "crm.objects.contacts.write" in str(scopes)
    assert "works" in str(scopes)


@pytest.mark.parametrize(
    ("status", "body", "headers", "error", "after"),
    [
        (429, {"policyName": "SECONDLY"}, {}, RateLimited, 1.0),
        (429, {"policyName": "DAILY"}, {"retry-after": "30"}, RateLimited, 30.0),
        (429, None, {}, RateLimited, 10.0),
        (423, None, {"retry-after": "1"}, Unavailable, 2.0),
        (423, {}, {"retry-after": "5"}, Unavailable, 5.0),
        (477, None, {}, Unavailable, 600.0),
        *[(status, None, {}, Unavailable, None) for status in (500, 502, 503, 504, 521, 523, 524)],
        (503, None, {"retry-after": "7"}, Unavailable, 7.0),
        *[(status, None, {}, Unavailable, 600.0) for status in (522, 525, 526)],
        (401, None, {}, ReauthorizeNeeded, None),
        (403, {"message": "no"}, {}, ReauthorizeNeeded, None),
        (530, None, {}, ReauthorizeNeeded, None),
        (414, None, {}, ContractBroken, None),
        (404, None, {}, ContractBroken, None),
        (404, {"status": "error", "message": "resource not found"}, {}, RecordRejected, None),
        (400, {"status": "error", "message": "Invalid input JSON on line 1"}, {}, ContractBroken, None),
        (400, {"message": "fault on request"}, {}, ContractBroken, None),
    ],
)
def test_every_row_of_the_table(status, body, headers, error, after):
    found = judged(status, body, headers)
    assert type(found) is error
    assert found.status == status
    assert getattr(found, "after", None) == after


def test_the_policy_is_told():
    assert judged(429, {"policyName": "DAILY"}).details == {"policy": "DAILY"}
    assert judged(477).details == {"migration": True}


def test_midnight_in_the_accounts_zone_also_when_clocks_change():
    spring = datetime(2026, 3, 28, 23, 0, tzinfo=UTC).timestamp()  # midnight in Warsaw; the day has 23 hours
    assert seconds_to_midnight("Europe/Warsaw", spring) == 23 * 3600
    assert seconds_to_midnight("No/Where", NOW.timestamp()) == 12 * 3600
    assert seconds_to_midnight("", NOW.timestamp()) == 12 * 3600


@pytest.mark.parametrize("body", [{"errors": None}, {"errors": ["x"], "context": []}, {"message": "[{]}]"}, {"message": None}])
def test_strange_envelopes_are_survived(body):
    assert read_refusal(body).traces == ()


@pytest.mark.parametrize(
    ("credentials", "field"),
    [
        ({}, "token"),
        ({"client_id": "id"}, "client_secret"),
        ({"token": "t", **APP}, "client_id"),
        ({"token": "t", "refresh_token": "r"}, "refresh_token"),
        ({"token": "t", "url": "https://api.hubapi.com.evil.test"}, "url"),
        ({"token": "t", "url": "http://api.hubapi.com"}, "url"),
        ({"token": "t", "url": "https://evilhubapi.com"}, "url"),
        ({"token": "t", "url": "no address"}, "url"),
    ],
)
def test_exactly_one_way_in(credentials, field):
    with pytest.raises(Invalid) as caught:
        hubspot.build(Account("c", "crm", credentials), Http("crm"))
    assert field in caught.value.fields


@pytest.mark.parametrize("url", ["", "https://api.hubapi.com", "https://api-eu1.hubapi.com/", "http://localhost:5000"])
def test_addresses_that_may_be(url):
    assert hubspot.build(Account("c", "crm", {"token": "made-up-token", "url": url}), Http("crm"))


def test_limits_depend_on_the_way_in():
    assert hubspot.limits(Account("c", "crm", {"token": "t"})).daily == 250_000
    assert hubspot.limits(Account("c", "crm", APP)) == hubspot.DECLARATION.limits


def test_check_names_the_account(bench):
    checked = bench.connect().check()
    assert checked.account_id == "5551234"
    assert checked.facts["account_type"] == "DEVELOPER_TEST"
    assert checked.options == {"portal_id": "5551234", "time_zone": "Europe/Warsaw"}


def test_check_of_an_app_tells_its_scopes(bench, memory_tokens):
    bench.sim.control("missing_scope", {"scope": "crm.lists.write"})
    facts = bench.connect_app(memory_tokens(bench.sim.credentials()["refresh_token"])).check().facts
    assert facts["missing_scopes"] == ["crm.lists.write"]
    assert "automation" in facts["scopes"]


def test_a_wrong_token_is_shown_at_its_field(bench):
    account = Account("c", "crm", {"token": "pat-eu1-wrong", "url": bench.url})
    http = bench.connect()._http  # the settings that allow this host
    with pytest.raises(Invalid) as caught:
        hubspot.build(account, Http("crm", http.settings)).check()
    assert "service key" in caught.value.fields["token"]


def test_eight_threads_refresh_an_expired_token_once(bench, memory_tokens, long_ago):
    tokens = memory_tokens(bench.sim.credentials()["refresh_token"], "stale", long_ago)
    connector = bench.connect_app(tokens)
    with ThreadPoolExecutor(8) as pool:
        assert len({one.account_id for one in pool.map(lambda _: connector.check(), range(8))}) == 1
    assert bench.sim.state()["refreshes"] == 1
    assert tokens.token.version == 2


def test_eight_threads_meet_a_401_and_refresh_once(bench, memory_tokens):
    """The clocks differ: HubSpot's has gone further than ours."""
    tokens = memory_tokens(bench.sim.credentials()["refresh_token"])
    connector = bench.connect_app(tokens)
    connector.check()
    bench.sim.control("expire", {})
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: connector.check(), range(8)))
    assert bench.sim.state()["refreshes"] == 2


def test_a_token_is_replaced_before_it_expires(bench, memory_tokens):
    tokens = memory_tokens(bench.sim.credentials()["refresh_token"])
    connector = bench.connect_app(tokens)
    connector.check()
    left = tokens.token.expires_at - datetime.now(UTC)
    assert timedelta(minutes=29) < left <= timedelta(minutes=30)
    connector.check()
    assert bench.sim.state()["refreshes"] == 1


def test_a_revoked_grant_asks_for_a_new_connection(bench, memory_tokens, people):
    tokens = memory_tokens(bench.sim.credentials()["refresh_token"])
    connector = bench.connect_app(tokens)
    connector.check()
    bench.sim.control("revoke", {})
    with pytest.raises(ReauthorizeNeeded) as caught:
        connector.write("contacts", people(1))
    assert "refresh token" in caught.value.message
    renewed = memory_tokens(bench.sim.control("renew", {})["refresh_token"])
    assert bench.connect_app(renewed).write("contacts", people(1))


def test_paths_are_quoted(bench):
    connector = bench.connect()
    bench.sim.contacts.create({"email": "a+b/c?d@example.test"})
    odd = Outgoing("k", {"email": "a+b/c?d@example.test"})
    (first,) = connector.trigger("workflow:4411", [odd])
    (again,) = connector.trigger("workflow:4411", [replace(odd, attempt=2)])
    assert (first.outcome.value, again.outcome.value) == ("created", "unchanged")
    assert [one["email"] for one in bench.sim.lists.enrolments] == ["a+b/c?d@example.test"]
