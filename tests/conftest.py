"""What every test may use: a database of each kind that is there, a Redis of its own, simulators behind real sockets.

SQLite is always tried; PostgreSQL too if a server answers (HUB_TEST_DATABASE_URL names another one). Nothing is skipped.
"""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from itsdangerous import URLSafeTimedSerializer
from redis import Redis

from hub.app import create_app, with_migrations
from hub.core.redact import forget_secrets
from hub.core.settings import Settings, read_settings
from hub.services import connections, delivery, evaluate, passwords, sync
from hub.services.context import Context
from hub.store import boxes, dues, runs
from hub.store.db import db, reading
from hub.store.holds import RedisHolds
from hub.store.redis_server import EmbeddedRedis
from hub.transport.simulation import Faults, Server

ROOT = Path(__file__).parent.parent
MIGRATIONS = str(ROOT / "migrations")

hypothesis_settings.register_profile(
    "hub",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
hypothesis_settings.load_profile("hub")

# Hundreds of sign-ins: the same algorithm, not the same 64 MiB each. Processes that tests start hash as in production.
passwords._hasher = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1)


# Which databases there are


def _server_url() -> sa.URL:
    return sa.make_url(os.environ.get("HUB_TEST_DATABASE_URL") or "postgresql+psycopg://postgres@127.0.0.1/postgres")


def _admin(url: sa.URL) -> psycopg.Connection[Any]:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(plain, autocommit=True, connect_timeout=2)


def _find_postgres() -> str:
    """The server's version, or nothing."""
    try:
        with _admin(_server_url()) as connection:
            row = connection.execute("SHOW server_version").fetchone()
    except psycopg.OperationalError:
        return ""
    return str(row[0]) if row else ""


POSTGRES = _find_postgres()
DATABASES = ["sqlite", "postgresql"] if POSTGRES else ["sqlite"]


def pytest_sessionstart(session: pytest.Session) -> None:
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or hasattr(session.config, "workerinput"):
        return
    postgres = f"PostgreSQL {POSTGRES}" if POSTGRES else "no PostgreSQL (set HUB_TEST_DATABASE_URL)"
    terminal.write_line(f"databases: SQLite, {postgres}; Redis: bundled")


class _Postgres:
    """One database for this process, emptied before each test."""

    def __init__(self, worker: str) -> None:
        self._server = _server_url()
        self.name = f"hub_test_{os.getpid()}_{worker}"
        with _admin(self._server) as connection:
            connection.execute(f'CREATE DATABASE "{self.name}"')
        self._url = self._server.set(drivername="postgresql+psycopg", database=self.name)
        self._tables: list[str] = []
        self._migrated = False

    @property
    def url(self) -> str:
        url = self._url.update_query_dict({"options": "-csynchronous_commit=off"})
        return url.render_as_string(hide_password=False)

    def empty(self, migrate: Callable[[str], None]) -> str:
        if not self._migrated:
            migrate(self.url)
            self._migrated = True
        with _admin(self._url) as connection:
            if not self._tables:
                found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
                self._tables = [row[0] for row in found if row[0] != "alembic_version"]
            # The ledger's own triggers refuse to be emptied: only a superuser's replica role goes past them.
            connection.execute("SET session_replication_role = replica")
            connection.execute("; ".join(f'DELETE FROM "{table}"' for table in self._tables))
        return self.url

    def drop(self) -> None:
        with _admin(self._server) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> str:
    return str(getattr(request.config, "workerinput", {}).get("workerid", "main"))


@pytest.fixture(scope="session")
def _postgres(worker: str) -> Iterator[_Postgres]:
    server = _Postgres(worker)
    yield server
    server.drop()


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "hub.sqlite"
    migrate(f"sqlite:///{path}")
    return path


