"""Where the demo keeps its data: one demo at a time, and a schema made anew."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from hub.core.errors import SetupError
from hub.core.settings import Settings

SCHEMA = "hub_demo"


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Keeps a second demo from the same data: it would make this one's folder or schema anew. The kernel and the server
    free these locks when a demo ends in whatever way."""
    settings.data.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = stack.enter_context((settings.data / "demo.lock").open("ab"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SetupError(
                "Another demo runs in this data folder",
                subject="HUB_DATA",
                cure="End it with Ctrl-C, or name another folder in HUB_DATA",
            ) from error
        if settings.database_url.startswith("postgresql"):
            connection = stack.enter_context(_connected(settings.database_url))
            taken = connection.execute("SELECT pg_try_advisory_lock(hashtext(%s))", (SCHEMA,)).fetchone()
            if taken != (True,):
                raise SetupError(
                    "Another demo runs in this database",
                    subject="HUB_DATABASE_URL",
                    cure="End it with Ctrl-C, or name another database in HUB_DATABASE_URL",
                )
        yield


def fresh_schema(url: str) -> str:
    """An empty schema of the demo's own in the given PostgreSQL database; what is there already is not touched."""
    with _connected(url) as connection:
        try:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
            connection.execute(f"CREATE SCHEMA {SCHEMA}")
        except psycopg.Error as error:
            raise _no_database(error) from error
    parsed = make_url(url)
    options = f"{parsed.query.get('options', '')} -csearch_path={SCHEMA}".strip()
    return parsed.update_query_dict({"options": options}).render_as_string(hide_password=False)


def _connected(url: str) -> psycopg.Connection[Any]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        return psycopg.connect(plain, autocommit=True)
    except psycopg.Error as error:
        raise _no_database(error) from error


def _no_database(error: psycopg.Error) -> SetupError:
    return SetupError(
        "The database does not answer",
        subject="HUB_DATABASE_URL",
        cause=str(error).strip().splitlines()[0],
        cure="Check the address and that the server runs",
    )
