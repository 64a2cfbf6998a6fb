"""The API budget of one connection, shared by all its workers in Redis and counted by the Redis server's clock.

The decisions are made in `limits.lua`, in one round trip and atomically; here stands what goes in and what comes out.
Nothing sleeps, and nothing in memory matters: a worker that dies, or a Redis that is emptied, costs at most one window.
"""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
from redis import Redis
from redis import exceptions as failures

from hub.core.connector import Limits
from hub.core.errors import RateLimited, Unavailable
from hub.core.http import Answer
from hub.core.types import Lane
from hub.transport import retry_after

log = logging.getLogger("hub.store.limits")

SCRIPT = Path(__file__).with_name("limits.lua").read_text("utf-8")
UNSTATED_BLOCK = 10.0
"""Seconds to stay away after a 429 that names no time, from a vendor whose window is not known either."""
POLICY_BLOCKS = {"SECONDLY": 1.0, "TEN_SECONDLY_ROLLING": 10.0}
"""Seconds by HubSpot's `policyName`; its own Node client waits as long."""
WHY = {1: "burst", 2: "daily", 3: "vendor"}
"""What refuses: our window, the day's limit (ours or theirs), a 429 of the vendor that still holds."""
GONE = (failures.ConnectionError, failures.TimeoutError, failures.ReadOnlyError, failures.OutOfMemoryError)

Pairs = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Usage:
    """`calls` and `throttled` (answers 429) since the last reset or of one day; what is used of the window and of the
    vendor's day now; `blocked_for` seconds."""

    calls: int
    throttled: int
    window_used: int
    daily_used: int
    blocked_for: float


class RedisBudget:
    """A `hub.core.http.Budget`. `day_starts` is when the vendor's day begins, in seconds after midnight UTC.

    URGENT goes first and is never paced; EVENT goes before BULK. Some of a window is kept for a higher lane only while
    one waits there; 2 % of a day always are. Threads and processes may share a connection's budget.
    """

    def __init__(
        self, redis: Redis, connection_id: str, limits: Limits, *, prefix: str = "hub", day_starts: float = 0.0
    ) -> None:
        self.connection_id = connection_id
        self.limits = limits
        self._keys = _keys(prefix, connection_id)
        self._script: Any = redis.register_script(SCRIPT)
        self._now: int | None = None  # microseconds; only tests set the clock
        self._mine = threading.local()
        self._limits: Pairs = {
            "burst": limits.burst or 0,
            "window": _micro(limits.window),
            "daily": limits.daily or 0,
            "day_starts": _micro(day_starts % 86400),
        }

    def take(self, lane: Lane) -> None:
        """Count one call, or raise `RateLimited` (`after` is when to try again, details say which limit) uncounted.

        `Unavailable` when Redis does not answer: no call is made that nobody counts.
        """
        self._mine.slot = None
        try:
            granted, number, why = self._run("take", {"lane": lane.value})
        except failures.RedisError as error:
            if not _is_gone(error):
                raise
            raise Unavailable("The hub's Redis does not answer", after=2.0, cause=str(error)) from error
        if not granted:
            raise RateLimited(
                after=number / 1e6,
                local=True,
                connection=self.connection_id,
                details={"limit": WHY[why], "lane": lane.value},
            )
        self._mine.slot = number

    def learn(self, answer: Answer) -> None:
        """Read limits, what is left and a 429's waiting time; never raises for Redis, since the call is already made."""
        slot, self._mine.slot = getattr(self._mine, "slot", None), None
        said = _read_headers(answer)
        if answer.status == 429:
            said |= self._read_refusal(answer)
        if slot and self.limits.burst:
            said["slot"] = slot
        if not said:
            return
        pairs: Pairs = {"throttled": "no", "elapsed": _micro(answer.elapsed), **said}
        try:
            self._run("learn", pairs)
        except failures.RedisError as error:
            if not _is_gone(error):
                raise
            log.warning("what an answer said about the API budget is lost: %s", error)

    def _read_refusal(self, answer: Answer) -> Pairs:
        """How long a 429 asks to stay away, and whether it is the day's limit that is used up."""
        policy = _policy(answer.body)
        said: Pairs = {"throttled": "daily" if policy == "DAILY" else "yes"}
        wait = retry_after(answer, datetime.now(UTC)) or POLICY_BLOCKS.get(policy)
        if wait is None and policy != "DAILY" and not self.limits.burst:
            wait = UNSTATED_BLOCK
        if wait is not None:
            said["block"] = _micro(wait)
        return said

    def _run(self, verb: str, pairs: Pairs) -> list[int]:
        pairs = {"verb": verb, **self._limits, **pairs}
        if self._now is not None:
            pairs["now"] = self._now
        result: list[int] = self._script(keys=self._keys, args=[part for pair in pairs.items() for part in pair])
        return result


def usage(redis: Redis, connection_id: str, *, day: date | None = None, prefix: str = "hub") -> Usage:
    """What a connection has used; with `day` (UTC, the last 40 are kept) `calls` and `throttled` are that day's."""
    pairs: Pairs = {"verb": "report"}
    if day is not None:
        pairs["day"] = (day - date(1970, 1, 1)).days
    script: Any = redis.register_script(SCRIPT)
    found = script(keys=_keys(prefix, connection_id), args=[part for pair in pairs.items() for part in pair])
    calls, throttled, window_used, daily_used, blocked = found
    return Usage(calls, throttled, window_used, daily_used, blocked / 1e6)


def reset_usage(redis: Redis, connection_id: str, *, prefix: str = "hub") -> None:
    """Set the counters of calls and refusals to nothing. What is used of the limits stays: the vendor counts on."""
    redis.delete(_keys(prefix, connection_id)[2])


def _keys(prefix: str, connection_id: str) -> list[str]:
    """Log, state and counters; the braces keep them together in a Redis cluster."""
    return [f"{prefix}:budget:{{{connection_id}}}:{name}" for name in ("log", "state", "usage")]


def _micro(seconds: float) -> int:
    return round(seconds * 1e6)


def _read_headers(answer: Answer) -> Pairs:
    """HubSpot's headers as the script's names; what is absent, no number or negative is left out."""
    said: Pairs = {}
    for name, header, least in (
        ("vendor_burst", "max", 1),
        ("vendor_left", "remaining", 0),
        ("vendor_window", "interval-milliseconds", 1),
        ("vendor_daily", "daily", 1),
        ("vendor_daily_left", "daily-remaining", 0),
    ):
        try:
            value = float(answer.headers.get(f"x-hubspot-ratelimit-{header}", ""))
        except ValueError:
            continue
        if math.isfinite(value) and value >= least:
            said[name] = int(value)
    if "vendor_window" in said:
        said["vendor_window"] = int(said["vendor_window"]) * 1000
    return said


def _policy(body: bytes) -> str:
    """`policyName` of a HubSpot 429, or nothing."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return str(parsed.get("policyName") or "") if isinstance(parsed, dict) else ""


def _is_gone(error: failures.RedisError) -> bool:
    """Redis is away, or may not write (a replica, no memory, a full disk)."""
    return isinstance(error, GONE) or str(error).startswith(("MISCONF", "BUSY", "CLUSTERDOWN", "NOREPLICAS"))
