"""Every platform behind its own simulator, reached through the real transport."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from hub import connectors
from hub.core.connector import Account, Connector
from hub.core.http import Token
from hub.core.redact import forget_secrets
from hub.transport import Http, HttpSettings
from hub.transport.simulation import Faults, Server, Simulator

SETTINGS = HttpSettings(connect_timeout=2, read_timeout=5, private_hosts=frozenset({"127.0.0.1"}))


class Tokens:
    """A token store of one test."""

    def __init__(self, token: Token) -> None:
        self.token = token

    def load(self) -> Token:
        return self.token

    def save(self, token: Token, *, replacing: int) -> bool:
        self.token = token
        return True

    @contextmanager
    def refreshing(self) -> Iterator[bool]:
        yield True


@dataclass
class Bench:
    """One platform's simulator at `url`, and connectors to it."""

    name: str
    simulator: Any
    url: str

    def credentials(self) -> dict[str, str]:
        """The simplest way in: a fixed token where the platform has one."""
        given = getattr(self.simulator, "token_credentials", self.simulator.credentials)()
        return {"url": self.url, **given}

    def connect(self, options: Mapping[str, Any] | None = None, **credentials: str) -> Connector:
        return self._build({**self.credentials(), **credentials}, options or {})

    def receiver(self) -> Connector:
        """A connector with every secret that signs webhooks: the app's, and the one of recorded deliveries."""
        given = {"url": self.url, **self.simulator.credentials(), "webhook_secret": "hub-webhook-secret"}
        return self._build(given, {})

    def _build(self, credentials: Mapping[str, str], options: Mapping[str, Any]) -> Connector:
        account = Account("c1", "test", credentials, options)
        token = Token("", credentials.get("refresh_token", ""), None, 1)
        return connectors.load(self.name).build(account, Http("test", SETTINGS, tokens=Tokens(token)))


Open = Callable[..., Bench]


@pytest.fixture
def open_bench() -> Iterator[Open]:
    """`open_bench(name, faults=[("429", 1.0)], **options)`: a served simulator; closed after the test."""
    with ExitStack() as stack:

        def start(name: str, *, faults: Any = (), retry_after: str = "7", **options: Any) -> Bench:
            module = importlib.import_module(f"hub.connectors.{name}.simulator")
            simulator: Simulator = module.build(**options)
            server = stack.enter_context(Server(Faults(simulator.app, faults, retry_after=retry_after)))
            return Bench(name, simulator, server.url)

        yield start
    forget_secrets()
