"""Whether what the hub stands on is there: the database with the schema this code needs, and Redis."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic.script import ScriptDirectory
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from hub.store.db import reading

MIGRATIONS = Path(__file__).parents[2] / "migrations"
_version = sa.table("alembic_version", sa.column("version_num"))


def database_answers() -> bool:
    try:
        with reading() as session:
            session.scalar(sa.select(1))
    except SQLAlchemyError:
        return False
    return True


def schema_revision() -> str:
    """The migration that the database is at; empty before the first, and where it cannot be asked."""
    try:
        with reading() as session:
            return str(session.scalar(sa.select(_version.c.version_num)) or "")
    except SQLAlchemyError:
        return ""


@cache
def newest_revision() -> str:
    """The newest migration that came with this code: read once, it cannot change while we run."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head() or ""


def redis_answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except (RedisError, OSError):
        return False
