"""The look-ups that each batch makes, for some hundred values at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.store.bulk import array_text, postgres_type
from hub.store.db import is_sqlite


def find(
    session: Session,
    columns: Sequence[sa.Column[Any]],
    column: sa.Column[Any],
    values: Collection[str],
    *,
    where: Mapping[str, str],
    join: str = "",
) -> Sequence[Sequence[Any]]:
    """Plain columns of the rows whose `column` (of texts) is one of `values` and whose other columns equal `where`.

    What `bulk.look_up` says more generally; but building such a statement with SQLAlchemy takes as long as finding the rows.
    Ids come as text on both databases; `join` is the SQL of a further table whose columns may be asked for as well.
    """
    if not values:
        return []
    shape, connection = (tuple(columns), column, tuple(where), join), session.connection()
    if is_sqlite(session):
        given = (*where.values(), orjson.dumps(list(values)).decode())
        found: list[Sequence[Any]] = orjson.loads(connection.exec_driver_sql(_sqlite_find(*shape), given).scalar_one())
        return found
    return connection.exec_driver_sql(_postgres_find(*shape), (array_text(list(values)), *where.values())).fetchall()


@lru_cache(maxsize=64)
def _sqlite_find(columns: tuple[sa.Column[Any], ...], column: sa.Column[Any], where: tuple[str, ...], join: str) -> str:
    table = column.table.name
    asked = ", ".join(f"{one.table.name}.{one.name}" for one in columns)
    fixed = "".join(f"{table}.{name} = ? AND " for name in where)
    listed = f"{table}.{column.name} IN (SELECT value FROM json_each(?))"
    return f"SELECT json_group_array(json_array({asked})) FROM {table} {join} WHERE {fixed}{listed}"


@lru_cache(maxsize=64)
def _postgres_find(columns: tuple[sa.Column[Any], ...], column: sa.Column[Any], where: tuple[str, ...], join: str) -> str:
    table = column.table
    asked = ", ".join(f"{one.table.name}.{one.name}::text" for one in columns)
    fixed = "".join(f"{table.name}.{name} = %s::{postgres_type(table.c[name])} AND " for name in where)
    one = f"SELECT {asked} FROM {table.name} {join} WHERE {fixed}{table.name}.{column.name} = each.value OFFSET 0"
    return f"SELECT one.* FROM unnest(%s::text[]) AS each(value) CROSS JOIN LATERAL ({one}) AS one"
