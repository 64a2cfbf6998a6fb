"""Work that needs no database, done by one thread while the caller stores what came before."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")

DEPTH = 1
"""Items made before they are asked for. More would only be more memory, and more that is read twice after a stop."""


@contextmanager
def ahead(items: Generator[T], depth: int = DEPTH) -> Iterator[Iterator[T]]:
    """The same items in the same order, up to `depth` of them made ahead in a thread; an error comes where it happened.

    At the end of the block nothing is waited for: a call that is still under way ends by itself, and nobody sees its answer.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
    context = copy_context()  # what the items load on the way (a token) needs the application's context
    making: deque[Future[T | None]] = deque()

    def make() -> T | None:
        return next(items, None)

    def take() -> Iterator[T]:
        making.extend(pool.submit(context.run, make) for _ in range(depth))
        while (item := making.popleft().result()) is not None:
            making.append(pool.submit(context.run, make))
            yield item

    try:
        yield take()
    finally:
        for future in making:
            future.cancel()
        pool.submit(items.close)
        pool.shutdown(wait=False)
