"""The push path beside its peers, and what must hold while it runs: budget, opt-outs, poison, nothing written twice.

Everything goes over real HTTP to a simulated CRM in a process of its own, through relay, RQ and worker processes.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness import (
    BENCH_PYTHON,
    PEERS,
    Figures,
    Hub,
    Line,
    Simulated,
    await_peer,
    connect,
    fresh_database,
    load,
    median,
    open_hub,
    run_peer,
    show,
    simulator,
    start_peer,
    tell,
    work_folder,
)

from hub.connectors.hubspot.simulator_gate import FIXED_TOKEN
from hub.core.types import Act, Channel, ConsentAct, Lane
from hub.services import consent, evaluate
from hub.services.evaluate import values_hash
from hub.store import boxes, contacts, dues, ledger, quarantine, scenarios
from hub.store.boxes import Effect, EffectState
from hub.store.db import new_id, reading, transaction

sys.path.insert(0, str(PEERS))
from people import people

PLENTY = 1_000_000
"""Calls a second: a budget that is never in the way."""

BURST = 11
"""Calls a second of the shared budget: HubSpot's 110 in ten seconds, ten times as fast."""

TOPIC = "offers"
CHUNK = 1000
PROFILE = {"firstname": "first_name", "lastname": "last_name", "zip": "postcode"}
"""The CRM's properties that the hub calls otherwise."""


@contextmanager
def crm(*options: object) -> Iterator[Simulated]:
    with simulator("hubspot", *options) as simulated:
        yield simulated


@contextmanager
def hub_and_crm(
    simulated: Simulated, *, workers: int = 1, limits: dict[str, Any] | None = None, **settings: Any
) -> Iterator[tuple[Hub, str]]:
    """A hub with the CRM connected; the connection's id beside it."""
    with (
        work_folder() as folder,
        fresh_database("sqlite", folder) as url,
        open_hub(url, folder, workers=workers, **settings) as hub,
    ):
        yield hub, connect(hub, "hubspot", simulated, "crm", limits=limits or {"burst": PLENTY, "window": 1.0})


# What is in the hub before


def seed(start: int, stop: int, city: str = "") -> list[str]:
    """Contacts with a permission for e-mails; returns their ids. `city` marks them for a segment."""
    now = datetime.now(UTC)
    ids: list[str] = []
    rows = [_profile(one, city, now) for one in people(start, stop)]
    for place in range(0, len(rows), CHUNK):
        chunk = rows[place : place + CHUNK]
        with transaction() as session:
            contacts.save_contacts(session, chunk)
            contacts.save_identifiers(
                session,
                [
                    {"kind": kind, "value": row[kind], "contact_id": row["id"], "created_at": now}
                    for row in chunk
                    for kind in ("email", "phone")
                ],
            )
            ledger.append_acts(session, [(row["id"], _act(Act.GRANTED, f"bench:{row['id']}", now)) for row in chunk], now)
        ids += [row["id"] for row in chunk]
    return ids


def _profile(properties: dict[str, Any], city: str, now: datetime) -> dict[str, Any]:
    named = {PROFILE.get(name, name): value for name, value in properties.items()}
    row = {**dict.fromkeys(contacts.PROFILE), **named, "id": new_id(), "created_at": now, "updated_at": now}
    return row | ({"city": city} if city else {})


def _act(act: Act, reference: str, at: datetime) -> ConsentAct:
    return ConsentAct(act, Channel.EMAIL, TOPIC, "", at, "bench", reference)


def owe_pushes(connection_id: str, ids: list[str]) -> None:
    """One push for each contact, in the bulk lane, as an evaluation owes them."""
    gate = {"channel": Channel.EMAIL.value, "topic": TOPIC, "brand": ""}
    now = datetime.now(UTC)
    for place in range(0, len(ids), CHUNK):
        rows = [
            {
                "effect": Effect.PUSH_CONTACT.value,
                "connection_id": connection_id,
                "contact_id": contact_id,
                "lane": Lane.BULK.value,
                "detail": "contacts",
                "gate": gate,
                "idempotency_key": f"{connection_id}:{contact_id}:push:{values_hash({})}",
                "evaluation_id": None,
                "state": EffectState.OWED.value,
                "not_before": None,
            }
            for contact_id in ids[place : place + CHUNK]
        ]
        with transaction() as session:
            boxes.owe(session, rows, now)


