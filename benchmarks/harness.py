"""What the benchmarks share: simulators, peers and whole hubs in processes of their own, and what a process used."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import psycopg
from redis import Redis
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

from hub.app import create_app, redis_url
from hub.cli.parent import PARENT
from hub.cli.schema import migrate
from hub.cli.session import workers_running
from hub.cli.stack import Stack
from hub.core.errors import SetupError
from hub.core.settings import Settings, read_settings, variable
from hub.core.types import RunState
from hub.services import connections, summary, sync
from hub.services.context import Context
from hub.store.db import db
from hub.transport.simulation import STATE_PATH

HERE = Path(__file__).parent
PEERS = HERE / "peers"
BENCH_PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"
"""Where dlt lives: `make .venv-bench/.installed`."""

SERVER = os.environ.get("HUB_TEST_DATABASE_URL") or "postgresql+psycopg://postgres@127.0.0.1/postgres"
"""The PostgreSQL that is measured if it answers; everything happens in schemas of our own, which are dropped again."""

SCHEMA = f"hub_bench_{os.getpid()}"
TICKS = os.sysconf("SC_CLK_TCK")

Figures = dict[str, Any]


# Processes


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, all its threads together; 0 where the system does not tell (not Linux)."""
    with suppress(OSError):
        parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / TICKS
    return 0.0


def peak_mb(pid: int) -> float:
    """The most memory that a process had in use, in MB; 0 where the system does not tell (not Linux)."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    return 0.0


@dataclass(frozen=True)
class Simulated:
    """A simulator in a process of its own."""

    url: str
    credentials: dict[str, str]

    def state(self) -> Figures:
        with urllib.request.urlopen(self.url + STATE_PATH, timeout=30) as answer:
            return cast(Figures, json.load(answer))

    def get(self, path: str) -> Any:
        """What a simulator shows beside its counters, for example `contacts`."""
        with urllib.request.urlopen(f"{self.url}/_simulator/{path}", timeout=60) as answer:
            return json.load(answer)


@contextmanager
def simulator(platform: str, *options: object) -> Iterator[Simulated]:
    """`hub simulate PLATFORM …` until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hub.cli", "simulate", platform, "--json", *map(str, options)],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, PARENT: str(os.getpid())},
    )
    try:
        line = process.stdout.readline() if process.stdout else b""
        if not line:
            raise SetupError("The simulator does not start", subject=platform, cure="Run it alone: hub simulate " + platform)
        given = json.loads(line)
        yield Simulated(given["url"], given["credentials"])
    finally:
        process.terminate()
        process.wait(timeout=20)
        if process.stdout:
            process.stdout.close()