def migrate(url: str) -> None:
    """All migrations, through the application as `hub migrate` does it."""
    with (
        tempfile.TemporaryDirectory(prefix="hub-test-") as folder,
        open_app(make_settings(Path(folder), url)) as app,
        app.app_context(),
    ):
        upgrade(directory=MIGRATIONS)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis of this process; a short path, because a socket's path must be short."""
    with tempfile.TemporaryDirectory(prefix="hub-test-") as folder, EmbeddedRedis(Path(folder)) as server:
        yield server.url


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a migrated, empty database; the test runs once for each kind."""
    if request.param == "postgresql":
        server: _Postgres = request.getfixturevalue("_postgres")
        return server.empty(migrate)
    copy = tmp_path / "hub.sqlite"
    shutil.copy(request.getfixturevalue("_migrated_sqlite"), copy)
    return f"sqlite:///{copy}"


# The application


def make_settings(data: Path, url: str, redis: str = "unix:///nowhere", **rest: Any) -> Settings:
    given = {"slice": 600.0, "allow_private_hosts": frozenset({"127.0.0.1"}), **rest}
    return read_settings({}, data=data, database_url=url, redis_url=redis, **given)


@contextmanager
def open_app(settings: Settings) -> Iterator[Flask]:
    """The application as the doors build it; its log goes where pytest looks, and its connections are closed."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    app = with_migrations(create_app(settings, pages=True))
    root.handlers[:] = handlers
    try:
        yield app
    finally:
        with app.app_context():
            db.engine.dispose()
        app.extensions["hub_redis"].close()


@pytest.fixture
def settings(database: str, redis_url: str, tmp_path: Path) -> Settings:
    return make_settings(tmp_path / "data", database, redis_url)


def add_user(app: Flask, *roles: str, email: str = "", active: bool = True) -> Any:
    """A user with these roles, as the hub keeps them; returns the row. Must run in the application's context."""
    datastore = app.extensions["hub_security"].datastore
    address = email or f"{roles[0] if roles else 'nobody'}@hub.example"
    found = datastore.find_user(email=address)
    if found is None:
        found = datastore.create_user(email=address, name=address.partition("@")[0].title(), active=active)
        for name in roles:
            datastore.add_role_to_user(found, datastore.find_or_create_role(name))
        datastore.commit()
    return found


def sign_in(client: FlaskClient, user: Any) -> None:
    """The session that a complete sign-in leaves, without the steps of one."""
    with client.session_transaction() as session:
        session["_user_id"] = user.fs_uniquifier
        session["_fresh"] = True
        session["fs_cc"] = "set"
        session["fs_paa"] = time.time()
        session["identity.id"] = user.fs_uniquifier


def form_token(client: FlaskClient) -> str:
    """A token for this client's forms, as a page would carry it (field `csrf_token` or header `X-CSRFToken`)."""
    with client.session_transaction() as session:
        raw = session.setdefault("csrf_token", "0" * 40)
    return str(URLSafeTimedSerializer(client.application.secret_key or "", salt="wtf-csrf-token").dumps(raw))


