"""What every platform's simulator shares: serving on loopback, latency, faults on request. Never on a production path.

A simulator is a WSGI application that keeps state and answers in the recordings' shape. `Faults` stands before it and
spoils answers the way networks and vendors do.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from waitress.server import create_server

from hub.core.errors import Invalid
from hub.core.types import Json

STATE_PATH = "/_simulator/state"
"""Every simulator answers its counters here as JSON; faults and latency leave this path alone."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of `hub simulate PLATFORM`: `kind` is int, float, str or bool."""

    name: str
    kind: type
    default: Any
    meaning: str


class Simulator(Protocol):
    """What each platform's `simulator.build(**options)` returns."""

    app: WSGIApplication

    def credentials(self) -> Mapping[str, str]:
        """What `hub connect` needs besides the address."""

    def state(self) -> dict[str, Json]:
        """What the platform has received so far; the same as at `STATE_PATH`."""


class SimulatorFolder(Protocol):
    """What a platform's `simulator.py` offers."""

    OPTIONS: tuple[Option, ...]

    def build(self, **options: Any) -> Simulator: ...


KINDS = ("html", "truncate", "drop", "redirect", "slow")


def parse_fault(text: str) -> tuple[str, float]:
    """«429:0.1» is a status and its share of calls; `html`, `truncate`, `drop`, `redirect`, `slow` are other faults."""
    kind, _, share = text.partition(":")
    try:
        part = float(share or "1")
    except ValueError:
        part = -1.0
    if not 0 <= part <= 1 or not (kind in KINDS or (kind.isdigit() and 300 <= int(kind) <= 599)):
        raise Invalid(
            "The fault cannot be read: {fault}",
            fields={"fault": "Write a status or one of {kinds}, then a colon and a share from 0 to 1, for example 429:0.1"},
            fault=text,
            kinds=", ".join(KINDS),
        )
    return kind, part


def parse_latency(text: str) -> float:
    """«50ms» or «0.5s» in seconds."""
    for unit, factor in (("ms", 0.001), ("s", 1.0)):
        if text.endswith(unit):
            try:
                return float(text[: -len(unit)]) * factor
            except ValueError:
                break
    raise Invalid("The latency cannot be read: {text}", fields={"latency": "Write for example 50ms or 0.5s"}, text=text)


class Faults:
    """Spoils a seeded share of the answers. `spoiled` counts by kind."""

    def __init__(
        self,
        app: WSGIApplication,
        faults: Iterable[tuple[str, float]] = (),
        *,
        latency: float = 0.0,
        seed: int = 1,
        retry_after: str = "1",
    ) -> None:
        self.app = app
        self.faults = list(faults)
        self.latency = latency
        self.spoiled: Counter[str] = Counter()
        self.retry_after = retry_after
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if str(environ.get("PATH_INFO", "")).startswith("/_simulator/"):
            return self.app(environ, start_response)
        if self.latency:
            time.sleep(self.latency)
        kind = self._draw()
        if kind is None:
            return self.app(environ, start_response)
        with self._lock:
            self.spoiled[kind] += 1
        return self._spoil(kind, environ, start_response)

    def _draw(self) -> str | None:
        with self._lock:
            at = self._random.random()
        for kind, share in self.faults:
            if at < share:
                return kind
            at -= share
        return None

    def _spoil(self, kind: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if kind == "slow":
            time.sleep(60)
            return self.app(environ, start_response)
        if kind == "html":
            start_response("200 OK", [("Content-Type", "text/html; charset=UTF-8")])
            return [b"<!DOCTYPE html><title>Checking your browser</title>"]
        if kind == "redirect":
            start_response("302 Found", [("Location", "https://elsewhere.example/"), ("Content-Length", "0")])
            return [b""]
        if kind in ("truncate", "drop"):
            return self._cut(kind, environ, start_response)
        headers = [("Content-Type", "application/json")]
        if kind in ("429", "503"):
            headers.append(("Retry-After", self.retry_after))
        start_response(f"{kind} Fault", headers)
        return [b'{"message":"fault on request","code":"simulated"}']

    def _cut(self, kind: str, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The true answer, cut in half: as a whole (`truncate`) or against its own Content-Length (`drop`)."""
        seen: list[Any] = []

        def note(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            seen[:] = [status, headers]
            return lambda _: None

        body = b"".join(self.app(environ, note))
        half = body[: len(body) // 2]
        status, headers = seen
        length = len(half) if kind == "truncate" else len(body)
        kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(status, [*kept, ("Content-Length", str(length))])
        return [half]


class Server:
    """A WSGI application served on loopback by a thread of this process; a context manager. `port` 0 picks a free one."""

    def __init__(self, app: WSGIApplication, port: int = 0, threads: int = 16) -> None:
        self._server = create_server(
            app,
            host="127.0.0.1",
            port=port,
            threads=threads,
            ident="simulator",
            clear_untrusted_proxy_headers=True,
        )
        self.url = f"http://127.0.0.1:{self._server.effective_port}"
        self._thread = threading.Thread(target=self._server.run, name="simulator", daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self) -> None:
        """Serve in this thread until `close`."""
        self._server.run()

    def close(self) -> None:
        if self._thread.is_alive():
            # Workers first: one that ends its answer after the hang-up would wake a loop that is gone.
            self._server.task_dispatcher.shutdown(timeout=1)
            with suppress(OSError):  # the loop ended by itself between the question and the call
                self._server.trigger.pull_trigger(self._hang_up)
            self._thread.join(timeout=5)
        else:
            self._server.close()

    def _hang_up(self) -> None:
        """In the server's own thread: its loop ends only when no kept-alive connection is left."""
        for channel in list(self._server.active_channels.values()):
            channel.handle_close()
        self._server.close()
