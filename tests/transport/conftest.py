"""Real servers on loopback for the HTTP client: WSGI applications, and sockets that answer whatever a test writes."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from wsgiref.types import WSGIApplication

import pytest

from hub.core.http import Token
from hub.core.redact import forget_secrets
from hub.transport import Http, HttpSettings
from hub.transport.simulation import Server

LOOPBACK = frozenset({"127.0.0.1"})
Serve = Callable[[WSGIApplication], str]
RawServe = Callable[[Callable[[socket.socket], None]], str]


@pytest.fixture(autouse=True)
def no_known_secrets() -> Iterator[None]:
    forget_secrets()
    yield
    forget_secrets()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve an application; its address."""
    servers: list[Server] = []

    def start(app: WSGIApplication) -> str:
        server = Server(app)
        server.__enter__()
        servers.append(server)
        return server.url

    yield start
    for server in servers:
        server.close()


@contextmanager
def raw(handler: Callable[[socket.socket], None]) -> Iterator[str]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(20)
            self.request.recv(65536)
            try:
                handler(self.request)
            except OSError:
                return  # the client hung up, which is what most of these tests want

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Listener(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{listener.server_address[1]}"
        listener.shutdown()
        thread.join()


@pytest.fixture
def raw_serve() -> Iterator[RawServe]:
    """Serve bytes by hand: the handler gets the socket after a request came in."""
    running: list[AbstractContextManager[str]] = []

    def start(handler: Callable[[socket.socket], None]) -> str:
        context = raw(handler)
        running.append(context)
        return context.__enter__()

    yield start
    for context in running:
        context.__exit__(None, None, None)


@pytest.fixture
def connect() -> Callable[..., Http]:
    """A client bound to an address on loopback; keywords are `HttpSettings` and those of `Http` and `bind`."""

    def make(url: str, auth: Any = None, **rest: Any) -> Http:
        own = {name: rest.pop(name) for name in ("budget", "tokens") if name in rest}
        judge = rest.pop("judge", None)
        rest.setdefault("private_hosts", LOOPBACK)
        return Http("Shop", HttpSettings(**rest), **own).bind(url, auth, judge=judge)

    return make


class MemoryTokens:
    """A `TokenStore` as the hub's own works: a version guard, and one refresher at a time."""

    def __init__(self, token: Token, waiting: float = 5.0) -> None:
        self.token = token
        self.waiting = waiting
        self.saves = 0
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()

    def load(self) -> Token:
        return self.token

    def save(self, token: Token, *, replacing: int) -> bool:
        with self._lock:
            if self.token.version != replacing:
                return False
            self.token = token
            self.saves += 1
            return True

    @contextmanager
    def refreshing(self) -> Iterator[bool]:
        got = self._refreshing.acquire(timeout=self.waiting)
        try:
            yield got
        finally:
            if got:
                self._refreshing.release()


@pytest.fixture
def tokens() -> Callable[..., MemoryTokens]:
    return MemoryTokens
