"""Work made ahead by a thread: same items, same order, errors in their place, and nothing waited for at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextvars import ContextVar

import pytest

from hub.services.ahead import ahead


def test_the_items_come_in_order_and_all() -> None:
    with ahead(number for number in range(100)) as items:
        assert list(items) == list(range(100))


def test_the_next_item_is_made_while_this_one_is_used() -> None:
    made: list[int] = []

    def make() -> Generator[int]:
        for number in range(3):
            made.append(number)
            yield number

    with ahead(make(), depth=1) as items:
        assert next(items) == 0
        deadline = time.monotonic() + 5
        while made != [0, 1] and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.02)
        assert made == [0, 1], "one ahead, and no more than one"


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def make() -> Generator[int]:
        yield 1
        yield 2
        raise LookupError("the third")

    seen = []
    with ahead(make()) as items, pytest.raises(LookupError, match="the third"):  # noqa: PT012 - what was seen before counts
        for item in items:
            seen.append(item)
    assert seen == [1, 2]


def test_leaving_early_waits_for_nothing_and_closes_what_makes_the_items() -> None:
    """A slow call is still under way when the caller has to make room."""
    called, closed = threading.Event(), threading.Event()
    answered = threading.Event()

    def make() -> Generator[int]:
        try:
            yield 1
            called.set()
            answered.wait(20)
            yield 2
        finally:
            closed.set()

    started = time.monotonic()
    with ahead(make()) as items:
        assert next(items) == 1
        assert called.wait(5)
    assert time.monotonic() - started < 4
    assert not closed.is_set()
    answered.set()
    assert closed.wait(5)


def test_what_is_made_ahead_knows_the_context_of_its_caller() -> None:
    """A token is loaded from the application's own database."""
    application = ContextVar("application", default="none")
    application.set("ours")
    with ahead(application.get() for _ in range(2)) as items:
        assert list(items) == ["ours", "ours"]
