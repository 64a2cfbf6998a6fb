"""From the boxes to the workers: each due thing is handed over once, again when it may be lost, and never while it is held."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from redis.exceptions import RedisError
from rq import Queue

from hub.core.logs import JsonFormatter
from hub.core.redact import know_secret
from hub.core.types import Act, Channel, ConsentAct
from hub.jobs import queues as queues_module
from hub.jobs import relay as relay_module
from hub.jobs import schedule, tasks
from hub.jobs.queues import QueueName, Queues
from hub.jobs.relay import EFFECTS_PER_JOB, JOBS_PER_PARCEL, Relay
from hub.jobs.schedule import PERIODIC, Periodic, Schedule
from hub.jobs.worker import work
from hub.services import delivery, evaluate, sync
from hub.services.consent import record_act
from hub.store import boxes, dues, ledger, runs, scenarios
from hub.store.boxes import Parcel
from hub.store.db import new_id, reading, transaction
from hub.store.holds import RedisHolds

STRANGER = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def pair(connected: Any) -> Any:
    found = connected({"customers": 40, "rebase": True})
    found.publish()
    return found


@pytest.fixture
def holds(app: Flask, context: Any) -> RedisHolds:
    return RedisHolds(app.extensions["hub_redis"], context.settings.namespace)


@pytest.fixture
def queues(app: Flask) -> Queues:
    found: Queues = app.extensions["hub_queues"]
    return found


@pytest.fixture
def relay(queues: Queues, holds: RedisHolds) -> Relay:
    return Relay(queues, holds)


def waiting(queues: Queues) -> dict[str, list[tuple[str, str]]]:
    """(task, argument) by queue, in order."""
    found = {}
    for queue in queues.in_order():
        jobs = [job for job in queue.get_jobs() if job is not None]
        found[queue.name.rpartition("-")[2]] = [(job.func_name.rpartition(".")[2], job.args[0]) for job in jobs]
    return {name: jobs for name, jobs in found.items() if jobs}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The relay's clock: a message is sent again in each new bucket of REPEAT_SECONDS."""
    now = [1_000_000_000.0]
    monkeypatch.setattr(queues_module.time, "time", lambda: now[0])
    return now


def test_a_due_run_is_handed_over_once_and_again_when_it_may_be_lost(
    pair: Any, relay: Relay, queues: Queues, bucket: list[float]
) -> None:
    group_id = sync.request_sync(pair.context, "woocommerce")
    with reading() as session:
        first = runs.list_runs(session, group_id=group_id)[0].id
    for _ in range(3):
        relay.look()
    assert waiting(queues) == {"bulk": [("advance_run", first)]}
    queues.redis.flushdb()
    assert waiting(queues) == {}
    relay.look()
    assert waiting(queues) == {"bulk": [("advance_run", first)]}, "Redis lost everything, nothing is lost"
    bucket[0] += queues_module.REPEAT_SECONDS
    relay.look()
    assert waiting(queues) == {"bulk": [("advance_run", first)] * 2}, "nobody acted on it: sent again"
    with transaction() as session:
        assert runs.claim_run(session, first, "worker", pair.context.now(), 40.0)
    queues.redis.flushdb()
    relay.look()
    assert waiting(queues) == {}, "somebody works on it"


def test_the_whole_path_through_the_workers(pair: Any, app: Flask, relay: Relay, queues: Queues) -> None:
    """Relay and worker until nothing is left: every kind of job, through RQ."""
    sync.request_sync(pair.context, "woocommerce")
    drain(app, relay, queues)
    assert evaluate.request_evaluation(pair.context, "welcome")
    drain(app, relay, queues)
    state = pair.crm.state()
    assert state["triggered"] == state["contacts"] > 0
    assert state["triggered_twice"] == 0
    with reading() as session:
        assert dues.count_open(session) == 0


def drain(app: Flask, relay: Relay, queues: Queues) -> None:
    for _ in range(60):
        relay.look()
        if not any(queues.lengths().values()):
            with reading() as session:
                if not dues.count_open(session) and not runs.due_runs(session, app.extensions["hub"].now()):
                    return
            queues_module.time.sleep(0.05)
        work_here(app, queues)


