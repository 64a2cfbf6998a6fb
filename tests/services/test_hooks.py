"""Outgoing webhooks against a receiver behind a real socket: signed, retried, replayed, and never led inside."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from flask import Flask

from hub.core.errors import Conflict, Invalid, NotFound
from hub.jobs import tasks
from hub.services import hook_delivery, hooks
from hub.services.audit import HUB, act_as
from hub.services.context import Context
from hub.store import audit
from hub.store import hooks as store
from hub.store.db import reading, transaction
from hub.transport.simulation import Server
from tests.conftest import Clock
from tests.web.conftest import NOBODY


@dataclass
class Receiver:
    """Notes what comes and answers as told."""

    status: int = 204
    body: bytes = b""
    headers: list[tuple[str, str]] = field(default_factory=list)
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def __call__(self, environ: Any, start: Any) -> list[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        seen = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
        seen["path"] = environ["PATH_INFO"]
        self.calls.append((seen, environ["wsgi.input"].read(length)))
        start(f"{self.status} Answer", [("Content-Length", str(len(self.body))), *self.headers])
        return [self.body]

    def verified(self, secret: str, number: int = -1) -> dict[str, Any]:
        """The event, if one of its signatures was made with this secret, as Standard Webhooks says it is checked."""
        headers, body = self.calls[number]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert f"v1,{expected}" in headers["webhook-signature"].split()
        found: dict[str, Any] = json.loads(body)
        return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    with Server(made) as server:
        made.url = f"{server.url}/hook?key=abc"
        yield made


def deliver_due(context: Context) -> int:
    """What the relay and a worker would do, until nothing is due."""
    done = 0
    for _ in range(100):
        with reading() as session:
            due = store.due_deliveries(session, context.now())
        if not due:
            break
        done += sum(hook_delivery.deliver(context, row.id) for row in due)
    return done


def tell(context: Context, kind: str = "run.finished", subject: str = "r1", **payload: Any) -> int:
    with transaction() as session:
        return hooks.tell(session, kind, subject, payload or {"run_id": subject}, context.now())


def log_of(webhook_id: str) -> list[Any]:
    with reading() as session:
        return list(store.page_deliveries(session, webhook_id=webhook_id))


def row_of(webhook_id: str) -> Any:
    with reading() as session:
        return hooks.get_webhook(session, webhook_id)


def test_what_is_told_arrives_signed(context: Context, receiver: Receiver) -> None:
    made = hooks.create_webhook(context, receiver.url, ["run.finished"])
    other = hooks.create_webhook(context, receiver.url, ["contact.created"])
    assert tell(context, read=7) == 1
    assert deliver_due(context) == 1
    event = receiver.verified(made.secret)
    assert (event["type"], event["data"]) == ("run.finished", {"read": 7})
    headers, _ = receiver.calls[0]
    assert headers["user-agent"].startswith("hub/")
    (one,) = log_of(made.id)
    assert (one.state, one.status, one.attempts, one.event_id) == ("sent", 204, 1, headers["webhook-id"])
    assert log_of(other.id) == []
    with pytest.raises(AssertionError):
        receiver.verified(other.secret)


def test_what_nobody_asked_for_is_not_written(context: Context, receiver: Receiver) -> None:
    made = hooks.create_webhook(context, receiver.url, ["run.failed"], active=False)
    assert tell(context) == tell(context, "run.failed") == 0
    assert log_of(made.id) == []
    with reading() as session:
        assert session.execute(store.webhook_event.select()).all() == []


def test_telling_is_part_of_the_callers_transaction(context: Context, receiver: Receiver) -> None:
    made = hooks.create_webhook(context, receiver.url, ["*"])

    def fail() -> None:
        with transaction() as session:
            hooks.tell(session, "run.finished", "r1", {}, context.now())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert log_of(made.id) == []


def test_the_secret_is_sealed_and_both_are_valid_for_a_day(context: Context, receiver: Receiver, clock: Clock) -> None:
    made = hooks.create_webhook(context, receiver.url, ["*"])
    assert made.secret.encode() not in bytes(row_of(made.id).sealed)
    new = hooks.rotate_secret(context, made.id)
    tell(context)
    deliver_due(context)
    assert receiver.verified(made.secret) == receiver.verified(new)
    clock.forward(24 * 3600 + 1)
    tell(context)
    deliver_due(context)
    receiver.verified(new)
    with pytest.raises(AssertionError):
        receiver.verified(made.secret)


def test_a_failure_is_tried_again_with_growing_pauses(context: Context, receiver: Receiver, clock: Clock) -> None:
    made = hooks.create_webhook(context, receiver.url, ["*"])
    receiver.status, receiver.body = 500, b"token=verysecret99 \x00 broken"
    tell(context)
    pauses = []
    for attempt in range(1, 5):
        assert deliver_due(context) == 1
        (one,) = log_of(made.id)
        assert (one.state, one.attempts, one.status) == ("owed", attempt, 500)
        pauses.append((one.not_before - context.now()).total_seconds())
        clock.forward(pauses[-1] + 1)
    assert pauses == sorted(pauses)
    assert "verysecret99" not in one.answer
    assert "\x00" not in one.answer
    assert row_of(made.id).failures == 4
    receiver.status = 200
    deliver_due(context)
    assert (log_of(made.id)[0].state, row_of(made.id).failures) == ("sent", 0)
    assert len({headers["webhook-id"] for headers, _ in receiver.calls}) == 1


def test_a_receiver_may_ask_for_a_longer_pause(context: Context, receiver: Receiver) -> None:
    made = hooks.create_webhook(context, receiver.url, ["*"])
    receiver.status, receiver.headers = 429, [("Retry-After", "900")]
    tell(context)
    deliver_due(context)
    assert 880 < (log_of(made.id)[0].not_before - context.now()).total_seconds() <= 900


def test_after_three_days_the_hub_gives_up_switches_off_and_says_so(context: Context, receiver: Receiver, clock: Clock) -> None:
    act_as(HUB)  # as in a worker, whoever asked in this process before
    made = hooks.create_webhook(context, receiver.url, ["*"])
    receiver.status = 503
    tell(context, subject="first")
    while row_of(made.id).active:
        deliver_due(context)
        newest = log_of(made.id)[-1]
        if newest.state == "owed":
            clock.forward(max(1.0, (newest.not_before - context.now()).total_seconds() + 1))
        if newest.attempts == 3:
            tell(context, subject="second")
    assert {one.state for one in log_of(made.id)} == {"failed"}
    assert {row.id for row in hooks.troubled()} == {made.id}
    with reading() as session:
        (entry,) = audit.page_entries(session, action="webhook.disabled")
    assert entry.actor_kind == "hub"
    assert tell(context) == 0
    hooks.change_webhook(context, made.id, {"active": True}, version=row_of(made.id).version)
    assert hooks.troubled() == []
    receiver.status = 200
    events = {one.event_id for one in log_of(made.id)}
    assert hooks.replay_failed(context, made.id, context.now().replace(year=2020)) == len(events)
    deliver_due(context)
    assert hooks.replay_failed(context, made.id, context.now().replace(year=2020)) == 0


def test_gone_switches_off_at_once(context: Context, receiver: Receiver) -> None:
    made = hooks.create_webhook(context, receiver.url, ["*"])
    receiver.status = 410
    tell(context)
    deliver_due(context)
    assert not row_of(made.id).active
    assert log_of(made.id)[0].state == "failed"


def test_redirects_are_not_followed(context: Context, receiver: Receiver) -> None:
    made = hooks.create_webhook(context, receiver.url, ["*"])
    receiver.status, receiver.headers = 302, [("Location", receiver.url.replace("hook", "elsewhere"))]
    tell(context)
    deliver_due(context)
    assert [headers["path"] for headers, _ in receiver.calls] == ["/hook"]
    assert log_of(made.id)[0].status == 302


def test_a_failing_receiver_gets_one_attempt_at_a_time(context: Context, receiver: Receiver) -> None:
    hooks.create_webhook(context, receiver.url, ["*"])
    for number in range(6):
        tell(context, subject=f"r{number}")
    with reading() as session:
        assert len(store.due_deliveries(session, context.now())) == store.DUE_PER_WEBHOOK
    receiver.status = 500
    with reading() as session:
        first = store.due_deliveries(session, context.now())[0]
    hook_delivery.deliver(context, first.id)
    with reading() as session:
        assert len(store.due_deliveries(session, context.now())) == 1


def test_a_delivery_is_made_once_however_often_it_is_queued(context: Context, receiver: Receiver, in_threads: Any) -> None:
    hooks.create_webhook(context, receiver.url, ["*"])
    tell(context)
    with reading() as session:
        (due,) = store.due_deliveries(session, context.now())
    done = in_threads(*[lambda: hook_delivery.deliver(context, due.id)] * 4)
    assert sorted(done) == [False, False, False, True]
    assert len(receiver.calls) == 1
    assert not hook_delivery.deliver(context, NOBODY)


def test_a_crash_during_the_call_is_mended(context: Context, receiver: Receiver, clock: Clock) -> None:
    made = hooks.create_webhook(context, receiver.url, ["*"])
    tell(context)
    with reading() as session:
        (due,) = store.due_deliveries(session, context.now())
    with transaction() as session:
        assert store.claim_delivery(session, due.id, context.now(), hook_delivery.LEASE)
    assert deliver_due(context) == 0
    clock.forward(hook_delivery.LEASE + 1)
    assert deliver_due(context) == 1
    with transaction() as session:
        assert not store.settle_delivery(session, due.id, 1, {"state": "failed"})
    assert log_of(made.id)[0].state == "sent"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "https://10.0.0.8/hook",
        "https://localhost/hook",
        "https://[::1]/hook",
        "https://169.254.169.254/latest/meta-data",
        "https://user:password@example.com/hook",
        "https://example.com/#part",
        "ftp://example.com/hook",
        "https://",
        "https://example.com:99999/",
        "https://exa mple.com/",
        "https://żółw.example/",
        "https://" + "a" * 3000 + ".example/",
        "nothing",
    ],
)
def test_addresses_that_lead_inside_or_nowhere_are_refused(context: Context, url: str) -> None:
    with pytest.raises(Invalid) as refused:
        hooks.create_webhook(context, url, ["*"])
    assert set(refused.value.fields) == {"url"}


def test_an_address_that_turned_private_is_not_called(context: Context, receiver: Receiver) -> None:
    """As after a change of DNS: the address was allowed when it was typed, and is not any more."""
    made = hooks.create_webhook(context, receiver.url.replace("127.0.0.1", "127.0.0.1"), ["*"])
    tell(context)
    strict = replace(context, settings=replace(context.settings, allow_private_hosts=frozenset()))
    with reading() as session:
        (due,) = store.due_deliveries(session, context.now())
    assert hook_delivery.deliver(strict, due.id)
    assert receiver.calls == []
    (one,) = log_of(made.id)
    assert (one.state, one.status, one.error["code"]) == ("owed", None, "invalid")


def test_the_connected_sockets_peer_is_what_counts(
    context: Context, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up before the call said «public», the connection leads inside: nothing is sent."""
    strict = replace(context, settings=replace(context.settings, allow_private_hosts=frozenset()))
    made = hooks.create_webhook(context, receiver.url, ["*"])
    tell(context)
    monkeypatch.setattr(hooks, "check_url", lambda *_: None)
    with reading() as session:
        (due,) = store.due_deliveries(session, context.now())
    assert hook_delivery.deliver(strict, due.id)
    assert receiver.calls == []
    assert log_of(made.id)[0].error["code"] == "private_host"


