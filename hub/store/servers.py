"""Facts about the servers below the hub: names, clocks, and what must be set there for the hub to be safe."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.orm import Session

from hub.store.db import is_sqlite

APPEND_ONLY = ("audit_entry", "consent_act")


def database_facts(session: Session, now: datetime) -> tuple[str, float]:
    """(name and version, seconds that its clock is ahead of `now`)."""
    if is_sqlite(session):
        return f"SQLite {session.scalar(sa.text('SELECT sqlite_version()'))}", 0.0
    version = str(session.scalar(sa.text("SHOW server_version"))).split()[0]
    theirs = session.scalar(sa.text("SELECT clock_timestamp()"))
    return f"PostgreSQL {version}", (theirs - now).total_seconds() if theirs else 0.0


def missing_guards(session: Session) -> list[str]:
    """Tables that should be append-only and have lost the triggers that keep them so."""
    if is_sqlite(session):
        found = sa.text("SELECT tbl_name FROM sqlite_master WHERE type = 'trigger' GROUP BY tbl_name HAVING count(*) >= 2")
    else:
        found = sa.text(
            "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')"
        )
    guarded = set(session.scalars(found))
    return [table for table in APPEND_ONLY if table not in guarded]


class RedisFacts(NamedTuple):
    """`skew` in seconds; `evicts` is the policy by which keys are thrown away, or empty."""

    name: str
    skew: float
    evicts: str
    persistent: bool


def redis_facts(redis: Redis, now: datetime) -> RedisFacts:
    """Servers that refuse CONFIG (hosted ones) are taken to be set well."""
    info: Any = redis.info()
    seconds, micros = redis.time()
    theirs = datetime.fromtimestamp(seconds + micros / 1e6, UTC)
    try:
        config: Any = redis.config_get("maxmemory-policy", "appendonly", "save", "maxmemory")
    except RedisError:
        config = {}
    policy = str(config.get("maxmemory-policy", "noeviction"))
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version")
    return RedisFacts(
        f"{name} {version}",
        (theirs - now).total_seconds(),
        "" if policy == "noeviction" else policy,
        not config or config.get("appendonly") == "yes" or bool(config.get("save")),
    )
