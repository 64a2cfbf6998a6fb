"""The floor: one loop of requests and one upsert a page. Nothing is mapped, resolved, asked or remembered.

plain_pull.py SHOP_URL DATABASE, the latter `sqlite:///file` or `postgresql://…?options=…`.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from typing import Any

import psycopg
from shop import COLUMNS, Meter, Row, pages

SETTING = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
UPSERT = "INSERT INTO customer VALUES ({places}) ON CONFLICT (id) DO UPDATE SET " + SETTING
TABLE = f"CREATE TABLE customer (id bigint PRIMARY KEY, {', '.join(f'{name} text' for name in COLUMNS[1:])})"


def open_database(url: str) -> tuple[Callable[[list[Row]], None], Callable[[], Any]]:
    """How to store one page and commit it, and how to count what is there."""
    if url.startswith("sqlite:///"):
        lite = sqlite3.connect(url.removeprefix("sqlite:///"))
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL"):
            lite.execute(f"PRAGMA {pragma}")
        lite.execute(TABLE)
        statement = UPSERT.format(places=", ".join("?" * len(COLUMNS)))

        def store(rows: list[Row]) -> None:
            with lite:
                lite.executemany(statement, [tuple(row.values()) for row in rows])

        return store, lambda: lite.execute("SELECT count(*) FROM customer").fetchone()[0]
    server = psycopg.connect(url)
    server.execute(TABLE)  # type: ignore[arg-type,unused-ignore]
    server.commit()
    text = UPSERT.format(places=", ".join(["%s"] * len(COLUMNS)))

    def store_there(rows: list[Row]) -> None:
        with server.cursor() as cursor:
            cursor.executemany(text, [tuple(row.values()) for row in rows])
        server.commit()

    return store_there, lambda: (server.execute("SELECT count(*) FROM customer").fetchone() or (0,))[0]


def main() -> None:
    shop, database = sys.argv[1:]
    store, count = open_database(database)
    meter = Meter()
    for page in pages(shop, meter):
        store(page)
    meter.report(records=count())


if __name__ == "__main__":
    main()