def test_kinds_and_descriptions_are_checked(context: Context, receiver: Receiver) -> None:
    for kinds in ([], ["nothing"], ["run.finished", "nothing"]):
        with pytest.raises(Invalid) as refused:
            hooks.create_webhook(context, receiver.url, kinds)
        assert set(refused.value.fields) == {"kinds"}
    with pytest.raises(Invalid):
        hooks.create_webhook(context, receiver.url, ["*"], "x" * 201)
    with pytest.raises(AssertionError), transaction() as session:
        hooks.tell(session, "nothing", "x", {}, context.now())


def test_two_people_changing_one_webhook(context: Context, receiver: Receiver) -> None:
    made = hooks.create_webhook(context, receiver.url, ["*"])
    hooks.change_webhook(context, made.id, {"description": "first"}, version=1)
    with pytest.raises(Conflict):
        hooks.change_webhook(context, made.id, {"description": "second"}, version=1)
    assert row_of(made.id).description == "first"
    with pytest.raises(NotFound):
        hooks.change_webhook(context, NOBODY, {"description": "x"}, version=1)
    hooks.remove_webhook(context, made.id)
    with pytest.raises(NotFound):
        hooks.remove_webhook(context, made.id)


def test_a_delivery_is_sent_again_on_request(context: Context, receiver: Receiver) -> None:
    made = hooks.create_webhook(context, receiver.url, ["*"])
    tell(context)
    with reading() as session:
        (due,) = store.due_deliveries(session, context.now())
    with pytest.raises(Conflict):
        hooks.replay_delivery(context, made.id, due.id)
    deliver_due(context)
    again = hooks.replay_delivery(context, made.id, due.id)
    deliver_due(context)
    newest, oldest = log_of(made.id)
    assert (newest.id, newest.replay_of, newest.event_id) == (again, oldest.id, oldest.event_id)
    assert receiver.calls[0][0]["webhook-id"] == receiver.calls[1][0]["webhook-id"]
    with pytest.raises(NotFound):
        hooks.replay_delivery(context, made.id, NOBODY)


