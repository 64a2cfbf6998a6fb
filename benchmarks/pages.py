"""How long the console's pages take with many contacts: every page over HTTP from gunicorn, as `hub up` runs it.

The hub reads a made-up shop first, evaluates a scenario for everybody, and then each page is asked for in turn by a
signed-in owner. Told are the 95th percentile of each page's time to its last byte, and the first page's size.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa
from harness import (
    Figures,
    Hub,
    Line,
    _environ,
    connect,
    databases,
    fresh_database,
    open_hub,
    simulator,
    tell,
    work_folder,
)

sys.path.insert(0, str(Path(__file__).parent.parent))

from hub.app import create_app
from hub.cli.stack import await_web, choose_port, web_command
from hub.services import evaluate
from hub.store.db import db, reading
from hub.store.scenarios import evaluation
from tests.browser.places import places
from tests.conftest import add_user, sign_in

LIMITS = {"sqlite": 0.250, "postgresql": 0.150}
"""Seconds for the 95th percentile of every page."""
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

SCENARIO = {
    "key": "bench",
    "name": "Bench",
    "segment": {"key": "everybody", "name": "Everybody", "definition": {"field": "email", "known": True}},
    "connection": "crm",
    "channel": "email",
    "topic": "offers",
    "automation": "list:61",
}


@dataclass(frozen=True)
class Example:
    """Ids that the pages need."""

    run_id: str
    evaluation_id: str


def fill(hub: Hub, customers: int) -> Example:
    """A shop with its orders read, and a scenario decided for everybody; nothing of it is delivered."""
    with simulator("woocommerce", "--customers", customers, "--no-recorded", "--tls") as shop, simulator("hubspot") as crm:
        connect(hub, "woocommerce", shop, "woocommerce")
        connect(hub, "hubspot", crm, "crm")
        hub.sync("woocommerce")
        evaluate.publish_scenario(hub.context, SCENARIO)
        evaluation_id = evaluate.request_evaluation(hub.context, "bench")
        hub.wait(lambda: _is_done(evaluation_id))
    with reading() as session:
        run_id = str(session.scalar(sa.text("SELECT id FROM run ORDER BY id LIMIT 1")))
    return Example(run_id, evaluation_id)


def _is_done(evaluation_id: str) -> bool:
    with reading() as session:
        state = session.scalar(sa.select(evaluation.c.state).where(evaluation.c.id == evaluation_id))
    return state in ("done", "failed")


@contextmanager
def served(hub: Hub) -> Iterator[str]:
    port = choose_port("127.0.0.1", 0)
    process = subprocess.Popen(
        web_command(hub.settings, "127.0.0.1", port), env={**os.environ, **_environ(hub.settings)}, stdin=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        await_web(url)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def measure(kind: str, customers: int, rounds: int) -> tuple[Figures, list[Line]]:
    with work_folder() as folder, fresh_database(kind, folder) as url, open_hub(url, folder) as hub:
        example = fill(hub, customers)
        if kind == "postgresql":
            with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text("ANALYZE"))
        app = create_app(hub.settings, pages=True)
        with app.app_context():
            client = app.test_client()
            sign_in(client, add_user(app, "owner"))
            paths = places(app, example)
            cookie: Any = client.get_cookie("hub_session")
            with served(hub) as address:
                times = ask(address, cookie.value, paths, rounds)
            db.engine.dispose()
    slowest = sorted(times, key=lambda path: times[path], reverse=True)
    for path in slowest[:8]:
        print(f"{NAMES[kind]}: {1000 * times[path]:6.0f} ms  {path}", file=sys.stderr)
    worst = times[slowest[0]]
    line = Line(
        f"slowest of {len(paths)} pages with {customers:,} contacts, {NAMES[kind]}",
        f"p95 {1000 * worst:.0f} ms ({slowest[0]})",
        f"< {1000 * LIMITS[kind]:.0f} ms",
        worst < LIMITS[kind],
    )
    return {f"pages {kind}": times}, [line]


def ask(address: str, cookie: str, paths: list[str], rounds: int) -> dict[str, float]:
    """Path → 95th percentile in seconds."""
    found: dict[str, list[float]] = {path: [] for path in paths}
    with requests.Session() as session:
        session.cookies.set("hub_session", cookie)
        session.trust_env = False
        for number in range(rounds + 1):
            for path in paths:
                started = time.perf_counter()
                answer = session.get(address + path, timeout=60, allow_redirects=False)
                spent = time.perf_counter() - started
                if answer.status_code not in (200, 302):
                    raise SystemExit(f"{path} answered {answer.status_code}")
                if number:  # the first round warms up
                    found[path].append(spent)
    return {path: sorted(spent)[int(0.95 * (len(spent) - 1))] for path, spent in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--customers", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append", help="default: those that answer")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    figures: Figures = {}
    lines: list[Line] = []
    for kind in given.database or databases():
        more, told = measure(kind, given.customers, given.rounds)
        figures |= more
        lines += told
    tell(figures, lines, as_json=given.json)


if __name__ == "__main__":
    main()