def start_peer(python: Path | str, script: str, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
    """A script of `peers/` in a process of its own."""
    return subprocess.Popen(
        [str(python), str(PEERS / script), *arguments],
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def await_peer(process: subprocess.Popen[bytes]) -> Figures:
    """The one JSON line that a peer ends with."""
    out, errors = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"a peer broke: {errors.decode(errors='replace')[-2000:]}")
    return cast(Figures, json.loads(out.splitlines()[-1]))


def run_peer(python: Path | str, script: str, *arguments: str, **environ: str) -> Figures:
    return await_peer(start_peer(python, script, *arguments, **environ))


# Databases


def postgres_answers() -> bool:
    with suppress(psycopg.Error), psycopg.connect(plain_url(), connect_timeout=2):
        return True
    return False


def databases() -> list[str]:
    """The kinds of database that can be measured here."""
    return ["sqlite", "postgresql"] if postgres_answers() else ["sqlite"]


def plain_url(url: str = SERVER) -> str:
    """The address as drivers other than SQLAlchemy's take it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[str]:
    """The address of an empty database; on PostgreSQL a schema that is dropped at the end, with those named after it."""
    if kind == "sqlite":
        yield f"sqlite:///{(folder / 'bench.sqlite').resolve()}"
        return
    drop_schemas()
    with psycopg.connect(plain_url(), autocommit=True) as server:
        server.execute(f"CREATE SCHEMA {SCHEMA}")
    try:
        yield f"{SERVER}{'&' if '?' in SERVER else '?'}options={quote(f'-csearch_path={SCHEMA}')}"
    finally:
        drop_schemas()


def drop_schemas() -> None:
    with psycopg.connect(plain_url(), autocommit=True) as server:
        for name in (SCHEMA, f"{SCHEMA}_dlt", f"{SCHEMA}_dlt_staging"):
            server.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


# The hub


@dataclass
class Hub:
    """A hub as `hub up` runs it, without the console: Redis, scheduler and workers are processes of their own."""

    settings: Settings
    context: Context
    stack: Stack
    redis: Redis
    spent: dict[int, tuple[float, float]] = field(default_factory=dict)

    def workers(self) -> list[int]:
        """Process ids of the workers that run now."""
        return [
            child.process.pid
            for child in self.stack.children
            if child.name.startswith("worker") and child.process and child.process.poll() is None
        ]

    def helpers(self) -> list[int]:
        """Process ids of the scheduler and of Redis."""
        found = [child.process.pid for child in self.stack.children if child.name == "schedule" and child.process]
        return [*found, int(cast(dict[str, Any], self.redis.info("server"))["process_id"])]

    def cpu(self) -> tuple[float, float]:
        """Processor seconds of the workers, and of the scheduler and Redis, so far."""
        return sum(map(cpu_seconds, self.workers())), sum(map(cpu_seconds, self.helpers()))

    def peak_mb(self) -> float:
        """The peak of the worker that needed most."""
        return max(map(peak_mb, self.workers()))

    def wait(self, finished: Callable[[], bool], *, limit: float = 1800.0, every: float = 0.2) -> None:
        """Keep the processes running until `finished` says so."""
        deadline = time.monotonic() + limit
        while not finished():
            self.stack.watch()
            if time.monotonic() > deadline:
                raise SystemExit(f"a benchmark did not come to its end within {limit:.0f} s")
            time.sleep(every)

    def sync(self, name: str, *streams: str) -> Figures:
        """One sync to its end: counts, seconds from the claim (before the first call) to after the last commit."""
        before = self.cpu()
        group = sync.request_sync(self.context, name, streams)
        finished = (RunState.DONE, RunState.FAILED)
        self.wait(lambda: all(run.state in finished for run in summary.group_runs(group)))
        after = self.cpu()
        listed = summary.group_runs(group)
        if any(run.state != RunState.DONE for run in listed):
            raise SystemExit(f"a run failed: {[run.error for run in listed]}")
        seconds = (max(run.finished_at for run in listed) - min(run.started_at for run in listed)).total_seconds()
        counts = {name: sum(getattr(run, name) for run in listed) for name in ("read", "created", "updated", "unchanged")}
        return {
            **counts,
            "quarantined": sum(run.quarantined for run in listed),
            "seconds": seconds,
            "cpu": after[0] - before[0],
            "helpers_cpu": after[1] - before[1],
            "peak_mb": self.peak_mb(),
        }


@contextmanager
def open_hub(url: str, folder: Path, *, workers: int = 1, **rest: Any) -> Iterator[Hub]:
    """A hub on an empty database, its workers listening; everything is stopped at the end of the block."""
    given = {"allow_private_hosts": frozenset({"127.0.0.1"}), "sync_every": 0.0, "log_level": "warning", **rest}
    settings = read_settings(
        {}, data=folder / "data", database_url=url, namespace="hub-bench", workers=workers, log_format="json", **given
    )
    settings.data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        log = stack.enter_context((folder / "hub.log").open("ab"))
        processes = stack.enter_context(Stack(settings, _environ(settings), log))
        app = create_app(settings)
        migrate(app)
        processes.start_workers(workers)
        stack.enter_context(app.app_context())
        stack.callback(db.engine.dispose)
        hub = Hub(settings, cast(Context, app.extensions["hub"]), processes, Redis.from_url(redis_url(settings)))
        stack.callback(hub.redis.close)
        hub.wait(lambda: workers_running(app), limit=60.0, every=0.05)
        yield hub


def _environ(settings: Settings) -> dict[str, str]:
    """The settings for the child processes; an empty text is as good as none, so what the shell has set does not count."""
    listed = {item.name: getattr(settings, item.name) for item in fields(Settings)}
    texts = {name: ",".join(value) if isinstance(value, frozenset) else str(value) for name, value in listed.items()}
    return {variable(name): text for name, text in texts.items()}


def connect(hub: Hub, platform: str, simulated: Simulated, name: str, **options: Any) -> str:
    """Connect a simulated account; returns the connection's id."""
    credentials = {"url": simulated.url, **simulated.credentials}
    return connections.connect(hub.context, platform, credentials, name=name, options=options).connection.id


@contextmanager
def work_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hub-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


# Telling


def median(values: Iterable[float]) -> float:
    return float(statistics.median(list(values)))


def load() -> str:
    """The load average of the machine's last minute, and its processors."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


def show(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """One table for people."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(f"{cell:,.2f}" if isinstance(cell, float) else str(cell) for cell in row))
    Console(width=140).print(table)


@dataclass(frozen=True)
class Line:
    """One line of the closing table: what was measured against what is aimed at."""

    name: str
    measured: str
    aim: str
    held: bool

    def row(self) -> tuple[str, str, str, str]:
        return self.name, self.measured, self.aim, "held" if self.held else "NOT HELD"


def tell(figures: Figures, lines: Sequence[Line], *, as_json: bool) -> None:
    """The end of each benchmark: the lines as a table, or everything as one JSON object."""
    if as_json:
        print(json.dumps({**figures, "lines": [vars(line) for line in lines]}, default=str))
    else:
        show(f"Lines ({load()})", ("line", "measured", "aim", ""), [line.row() for line in lines])
