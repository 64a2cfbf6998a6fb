"""Any order of events keeps the limits."""

from __future__ import annotations

import uuid

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from limits_clock import Clocked, most_in_a_window
from redis import Redis

from hub.core.connector import Limits
from hub.core.types import Lane


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
            max_examples=60,
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