def work_here(app: Flask, queues: Queues) -> None:
    level = logging.getLogger("rq.worker").level
    handlers = logging.getLogger("rq.worker").handlers[:]
    work(app, queues, burst=True)
    logging.getLogger("rq.worker").setLevel(level)
    logging.getLogger("rq.worker").handlers[:] = handlers


def owe(pair: Any, count: int, lane: str = "bulk", detail: str = "contacts") -> Parcel:
    parcel = Parcel(pair.crm_id, lane, "push_contact", detail)
    with transaction() as session:
        boxes.owe(
            session,
            [
                {
                    **parcel._asdict(),
                    "contact_id": new_id(),
                    "gate": {},
                    "idempotency_key": new_id(),
                    "evaluation_id": None,
                    "state": "owed",
                    "not_before": None,
                }
                for _ in range(count)
            ],
            pair.context.now(),
        )
    return parcel


def test_each_lane_has_its_queue_and_many_effects_are_several_jobs(pair: Any, relay: Relay, queues: Queues) -> None:
    parcels = {lane: owe(pair, count, lane) for lane, count in (("urgent", 1), ("event", EFFECTS_PER_JOB + 1), ("bulk", 1000))}
    for _ in range(2):
        relay.look()
    found = waiting(queues)
    assert list(found) == [name.value for name in QueueName] == ["urgent", "event", "bulk"], "every queue is used, urgent first"
    assert {name: Counter(jobs) for name, jobs in found.items()} == {
        "urgent": {("deliver", str(parcels["urgent"])): 1},
        "event": {("deliver", str(parcels["event"])): 2},
        "bulk": {("deliver", str(parcels["bulk"])): JOBS_PER_PARCEL},
    }


def test_what_is_held_is_not_handed_over(
    pair: Any, relay: Relay, queues: Queues, holds: RedisHolds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "LOOK_EVERY", 5.0)
    one, other = owe(pair, 1, "bulk", "contacts"), owe(pair, 1, "event", "contacts")
    holds.hold(one.lane_key, 30.0)
    holds.hold(str(other), 0.5)
    assert relay.look() <= 0.5, "looks again when the shorter hold is over"
    assert waiting(queues) == {}
    queues_module.time.sleep(0.51)
    relay.look()
    assert waiting(queues) == {"event": [("deliver", str(other))]}
    queues.redis.flushdb()
    relay.look()
    assert waiting(queues) == {"event": [("deliver", str(other))], "bulk": [("deliver", str(one))]}, "a lost hold is no harm"


