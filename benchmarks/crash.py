"""Workers killed with -9 in the middle of a pull and of a push, and Redis emptied: nothing lost, nothing twice.

The processes are supervised as by `hub up`, which starts again what died. The shop and the CRM are simulators and count
what they saw. One pull and one push are long enough for all kills; a shorter lease than the shipped one keeps it to minutes.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from harness import Figures, Hub, Line, connect, fresh_database, open_hub, tell, work_folder
from pull import shop
from push import PLENTY, crm, evaluated, hub_and_crm, publish, seed

from hub.core.settings import Settings
from hub.core.types import RunState
from hub.services import evaluate, summary, sync
from hub.store import contacts, dues, records, runs
from hub.store.db import reading

LEASE, TIMEOUTS = 6.0, {"connect_timeout": 1.0, "read_timeout": 4.0}
"""Seconds; the lease must be longer than both time-outs together."""

SHIPPED = Settings().lease
LONGEST_GAP = 60.0


@dataclass
class Chaos:
    """Kills and empties at random moments, and notes the longest time without progress (seconds)."""

    hub: Hub
    kills: int
    dice: random.Random
    done: list[str] = field(default_factory=list)
    longest_gap: float = 0.0

    def run(self, progress: Callable[[], Any], finished: Callable[[], bool], busy: Callable[[], int | None]) -> float:
        """Until `finished`: a kill some moments after each progress; Redis is emptied after half of them. Seconds it took."""
        started = moved = time.monotonic()
        last, due = progress(), started + self.dice.uniform(0.1, 1.0)
        flush_after = self.kills // 2
        while not finished():
            self.hub.stack.watch()
            now, seen = time.monotonic(), progress()
            if seen != last:
                self.longest_gap = max(self.longest_gap, now - moved)
                if now - moved > 1.0:
                    due = now + self.dice.uniform(0.02, 1.0)
                last, moved = seen, now
            if len(self.done) < self.kills and now >= due and now - moved < 1.0:
                self._kill(busy(), now - started)
                due = now + self.dice.uniform(0.5, 1.5)
                if len(self.done) == flush_after:
                    self.hub.redis.flushall()
                    self.done.append(f"{now - started:.1f} s: Redis emptied")
                    self.kills += 1
            if now - moved > 180:
                raise SystemExit(f"no progress for 180 s after {self.done[-3:]}")
            time.sleep(0.02)
        self.longest_gap = max(self.longest_gap, time.monotonic() - moved)
        return time.monotonic() - started

    def _kill(self, wanted: int | None, at: float) -> None:
        """The worker that is at work if we know it, else any."""
        running = self.hub.workers()
        if not running:
            return
        victim = wanted if wanted in running else self.dice.choice(running)
        os.kill(victim, signal.SIGKILL)
        self.done.append(f"{at:.1f} s: kill -9 {victim}{' (held the work)' if victim == wanted else ''}")


def crash_pull(customers: int, kills: int, seed_number: int) -> Figures:
    """One long pull under fire."""
    with (
        shop(customers, "10ms") as simulated,
        work_folder() as folder,
        fresh_database("sqlite", folder) as url,
        open_hub(url, folder, workers=2, lease=LEASE, **TIMEOUTS) as hub,
    ):
        connection_id = connect(hub, "woocommerce", simulated, "shop")
        chaos = Chaos(hub, kills, random.Random(seed_number))
        group = sync.request_sync(hub.context, "shop", ["customers"])
        seconds = chaos.run(lambda: _run(group).read, lambda: _run(group).state in _ENDED, lambda: _holder(group))
        run = _run(group)
        with reading() as session:
            stored = records.count_records(session, connection_id).get("customers", 0)
            people = contacts.count_contacts(session)
            linked = session.scalar(sa.select(sa.func.count(sa.distinct(records.record.c.contact_id))))
            batches = sum(one.read for one in runs.list_batches(session, run.id))
        return {
            "state": str(run.state),
            "stored": stored,
            "contacts": people,
            "linked": linked,
            "read": run.read,
            "created": run.created,
            "batches_read": batches,
            "seconds": seconds,
            "gap": chaos.longest_gap,
            "did": chaos.done,
        }


_ENDED = (RunState.DONE.value, RunState.FAILED.value)


def _run(group: str) -> Any:
    return summary.group_runs(group)[0]


def _holder(group: str) -> int | None:
    """The process that has the run's lease."""
    owner = _run(group).lease_owner
    return int(owner.split(":")[1]) if owner else None


