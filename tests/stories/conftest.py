"""Long paths through real processes: the commands as a person types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Hub:
    """`hub …` in a data folder of its own; `run` waits for the end, `start` does not."""

    environ: dict[str, str]
    stack: ExitStack = field(default_factory=ExitStack)

    def run(self, *arguments: str, expect: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "hub.cli", *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == expect, f"hub {' '.join(arguments)} → {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str, expect: int = 0, **environ: str) -> Any:
        return json.loads(self.run(*arguments, "--json", expect=expect, **environ).stdout)

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "hub.cli", *arguments],
            env={**self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stack.callback(end, process)
        return process

    def simulate(self, platform: str, *options: str) -> dict[str, Any]:
        """A simulator in a process of its own: its address and credentials."""
        process = self.start("simulate", platform, "--json", *options)
        assert process.stdout is not None
        return json.loads(process.stdout.readline())

    def connect(self, platform: str, served: Mapping[str, Any], *options: str) -> Any:
        given = {"url": served["url"], **served["credentials"]}
        flags = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]
        return self.json("connect", platform, *flags, *options)


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUB_")}
    made = Hub({**kept, "HUB_DATA": str(tmp_path / "data"), "HUB_ALLOW_PRIVATE_HOSTS": "127.0.0.1", "LANG": "C.UTF-8"})
    with made.stack:
        yield made


def wait_for(what: Callable[[], Any], seconds: float = 60.0, every: float = 0.1) -> Any:
    """The first true answer of `what`."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(every)


def children_of(pid: int) -> Sequence[tuple[int, str]]:
    """(pid, command line) of a process's direct children."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, IndexError, ValueError):
            continue
        if parent == pid:
            found.append((int(folder.name), line))
    return found