def test_urgent_jobs_are_worked_first(pair: Any, app: Flask, queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(tasks, "deliver", lambda parcel: seen.append(parcel))
    for name in (QueueName.BULK, QueueName.EVENT, QueueName.URGENT):
        assert queues.send(name, "deliver", name.value, name.value)
    assert queues.has_urgent()
    work_here(app, queues)
    assert seen == ["urgent", "event", "bulk"]
    assert queues.lengths() == {"urgent": 0, "event": 0, "bulk": 0}


def test_a_message_waits_once(queues: Queues, bucket: list[float]) -> None:
    assert queues.send(QueueName.BULK, "deliver", "x", "key")
    assert not queues.send(QueueName.BULK, "deliver", "x", "key")
    assert queues.send(QueueName.BULK, "deliver", "x", "another")
    assert queues.lengths()["bulk"] == 2


def test_hubs_that_share_a_redis_are_apart(app: Flask, queues: Queues) -> None:
    other = Queues(queues.redis, "other")
    other.send(QueueName.URGENT, "deliver", "x", "key")
    assert not queues.has_urgent()
    assert isinstance(other.in_order()[0], Queue)
    assert other.has_urgent()


def test_jobs_leave_quietly_on_unknown_ids(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    tasks.advance_run(STRANGER)
    tasks.advance_evaluation(STRANGER)
    tasks.deliver(str(Parcel(STRANGER, "bulk", "push_contact", "contacts")))
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


SECRET = "cs_" + "0dd5" * 10


def test_a_bug_marks_the_run_failed_and_tells_the_log_which_one_without_secrets(
    pair: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    group_id = sync.request_sync(pair.context, "woocommerce")
    with reading() as session:
        run_id = runs.list_runs(session, group_id=group_id)[0].id
    know_secret("a-password-nobody-may-see")

    def bug(*_: Any) -> None:
        raise ZeroDivisionError(f"with {SECRET} and a-password-nobody-may-see")

    monkeypatch.setattr(sync, "store_batch", bug)
    tasks.advance_run(run_id)
    with reading() as session:
        row = runs.find_run(session, run_id)
    assert row is not None
    assert (row.state, row.lease_owner, row.error["code"], row.error["cause"]) == ("failed", None, "error", "ZeroDivisionError")
    assert SECRET not in str(row.error)
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.run == run_id  # type: ignore[attr-defined]
    line = JsonFormatter().format(record)
    assert "ZeroDivisionError" in line
    assert SECRET not in line
    assert "a-password-nobody-may-see" not in line


def test_a_bug_in_a_delivery_is_logged_and_costs_a_lease(
    pair: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pair.run_sync("woocommerce")
    pair.evaluate()
    with reading() as session:
        [(parcel, count)] = dues.due_parcels(session, pair.context.now())

    def bug(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(delivery, "settle_results", bug)
    tasks.deliver(str(parcel))
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.parcel == str(parcel)  # type: ignore[attr-defined]
    with reading() as session:
        states = session.scalars(sa.select(boxes.outbox.c.state).where(boxes.outbox.c.effect == "push_contact")).all()
    assert states == ["claimed"] * count


def test_an_evaluation_that_cannot_go_on_shows_why(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation_id = evaluate.request_evaluation(pair.context, "welcome")

    def bug(*_: Any) -> None:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setattr(evaluate, "_consider", bug)
    tasks.advance_evaluation(evaluation_id)
    with reading() as session:
        row = scenarios.find_evaluation(session, evaluation_id)
    assert row is not None
    assert (row.state, row.error["cause"]) == ("failed", "ZeroDivisionError")


def test_periodic_work_that_fails_stops_nothing(app: Flask, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def fails(_: Any) -> None:
        seen.append("fails")
        raise RuntimeError

    def works(_: Any) -> None:
        seen.append("works")

    monkeypatch.setattr(schedule, "PERIODIC", (Periodic("one", 0.0, fails), Periodic("two", 0.0, works)))
    plan = Schedule(app, context)
    plan.tick()
    plan.tick()
    assert seen == ["fails", "works"] * 2
    assert {item.name for item in PERIODIC} >= {"request_due_syncs", "settle_held"}


def test_a_withdrawal_reaches_the_urgent_queue_at_the_next_look(pair: Any, relay: Relay, queues: Queues) -> None:
    pair.publish(list=pair.crm.simulator.segment_list_id)
    pair.run_sync("woocommerce")
    with reading() as session:
        anybody = session.scalar(sa.select(ledger.consent_act.c.contact_id).where(ledger.consent_act.c.channel == "email"))
    act = ConsentAct(Act.WITHDRAWN, Channel.EMAIL, "offers", "", pair.context.now(), "web", "web:1")
    assert record_act(pair.context, str(anybody), act)
    relay.look()
    assert [task for task, _ in waiting(queues)["urgent"]] == ["deliver"] * 2  # from two lists


def test_jobs_that_no_worker_takes_are_forgotten(queues: Queues) -> None:
    assert queues.send(QueueName.BULK, "deliver", "x", "key")
    [job] = queues.in_order()[2].get_jobs()
    assert 0 < queues.redis.ttl(job.key) <= 4 * queues_module.REPEAT_SECONDS


@pytest.mark.parametrize("error", [sa.exc.ProgrammingError("", {}, Exception()), RedisError(), OSError("no file left")])
def test_the_relay_survives_what_is_away(relay: Relay, error: Exception) -> None:
    stop, ticks = threading.Event(), []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 2:
            stop.set()
        raise error

    relay.run(stop, tick)
    assert len(ticks) == 2