def crash_push(count: int, kills: int, seed_number: int) -> Figures:
    """One long evaluation with all its effects under fire."""
    settings: dict[str, Any] = {"lease": LEASE, **TIMEOUTS}
    with (
        crm("--burst", PLENTY, "--window", 1, "--latency", "150ms") as simulated,
        hub_and_crm(simulated, workers=2, **settings) as (hub, _),
    ):
        seed(0, count)
        chaos = Chaos(hub, kills, random.Random(seed_number))
        evaluation_id = evaluate.request_evaluation(hub.context, publish(hub, simulated, _EVERYBODY))
        seconds = chaos.run(lambda: _settled(evaluation_id), lambda: evaluated(evaluation_id), lambda: None)
        state, figures = simulated.state(), summary.evaluation_figures([evaluation_id])
        list_id = str(state["automation"]["segment_list_id"])
        return {
            "contacts": state["contacts"],
            "members": state["members"][list_id],
            "triggered": state["triggered"],
            "triggered_twice": state["triggered_twice"],
            "pushed": figures["pushed"],
            "started": figures["triggered"],
            "seconds": seconds,
            "gap": chaos.longest_gap,
            "did": chaos.done,
        }


_EVERYBODY = {"field": "email", "known": True}


def _settled(evaluation_id: str) -> int:
    """Effects that are no longer open or held, and contacts that were considered."""
    with reading() as session:
        counted = dues.count_effects(session, [evaluation_id])
    return sum(number for (_, state, _), number in counted.items() if state == "done") + sum(counted.values())


def measure(customers: int, count: int, kills: int, seed_number: int) -> tuple[Figures, list[Line]]:
    pull, push = crash_pull(customers, kills, seed_number), crash_push(count, kills, seed_number + 1)
    whole = {customers} == {pull["stored"], pull["read"], pull["created"], pull["batches_read"]}
    whole = whole and pull["state"] == "done" and pull["contacts"] == pull["linked"]
    sound = {count} == {push[name] for name in ("contacts", "members", "triggered", "pushed")}
    lines = [
        Line(_title("pull", pull), f"{pull['stored']:,} of {customers:,} stored, each read once", "nothing lost, twice", whole),
        _gap_line("pull", pull),
        Line(
            _title("push", push),
            f"{push['contacts']:,} of {count:,} at the CRM, {push['triggered']:,} started, {push['triggered_twice']} twice",
            "nothing lost, twice",
            sound and not push["triggered_twice"],
        ),
        _gap_line("push", push),
    ]
    return {"pull": pull, "push": push}, lines


def _title(what: str, found: Figures) -> str:
    kills = sum("kill" in text for text in found["did"])
    emptied = ", Redis emptied" if len(found["did"]) > kills else ""
    return f"{what}: {kills} × kill -9{emptied} ({found['seconds']:.0f} s)"


def _gap_line(what: str, found: Figures) -> Line:
    shipped = found["gap"] + SHIPPED - LEASE
    measured = f"{found['gap']:.1f} s, so {shipped:.0f} s with the shipped lease"
    return Line(f"… longest stand-still of the {what}", measured, "< 60 s", shipped < LONGEST_GAP)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=20, help="of the pull, and as many of the push")
    parser.add_argument("--customers", type=int, default=60_000)
    parser.add_argument("--contacts", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    figures, lines = measure(given.customers, given.contacts, given.kills, given.seed)
    if not given.json:
        for what, found in figures.items():
            print(f"{what}: {'; '.join(found['did'])}")
            print(", ".join(f"{name} {value}" for name, value in found.items() if name != "did"))
    tell(figures, lines, as_json=given.json)


if __name__ == "__main__":
    main()