def publish(hub: Hub, simulated: Simulated, segment: dict[str, Any]) -> str:
    """A scenario for the segment: push, join the segment's list, start the automation."""
    automation = simulated.state()["automation"]
    definition = {
        "key": "bench",
        "name": "Bench",
        "segment": {"key": "bench", "name": "Bench", "definition": segment},
        "connection": "crm",
        "channel": Channel.EMAIL.value,
        "topic": TOPIC,
        "automation": f"list:{automation['list_id']}",
        "list": str(automation["segment_list_id"]),
        "starts_per_minute": 100_000,
    }
    evaluate.publish_scenario(hub.context, definition)
    return "bench"


def evaluate_all(hub: Hub, key: str) -> str:
    """One evaluation and everything that it owes; returns its id."""
    evaluation_id = evaluate.request_evaluation(hub.context, key)
    hub.wait(lambda: evaluated(evaluation_id), every=0.1)
    return evaluation_id


def evaluated(evaluation_id: str) -> bool:
    with reading() as session:
        row = scenarios.find_evaluation(session, evaluation_id)
        return row is not None and row.state == "done" and dues.count_open(session) == 0


def nothing_open() -> bool:
    with reading() as session:
        return dues.count_open(session) == 0


# a) the rate


def push_with_hub(count: int) -> Figures:
    with crm("--burst", PLENTY, "--window", 1) as simulated, hub_and_crm(simulated) as (hub, connection_id):
        ids = seed(0, count)
        before, cpu, started = simulated.state(), hub.cpu(), time.perf_counter()
        owe_pushes(connection_id, ids)
        hub.wait(nothing_open, every=0.05)
        seconds, used = time.perf_counter() - started, hub.cpu()
        return {
            "seconds": seconds,
            "cpu": used[0] - cpu[0],
            "helpers_cpu": used[1] - cpu[1],
            "peak_mb": hub.peak_mb(),
            **_at_crm(simulated.state(), before),
        }


def _at_crm(after: Figures, before: Figures) -> Figures:
    return {
        "records": after["contacts"] - before["contacts"],
        "calls": after["calls"] - before["calls"],
        "throttled": after["throttled"] - before["throttled"],
    }


def push_with_plain(count: int) -> Figures:
    with crm("--burst", PLENTY, "--window", 1) as simulated:
        return run_peer(sys.executable, "plain_push.py", simulated.url, "0", str(count), CRM_TOKEN=FIXED_TOKEN)


def push_with_dlt(count: int) -> Figures:
    with crm("--burst", PLENTY, "--window", 1) as simulated, work_folder() as folder:
        return run_peer(BENCH_PYTHON, "dlt_push.py", simulated.url, "0", str(count), str(folder), CRM_TOKEN=FIXED_TOKEN)


def rates(count: int, repeat: int) -> Figures:
    """The hub, dlt and the plain loop in turns; medians."""
    runners = {"hub": push_with_hub, "dlt 1.31": push_with_dlt, "plain loop": push_with_plain}
    found: dict[str, list[Figures]] = {name: [] for name in runners}
    for number in range(repeat):
        for name in list(runners)[:: 1 if number % 2 == 0 else -1]:
            found[name].append(runners[name](count))
    names = ("seconds", "cpu", "peak_mb", "calls", "throttled", "records")
    table = {name: {key: median(one[key] for one in each) for key in names} for name, each in found.items()}
    for one in table.values():
        one["rate"] = one["records"] / one["seconds"]
    return table


# b) one budget for all


