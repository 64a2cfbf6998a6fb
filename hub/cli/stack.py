"""The hub's processes on one machine: Redis, scheduler, workers, web — started, watched and stopped together."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO
from urllib.error import URLError

from hub.cli.parent import PARENT, STOP_SECONDS
from hub.core.errors import SetupError
from hub.core.settings import Settings
from hub.store.redis_server import EmbeddedRedis


@dataclass
class Child:
    """One process that must run; `restarts` counts how often it had to be started again."""

    name: str
    arguments: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    started: float = 0.0


@dataclass
class Stack:
    """Starts the children in order, restarts those that die, stops them in reverse order. A context manager."""

    settings: Settings
    environ: Mapping[str, str] = field(default_factory=dict)
    log: IO[bytes] | None = None
    children: list[Child] = field(default_factory=list)
    redis: EmbeddedRedis | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Stack:
        if self.settings.embedded_redis:
            self.redis = EmbeddedRedis(self.settings.data).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, name: str, *arguments: str) -> Child:
        """Start `hub <arguments>` as a child that is kept running."""
        child = Child(name, [sys.executable, "-m", "hub.cli", *arguments])
        self.children.append(child)
        self._spawn(child)
        return child

    def start_web(self, host: str, port: int) -> Child:
        child = Child("web", web_command(self.settings, host, port))
        self.children.append(child)
        self._spawn(child)
        return child

    def start_workers(self, count: int) -> None:
        self.start("schedule", "schedule")
        for number in range(count):
            self.start(f"worker {number + 1}", "work")

    def _spawn(self, child: Child) -> None:
        # A session of its own: Ctrl-C reaches the supervisor alone, which then stops everything in order.
        child.process = subprocess.Popen(  # noqa: S603
            child.arguments,
            env={**os.environ, **self.environ, PARENT: str(os.getpid())},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=self.log or sys.stderr.fileno(),
            stderr=self.log or sys.stderr.fileno(),
        )
        child.started = time.monotonic()

    def watch(self) -> list[Child]:
        """Start again what has died; returns what was started again. One that dies at once waits a little longer."""
        again = []
        if self.redis is not None and not self._stopping.is_set():
            self.redis.start()  # a server that runs is left alone; one that died comes back with its queues
        for child in self.children:
            if child.process is None or child.process.poll() is None or self._stopping.is_set():
                continue
            if time.monotonic() - child.started < min(0.5 * child.restarts, 10.0):
                continue
            child.restarts += 1
            self._spawn(child)
            again.append(child)
        return again

    def stop(self) -> None:
        """Ask every child to end (workers finish their batch), then Redis."""
        self._stopping.set()
        running = [child.process for child in reversed(self.children) if child.process and child.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.redis is not None:
            self.redis.stop()
            self.redis = None


def web_command(settings: Settings, host: str, port: int) -> list[str]:
    """Gunicorn with threads: the pages wait for the database, not for the processor."""
    return [
        *(sys.executable, "-m", "gunicorn", "hub.app:wsgi()"),
        *("--bind", f"{host}:{port}", "--worker-class", "gthread", "--threads", str(settings.web_threads)),
        *("--log-level", "warning", "--graceful-timeout", "10", "--name", "hub web", "--no-control-socket"),
    ]


LOOPBACK = ("127.0.0.1", "::1", "localhost")


def is_exposed(settings: Settings) -> bool:
    """Whether others reach the console without https: passwords and sessions would pass in clear."""
    return settings.host not in LOOPBACK and not settings.public_url.startswith("https://")


def choose_port(host: str, port: int) -> int:
    """The port if it is free; 0 picks a free one. SetupError when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SetupError(
                "Port {port} is taken by another program",
                subject="HUB_PORT",
                cure="Stop that program, or choose another port; 0 picks a free one",
                port=port,
            ) from error
        return int(probe.getsockname()[1])


def await_web(url: str, seconds: float = 20.0) -> None:
    """Wait until the web server answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=2):  # noqa: S310 - our own loopback address
                return
        except (URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise SetupError("The web server does not start", cure="Read its lines in the log", subject=url) from error
            time.sleep(0.1)
