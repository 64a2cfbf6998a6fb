"""Signs of life while a call lasts: a lease is renewed by a thread, and dies with the process that held it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from hub.store.db import opener

log = logging.getLogger("hub.store")


@contextmanager
def heartbeat(every: float, renew: Callable[[Session], object]) -> Iterator[None]:
    """Call `renew` in a transaction of its own each `every` seconds until the block ends."""
    begin = opener()
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(every):
            try:
                with begin() as session:
                    renew(session)
            except SQLAlchemyError:
                log.warning("a lease could not be renewed; it is tried again")

    thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        ended.set()