def test_a_ping_goes_to_one_webhook_whatever_it_chose(context: Context, receiver: Receiver) -> None:
    made = hooks.create_webhook(context, receiver.url, ["run.failed"])
    other = hooks.create_webhook(context, receiver.url, ["*"])
    hooks.ping(context, made.id)
    deliver_due(context)
    assert receiver.verified(made.secret)["type"] == "webhook.ping"
    assert log_of(other.id) == []
    hooks.change_webhook(context, made.id, {"active": False}, version=1)
    with pytest.raises(Conflict):
        hooks.ping(context, made.id)


def test_the_log_keeps_thirty_days(context: Context, receiver: Receiver, clock: Clock) -> None:
    made = hooks.create_webhook(context, receiver.url, ["*"])
    tell(context)
    deliver_due(context)
    assert hook_delivery.forget_old_deliveries(context) == 0
    clock.forward(31 * 86400)
    tell(context)
    assert hook_delivery.forget_old_deliveries(context) == 1
    assert [one.state for one in log_of(made.id)] == ["owed"]
    with reading() as session:
        assert len(session.execute(store.webhook_event.select()).all()) == 1


def test_the_relay_hands_due_deliveries_to_a_worker(app: Flask, context: Context, receiver: Receiver) -> None:
    from hub.jobs.relay import Relay
    from hub.jobs.worker import work

    made = hooks.create_webhook(context, receiver.url, ["*"])
    tell(context)
    queues = app.extensions["hub_queues"]
    Relay(queues, context.holds).look()  # type: ignore[arg-type]
    Relay(queues, context.holds).look()  # type: ignore[arg-type]
    assert queues.lengths()["bulk"] == 1
    work(app, queues, burst=True)
    receiver.verified(made.secret)
    tasks.deliver_hook(log_of(made.id)[0].id)
    assert len(receiver.calls) == 1


