"""What a vendor's headers and refusals teach."""

from __future__ import annotations

import pytest
from limits_clock import NOON, TEN, Clocked, most_in_a_window, usage_of
from redis import Redis

from hub.core.connector import Limits
from hub.core.types import Lane

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
