"""Who may call when: the window, pacing, lanes, the day."""

from __future__ import annotations

import pytest
from limits_clock import TEN, Clocked, most_in_a_window
from redis import Redis

from hub.core.connector import Limits
from hub.core.types import Lane


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
    while not clocked.take():
        pass
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
    while not clocked.take():
        pass
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
