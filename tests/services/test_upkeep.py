"""Changes of a connection by several people at once: one is done, the others hear of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hub.core.errors import Conflict
from hub.services import upkeep
from hub.services.context import Context
from hub.store import connections
from hub.store.db import reading

Threads = Callable[..., list[Any]]


def _row(name: str) -> connections.ConnectionRow:
    with reading() as session:
        return connections.get_connection(session, name)


def test_of_many_names_at_once_one_is_given(context: Context, connected: Callable[..., Any], in_threads: Threads) -> None:
    connected()
    row = _row("woocommerce")
    found = in_threads(*[_rename(context, row, f"shop-{number}") for number in range(4)])
    assert sum(isinstance(one, Conflict) for one in found) == 3, found
    assert _row(row.id).name.startswith("shop-")


def _rename(context: Context, row: connections.ConnectionRow, name: str) -> Callable[[], Any]:
    return lambda: upkeep.rename(context, row.id, name, row.name)


def test_of_many_limits_at_once_one_is_set(context: Context, connected: Callable[..., Any], in_threads: Threads) -> None:
    connected()
    row = _row("woocommerce")
    found = in_threads(*[_limit(context, row, number) for number in range(1, 5)])
    assert sum(isinstance(one, Conflict) for one in found) == 3, found
    assert [one for one in found if one is None] == [None]


def _limit(context: Context, row: connections.ConnectionRow, number: int) -> Callable[[], Any]:
    return lambda: upkeep.change_limits(context, row.id, {"daily": str(number)}, upkeep.shown_limits(row))