def test_payloads_of_contacts_hold_ids_only(context: Context, receiver: Receiver) -> None:
    from hub.services import contacts

    made = hooks.create_webhook(context, receiver.url, ["contact.created"])
    contact_id, _ = contacts.create_contact(context, {"email": "ewa.lis@example.com", "first_name": "Ewa"})
    deliver_due(context)
    event = receiver.verified(made.secret)
    assert event["data"]["contact_id"] == contact_id
    assert b"ewa" not in receiver.calls[0][1].lower()


def test_connections_tell_what_happens_to_them(
    context: Context, receiver: Receiver, connected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hub.services import connections, upkeep

    hooks.create_webhook(context, receiver.url, ["connection.created", "connection.changed", "connection.removed"])
    pair = connected()
    upkeep.rename(context, pair.shop_id, "sklep", "woocommerce")
    upkeep.pause(context, pair.shop_id)
    connections.check(context, pair.crm_id)
    upkeep.disconnect(context, pair.shop_id, "sklep")
    deliver_due(context)
    told = [(event["type"], event["data"]["name"], event["data"]["state"]) for event in map(json.loads, _bodies(receiver))]
    assert told == [
        ("connection.created", "woocommerce", "active"),
        ("connection.created", "hubspot", "active"),
        ("connection.changed", "sklep", "active"),
        ("connection.changed", "sklep", "paused"),
        ("connection.removed", "sklep", "paused"),
    ]


def _bodies(receiver: Receiver) -> list[bytes]:
    return [body for _, body in receiver.calls]


def test_sending_again_twice_is_one_delivery(
    context: Context, receiver: Receiver, in_threads: Callable[..., list[Any]]
) -> None:
    made = hooks.create_webhook(context, receiver.url, ["*"])
    tell(context)
    deliver_due(context)
    (sent,) = log_of(made.id)
    answers = in_threads(*[lambda: hooks.replay_delivery(context, made.id, sent.id)] * 4)
    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict", "Conflict", "Conflict", "str"]
    deliver_due(context)
    assert len(receiver.calls) == 2
    hooks.replay_delivery(context, made.id, sent.id)
