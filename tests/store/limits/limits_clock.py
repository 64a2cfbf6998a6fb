"""A budget whose clock is set by the test, and what the tests count."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from redis import Redis

from hub.core.connector import Limits
from hub.core.errors import RateLimited
from hub.core.http import Answer
from hub.core.types import Lane
from hub.store.limits import RedisBudget, usage

NOON = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp())
TEN = Limits(burst=110, window=10.0)


class Clocked:
    """A budget whose clock is set; `at` seconds after the start."""

    def __init__(self, redis: Redis, limits: Limits, *, start: float = NOON, **rest: Any) -> None:
        self.redis, self.start = redis, start
        self.prefix = redis.test_prefix  # type: ignore[attr-defined]
        self.budget = RedisBudget(redis, "c", limits, prefix=self.prefix, **rest)
        self.set(0.0)

    def set(self, at: float) -> None:
        self.at = at
        self.budget._now = round(self.start) * 1_000_000 + round(at * 1e6)

    def take(self, lane: Lane = Lane.BULK) -> float:
        """0 when granted, else the seconds to wait."""
        try:
            self.budget.take(lane)
        except RateLimited as refused:
            error = refused
        else:
            return 0.0
        assert error.local
        assert error.connection == "c"
        assert error.after
        self.details = error.details
        return error.after

    def run_until(self, end: float, lane: Lane = Lane.BULK) -> list[float]:
        """The times of all calls that one eager caller gets through before `end`."""
        times = []
        while self.at < end:
            wait = self.take(lane)
            if not wait:
                times.append(self.at)
            self.set(self.at + wait)
        return times

    def learn(self, status: int = 200, body: bytes = b"{}", elapsed: float = 0.05, **headers: object) -> None:
        named = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        self.budget.learn(Answer(status, named, body, elapsed))

    def vendor(self, elapsed: float = 0.05, **said: object) -> None:
        """An answer with HubSpot's headers."""
        self.learn(elapsed=elapsed, **{f"x-hubspot-ratelimit-{name}": value for name, value in said.items()})


def most_in_a_window(times: Iterable[float], window: float) -> int:
    recent: deque[float] = deque()
    most = 0
    for at in sorted(times):
        recent.append(at)
        while recent[0] <= at - window:
            recent.popleft()
        most = max(most, len(recent))
    return most


def usage_of(clocked: Clocked, **rest: Any) -> Any:
    return usage(clocked.redis, "c", prefix=clocked.prefix, **rest)
