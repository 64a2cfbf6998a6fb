"""A process and its supervisor: a child ends when its parent is gone."""

from __future__ import annotations

import os
import signal
import threading
import time

STOP_SECONDS = 30.0
"""How long a process may take to end its batch before it is killed."""

PARENT = "HUB__PARENT"
"""Tells a child whose child it is: it ends itself when the supervisor is gone."""


def end_with_parent() -> None:
    """In a child: end when the supervisor is gone, however it went."""
    parent = os.environ.pop(PARENT, "")
    if not parent:
        return

    def watch() -> None:
        while os.getppid() == int(parent):
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent").start()
