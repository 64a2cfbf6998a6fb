"""What a command works in: the application with its context, set up, and workers if none runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from flask import Flask
from redis import Redis
from redis.exceptions import RedisError

from hub.app import create_app, redis_url
from hub.cli.schema import migrate
from hub.cli.stack import Stack
from hub.core.settings import Settings
from hub.services.context import Context
from hub.store.redis_server import EmbeddedRedis

QUIET = {"HUB_LOG_LEVEL": "warning"}


@contextmanager
def opened(settings: Settings | None = None, *, redis: bool = False) -> Iterator[Context]:
    """The verbs' context inside an application context, with the database at its newest schema.

    `redis`: the command makes calls inside API budgets, so the bundled server must run meanwhile.
    """
    app = create_app(settings)
    migrate(app)
    chosen: Settings = app.config["HUB_SETTINGS"]
    with contextlib.ExitStack() as stack:
        if redis and chosen.embedded_redis:
            stack.enter_context(EmbeddedRedis(chosen.data))
        stack.enter_context(app.app_context())
        yield cast(Context, app.extensions["hub"])


def workers_running(app: Flask) -> bool:
    """Whether some worker listens to this hub's queues."""
    probe = Redis.from_url(redis_url(app.config["HUB_SETTINGS"]), retry=None, socket_connect_timeout=2.0)
    names = [f"rq:workers:{queue.name}" for queue in app.extensions["hub_queues"].in_order()]
    try:
        members = {member for name in names for member in probe.smembers(name)}
        return any(probe.exists(member) for member in members)
    except RedisError:
        return False
    finally:
        probe.close()


@contextmanager
def with_workers() -> Iterator[tuple[Context, Stack | None]]:
    """The same, with workers: those of a running `hub up`, else some of our own for as long as the command runs."""
    app = create_app()
    migrate(app)
    settings = app.config["HUB_SETTINGS"]
    with contextlib.ExitStack() as stack:
        own: Stack | None = None
        if not workers_running(app):
            log = stack.enter_context(Path(settings.data / "workers.log").open("ab"))
            own = stack.enter_context(Stack(settings, QUIET, log))
            own.start_workers(1)
        stack.enter_context(app.app_context())
        yield cast(Context, app.extensions["hub"]), own
