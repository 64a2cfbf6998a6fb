"""The main job from end to end: real processes, real HTTP, a real queue, a real database."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import urllib.request
from contextlib import closing
from typing import Any

import pytest

from tests.stories.conftest import Hub, children_of, wait_for

pytestmark = pytest.mark.story


def state(served: dict[str, Any]) -> dict[str, Any]:
    with urllib.request.urlopen(served["url"] + "/_simulator/state", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def test_demo_says_what_the_platforms_counted(hub: Hub, database: str) -> None:
    """The same on both databases; every figure that the platforms count themselves agrees with theirs."""
    environ = {"HUB_DATABASE_URL": database} if database.startswith("postgresql") else {}
    told = hub.json("demo", "--once", "--customers", "300", **environ)
    streams = {run["stream"]: run for run in told["runs"]}
    shop, crm = told["simulators"]["woocommerce"], told["simulators"]["hubspot"]
    assert {name: streams[name]["read"] for name in ("customers", "orders", "products")} == {
        name: shop[name] for name in ("customers", "orders", "products")
    }
    for run in told["runs"]:
        assert run["read"] == run["created"] + run["updated"] + run["unchanged"] + run["quarantined"]
        assert run["state"] == "done"
    assert told["triggered"] == crm["triggered"] == told["decisions"]["allowed"] > 0
    assert told["pushed"] == crm["contacts"] == told["decisions"]["allowed"]
    assert crm["triggered_twice"] == 0
    assert told["decisions"]["refused"]["no_consent"] > 0
    assert told["api"]["throttled"] == crm["throttled"] == 0
    assert told["contacts"] <= told["identities"]


def test_demo_leaves_nothing_running_and_prints_one_object(hub: Hub) -> None:
    done = hub.run("demo", "--once", "--customers", "50", "--json")
    assert done.stdout.count("\n") == 1
    assert not done.stderr
    left = [line for _, line in _every_process() if hub.environ["HUB_DATA"] in line]
    assert left == []


def _every_process() -> list[tuple[int, str]]:
    return [pair for pid in [1, *(pid for pid, _ in children_of(1))] for pair in children_of(pid)]


def test_connect_sync_scenario_as_an_admin_types_it(hub: Hub, tmp_path: Any) -> None:
    shop = hub.simulate("woocommerce", "--customers", "150", "--rebase")
    crm = hub.simulate("hubspot")
    assert hub.connect("woocommerce", shop)["new"] is True
    assert hub.connect("woocommerce", shop)["new"] is False
    hub.connect("hubspot", crm, "--name", "crm")
    assert [check["ok"] for check in hub.json("check")["checks"]] == [True, True]
    first = hub.json("sync", "woocommerce")
    counted = state(shop)
    for name in ("customers", "orders", "products", "guest_orders", "guest_buyers"):
        assert first["counts"][name] == counted[name], name
    file = tmp_path / "second-order.toml"
    lists = state(crm)["automation"]
    file.write_text(SCENARIO.format(**lists))
    hub.run("scenario", "publish", str(file))
    told = hub.json("scenario", "run", "second-order")
    seen = state(crm)
    assert told["triggered"] == seen["triggered"] == seen["members"][lists["segment_list_id"]] > 0
    again = hub.json("sync", "woocommerce")
    assert all(run["created"] == run["updated"] == 0 for run in again["runs"])
    repeated = hub.json("scenario", "run", "second-order")
    assert repeated["triggered"] == repeated["pushed"] == 0
    assert repeated["decisions"]["refused"]["already_started"] == told["triggered"]
    assert state(crm)["writes"] == seen["writes"]


SCENARIO = """
key = "second-order"
name = "Thank you for your second order"
connection = "crm"
channel = "email"
topic = "offers"
automation = "list:{list_id}"
list = "{segment_list_id}"

[segment]
key = "two-orders"
name = "Two paid orders in 90 days"
definition = {{ orders = {{ paid = true, within_days = 90, at_least = 2 }} }}
"""


def test_a_killed_worker_loses_and_repeats_nothing(hub: Hub) -> None:
    """kill -9 in the middle of a pull: started again by the supervisor, resumed by itself, nothing lost, nothing twice."""
    hub.environ |= {"HUB_LEASE": "8", "HUB_READ_TIMEOUT": "2", "HUB_CONNECT_TIMEOUT": "2", "HUB_SYNC_EVERY": "0"}
    shop = hub.simulate("woocommerce", "--customers", "12000", "--no-orders", "--latency", "300ms")
    hub.connect("woocommerce", shop)
    up = hub.start("up", "--port", "0", "--workers", "1")
    assert up.stderr is not None
    assert "http://127.0.0.1:" in up.stderr.readline()
    hub.run("sync", "woocommerce", "--no-wait")
    database = sqlite3.connect(f"file:{hub.environ['HUB_DATA']}/hub.sqlite?mode=ro", uri=True, timeout=30)
    with closing(database):
        for share in (0.1, 0.4):
            wait_for(lambda part=share: _read(database) > part * 12207, every=0.02)
            workers = [pid for pid, line in children_of(up.pid) if line.rstrip().endswith("hub.cli work")]
            assert len(workers) == 1
            os.kill(workers[0], signal.SIGKILL)
            before = _read(database)
            assert before < 12207
            wait_for(lambda seen=before: _read(database) > seen, seconds=60)
        wait_for(lambda: _states(database) == ["done"] * 3, seconds=90)
    counted = state(shop)
    listed = hub.json("connections")["connections"][0]["counts"]
    assert {name: listed[name] for name in ("customers", "orders", "products")} == {
        name: counted[name] for name in ("customers", "orders", "products")
    }


def _read(database: sqlite3.Connection) -> int:
    found: int = database.execute("SELECT read FROM run WHERE stream = 'customers'").fetchone()[0]
    return found


def _states(database: sqlite3.Connection) -> list[str]:
    return [row[0] for row in database.execute("SELECT state FROM run")]


def test_up_stops_cleanly(hub: Hub) -> None:
    up = hub.start("up", "--port", "0", "--workers", "2", HUB_SYNC_EVERY="0")
    assert up.stderr is not None
    line = up.stderr.readline()
    url = next(word for word in line.split() if word.startswith("http")).removesuffix("/admin/runs")
    with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:
        assert answer.status == 200
    children = children_of(up.pid)
    assert len(children) >= 5  # Redis, scheduler, two workers, web
    up.send_signal(signal.SIGINT)
    assert up.wait(timeout=60) == 0
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid, _ in children), seconds=10)
