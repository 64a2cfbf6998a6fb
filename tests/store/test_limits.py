"""The shared API budget: step by step with a set clock, and six processes against a vendor that enforces its limit."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from hub.core.connector import Limits
from hub.core.errors import RateLimited, Unavailable
from hub.core.http import Answer, Call
from hub.core.types import Lane
from hub.store.limits import RedisBudget, reset_usage, usage
from hub.store.redis_server import EmbeddedRedis
from hub.transport import Http, HttpSettings
from hub.transport.simulation import Server

OWN_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/13")
NOON = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp())
TEN = Limits(burst=110, window=10.0)


@pytest.fixture(scope="module")
def embedded() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="hub-test-") as name, EmbeddedRedis(Path(name)) as server:
        yield server.url


@pytest.fixture(scope="module", params=["embedded", "own"])
def url(request: pytest.FixtureRequest, embedded: str) -> str:
    if request.param == "embedded":
        return embedded
    try:
        with Redis.from_url(OWN_URL, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as client:
            client.ping()
    except RedisError:
        pytest.skip("no Redis at TEST_REDIS_URL")
    return OWN_URL


@pytest.fixture
def redis(url: str) -> Iterator[Redis]:
    prefix = f"test-{uuid.uuid4().hex}"
    with Redis.from_url(url) as client:
        client.test_prefix = prefix  # type: ignore[attr-defined]
        yield client
        for key in client.scan_iter(f"{prefix}:*"):
            client.delete(key)


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


def test_bulk_uses_the_whole_quota_and_never_more(redis: Redis) -> None:
    clocked = Clocked(redis, TEN)
    times = clocked.run_until(60.0)
    assert most_in_a_window(times, 10.0) == 110
    assert len(times) > 0.98 * 660


def test_a_window_is_never_burnt_in_its_first_second(redis: Redis) -> None:
    clocked = Clocked(redis, TEN)
    assert len(clocked.run_until(1.0)) <= 15


def test_late_callers_catch_up_what_they_missed(redis: Redis) -> None:
    clocked = Clocked(redis, TEN)
    times: list[float] = []
    while clocked.at < 60.0:
        wait = clocked.take()
        times += [] if wait else [clocked.at]
        clocked.set(clocked.at + wait + (0.06 if wait else 0.0))
    assert len(times) > 0.95 * 660


def test_urgent_calls_are_not_paced_but_keep_the_limit(redis: Redis) -> None:
    clocked = Clocked(redis, TEN)
    assert [clocked.take(Lane.URGENT) for _ in range(110)] == [0.0] * 110
    assert clocked.take(Lane.URGENT) == pytest.approx(10.05, abs=0.001)
    assert clocked.details["limit"] == "burst"


@pytest.mark.parametrize("limits", [Limits(burst=11, window=1.0), TEN])
def test_an_urgent_call_gets_the_next_slot_while_bulk_saturates(redis: Redis, limits: Limits) -> None:
    clocked = Clocked(redis, limits)
    clocked.run_until(25.0)
    assert clocked.take() == 0.0
    asked = clocked.at
    wait = clocked.take(Lane.URGENT)
    assert wait > 0
    back = clocked.at + wait + 0.3  # it comes back late, and bulk keeps asking meanwhile
    clocked.run_until(back)
    clocked.set(back)
    assert clocked.take(Lane.URGENT) == 0.0
    assert back - asked < 1.0


def test_many_urgent_calls_share_the_reserve_while_bulk_saturates(redis: Redis) -> None:
    clocked = Clocked(redis, TEN)
    clocked.run_until(25.0)
    came, served = clocked.at, []
    waiting = [clocked.at + clocked.take(Lane.URGENT) for _ in range(5)]
    while waiting:
        at = min(waiting)
        waiting.remove(at)
        clocked.run_until(at)
        clocked.set(at)
        wait = clocked.take(Lane.URGENT)
        if wait:
            waiting.append(at + wait)
        else:
            served.append(at - came)
    assert max(served) < 1.0


def test_the_reserve_is_given_back_when_nobody_urgent_waits(redis: Redis) -> None:
    clocked = Clocked(redis, Limits(burst=5, window=1.0))
    for _ in range(5):
        assert clocked.take(Lane.URGENT) == 0.0
    wait = clocked.take(Lane.URGENT)
    clocked.set(wait + 0.5)
    assert clocked.take() == 0.0  # four of five slots are for everybody
    assert most_in_a_window(clocked.run_until(wait + 2.0), 1.0) == 4
    clocked.run_until(20.0)
    assert most_in_a_window(clocked.run_until(30.0), 1.0) == 5


def test_a_waiting_event_goes_before_bulk(redis: Redis) -> None:
    clocked = Clocked(redis, Limits(burst=100, window=10.0))
    clocked.run_until(5.0)
    assert clocked.take() == 0.0
    event = clocked.take(Lane.EVENT)
    bulk = clocked.take()
    assert 0 < event < bulk
    clocked.set(clocked.at + event)
    assert clocked.take() > 0
    assert clocked.take(Lane.EVENT) == 0.0


def test_the_waiting_time_is_exact(redis: Redis) -> None:
    clocked = Clocked(redis, Limits(burst=3, window=60.0))
    for at in (0.0, 10.0, 20.0):
        clocked.set(at)
        assert clocked.take(Lane.URGENT) == 0.0
    wait = clocked.take(Lane.URGENT)
    assert wait == pytest.approx(60.3 - 20.0, abs=0.001)
    clocked.set(20.0 + wait - 0.001)
    assert clocked.take(Lane.URGENT) > 0
    clocked.set(20.0 + wait)
    assert clocked.take(Lane.URGENT) == 0.0


def test_a_call_holds_its_slot_from_when_the_vendor_can_have_counted_it(redis: Redis) -> None:
    clocked = Clocked(redis, Limits(burst=1, window=10.0))
    assert clocked.take(Lane.URGENT) == 0.0
    clocked.set(0.05)
    clocked.learn(elapsed=0.05)  # the shortest: the vendor counted at 0.0
    assert clocked.take(Lane.URGENT) == pytest.approx(10.05 - 0.05, abs=0.002)
    clocked.set(10.05)
    assert clocked.take(Lane.URGENT) == 0.0
    clocked.set(10.25)
    clocked.learn(elapsed=0.2)  # a new connection: up to 0.15 later
    assert clocked.take(Lane.URGENT) == pytest.approx(10.05 - 0.2 + 0.15, abs=0.002)
    clocked.set(30.0)
    assert clocked.take(Lane.URGENT) == 0.0
    clocked.set(39.0)
    clocked.learn(elapsed=9.0)  # the vendor's own slowness costs 3 % at most
    assert clocked.take(Lane.URGENT) == pytest.approx(10.05 - 9.0 + 0.3, abs=0.002)


def test_the_daily_reserve_is_for_urgent_calls_alone(redis: Redis) -> None:
    clocked = Clocked(redis, Limits(daily=100))
    assert [clocked.take(Lane.EVENT) for _ in range(98)] == [0.0] * 98
    assert clocked.take() == clocked.take(Lane.EVENT) == 12 * 3600
    assert clocked.details == {"limit": "daily", "lane": "event"}
    assert [clocked.take(Lane.URGENT) for _ in range(2)] == [0.0, 0.0]
    assert clocked.take(Lane.URGENT) == 12 * 3600
    clocked.set(12 * 3600)
    assert clocked.take() == 0.0


@pytest.mark.parametrize(("hours", "left"), [(0, 12), (5, 17), (-5, 7), (23, 11)])
def test_the_day_begins_where_the_vendor_begins_it(redis: Redis, hours: int, left: int) -> None:
    clocked = Clocked(redis, Limits(daily=2), day_starts=hours * 3600)
    assert clocked.take() == 0.0
    assert clocked.take() == left * 3600


def test_no_limits_only_counts(redis: Redis) -> None:
    clocked = Clocked(redis, Limits())
    assert [clocked.take() for _ in range(1000)] == [0.0] * 1000
    assert usage(redis, "c", prefix=clocked.prefix).calls == 1000
    clocked.learn(429)
    assert clocked.take(Lane.URGENT) == 10.0
    assert clocked.details["limit"] == "vendor"


TEN_SECONDLY = b'{"status":"error","errorType":"RATE_LIMIT","policyName":"TEN_SECONDLY_ROLLING"}'
SECONDLY = TEN_SECONDLY.replace(b"TEN_SECONDLY_ROLLING", b"SECONDLY")
DAILY = TEN_SECONDLY.replace(b"TEN_SECONDLY_ROLLING", b"DAILY")


@pytest.mark.parametrize(
    ("body", "headers", "wait"),
    [
        (b"{}", {"retry-after": "7"}, 7.0),
        (TEN_SECONDLY, {"retry-after": "7"}, 7.0),
        (TEN_SECONDLY, {}, 10.0),
        (TEN_SECONDLY, {"retry-after": "0"}, 10.0),
        (SECONDLY, {}, 1.0),
        (SECONDLY, {"retry-after": "soon"}, 1.0),
        (b"<html>", {}, 3.0),
        (b"[]", {}, 3.0),
        (DAILY, {}, 12 * 3600.0),
        (DAILY, {"retry-after": "60"}, 60.0),
    ],
)
def test_a_429_blocks_all_lanes(redis: Redis, body: bytes, headers: dict[str, object], wait: float) -> None:
    clocked = Clocked(redis, Limits(burst=100, window=3.0))
    assert clocked.take() == 0.0
    clocked.learn(429, body, **headers)
    for lane in Lane:
        assert clocked.take(lane) == pytest.approx(wait)
    assert clocked.details["limit"] == ("daily" if body == DAILY else "vendor")
    clocked.set(wait)
    assert clocked.take(Lane.URGENT) == 0.0


def test_a_wrong_midnight_is_not_waited_for_twice(redis: Redis) -> None:
    clocked = Clocked(redis, TEN)
    clocked.learn(429, DAILY)
    assert clocked.take() == 12 * 3600
    clocked.set(12 * 3600)
    assert clocked.take() == 0.0
    clocked.learn(429, DAILY)
    assert clocked.take() == 3600


def test_a_shorter_block_never_ends_a_longer_one(redis: Redis) -> None:
    clocked = Clocked(redis, TEN)
    clocked.learn(429, retry_after=100)
    clocked.set(1.0)
    clocked.learn(429, retry_after=5)
    assert clocked.take() == 99.0


def test_a_throttled_window_slows_down_and_clean_ones_climb_back(redis: Redis) -> None:
    clocked = Clocked(redis, Limits(burst=100, window=1.0))

    def rate(begin: float, seconds: float = 1.0) -> int:
        clocked.set(begin)
        return len(clocked.run_until(begin + seconds))

    rate(0.0)
    before = rate(1.0)
    for _ in range(5):  # calls that were under way: one window, one step
        clocked.learn(429, retry_after=1)
    end = clocked.at + 1.0
    slowed = rate(end, 0.99)
    assert 0.85 * before < slowed < 0.97 * before + 4
    rate(end + 1.0, 8.0)
    assert rate(end + 9.0) >= 97
    assert most_in_a_window(clocked.run_until(end + 15.0), 1.0) <= 100


def test_the_factor_has_a_floor(redis: Redis) -> None:
    clocked = Clocked(redis, Limits(burst=100, window=1.0))
    for n in range(60):
        clocked.set(n * 2.0)
        clocked.learn(429, retry_after=1)
    factor = float(redis.hget(clocked.budget._keys[1], "factor") or 0)
    assert 0.1 <= factor < 0.5
    clocked.set(121.0)
    assert clocked.take() == 0.0


def test_the_vendors_lower_limit_is_learned_and_forgotten(redis: Redis) -> None:
    clocked = Clocked(redis, TEN)
    clocked.vendor(**{"max": 50, "remaining": 50, "interval-milliseconds": 10000})
    clocked.run_until(30.0)
    assert 49 <= len(clocked.run_until(40.0)) <= 50
    clocked.vendor(**{"max": 190, "interval-milliseconds": 10000})
    clocked.run_until(60.0)
    assert 108 <= len(clocked.run_until(70.0)) <= 110


def test_another_interval_is_learned_when_it_is_stricter(redis: Redis) -> None:
    clocked = Clocked(redis, TEN)
    clocked.vendor(**{"max": 5, "interval-milliseconds": 1000})
    clocked.run_until(5.0)
    assert most_in_a_window(clocked.run_until(15.0), 1.0) == 5
    clocked.vendor(**{"max": 100, "interval-milliseconds": 1000})
    assert len(clocked.run_until(16.0)) <= 20


@pytest.mark.parametrize("said", [{"max": "many"}, {"max": "nan", "remaining": "inf"}, {"max": "0"}, {"max": "-5"}])
def test_nonsense_headers_change_nothing(redis: Redis, said: dict[str, str]) -> None:
    clocked = Clocked(redis, TEN)
    clocked.vendor(**said)
    clocked.vendor(**{"max": "110", "remaining": "-3", "interval-milliseconds": "0"})
    assert [clocked.take(Lane.URGENT) for _ in range(110)] == [0.0] * 110


def test_others_on_the_same_account_slow_us_down(redis: Redis) -> None:
    clocked = Clocked(redis, TEN)
    clocked.take()
    clocked.vendor(**{"max": 110, "remaining": 9, "interval-milliseconds": 10000})
    assert [clocked.take(Lane.URGENT) for _ in range(9)] == [0.0] * 9
    assert clocked.take(Lane.URGENT) > 0
    clocked.set(10.1)
    assert clocked.take(Lane.URGENT) == 0.0, "the others' calls leave the window too"
    clocked.set(21.0)
    clocked.vendor(**{"max": 110, "remaining": 110, "interval-milliseconds": 10000})
    assert [clocked.take(Lane.URGENT) for _ in range(110)] == [0.0] * 110


def test_our_own_calls_are_not_taken_for_others(redis: Redis) -> None:
    """The vendor counts exactly what we send: its headers must not cost us any of the quota."""
    clocked = Clocked(redis, TEN)
    times: list[float] = []
    while clocked.at < 60.0:
        wait = clocked.take()
        if not wait:
            times.append(clocked.at)
            seen = sum(at > clocked.at - 10.0 for at in times)
            clocked.vendor(**{"max": 110, "remaining": 110 - seen, "interval-milliseconds": 10000})
        clocked.set(clocked.at + wait)
    assert len(times) > 0.97 * 660


def test_the_vendors_daily_count_is_believed(redis: Redis) -> None:
    clocked = Clocked(redis, Limits(daily=1000))
    clocked.vendor(**{"daily": 1000, "daily-remaining": 21})
    assert usage_of(clocked).daily_used == 0 or usage_of(clocked).daily_used == 979
    assert clocked.take() == 0.0
    assert clocked.take() > 0
    clocked.vendor(**{"daily": 1000, "daily-remaining": 1000})  # its day began anew
    assert clocked.take() == 0.0


def test_a_daily_limit_nobody_declared_is_learned(redis: Redis) -> None:
    clocked = Clocked(redis, TEN)
    clocked.vendor(**{"daily": 500, "daily-remaining": 10})
    assert clocked.take() == 12 * 3600
    assert clocked.take(Lane.URGENT) == 0.0


def test_yesterdays_answer_says_nothing_about_today(redis: Redis) -> None:
    clocked = Clocked(redis, Limits(daily=1000), start=NOON + 12 * 3600)
    clocked.set(0.01)
    clocked.vendor(elapsed=0.05, **{"daily": 1000, "daily-remaining": 0})
    assert clocked.take() == 0.0


def usage_of(clocked: Clocked, **rest: Any) -> Any:
    return usage(clocked.redis, "c", prefix=clocked.prefix, **rest)


def test_counters_by_day_and_in_total(redis: Redis) -> None:
    budget = RedisBudget(redis, "c", TEN, prefix=redis.test_prefix)  # type: ignore[attr-defined]
    for _ in range(3):
        budget.take(Lane.URGENT)
    budget.learn(Answer(429, {"retry-after": "30"}, b"", 0.1))
    prefix = redis.test_prefix  # type: ignore[attr-defined]
    found = usage(redis, "c", prefix=prefix)
    assert (found.calls, found.throttled, found.window_used, found.daily_used) == (3, 1, 3, 3)
    assert 29 < found.blocked_for <= 30
    assert usage(redis, "c", day=datetime.now(UTC).date(), prefix=prefix).calls == 3
    assert usage(redis, "c", day=date(2020, 1, 1), prefix=prefix).calls == 0
    reset_usage(redis, "c", prefix=prefix)
    found = usage(redis, "c", prefix=prefix)
    assert (found.calls, found.throttled, found.window_used) == (0, 0, 3)
    assert usage(redis, "nobody", prefix=prefix) == type(found)(0, 0, 0, 0, 0.0)


def test_old_days_are_forgotten(redis: Redis) -> None:
    clocked = Clocked(redis, Limits())
    for day in range(100):
        clocked.set(day * 86400.0)
        clocked.take()
    assert redis.hlen(clocked.budget._keys[2]) == 42
    assert usage_of(clocked).calls == 100


def test_keys_do_not_live_for_ever(redis: Redis) -> None:
    clocked = Clocked(redis, TEN)
    clocked.take()
    log, state, counters = clocked.budget._keys
    assert 0 < redis.pttl(log) < 80_000
    assert 0 < redis.pttl(state) <= 2 * 86_400_000
    assert redis.ttl(counters) == -1


def test_connections_do_not_share(redis: Redis) -> None:
    prefix = redis.test_prefix  # type: ignore[attr-defined]
    one, two = (RedisBudget(redis, name, Limits(burst=1, window=60), prefix=prefix) for name in ("a", "b"))
    one.take(Lane.BULK)
    two.take(Lane.BULK)
    with pytest.raises(RateLimited):
        one.take(Lane.BULK)


@pytest.mark.parametrize("step", [-3600.0, -5.0, 5.0, 3600.0, 10 * 86400.0, -10 * 86400.0])
def test_a_clock_that_jumps_costs_a_window_at_most(redis: Redis, step: float) -> None:
    clocked = Clocked(redis, Limits(burst=20, window=1.0, daily=10_000_000))
    clocked.run_until(3.0)
    clocked.set(clocked.at + step)
    assert len(clocked.run_until(clocked.at + 10.0)) >= 170


def test_an_emptied_redis_is_harmless(embedded: str) -> None:
    with Redis.from_url(embedded) as client:
        client.test_prefix = "test-emptied"  # type: ignore[attr-defined]
        clocked = Clocked(client, Limits(burst=20, window=1.0))
        times = clocked.run_until(3.5)
        client.flushall()
        clocked.learn(429, retry_after=0)  # the answer to a call from before
        clocked.set(clocked.at + 1.0)
        times += clocked.run_until(6.0)
        client.flushall()
        times += clocked.run_until(9.0)
    assert most_in_a_window(times, 1.0) <= 40


def test_the_script_is_loaded_again_after_script_flush(embedded: str) -> None:
    with Redis.from_url(embedded) as client:
        budget = RedisBudget(client, "c", TEN, prefix="test-flushed")
        budget.take(Lane.BULK)
        client.script_flush()
        budget.take(Lane.BULK)
        client.script_flush()
        assert usage(client, "c", prefix="test-flushed").calls == 2


def test_one_round_trip_a_call(embedded: str) -> None:
    with Redis.from_url(embedded) as client:
        budget = RedisBudget(client, "c", TEN, prefix="test-trips")
        budget.take(Lane.BULK)
        budget.learn(Answer(200, {}, b"", 0.01))
        before: Any = client.info("commandstats")
        for _ in range(3):
            budget.take(Lane.URGENT)
            budget.learn(Answer(200, {}, b"", 0.01))
        after: Any = client.info("commandstats")
        assert after["cmdstat_evalsha"]["calls"] - before["cmdstat_evalsha"]["calls"] == 6
        plain = RedisBudget(client, "d", Limits(), prefix="test-trips")
        plain.take(Lane.URGENT)
        plain.learn(Answer(200, {}, b"", 0.01))  # nothing to say and no window: no trip at all
        last: Any = client.info("commandstats")
        assert last["cmdstat_evalsha"]["calls"] - after["cmdstat_evalsha"]["calls"] == 1


def test_no_redis_no_call(tmp_path: Path) -> None:
    gone = Redis(unix_socket_path=str(tmp_path / "none.sock"), retry=Retry(NoBackoff(), 0))
    budget = RedisBudget(gone, "c", TEN)
    with pytest.raises(Unavailable, match="Redis does not answer") as caught:
        budget.take(Lane.URGENT)
    assert caught.value.after == 2.0
    assert not isinstance(caught.value, RateLimited)
    budget.learn(Answer(429, {"retry-after": "9"}, b"", 0.1))  # the call is made: nothing to be done about it


def test_a_redis_that_may_not_write_is_no_redis(embedded: str) -> None:
    with Redis.from_url(embedded) as client:
        budget = RedisBudget(client, "c", Limits(), prefix="test-memory")
        budget.take(Lane.BULK)
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(Unavailable, match="Redis does not answer"):
                budget.take(Lane.BULK)
        finally:
            client.config_set("maxmemory", 0)
        budget.take(Lane.BULK)


class BudgetMachine(RuleBasedStateMachine):
    """Any order of calls, pauses, answers and 429s against what must always hold."""

    url: str

    @initialize(burst=st.integers(1, 12), window=st.sampled_from([0.5, 1.0, 10.0]), daily=st.sampled_from([None, 60]))
    def begin(self, burst: int, window: float, daily: int | None) -> None:
        self.redis = Redis.from_url(self.url)
        self.redis.test_prefix = f"test-{uuid.uuid4().hex}"  # type: ignore[attr-defined]
        self.limits = Limits(burst=burst, window=window, daily=daily)
        self.clocked = Clocked(self.redis, self.limits)
        self.granted: list[tuple[float, Lane]] = []
        self.blocked_until = 0.0

    def teardown(self) -> None:
        if hasattr(self, "redis"):
            for key in self.redis.scan_iter(f"{self.clocked.prefix}:*"):
                self.redis.delete(key)
            self.redis.close()

    @rule(lane=st.sampled_from(Lane), late=st.floats(0, 0.2))
    def call(self, lane: Lane, late: float) -> None:
        wait = self.clocked.take(lane)
        if not wait:
            assert self.clocked.at >= self.blocked_until - 1e-5
            self.granted.append((self.clocked.at, lane))
            return
        held = self.limits.window * 1.03 + 0.04
        recent = sum(at > self.clocked.at - held for at, _ in self.granted)
        if lane is Lane.URGENT and self.clocked.at >= self.blocked_until and not self.limits.daily:
            assert recent >= self.limits.burst or self.slowed(), "an urgent call is refused only when the window is full"
        self.clocked.set(self.clocked.at + wait + late)

    def slowed(self) -> bool:
        return self.blocked_until > 0

    @rule(seconds=st.floats(0, 3))
    def pause(self, seconds: float) -> None:
        self.clocked.set(self.clocked.at + seconds)

    @precondition(lambda self: self.granted)
    @rule(elapsed=st.floats(0.001, 0.5))
    def answer(self, elapsed: float) -> None:
        self.clocked.set(self.clocked.at + elapsed)
        self.clocked.learn(elapsed=elapsed)

    @precondition(lambda self: self.granted)
    @rule(seconds=st.integers(1, 5))
    def refuse(self, seconds: int) -> None:
        self.clocked.learn(429, retry_after=seconds)
        self.blocked_until = max(self.blocked_until, self.clocked.at + seconds)

    @rule()
    def come_back_when_told(self) -> None:
        """What a refusal says is enough: alone and on time, an urgent call passes at the second try."""
        wait = self.clocked.take(Lane.URGENT)
        if wait and self.clocked.details["limit"] != "daily":
            self.clocked.set(self.clocked.at + wait)
            wait = self.clocked.take(Lane.URGENT)
            if wait:  # a block hid the window's own waiting time
                self.clocked.set(self.clocked.at + wait)
                assert self.clocked.take(Lane.URGENT) == 0.0 or self.clocked.details["limit"] == "daily"
        if not wait or self.clocked.details["limit"] != "daily":
            self.granted.append((self.clocked.at, Lane.URGENT))

    @invariant()
    def the_limits_hold(self) -> None:
        if not hasattr(self, "granted"):
            return
        assert most_in_a_window((at for at, _ in self.granted), self.limits.window) <= (self.limits.burst or 0)
        if self.limits.daily:
            first_day = [lane for at, lane in self.granted if at < 12 * 3600]
            assert len(first_day) <= self.limits.daily
            if len(first_day) > self.limits.daily - 2:
                assert first_day[-1] is Lane.URGENT


def test_any_order_of_events_keeps_the_limits(url: str) -> None:
    machine = type("Machine", (BudgetMachine,), {"url": url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=30,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )


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
