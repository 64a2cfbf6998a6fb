"""Many rows at once, on both databases at driver speed.

PostgreSQL takes one statement with an array per column (`unnest`), which is several times faster there than either
executemany or multi-row VALUES (docs/architecture.md, design notes). SQLite takes multi-row VALUES of a few fixed lengths,
and gives what is looked up as one value: its driver lets other threads go on between any two rows, and while one of them
maps records (hub/services/ahead.py), each row would have to wait for its turn to come back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain, repeat
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from hub.store.db import is_sqlite

Row = Mapping[str, Any]


LARGEST_PART = 64
"""Rows of one statement on SQLite. The widest table has some twenty columns; a statement may have 32,766 values."""


@dataclass(frozen=True, slots=True)
class Same:
    """One value that stands in every row."""

    value: Any


Columns = Mapping[str, "Sequence[Any] | Same"]
"""Values by column, all of one length; rows as dictionaries cost more than the database does."""


def upsert(
    session: Session,
    table: sa.Table,
    rows: Sequence[Row],
    *,
    key: Sequence[str] = (),
    update: Sequence[str] = (),
    newer_by: str = "",
) -> int:
    """Insert `rows` (all with the same columns); where `key` exists, set `update` columns, or nothing if empty.

    `newer_by` names a column: an existing row is only updated by one that is not older. Returns the rows inserted or
    updated, where the driver knows.
    """
    if not rows:
        return 0
    columns = {column: [row[column] for row in rows] for column in rows[0]}
    return upsert_columns(session, table, columns, key=key, update=update, newer_by=newer_by)


def upsert_columns(
    session: Session,
    table: sa.Table,
    columns: Columns,
    *,
    key: Sequence[str] = (),
    update: Sequence[str] = (),
    newer_by: str = "",
) -> int:
    """`upsert` for rows given as columns, at least one of them a list."""
    shape = (table, tuple(columns), tuple(key), tuple(update), newer_by)
    connection = session.connection()
    if is_sqlite(session):
        each = [repeat(_plain(one.value)) if isinstance(one, Same) else _converted(one, _plain) for one in columns.values()]
        rows = list(zip(*each))
        written = 0
        for part in _parts(rows):
            sql = _sqlite_insert(*shape, len(part))
            written += max(connection.exec_driver_sql(sql, tuple(chain.from_iterable(part))).rowcount, 0)
        return written
    same = frozenset(name for name, one in columns.items() if isinstance(one, Same))
    once = {name: _text(one.value) for name, one in columns.items() if isinstance(one, Same)}
    texts = {name: _converted(one, _text) for name, one in columns.items() if not isinstance(one, Same)}
    joined = {name: _joined(one) for name, one in texts.items()}
    plain = None not in joined.values()
    given = once | (joined if plain else {name: array_text(one) for name, one in texts.items()})
    return max(connection.exec_driver_sql(_postgres_insert(*shape, same, plain), given).rowcount, 0)


@contextmanager
def together(session: Session) -> Iterator[None]:
    """PostgreSQL works on one insert while the next is being put together; all are done at the end of the block.

    For inserts alone: nothing can be asked in the block, and how many rows were written is not known.
    """
    if is_sqlite(session):
        yield
        return
    driver: Any = session.connection().connection.driver_connection
    with driver.pipeline():
        yield


def _parts(rows: list[Any]) -> Iterator[list[Any]]:
    """The rows in parts of few different lengths, so that their statements are known to SQLite already."""
    start, size = 0, LARGEST_PART
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        yield rows[start : start + size]
        start += size


def _conflict(table: sa.Table, key: tuple[str, ...], update: tuple[str, ...], newer_by: str) -> str:
    if not key:
        return ""
    target = ", ".join(key)
    if not update:
        return f" ON CONFLICT ({target}) DO NOTHING"
    setting = ", ".join(f"{column} = excluded.{column}" for column in update)
    guard = f" WHERE excluded.{newer_by} >= {table.name}.{newer_by}" if newer_by else ""
    return f" ON CONFLICT ({target}) DO UPDATE SET {setting}{guard}"


@lru_cache(maxsize=512)
def _sqlite_insert(
    table: sa.Table, columns: tuple[str, ...], key: tuple[str, ...], update: tuple[str, ...], newer_by: str, rows: int
) -> str:
    row = f"({', '.join('?' * len(columns))})"
    tail = _conflict(table, key, update, newer_by)
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}{tail}"


@lru_cache(maxsize=256)
def _postgres_insert(
    table: sa.Table,
    columns: tuple[str, ...],
    key: tuple[str, ...],
    update: tuple[str, ...],
    newer_by: str,
    same: frozenset[str],
    plain: bool,
) -> str:
    def value(name: str) -> str:
        kind = postgres_type(table.c[name])
        return f"%({name})s::{kind}" if name in same else f"u.{name}::{kind}"

    listed = [name for name in columns if name not in same]
    split = f"string_to_array(%({{}})s::text, '{_END}', '{_NULL}')" if plain else "%({})s::text[]"
    arrays = ", ".join(split.format(name) for name in listed)
    tail = _conflict(table, key, update, newer_by)
    taken = f"SELECT {', '.join(map(value, columns))} FROM unnest({arrays}) AS u({', '.join(listed)})"
    return f"INSERT INTO {table.name} ({', '.join(columns)}) {taken}{tail}"


def postgres_type(column: sa.Column[Any]) -> str:
    return column.type.compile(postgresql.dialect())  # type: ignore[no-untyped-call]


def _as_plain(values: Sequence[Any]) -> Sequence[Any]:
    return _converted(values, _plain)


def _converted(values: Sequence[Any], convert: Callable[[Any], Any]) -> Sequence[Any]:
    """One column's values as the driver takes them; most columns hold texts alone and need no second look."""
    if set(map(type, values)) <= _AS_IT_IS:
        return values
    seen: dict[int, Any] = {}  # by identity: one moment, or one JSON object, stands in many rows of a batch
    return [_once(value, seen, convert) for value in values]


