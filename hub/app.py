"""The composition root: the only place that chooses the edges and wires them together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import LockError
from redis.retry import Retry

from hub import connectors
from hub.core.connector import Limits
from hub.core.http import Budget
from hub.core.logs import configure_logs
from hub.core.settings import Settings, read_settings
from hub.jobs.queues import Queues
from hub.services.context import Context
from hub.store import vault
from hub.store.db import configure, db
from hub.store.holds import RedisHolds
from hub.store.limits import RedisBudget
from hub.store.redis_server import EmbeddedRedis
from hub.transport.oidc import OidcProvider

LOCK_SECONDS = 60.0
"""A lock's life: longer than the call it guards may take (see Settings.lease)."""


def create_app(settings: Settings | None = None, *, pages: bool = False) -> Flask:
    """The application for web, workers and command line alike. Nothing is started and no call is made.

    `pages`: with the console and the API; workers and commands need neither and stay small without.
    """
    settings = settings or read_settings()
    configure_logs(settings.log_level, settings.log_format)
    settings.data.mkdir(parents=True, exist_ok=True)
    app = Flask("hub.web")
    app.config["HUB_SETTINGS"] = settings
    configure(app, settings.sql_url)
    redis = connect_redis(settings)
    app.extensions["hub"] = make_context(settings, redis)
    app.extensions["hub_redis"] = redis
    app.extensions["hub_queues"] = Queues(redis, settings.namespace)
    if pages:
        if settings.oidc_issuer:
            app.extensions["hub_oidc"] = OidcProvider(settings)
        from hub import web  # what it stands on takes tens of megabytes, which workers need not carry

        web.register(app)
    return app


def with_migrations(app: Flask) -> Flask:
    """The same application, able to migrate its database; workers need not carry what that takes."""
    from flask_migrate import Migrate

    if "migrate" not in app.extensions:
        url = app.config["HUB_SETTINGS"].sql_url
        Migrate(app, db, directory="migrations", render_as_batch=url.startswith("sqlite"))
    return app


def redis_url(settings: Settings) -> str:
    return settings.redis_url or EmbeddedRedis(settings.data).url


def connect_redis(settings: Settings) -> Redis:
    """A client that survives a server's restart; no connection is made yet."""
    client: Redis = Redis.from_url(
        redis_url(settings),
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), retries=5),
        socket_connect_timeout=5.0,
        health_check_interval=30,
    )
    return client


def make_context(settings: Settings, redis: Redis) -> Context:
    @contextmanager
    def lock(name: str) -> Iterator[bool]:
        owned = redis.lock(f"{settings.namespace}:lock:{name}", timeout=LOCK_SECONDS, blocking_timeout=LOCK_SECONDS / 2)
        got = bool(owned.acquire())
        try:
            yield got
        finally:
            if got:
                with suppress(LockError):  # it ran out; the version guard on the row keeps the other's token
                    owned.release()

    def budget(connection_id: str, limits: Limits) -> Budget:
        return RedisBudget(redis, connection_id, limits, prefix=settings.namespace)

    return Context(
        settings=settings,
        vault=vault.Vault(vault.read_keys(settings.secret_key, settings.data)),
        now=lambda: datetime.now(UTC),
        platform=connectors.load,
        budget=budget,
        lock=lock,
        holds=RedisHolds(redis, settings.namespace),
    )


def wsgi() -> Any:
    """For gunicorn: `gunicorn "hub.app:wsgi()"`."""
    return create_app(pages=True)
