"""No secret lies in a table or in a log: the whole database and every log line are searched after real work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from hub.core.logs import JsonFormatter
from hub.services.context import Context
from hub.store.db import db


class Kept(logging.Handler):
    """Every line as production would write it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def logged() -> Iterator[Kept]:
    handler, root = Kept(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def dump() -> str:
    """Every value of every table, bytes as they would be found in a file."""
    lines = []
    with db.engine.connect() as connection:
        for table in sa.inspect(db.engine).get_table_names():
            for row in connection.execute(sa.text(f'SELECT * FROM "{table}"')):
                lines.append(" ".join(_found(value) for value in row))
    return "\n".join(lines)


def _found(value: Any) -> str:
    return bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)


def test_credentials_are_nowhere(app: Flask, context: Context, connected: Callable[..., Any], logged: Kept) -> None:
    pair = connected({"customers": 30})
    pair.run_sync("woocommerce")
    pair.publish()
    pair.evaluate()
    pair.run_deliveries()
    pair.shop.faults.faults = [("500", 1.0)]
    pair.run_sync("woocommerce", "customers")
    secrets = [
        *(value for name, value in pair.shop.simulator.credentials().items() if name != "url"),
        *(value for name, value in pair.crm.simulator.credentials().items() if name != "url"),
    ]
    text, log = dump(), "\n".join(logged.lines)
    assert len(text) > 5000
    assert len(logged.lines) > 10
    for secret in secrets:
        assert len(secret) > 8
        assert secret not in text
        assert secret not in log