_AS_IT_IS = {str, type(None)}


def _once(value: Any, seen: dict[int, Any], convert: Callable[[Any], Any]) -> Any:
    place = id(value)
    if place not in seen:
        seen[place] = convert(value)
    return seen[place]


def _plain(value: Any) -> Any:
    """What SQLite stores, in the same form as SQLAlchemy's own types write it."""
    if value is None or isinstance(value, str | int | float | bytes):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    return orjson.dumps(value).decode()


def _text(value: Any) -> str | None:
    """PostgreSQL's text form of a value."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return orjson.dumps(value).decode()


_NULL, _END = "\x1e", "\x1f"


def _joined(values: Sequence[str | None]) -> str | None:
    """The texts in one, for `string_to_array`: nothing has to be quoted. None where a text holds the separators itself,
    and for a single empty one, which would be an empty list."""
    joined = _END.join([_NULL if value is None else value for value in values])
    ambiguous = joined.count(_END) != len(values) - 1 or joined.count(_NULL) != values.count(None) or not joined
    return None if ambiguous else joined


def array_text(values: Sequence[str | None]) -> str:
    """PostgreSQL's text form of an array of texts: quoted all at once, which the driver does one by one."""
    if not values:
        return "{}"
    joined = _joined(values)
    if joined is None:
        return "{" + ",".join(["NULL" if value is None else f'"{_escaped(value)}"' for value in values]) + "}"
    quoted = '{"' + _escaped(joined).replace(_END, '","') + '"}'
    return quoted.replace(f'"{_NULL}"', "NULL")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def among(session: Session, column: sa.ColumnElement[Any], values: Iterable[Any]) -> sa.ColumnElement[bool]:
    """`column IN values` for thousands of values: one array parameter on PostgreSQL, one JSON parameter on SQLite.

    Where the column is not the first of its index, PostgreSQL may compare each row with each value: see `look_up`.
    """
    listed = list(values)
    if is_sqlite(session):
        return column.in_(sa.select(_json_values(listed).c.value))
    return column == sa.any_(_array_of(column, listed))


def look_up(
    session: Session, statement: sa.Select[Any], column: sa.ColumnElement[Any], values: Iterable[Any]
) -> sa.Select[Any]:
    """`statement` for the rows whose `column` is one of `values`: one look in the index for each.

    SQLite does that by itself. PostgreSQL is told to (a lateral join that `OFFSET 0` keeps apart): while a big first load
    has not been analysed yet, it takes the rows of one connection for few and reads them all, for every batch anew.
    """
    if is_sqlite(session):
        return statement.where(among(session, column, values))
    each = sa.func.unnest(_array_of(column, list(values))).table_valued(sa.column("value", column.type)).render_derived()
    one = statement.where(column == each.c.value).offset(0).lateral()
    return sa.select(*one.c).select_from(each.join(one, sa.true()))


def _json_values(values: list[Any]) -> sa.TableValuedAlias:
    return sa.func.json_each(sa.bindparam(None, orjson.dumps(values).decode(), unique=True)).table_valued("value")


def _array_of(column: sa.ColumnElement[Any], values: list[Any]) -> sa.ColumnElement[Any]:
    text = array_text([_text(value) for value in values])
    return sa.cast(sa.bindparam(None, text, type_=sa.Text(), unique=True), postgresql.ARRAY(column.type))
