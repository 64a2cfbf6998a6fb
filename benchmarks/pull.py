"""The pull path beside its peers: a shop's customers into the hub, into dlt, and through a plain loop.

All read the same records of the same simulated shop over real HTTP, in turns within one run. The shop has made its records
before, so that this is in nobody's time. dlt reads them with its own REST source; «flattened» is dlt given ready rows. The
hub does it as in production: relay, RQ, a worker process, mapping, identities, consents, checkpoints. Rates run from the
first call to the last commit; memory and processor time are those of the process that does the work.
"""

from __future__ import annotations

import argparse
import base64
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from harness import (
    BENCH_PYTHON,
    SCHEMA,
    Figures,
    Hub,
    Line,
    Simulated,
    connect,
    databases,
    fresh_database,
    load,
    median,
    open_hub,
    plain_url,
    run_peer,
    show,
    simulator,
    tell,
    work_folder,
)

from hub.connectors.woocommerce.schema import FIELDS
from hub.store import contacts, records
from hub.store.db import reading
from hub.store.limits import usage

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
LARGEST_MB, FLAT = 150.0, 0.15


@contextmanager
def shop(customers: int, latency: str = "0ms") -> Iterator[Simulated]:
    """`--tls` lets the peers in with a key in the header, as behind https; the hub signs each call, as over http."""
    options = ("--customers", customers, "--no-recorded", "--no-orders", "--tls", "--latency", latency)
    with simulator("woocommerce", *options) as simulated:
        warm(simulated)
        yield simulated


