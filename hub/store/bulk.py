"""Many rows at once, on both databases at driver speed.

SQLite takes `executemany` with plain tuples. PostgreSQL takes one statement with an array per column (`unnest`), which
is several times faster there than either executemany or multi-row VALUES (docs/architecture.md, design notes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from hub.store.db import is_sqlite

Row = Mapping[str, Any]


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
    columns = tuple(rows[0])
    if is_sqlite(session):
        sql = _sqlite_insert(table, columns, tuple(key), tuple(update), newer_by)
        values = list(zip(*(_column(rows, column, _plain) for column in columns), strict=True))
        result = session.connection().exec_driver_sql(sql, values)
    else:
        sql = _postgres_insert(table, columns, tuple(key), tuple(update), newer_by)
        arrays = {column: _array(_column(rows, column, _text)) for column in columns}
        result = session.connection().exec_driver_sql(sql, arrays)
    return max(result.rowcount, 0)


def _conflict(table: sa.Table, key: tuple[str, ...], update: tuple[str, ...], newer_by: str) -> str:
    if not key:
        return ""
    target = ", ".join(key)
    if not update:
        return f" ON CONFLICT ({target}) DO NOTHING"
    setting = ", ".join(f"{column} = excluded.{column}" for column in update)
    guard = f" WHERE excluded.{newer_by} >= {table.name}.{newer_by}" if newer_by else ""
    return f" ON CONFLICT ({target}) DO UPDATE SET {setting}{guard}"


@lru_cache(maxsize=256)
def _sqlite_insert(
    table: sa.Table, columns: tuple[str, ...], key: tuple[str, ...], update: tuple[str, ...], newer_by: str
) -> str:
    places = ", ".join("?" * len(columns))
    tail = _conflict(table, key, update, newer_by)
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({places}){tail}"


@lru_cache(maxsize=256)
def _postgres_insert(
    table: sa.Table, columns: tuple[str, ...], key: tuple[str, ...], update: tuple[str, ...], newer_by: str
) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    casts = ", ".join(f"u.{name}::{table.c[name].type.compile(dialect)}" for name in columns)
    arrays = ", ".join(f"%({name})s::text[]" for name in columns)
    tail = _conflict(table, key, update, newer_by)
    names = ", ".join(columns)
    return f"INSERT INTO {table.name} ({names}) SELECT {casts} FROM unnest({arrays}) AS u({names}){tail}"


def _column(rows: Sequence[Row], column: str, convert: Callable[[Any], Any]) -> list[Any]:
    """One column's values as the driver takes them; most columns hold texts alone and need no second look."""
    values = [row[column] for row in rows]
    if {type(value) for value in values} <= _AS_IT_IS:
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


def _array(values: Sequence[str | None]) -> str:
    """PostgreSQL's text form of an array of texts: quoted all at once, which the driver does one by one."""
    if not values:
        return "{}"
    joined = _END.join([_NULL if value is None else value for value in values])
    if joined.count(_END) != len(values) - 1 or joined.count(_NULL) != values.count(None):
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
    text = _array([_text(value) for value in values])
    return sa.cast(sa.bindparam(None, text, type_=sa.Text(), unique=True), postgresql.ARRAY(column.type))
