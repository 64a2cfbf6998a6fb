"""What is counted, what is kept, and what happens when Redis or its clock misbehave."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from limits_clock import TEN, Clocked, most_in_a_window, usage_of
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from hub.core.connector import Limits
from hub.core.errors import RateLimited, Unavailable
from hub.core.http import Answer
from hub.core.types import Lane
from hub.store.limits import RedisBudget, reset_usage, usage


def test_no_limits_only_counts(redis: Redis) -> None:
    clocked = Clocked(redis, Limits())
    assert [clocked.take() for _ in range(1000)] == [0.0] * 1000
    assert usage(redis, "c", prefix=clocked.prefix).calls == 1000
    clocked.learn(429)
    assert clocked.take(Lane.URGENT) == 10.0
    assert clocked.details["limit"] == "vendor"


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
