"""The database: engine, column types, transactions. SQLite (WAL) or PostgreSQL, one code path.

Functions of the store never commit. Services open `transaction()`, the only place where a commit happens; pages open
`reading()`. No session is ever open while a platform is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa
import uuid_utils
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.orm import Session as Session

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)
db = SQLAlchemy(metadata=metadata)

SQLITE_BUSY_SECONDS = 60
_WRITES = "hub_writes"
_PRAGMAS = (
    *("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "temp_store=MEMORY", "cache_size=-16000"),
    "recursive_triggers=ON",  # else REPLACE would go past the ledger's triggers
)


class UtcTime(sa.types.TypeDecorator[datetime]):
    """Aware UTC in Python; timestamptz on PostgreSQL, fixed-width text on SQLite (so that it sorts)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("times in the database are aware")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Id = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
"""A public id: UUID version 7 as text, so that new rows lie beside each other in the index."""

JsonValue = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def new_id() -> str:
    """A new UUID version 7 (RFC 9562)."""
    return str(uuid_utils.uuid7())


def configure(app: Flask, url: str) -> None:
    """Put the database into the application's configuration."""
    options: dict[str, Any] = {
        "json_serializer": lambda value: orjson.dumps(value).decode(),
        "json_deserializer": orjson.loads,
    }
    if url.startswith("sqlite"):
        options["connect_args"] = {"timeout": SQLITE_BUSY_SECONDS}
    else:
        options |= {"pool_pre_ping": True, "pool_size": 8, "max_overflow": 8, "pool_recycle": 1800}
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options
    db.init_app(app)
    with app.app_context():
        _listen(db.engine)


@sa.event.listens_for(db.session, "after_begin")
def _begin_late(session: Session, _transaction: object, connection: Connection) -> None:
    """Flask-Security's session reads first and may write later, which SQLite refuses when somebody wrote in between: it
    reads without a transaction, and takes the writer's lock when it has something to write."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("ROLLBACK")


@sa.event.listens_for(db.session, "before_flush")
def _begin_to_write(session: Session, _context: object, _instances: object) -> None:
    connection = session.connection()
    if connection.dialect.name == "sqlite" and not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _listen(engine: sa.Engine) -> None:
    if engine.dialect.name != "sqlite":
        return

    @sa.event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves: see _on_begin
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        # A transaction that will write takes the lock at once: upgrading a read lock later fails without waiting.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def transaction() -> Iterator[Session]:
    """One transaction that writes: commits at the end, rolls back on any error."""
    with opener()() as session:
        yield session


def opener() -> Callable[[], AbstractContextManager[Session]]:
    """What opens transactions also in threads that have no application context."""
    engine = db.engine

    @contextmanager
    def begin() -> Iterator[Session]:
        with Session(engine, expire_on_commit=False) as session:
            session.connection(execution_options={_WRITES: True})
            yield session
            session.commit()

    return begin


@contextmanager
def reading() -> Iterator[Session]:
    """One consistent view for reading; nothing is kept."""
    with Session(db.engine) as session:
        yield session


def is_sqlite(session: Session) -> bool:
    return session.get_bind().dialect.name == "sqlite"


def lock_identities(session: Session) -> bool:
    """One resolver at a time, until the transaction ends: SQLite has one writer anyway, PostgreSQL takes an advisory lock.

    Returns whether others may have written since the transaction began.

    Without it two workers could each make a contact for the same new address; the unique keys would then refuse one of
    the batches. The lock covers the database part of a batch only (milliseconds), never a call.
    """
    if is_sqlite(session):
        return False
    session.execute(sa.text("SELECT pg_advisory_xact_lock(7240193)"))
    return True


def ping() -> str:
    """The database's name and version; raises what SQLAlchemy raises when it does not answer."""
    with reading() as session:
        if is_sqlite(session):
            return "SQLite " + str(session.scalar(sa.text("SELECT sqlite_version()")))
        return "PostgreSQL " + str(session.scalar(sa.text("SHOW server_version")))
