"""What every operation shares: tokens, errors, pages, ETags, repeated requests, limits, input that nobody should send."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from limits.errors import StorageError

from hub.core.roles import Permission, Role, permissions_of
from hub.services import accounts, api_tokens, idempotency
from hub.services.context import Context
from hub.store.db import reading, transaction
from hub.store.idempotency import idempotency_key
from hub.store.users import api_token
from hub.web.access import access_of
from hub.web.api import door
from tests.conftest import Clock, add_user
from tests.web.api.conftest import Machine, make_token
from tests.web.conftest import NOBODY

Machines = Callable[..., Machine]


# Who calls


def test_without_a_valid_token_nothing_is_answered(machine: Machines, app: Flask) -> None:
    stranger = machine("")
    refused = stranger.call("GET", "/contacts", status=401)
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    for wrong in ("Bearer hub_" + "x" * 32, "Bearer", "Basic aGk6aGk=", "bearer nothing", "Bearer " + "x" * 5000):
        assert stranger.call("GET", "/contacts", status=401, Authorization=wrong).json["error"]["code"] == "sign_in_first"


def test_a_session_of_the_console_opens_no_door(app: Flask) -> None:
    from tests.conftest import sign_in

    client = app.test_client()
    sign_in(client, add_user(app, "owner"))
    assert client.get("/api/v1/contacts").status_code == 401


@pytest.mark.parametrize("role", list(Role))
def test_every_wrong_pair_of_role_and_operation_is_refused(app: Flask, machine: Machines, role: Role) -> None:
    """With a token for everything that this role may: 403 exactly where the permission is missing."""
    calls = machine(role.value)
    may = permissions_of([role.value])
    asked = 0
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/api/v1/") or rule.endpoint == "api_openapi":
            continue
        path = re.sub(r"<uuid:\w+>", NOBODY, rule.rule).replace("<key:key>", "nothing")
        for method in (rule.methods or set()) - {"HEAD"}:
            access = access_of(app, rule.endpoint, method)
            answer = calls.call(method, path, {} if method in ("POST", "PATCH") else None)
            assert answer.status_code < 500, (method, path)
            if isinstance(access, Permission):
                assert (answer.status_code == 403) == (access not in may), (method, path, answer.text)
                asked += 1
    assert asked > 50


def test_a_token_does_no_more_than_its_scopes_and_its_user_now(machine: Machines, app: Flask, context: Context) -> None:
    narrow = machine("owner", scopes=["console:read"])
    narrow.get("/runs")
    told = narrow.call("GET", "/contacts", status=403, Accept_Language="pl").json["error"]
    assert told["code"] == "not_allowed"
    user = add_user(app, "marketer")
    calls = Machine(app, make_token(app, "marketer", scopes=["contacts:read", "scenarios:write"]).token)
    calls.get("/contacts")
    accounts.change_roles(context, str(user.id), ["ops"])
    calls.get("/contacts", 403)
    accounts.disable(context, str(user.id))
    calls.get("/me", 401)


def test_tokens_end_are_revoked_and_make_no_stronger_ones(machine: Machines, clock: Clock, app: Flask) -> None:
    calls = machine("marketer", scopes=["contacts:read", "console:read"])
    too_much = calls.call("POST", "/tokens", {"name": "child", "scopes": ["scenarios:write"]}, status=422)
    assert set(too_much.json["error"]["fields"]) == {"scopes"}
    endless = calls.call("POST", "/tokens", {"name": "child", "scopes": ["contacts:read"], "days": 0}, status=422)
    assert set(endless.json["error"]["fields"]) == {"days"}
    child = calls.post("/tokens", {"name": "child", "scopes": ["contacts:read"], "days": 365})
    assert re.fullmatch(r"hub_[\w-]{32}", child["token"])
    mine = next(one for one in calls.get("/tokens")["items"] if one["name"] == "marketer's machine")
    assert child["expires_at"] == mine["expires_at"]
    young = Machine(app, child["token"])
    assert young.get("/me")["permissions"] == ["contacts:read"]
    calls.change("DELETE", f"/tokens/{child['id']}", status=204)
    young.get("/me", 401)
    clock.forward(91 * 86400)
    calls.get("/me", 401)


def test_nobody_sees_or_revokes_the_tokens_of_others(machine: Machines) -> None:
    owner, marketer = machine("owner"), machine("marketer")
    theirs = owner.get("/tokens")["items"][0]["id"]
    marketer.get(f"/tokens/{theirs}", 404)
    marketer.call("DELETE", f"/tokens/{theirs}", status=404, If_Match="*")
    marketer.get("/tokens?everybody=true", 403)
    assert len(owner.get("/tokens?everybody=true")["items"]) == 2


def test_tokens_are_kept_as_hashes_and_their_use_is_noted_once_a_minute(
    machine: Machines, clock: Clock, app: Flask, context: Context
) -> None:
    calls = machine()

    def row() -> Any:
        with reading() as session:
            return session.execute(api_token.select()).one()

    calls.get("/me")
    first = row()
    assert calls.token not in str(first)
    assert first.token_hash == api_tokens.hash_token(calls.token)
    assert first.last_used_at is not None
    clock.forward(30)
    calls.get("/me")
    assert row().last_used_at == first.last_used_at
    clock.forward(31)
    calls.get("/me")
    assert row().last_used_at > first.last_used_at


def test_wrong_tokens_are_counted_by_address(machine: Machines) -> None:
    calls, stranger = machine(), machine("")
    codes = [stranger.call("GET", "/me", Authorization=f"Bearer hub_{number:032}").status_code for number in range(35)]
    assert codes == [401] * 30 + [429] * 5
    late = stranger.call("GET", "/me", Authorization="Bearer hub_x")
    assert int(late.headers["Retry-After"]) > 0
    calls.get("/me")


# Errors


def test_errors_have_one_shape_in_the_callers_language(machine: Machines) -> None:
    calls = machine()
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("PUT", "/contacts", 405),
        ("OPTIONS", "/contacts", 405),
        ("GET", "/contacts/not-a-uuid", 404),
        ("GET", f"/contacts/{NOBODY}", 404),
        ("GET", "/scenarios/UPPER", 404),
        ("GET", "/scenarios/%00", 404),
    ):
        english = calls.call(method, path, status=status).json["error"]
        polish = calls.call(method, path, status=status, Accept_Language="pl-PL").json["error"]
        assert english["code"] == polish["code"]
        assert english["message"] != polish["message"], path
    assert "GET" in calls.call("PUT", "/contacts").headers["Allow"]


def test_a_fault_is_told_by_number_only(machine: Machines, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    from hub.web.api import contacts

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("secret things")

    monkeypatch.setattr(contacts.contacts, "find_contacts", fail)
    answer = machine().call("GET", "/contacts", status=500)
    assert "secret things" not in answer.text
    assert any(getattr(record, "incident", "") == answer.json["error"]["request_id"] for record in caplog.records)


def test_a_body_that_cannot_be_read_is_refused(machine: Machines, app: Flask) -> None:
    calls = machine()

    def send(data: bytes, kind: str = "application/json") -> Any:
        with app.app_context():
            return app.test_client().post(
                "/api/v1/contacts", data=data, content_type=kind, headers={"Authorization": f"Bearer {calls.token}"}
            )

    assert send(b"{").status_code == 400
    assert send(b"\xff\xfe").status_code == 400
    assert send(b'{"email": "\\ud800@example.com"}').status_code == 400
    assert send(b'{"email": NaN}').status_code == 400
    assert send(b"[" * 5000).status_code == 400
    assert send(b"email=a@b.example", "application/x-www-form-urlencoded").status_code == 415
    assert send(b"<x/>", "text/xml").status_code == 415
    assert send(b"[]").status_code == 422
    assert send(b"null").status_code == 422
    assert send(b'{"email": "' + b"x" * 1_100_000 + b'"}').status_code == 413


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"email": "a@b.example", "nothing": 1, "else": 2}, {"nothing", "else"}),
        ({"email": 5}, {"email"}),
        ({"email": ["a@b.example"]}, {"email"}),
        ({"email": "a\x00b@example.com"}, {"email"}),
        ({"first_name": "A\u0007", "email": "a@b.example"}, {"first_name"}),
        ({"first_name": "A" * 121, "email": "a@b.example"}, {"first_name"}),
        ({"email": "not an address"}, {"email"}),
        ({}, {"email"}),
    ],
)
def test_wrong_fields_are_named(machine: Machines, body: Any, fields: set[str]) -> None:
    error = machine().call("POST", "/contacts", body, status=422, Accept_Language="pl").json["error"]
    assert set(error["fields"]) == fields
    assert all(error["fields"].values())


def test_wrong_types_and_huge_numbers_are_named(machine: Machines) -> None:
    calls = machine()
    for days in (10**30, 1.5, "90", True, None, -1):
        error = calls.call("POST", "/tokens", {"name": "x", "scopes": ["contacts:read"], "days": days}, status=422)
        assert set(error.json["error"]["fields"]) == {"days"}
    for query, field in (
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=1e1", "limit"),
        ("limit=1&limit=2", "limit"),
        ("page=2", "page"),
        ("q=%00", "q"),
        ("cursor=AAAA", "cursor"),
    ):
        assert set(calls.call("GET", f"/contacts?{query}", status=422).json["error"]["fields"]) == {field}
    assert set(calls.call("GET", "/me?x=1", status=422).json["error"]["fields"]) == {"x"}
    for moment in ("2026-11-22", "2026-11-22T10:00:00", "0001-01-01T00:00:00+23:00", "yesterday", 5):
        body = {"act": "withdrawn", "channel": "email", "topic": "*", "at": moment}
        assert set(calls.call("POST", f"/contacts/{NOBODY}/consents", body, status=422).json["error"]["fields"]) == {"at"}


# Pages


def test_pages_follow_each_other_without_a_gap(machine: Machines) -> None:
    calls = machine()
    made = {calls.post("/contacts", {"email": f"anna{number}@example.com"})["id"] for number in range(7)}
    seen, path = [], "/api/v1/contacts?limit=3"
    while path:
        answer = calls.call("GET", path, status=200)
        seen += [one["id"] for one in answer.json["items"]]
        path = answer.json["next"]
        assert (path or "") in answer.headers.get("Link", "")
    assert len(seen) == 7
    assert set(seen) == made


@pytest.mark.parametrize("asked", ["?limit=1", "?q=&limit=1", "?q=+anna+&limit=1", "?limit=1&q=anna"])
def test_the_next_page_of_a_search_is_one(machine: Machines, asked: str) -> None:
    calls = machine()
    made = {calls.post("/contacts", {"email": f"anna{n}@example.com", "first_name": "Anna"})["id"] for n in range(3)}
    page = calls.get(f"/contacts{asked}")
    found = [one["id"] for one in page["items"]]
    while page["next"]:
        page = calls.get(page["next"])
        found += [one["id"] for one in page["items"]]
    assert sorted(found) == sorted(made)


def test_a_cursor_belongs_to_its_list(machine: Machines) -> None:
    calls = machine()
    for number in range(3):
        calls.post("/tokens", {"name": f"t{number}", "scopes": ["contacts:read"]})
    following = calls.get("/tokens?limit=1")["next"]
    cursor = following.partition("cursor=")[2]
    calls.get(f"/tokens?limit=2&cursor={cursor}")
    calls.get(f"/webhooks?cursor={cursor}", 422)
    calls.get(f"/tokens?everybody=true&cursor={cursor}", 422)
    calls.get(f"/tokens?cursor={cursor[:-2]}AA", 422)


# Versions


def test_changes_name_the_version_they_change(machine: Machines) -> None:
    calls = machine()
    place = f"/contacts/{calls.post('/contacts', {'email': 'ewa@example.com'})['id']}"
    tag = calls.call("GET", place).headers["ETag"]
    missing = calls.call("PATCH", place, {"city": "Kraków"}, status=428)
    assert missing.json["error"]["code"] == "match_required"
    first = calls.call("PATCH", place, {"city": "Kraków"}, status=200, If_Match=tag)
    late = calls.call("PATCH", place, {"city": "Gdynia"}, status=412, If_Match=tag)
    assert late.json["error"]["code"] == "changed_since"
    assert calls.call("GET", place, If_None_Match=tag).status_code == 200
    same = calls.call("GET", place, If_None_Match=first.headers["ETag"])
    assert (same.status_code, same.data) == (304, b"")
    calls.call("PATCH", place, {"city": "Gdynia"}, status=200, If_Match="*")


# Repeated requests


def test_a_repeated_request_gets_the_first_answer(machine: Machines, context: Context, clock: Clock) -> None:
    calls = machine()
    body = {"name": "shop", "scopes": ["contacts:read"]}
    first = calls.call("POST", "/tokens", body, status=201, Idempotency_Key="k1")
    again = calls.call("POST", "/tokens", body, status=201, Idempotency_Key="k1")
    assert again.data == first.data
    assert again.headers["Location"] == first.headers["Location"]
    assert (again.headers["Idempotency-Replayed"], "Idempotency-Replayed" in first.headers) == ("true", False)
    assert len(calls.get("/tokens")["items"]) == 2
    other = calls.call("POST", "/tokens", {**body, "name": "else"}, status=422, Idempotency_Key="k1")
    assert other.json["error"]["code"] == "key_reused"
    with reading() as session:
        kept = session.execute(idempotency_key.select()).one()
    assert first.json["token"].encode() not in bytes(kept.body)
    theirs = machine("marketer").call("POST", "/tokens", body, status=201, Idempotency_Key="k1")
    assert theirs.json["id"] != first.json["id"]
    clock.forward(timedelta(hours=25).total_seconds())
    assert calls.call("POST", "/tokens", body, status=201, Idempotency_Key="k1").json["id"] != first.json["id"]
    clock.forward(timedelta(hours=25).total_seconds())
    assert idempotency.forget_old_keys(context) == 2


def test_what_was_refused_leaves_the_key_free(machine: Machines) -> None:
    calls = machine()
    calls.call("POST", "/contacts", {"email": "wrong"}, status=422, Idempotency_Key="k2")
    calls.call("POST", "/contacts", {"email": "ewa@example.com"}, status=201, Idempotency_Key="k2")
    calls.call("POST", "/contacts", {"email": "ewa@example.com"}, status=422, Idempotency_Key="ż" * 3)
    calls.call("POST", "/contacts", {"email": "ewa@example.com"}, status=422, Idempotency_Key="k" * 201)


def test_a_request_that_is_still_answered_is_not_done_twice(machine: Machines, context: Context, app: Flask) -> None:
    calls = machine()
    token = calls.get("/me")["token_id"]
    body = b'{"email": "ewa@example.com"}'
    taken = idempotency.fingerprint("POST", "/api/v1/contacts?", body)
    assert idempotency.begin(context, token, "k3", taken) is None
    with app.app_context():
        headers = {"Authorization": f"Bearer {calls.token}", "Idempotency-Key": "k3"}
        answer = app.test_client().post("/api/v1/contacts", data=body, content_type="application/json", headers=headers)
    assert (answer.status_code, answer.json["error"]["code"]) == (409, "still_answering")
    assert calls.get("/contacts")["items"] == []


def test_of_many_at_once_one_is_done(machine: Machines, app: Flask, in_threads: Callable[..., list[Any]]) -> None:
    calls = machine()
    barrier = threading.Barrier(4)

    def send() -> int:
        barrier.wait()
        return calls.call("POST", "/tokens", {"name": "t", "scopes": ["contacts:read"]}, Idempotency_Key="k4").status_code

    codes = in_threads(*[send] * 4)
    assert 201 in codes
    assert set(codes) <= {201, 409}
    assert len([one for one in calls.get("/tokens")["items"] if one["name"] == "t"]) == 1


# Limits


def test_a_token_has_its_limit_and_hears_of_it(machine: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, other = machine(), machine("marketer")
    first = calls.call("GET", "/me", status=200)
    assert first.headers["RateLimit-Limit"] == "600"
    assert int(first.headers["RateLimit-Remaining"]) == 599
    assert 0 <= int(first.headers["RateLimit-Reset"]) <= 60
    monkeypatch.setattr(door, "CALLS_ALLOWED", "3/minute")
    codes = [calls.call("GET", "/me").status_code for _ in range(5)]
    refused = calls.call("GET", "/me", status=429)
    assert 200 in codes
    assert codes[-1] == 429
    assert refused.json["error"]["code"] == "too_many_requests"
    assert int(refused.headers["Retry-After"]) > 0
    other.get("/me")
    calls.call("GET", "/api/v1/openapi.json", status=200)


def test_tokens_without_a_user_are_gone(machine: Machines, app: Flask) -> None:
    calls = machine("marketer")
    with transaction() as session:
        session.execute(api_token.delete())
    calls.get("/me", 401)


def test_counts_carry_the_hubs_namespace(machine: Machines, app: Flask, context: Context) -> None:
    machine().get("/me")
    keys = [key.decode() for key in app.extensions["hub_redis"].keys("*")]
    assert keys
    assert all(key.startswith(f"{context.settings.namespace}:") for key in keys), keys


def test_a_refused_call_counts_too(machine: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "CALLS_ALLOWED", "3/minute")
    calls = machine("ops")
    assert [calls.call("GET", "/contacts").status_code for _ in range(4)] == [403, 403, 403, 429]


def test_without_redis_the_api_answers_and_counts_nothing(machine: Machines, app: Flask, monkeypatch: Any) -> None:
    calls = machine()
    storage = app.extensions[door.LIMITER].storage

    def away(*_: Any, **__: Any) -> None:
        raise StorageError(OSError("away"))

    monkeypatch.setattr(storage, "incr", away)
    answer = calls.call("GET", "/me", status=200)
    assert "RateLimit-Limit" not in answer.headers
    machine("").call("GET", "/me", status=401, Authorization="Bearer hub_x")
