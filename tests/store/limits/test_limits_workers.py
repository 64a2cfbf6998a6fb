"""Six worker processes and a vendor that enforces its limit, in real time."""

from __future__ import annotations

import multiprocessing
import threading
import time
import uuid
from collections import deque
from multiprocessing.synchronize import Barrier
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from limits_clock import TEN, most_in_a_window
from redis import Redis

from hub.core.connector import Limits
from hub.core.errors import RateLimited
from hub.core.http import Call
from hub.core.types import Lane
from hub.store.limits import RedisBudget
from hub.transport import Http, HttpSettings
from hub.transport.simulation import Server


class Vendor:
    """A WSGI application that allows `burst` calls in each rolling `window` seconds of its own clock."""

    def __init__(self, burst: int, window: float) -> None:
        self.burst, self.window = burst, window
        self.recent: deque[float] = deque()
        self.allowed: list[float] = []
        self.refused = 0
        self.lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        with self.lock:
            now = time.monotonic()
            while self.recent and self.recent[0] <= now - self.window:
                self.recent.popleft()
            free = len(self.recent) < self.burst
            if free:
                self.recent.append(now)
                self.allowed.append(now)
            else:
                self.refused += 1
        start_response("200 OK" if free else "429 Too Many", [("Content-Type", "application/json"), ("Retry-After", "1")])
        return [b"{}"]


def hammer(
    address: tuple[str, str], prefix: str, limits: Limits, seconds: float, barrier: Barrier, longest: Any, lane: Lane
) -> None:
    """One worker process: call, and when refused come back at the time that was told."""
    vendor, redis_url = address
    client = Redis.from_url(redis_url)
    http = Http(
        "c", HttpSettings(private_hosts=frozenset({"127.0.0.1"})), budget=RedisBudget(client, "c", limits, prefix=prefix)
    )
    http = http.bind(vendor)
    barrier.wait(60)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        asked = time.monotonic()
        while True:
            try:
                http.call(Call("GET", "/", lane=lane))
                break
            except RateLimited as refused:
                time.sleep(refused.after or 0)
        if lane is Lane.URGENT:
            longest.value = max(longest.value, time.monotonic() - asked)
            time.sleep(0.5)


@pytest.mark.parametrize(("limits", "seconds"), [(Limits(burst=11, window=1.0), 6.0), (TEN, 13.0)], ids=["1s", "10s"])
def test_six_processes_use_the_quota_and_are_not_throttled(embedded: str, limits: Limits, seconds: float) -> None:
    spawn = multiprocessing.get_context("spawn")
    vendor, prefix = Vendor(limits.burst or 0, limits.window), f"test-{uuid.uuid4().hex}"
    lanes = [Lane.BULK] * 6 + [Lane.URGENT]
    barrier, longest = spawn.Barrier(len(lanes) + 1), spawn.Value("d", 0.0)
    with Server(vendor) as server:
        processes = [
            spawn.Process(target=hammer, args=((server.url, embedded), prefix, limits, seconds, barrier, longest, lane))
            for lane in lanes
        ]
        for process in processes:
            process.start()
        barrier.wait(60)
        began = time.monotonic()
        for process in processes:
            process.join(60)
    assert [process.exitcode for process in processes] == [0] * len(lanes)
    allowed = [at for at in vendor.allowed if at <= began + seconds]
    share = len(allowed) / ((limits.burst or 0) / limits.window * seconds)
    assert most_in_a_window(vendor.allowed, limits.window) <= (limits.burst or 0)
    assert vendor.refused <= 0.01 * len(vendor.allowed) + 1, "at most one stray 429 on a busy machine"
    assert share >= 0.9
    assert longest.value < 1.0
    assert sum(at < began + 1.0 for at in allowed) <= 20