@dataclass
class Watch:
    """Looks at the CRM's counters all the time: when calls came in, and when members left a list."""

    simulated: Simulated
    list_id: str
    seen: list[tuple[float, int, int, int]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.is_set():
            state = self.simulated.state()
            self.seen.append((time.perf_counter(), state["calls"], state["throttled"], state["members"][self.list_id]))
            time.sleep(0.01)

    def members(self) -> int:
        return self.seen[-1][3]

    def use(self, since: float) -> Figures:
        """Calls from the first to the last one after `since`, and the share of the quota that they are."""
        rows = [row for row in self.seen if row[0] >= since]
        moved = [later for earlier, later in pairwise(rows) if later[1] != earlier[1]]
        calls, throttled = rows[-1][1] - rows[0][1], rows[-1][2] - rows[0][2]
        seconds = moved[-1][0] - moved[0][0]
        return {
            "calls": calls,
            "throttled": throttled,
            "seconds": seconds,
            "share_429": throttled / calls,
            "quota_used": (calls - throttled) / (BURST * seconds),
        }


def budget_with_hub(calls: int, withdrawals: int, workers: int = 6) -> Figures:
    """Six workers push as fast as the budget lets them; meanwhile people withdraw."""
    limits = {"burst": BURST, "window": 1.0}
    with (
        crm("--burst", BURST, "--window", 1) as simulated,
        hub_and_crm(simulated, workers=workers, limits=limits) as (hub, connection_id),
    ):
        leaving = seed(0, withdrawals, city="Leaving")
        evaluate_all(hub, publish(hub, simulated, {"field": "city", "is": "Leaving"}))
        crowd = seed(withdrawals, withdrawals + calls * 100)
        with Watch(simulated, str(simulated.state()["automation"]["segment_list_id"])) as watch:
            time.sleep(1.2)  # the window is empty again
            started = time.perf_counter()
            owe_pushes(connection_id, crowd)
            waits = _withdraw(hub, watch, leaving, calls / BURST)
            hub.wait(nothing_open, every=0.05)
            time.sleep(0.1)
            return {**watch.use(started), "withdrawals": waits, "contacts": simulated.state()["contacts"]}


def _withdraw(hub: Hub, watch: Watch, ids: list[str], seconds: float) -> list[float]:
    """Withdraw one after the other, spread over the saturation; seconds until each is off the list at the CRM."""
    waits = []
    time.sleep(2.0)
    for contact_id in ids:
        before, at = watch.members(), time.perf_counter()
        consent.record_act(hub.context, contact_id, _act(Act.WITHDRAWN, f"bench:leave:{contact_id}", datetime.now(UTC)))
        while watch.members() >= before and time.perf_counter() - at < 30:
            hub.stack.watch()
            time.sleep(0.005)
        waits.append(time.perf_counter() - at)
        time.sleep(max(0.0, (seconds - 4.0) / len(ids) - waits[-1]))
    return waits


def budget_with_dlt(calls: int, processes: int = 6) -> Figures:
    """Six dlt processes on the same limit, each with its share of the contacts and its own retries."""
    with crm("--burst", BURST, "--window", 1) as simulated, work_folder() as folder:
        list_id = str(simulated.state()["automation"]["segment_list_id"])
        with Watch(simulated, list_id) as watch:
            started, each = time.perf_counter(), calls * 100 // processes
            running = [
                start_peer(
                    BENCH_PYTHON,
                    "dlt_push.py",
                    *(simulated.url, str(number * each), str((number + 1) * each), _folder(folder, number)),
                    CRM_TOKEN=FIXED_TOKEN,
                )
                for number in range(processes)
            ]
            for process in running:
                await_peer(process)
            time.sleep(0.1)
            return {**watch.use(started), "contacts": simulated.state()["contacts"]}


def _folder(parent: Path, number: int) -> str:
    folder = parent / str(number)
    folder.mkdir()
    return str(folder)


# c) and d)


def poison(count: int) -> Figures:
    """One contact that the CRM refuses, in the middle of the others; then the same evaluation again."""
    victim = next(people(count * 4 // 7, count))["email"]
    with crm("--burst", PLENTY, "--window", 1, "--poison", victim) as simulated, hub_and_crm(simulated) as (hub, _):
        seed(0, count)
        key = publish(hub, simulated, {"field": "email", "known": True})
        evaluate_all(hub, key)
        first = simulated.state()
        with reading() as session:
            entries = quarantine.list_entries(session)
        evaluate_all(hub, key)
        second = simulated.state()
        return {
            "delivered": first["contacts"],
            "quarantined": len(entries),
            "reason": entries[0].reason if entries else "",
            "upserts": sum(calls for path, calls in first["by_path"].items() if path.endswith("/batch/upsert")),
            "calls_again": second["calls"] - first["calls"],
        }


def again(count: int) -> Figures:
    """An evaluation with everything that it owes, and once more with nothing changed."""
    with crm("--burst", PLENTY, "--window", 1) as simulated, hub_and_crm(simulated) as (hub, _):
        seed(0, count)
        key = publish(hub, simulated, {"field": "email", "known": True})
        started = time.perf_counter()
        evaluate_all(hub, key)
        middle, first = time.perf_counter(), simulated.state()
        evaluate_all(hub, key)
        ended, second = time.perf_counter(), simulated.state()
        return {
            "contacts": first["contacts"],
            "triggered": first["triggered"],
            "triggered_twice": second["triggered_twice"],
            "writes_again": second["writes"] - first["writes"],
            "calls_again": second["calls"] - first["calls"],
            "ratio": (middle - started) / (ended - middle),
        }


# Telling


def measure(count: int, repeat: int, calls: int, withdrawals: int, small: int) -> tuple[Figures, list[Line]]:
    figures: Figures = {"rates": rates(count, repeat)}
    lines = [_rate_line(figures["rates"], count)]
    figures |= {"budget hub": budget_with_hub(calls, withdrawals), "budget dlt": budget_with_dlt(calls)}
    lines += _budget_lines(figures["budget hub"], figures["budget dlt"])
    figures |= {"poison": poison(1000), "again": again(small)}
    return figures, [*lines, _poison_line(figures["poison"]), _again_line(figures["again"], small)]


def _rate_line(table: Figures, count: int) -> Line:
    ours, theirs = table["hub"], table["dlt 1.31"]
    if ours["records"] != count:
        raise SystemExit(f"{ours['records']} of {count} contacts arrived")
    measured = f"{ours['rate']:,.0f}/s, dlt {theirs['rate']:,.0f}/s, peak {ours['peak_mb']:.0f} MB"
    # HubSpot takes 110 calls in ten seconds from an account, with 100 contacts each.
    return Line(f"push of {count:,}, no budget in the way", measured, "> 1,100/s (HubSpot's own)", ours["rate"] > 1100)


def _budget_lines(ours: Figures, dlt: Figures) -> list[Line]:
    slowest = max(ours["withdrawals"])
    beside = f"(dlt: {dlt['share_429']:.1%}, {dlt['quota_used']:.0%})"
    return [
        Line("six workers, 11 calls/s: 429s", f"{ours['share_429']:.2%} {beside}", "< 1 %", ours["share_429"] < 0.01),
        Line("… quota used", f"{ours['quota_used']:.1%}", "> 95 %", ours["quota_used"] > 0.95),
        Line(f"… slowest of {len(ours['withdrawals'])} withdrawals", f"{slowest:.2f} s", "< 1 s", slowest < 1.0),
    ]


def _poison_line(found: Figures) -> Line:
    measured = (
        f"{found['delivered']} delivered, {found['quarantined']} in quarantine, {found['upserts']} upserts, "
        f"then {found['calls_again']} calls"
    )
    held = found["delivered"] == 999 and found["quarantined"] == 1 and found["upserts"] <= 24 and not found["calls_again"]
    return Line("one poison record in 1,000", measured, "999, 1, ≤ 24, 0", held and bool(found["reason"]))


def _again_line(found: Figures, count: int) -> Line:
    sound = found["contacts"] == found["triggered"] == count and not found["triggered_twice"]
    measured = f"{found['writes_again']} writes, {found['calls_again']} calls, {found['ratio']:.1f}×"
    held = sound and not found["writes_again"] and found["ratio"] >= 3
    return Line(f"evaluated again ({count:,}), nothing changed", measured, "0 writes, ≥ 3×", held)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--contacts", type=int, default=20_000, help="for the rate")
    parser.add_argument("--repeat", type=int, default=3, help="rounds of the rate; medians are told")
    parser.add_argument("--calls", type=int, default=300, help="calls of the shared budget")
    parser.add_argument("--withdrawals", type=int, default=10)
    parser.add_argument("--small", type=int, default=5000, help="contacts of the evaluation that is repeated")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    figures, lines = measure(given.contacts, given.repeat, given.calls, given.withdrawals, given.small)
    if not given.json:
        headings = ("runner", "contacts/s", "peak MB", "CPU s", "calls", "429")
        rows = [
            (name, f"{one['rate']:,.0f}", f"{one['peak_mb']:.0f}", one["cpu"], int(one["calls"]), int(one["throttled"]))
            for name, one in figures["rates"].items()
        ]
        show(f"Push of {given.contacts:,} contacts, medians ({load()})", headings, rows)
    tell(figures, lines, as_json=given.json)


if __name__ == "__main__":
    main()
