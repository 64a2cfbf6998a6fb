from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from hub.connectors import hubspot
from hub.connectors.hubspot import simulator
from hub.connectors.hubspot.simulator import HubSpotSimulator
from hub.core.connector import Account, Connector, Outgoing
from hub.core.http import Token
from hub.transport import Http, HttpSettings
from hub.transport.simulation import Server

SETTINGS = HttpSettings(private_hosts=frozenset({"127.0.0.1"}))


class MemoryTokens:
    """A token store in memory, with the lock that a shared one has."""

    def __init__(self, refresh: str, access: str = "", expires_at: datetime | None = None) -> None:
        self.token = Token(access, refresh, expires_at, 1)
        self._lock = threading.Lock()

    def load(self) -> Token:
        return self.token

    def save(self, token: Token, *, replacing: int) -> bool:
        if self.token.version != replacing:
            return False
        self.token = token
        return True

    @contextmanager
    def refreshing(self) -> Iterator[bool]:
        got = self._lock.acquire(timeout=5)
        try:
            yield got
        finally:
            if got:
                self._lock.release()


class Bench:
    """A served simulator and what it takes to connect to it."""

    def __init__(self, sim: HubSpotSimulator, url: str) -> None:
        self.sim = sim
        self.url = url

    def connect(self, **options: Any) -> Connector:
        account = Account("c-1", "crm", {**self.sim.token_credentials(), "url": self.url}, options)
        return hubspot.build(account, Http("crm", SETTINGS))

    def connect_app(self, tokens: MemoryTokens, **options: Any) -> Connector:
        account = Account("c-1", "crm", {**self.sim.credentials(), "url": self.url}, options)
        return hubspot.build(account, Http("crm", SETTINGS, tokens=tokens))

    def calls(self) -> int:
        return int(self.sim.state()["calls"])


@pytest.fixture
def serve() -> Iterator[Callable[..., Bench]]:
    servers: list[Server] = []

    def start(**options: Any) -> Bench:
        sim = simulator.build(**{"burst": 100_000, **options})
        server = Server(sim.app)
        servers.append(server)
        server.__enter__()
        return Bench(sim, server.url)

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def bench(serve: Callable[..., Bench]) -> Bench:
    return serve()


@pytest.fixture
def memory_tokens() -> type[MemoryTokens]:
    return MemoryTokens


@pytest.fixture
def people() -> Callable[..., list[Outgoing]]:
    def make(count: int, start: int = 0, **values: Any) -> list[Outgoing]:
        return [
            Outgoing(f"k{at}", {"email": f"p{at}@example.test", "firstname": f"P{at}", **values})
            for at in range(start, start + count)
        ]

    return make


@pytest.fixture
def long_ago() -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC)