class Clock:
    """The time of day, moved at will."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def forward(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(settings: Settings, clock: Clock) -> Iterator[Flask]:
    with Redis.from_url(settings.redis_url) as redis:
        redis.flushall()
    with open_app(settings) as app:
        app.extensions["hub"] = replace(app.extensions["hub"], now=clock)
        with app.app_context():
            yield app
    forget_secrets()


@pytest.fixture
def context(app: Flask) -> Context:
    found: Context = app.extensions["hub"]
    return found


@pytest.fixture
def in_threads(app: Flask) -> Callable[..., list[Any]]:
    """`in_threads(verb, …)`: all at once, each in a thread with the application; results, or the exceptions, in order."""

    def run(*verbs: Callable[[], Any]) -> list[Any]:
        results: list[Any] = [None] * len(verbs)
        barrier = threading.Barrier(len(verbs))

        def one(place: int, verb: Callable[[], Any]) -> None:
            with app.app_context():
                barrier.wait()
                try:
                    results[place] = verb()
                except Exception as error:
                    results[place] = error

        threads = [threading.Thread(target=one, args=(place, verb)) for place, verb in enumerate(verbs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return results

    return run


# Platforms


@dataclass
class Served:
    """A simulator and where it answers; `faults` may be changed while it runs."""

    simulator: Any
    url: str
    faults: Faults

    def credentials(self) -> dict[str, str]:
        return {"url": self.url, **self.simulator.credentials()}

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.simulator.state()
        return found


Serve = Callable[..., Served]


def _serve(stack: ExitStack, platform: str, **defaults: Any) -> Serve:
    def start(**options: Any) -> Served:
        simulator = importlib.import_module(f"hub.connectors.{platform}.simulator").build(**{**defaults, **options})
        faults = Faults(simulator.app)
        return Served(simulator, stack.enter_context(Server(faults)).url, faults)

    return start


@pytest.fixture
def shop() -> Iterator[Serve]:
    """`shop(customers=50)`: a served shop; empty unless told otherwise."""
    with ExitStack() as stack:
        yield _serve(stack, "woocommerce", recorded=False)


@pytest.fixture
def crm() -> Iterator[Serve]:
    """`crm(poison="a@b.example")`: a served CRM account."""
    with ExitStack() as stack:
        yield _serve(stack, "hubspot")


@dataclass
class Pair:
    """A shop and a CRM, both connected, and the verbs that the workers would call."""

    context: Context
    shop: Served
    crm: Served
    shop_id: str
    crm_id: str
    run_sync: Callable[..., list[Any]]
    run_deliveries: Callable[[], int]

    def publish(self, **changes: Any) -> str:
        """A scenario «paid orders at least once in 90 days» by the list that starts the workflow; returns its key."""
        definition = {
            "key": "welcome",
            "name": "Welcome",
            "segment": {"key": "buyers", "name": "Buyers", "definition": {"orders": {"paid": True, "within_days": 90}}},
            "connection": "hubspot",
            "channel": "email",
            "topic": "offers",
            "automation": f"list:{self.crm.simulator.list_id}",
            "starts_per_minute": 100_000,
            **changes,
        }
        evaluate.publish_scenario(self.context, definition)
        return str(definition["key"])

    def evaluate(self, key: str = "welcome") -> str:
        evaluation_id = evaluate.request_evaluation(self.context, key)
        assert evaluate.advance_evaluation(self.context, evaluation_id, "test", lambda: False)
        return evaluation_id


@pytest.fixture
def run_sync(context: Context) -> Callable[..., list[Any]]:
    """`run_sync("woocommerce")`: every run of one sync as workers would do it; returns the rows of its runs."""

    def run(name: str, *streams: str) -> list[Any]:
        group_id = sync.request_sync(context, name, streams)
        while True:
            with reading() as session:
                mine = {row.id for row in runs.list_runs(session, group_id=group_id)}
                due = [run_id for run_id, _ in runs.due_runs(session, context.now()) if run_id in mine]
            if not due:
                break
            for run_id in due:
                sync.advance_run(context, run_id, "test", lambda: False)
        with reading() as session:
            return list(runs.list_runs(session, group_id=group_id))

    return run


@pytest.fixture
def run_deliveries(app: Flask, context: Context) -> Callable[[], int]:
    """Deliver what is due until nothing is, as the relay and a worker would; returns how many effects were settled.

    A budget that asks for a moment gets it; whatever has to wait longer (a throttle, a fault) ends the round. Each round
    begins without holds: they are hints, and know nothing of a clock that was moved.
    """
    redis = app.extensions["hub_redis"]
    holds = RedisHolds(redis, context.settings.namespace)

    def run() -> int:
        settled = 0
        for key in redis.keys(f"{context.settings.namespace}:hold:*"):
            redis.delete(key)
        for _ in range(1000):
            with reading() as session:
                parcels = [parcel for parcel, _ in dues.due_parcels(session, context.now())]
                soon = dues.next_due(session, context.now())
            waiting = holds.waiting({key for parcel in parcels for key in (parcel.lane_key, str(parcel))})
            waits: dict[boxes.Parcel | None, float] = {
                parcel: max(waiting.get(parcel.lane_key, 0), waiting.get(str(parcel), 0)) for parcel in parcels
            }
            free = [parcel for parcel in parcels if not waits[parcel]]
            if soon:
                waits[None] = max((soon - context.now()).total_seconds(), 0.001)
            if not free and min(waits.values(), default=60) > 1:
                break
            if not free:
                time.sleep(min(waits.values()))
            settled += sum(delivery.deliver(context, parcel, "test", lambda: False) for parcel in free)
        return settled

    return run


@pytest.fixture
def connected(
    context: Context, shop: Serve, crm: Serve, run_sync: Callable[..., list[Any]], run_deliveries: Callable[[], int]
) -> Callable[..., Pair]:
    """`connected(shop={…}, crm={…})`: both platforms served with these options and connected."""

    def connect(shop_options: Mapping[str, Any] | None = None, crm_options: Mapping[str, Any] | None = None) -> Pair:
        a_shop, a_crm = shop(**(shop_options or {})), crm(**(crm_options or {}))
        first = connections.connect(context, "woocommerce", a_shop.credentials())
        second = connections.connect(context, "hubspot", a_crm.credentials())
        return Pair(context, a_shop, a_crm, first.connection.id, second.connection.id, run_sync, run_deliveries)

    return connect