def warm(simulated: Simulated) -> None:
    """Have the shop make each record's text once: it keeps them, and the first runner would else wait for all others."""
    key = f"{simulated.credentials['key']}:{simulated.credentials['secret']}"
    headers = {"Authorization": f"Basic {base64.b64encode(key.encode()).decode()}"}
    query = {"orderby": "id", "order": "asc", "per_page": 100, "_fields": ",".join(FIELDS["customers"]), "role": "all"}
    for page in range(1, -(-simulated.state()["customers"] // 100) + 1):
        address = f"{simulated.url}/wp-json/wc/v3/customers?{urlencode({**query, 'page': page})}"
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=60) as answer:
            answer.read()


def pull_with_hub(simulated: Simulated, kind: str, *, syncs: int = 1) -> list[Figures]:
    """One hub, `syncs` times the whole list of customers; each with its calls at the shop."""
    with work_folder() as folder, fresh_database(kind, folder) as url, open_hub(url, folder) as hub:
        connection_id = connect(hub, "woocommerce", simulated, "shop")
        return [_sync(hub, simulated, connection_id) for _ in range(syncs)]


def _sync(hub: Hub, simulated: Simulated, connection_id: str) -> Figures:
    before = simulated.state()["calls"]
    touched = _stamps()
    figures = hub.sync("shop", "customers")
    spent = usage(hub.redis, connection_id, prefix=hub.settings.namespace)
    with reading() as session:
        stored = records.count_records(session, connection_id).get("customers", 0)
        people = contacts.count_contacts(session)
    return {
        **figures,
        "records": stored,
        "contacts": people,
        "written": _stamps() != touched,
        "calls": simulated.state()["calls"] - before,
        "throttled": spent.throttled,
    }


def _stamps() -> tuple[Any, ...]:
    """When a record and a contact were last written: the same before and after means that nothing was."""
    with reading() as session:
        columns = (records.record.c.changed_at, contacts.contact.c.updated_at)
        return tuple(session.scalar(sa.select(sa.func.max(column))) for column in columns)


def pull_with_plain(simulated: Simulated, kind: str) -> list[Figures]:
    with work_folder() as folder, fresh_database(kind, folder) as url:
        target = url if kind == "sqlite" else plain_url(url)
        return [run_peer(sys.executable, "plain_pull.py", simulated.url, target, **_keys(simulated))]


def pull_with_dlt(simulated: Simulated, kind: str, way: str = "raw") -> list[Figures]:
    with work_folder() as folder, fresh_database(kind, folder) as url:
        target = url if kind == "sqlite" else plain_url()
        arguments = (way, simulated.url, target, str(folder), "main" if kind == "sqlite" else f"{SCHEMA}_dlt")
        before = simulated.state()["calls"]
        found = run_peer(BENCH_PYTHON, "dlt_pull.py", *arguments, **_keys(simulated))
        return [{**found, "calls": simulated.state()["calls"] - before}]


def _keys(simulated: Simulated) -> dict[str, str]:
    return {"SHOP_KEY": simulated.credentials["key"], "SHOP_SECRET": simulated.credentials["secret"]}


RUNNERS: dict[str, Callable[[Simulated, str], list[Figures]]] = {
    "hub": pull_with_hub,
    "dlt 1.31": pull_with_dlt,
    "dlt 1.31, flattened": partial(pull_with_dlt, way="flat"),
    "plain loop": pull_with_plain,
}


def compare(customers: int, repeat: int, kinds: list[str]) -> tuple[Figures, list[Line]]:
    """The hub, dlt and the plain loop in turns, `repeat` times; medians, and the median of the rounds' own ratios."""
    rounds: dict[tuple[str, str], list[Figures]] = {}
    with shop(customers) as simulated:
        for number in range(repeat):
            for kind in kinds:
                names = list(RUNNERS)
                for name in names if number % 2 == 0 else reversed(names):
                    rounds.setdefault((name, kind), []).append(RUNNERS[name](simulated, kind)[0])
    table = {key: _medians(found, customers) for key, found in rounds.items()}
    lines = []
    for kind in kinds:
        pairs = list(zip(rounds["hub", kind], rounds["dlt 1.31", kind], strict=True))
        ratio = median(dlt["seconds"] / ours["seconds"] for ours, dlt in pairs)
        processor = median(dlt["cpu"] / ours["cpu"] for ours, dlt in pairs if ours["cpu"])
        name = f"pull of {customers:,} beside dlt, {NAMES[kind]}"
        lines.append(Line(name, f"{ratio:.2f}× ({processor:.2f}× per CPU second)", "≥ 1.5×, aim 3×", ratio >= 1.5))
    return {f"{name} {kind}": figures for (name, kind), figures in table.items()}, lines


def _medians(found: list[Figures], customers: int) -> Figures:
    missing = [one["records"] for one in found if one["records"] != customers]
    if missing:
        raise SystemExit(f"{missing[0]} of {customers} records were stored")
    names = ("seconds", "cpu", "peak_mb", "calls", "throttled")
    figures = {name: median(one[name] for one in found) for name in names}
    helpers = median(one.get("helpers_cpu", 0.0) for one in found)
    return {**figures, "rate": customers / figures["seconds"], "helpers_cpu": helpers}


def with_latency(customers: int, repeat: int, kinds: list[str], latency: str) -> tuple[Figures, list[Line]]:
    """The hub alone, against a shop that answers slowly: it asks ahead."""
    figures: Figures = {}
    lines: list[Line] = []
    with shop(customers, latency) as simulated:
        for kind in kinds:
            rates = [customers / pull_with_hub(simulated, kind)[0]["seconds"] for _ in range(repeat)]
            figures[f"latency {kind}"] = {"rate": median(rates)}
            name = f"pull of {customers:,} at {latency} of latency, {NAMES[kind]}"
            lines.append(Line(name, f"{median(rates):,.0f}/s", "> 8,000/s", median(rates) > 8000))
    return figures, lines


def with_memory(sizes: tuple[int, int], kinds: list[str]) -> tuple[Figures, list[Line]]:
    """The worker's peak for a small and a large shop."""
    figures: Figures = {}
    lines: list[Line] = []
    for kind in kinds:
        peaks = []
        for customers in sizes:
            with shop(customers) as simulated:
                peaks.append(pull_with_hub(simulated, kind)[0]["peak_mb"])
        figures[f"memory {kind}"] = dict(zip(map(str, sizes), peaks, strict=True))
        flat = abs(peaks[1] - peaks[0]) <= FLAT * peaks[0] and max(peaks) < LARGEST_MB
        measured = f"{peaks[0]:.0f} → {peaks[1]:.0f} MB"
        lines.append(Line(f"worker's peak, {sizes[0]:,} → {sizes[1]:,}, {NAMES[kind]}", measured, "±15 %, < 150 MB", flat))
    return figures, lines


def with_rerun(customers: int, repeat: int, kinds: list[str]) -> tuple[Figures, list[Line]]:
    """A second sync where nothing changed."""
    figures: Figures = {}
    lines: list[Line] = []
    with shop(customers) as simulated:
        for kind in kinds:
            pairs = [pull_with_hub(simulated, kind, syncs=2) for _ in range(repeat)]
            ratio = median(first["seconds"] / second["seconds"] for first, second in pairs)
            still = all(second["unchanged"] == customers and not second["written"] for _, second in pairs)
            figures[f"rerun {kind}"] = {"ratio": ratio, "rate": customers / median(second["seconds"] for _, second in pairs)}
            measured = f"{ratio:.1f}×, {'no row' if still else 'rows'} written"
            lines.append(Line(f"pull again, nothing changed, {NAMES[kind]}", measured, "≥ 3×, 0 writes", still and ratio >= 3))
    return figures, lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--customers", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3, help="rounds; medians are told")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), action="append", help="default: those that answer")
    parser.add_argument("--latency", metavar="50ms", help="the hub alone, against a shop that answers this slowly")
    parser.add_argument("--memory", action="store_true", help="the worker's peak for a small and a large shop")
    parser.add_argument("--sizes", default="10000,200000", help="the customers of the two")
    parser.add_argument("--rerun", action="store_true", help="a second sync, nothing changed")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    kinds = given.database or databases()
    if given.latency:
        figures, lines = with_latency(given.customers, given.repeat, kinds, given.latency)
    elif given.memory:
        small, large = map(int, given.sizes.split(","))
        figures, lines = with_memory((small, large), kinds)
    elif given.rerun:
        figures, lines = with_rerun(given.customers, given.repeat, kinds)
    else:
        figures, lines = compare(given.customers, given.repeat, kinds)
        if not given.json:
            show_runners(figures, given.customers)
    tell(figures, lines, as_json=given.json)


def show_runners(figures: Figures, customers: int) -> None:
    headings = ("runner", "records/s", "peak MB", "CPU s", "… helpers", "calls", "429")
    rows = [
        (
            name,
            f"{one['rate']:,.0f}",
            f"{one['peak_mb']:.0f}",
            one["cpu"],
            one["helpers_cpu"],
            int(one["calls"]),
            int(one["throttled"]),
        )
        for name, one in figures.items()
    ]
    show(f"Pull of {customers:,} customers, medians ({load()})", headings, rows)


if __name__ == "__main__":
    main()
