"""Migrations: one head, up-down-up on both databases, and the tables are those of the code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from flask_migrate import downgrade, upgrade

from hub.store.db import db

MIGRATIONS = str(Path(__file__).parents[2] / "migrations")


def test_there_is_one_head() -> None:
    config = Config()
    config.set_main_option("script_location", MIGRATIONS)
    script = ScriptDirectory.from_config(config)
    assert len(script.get_heads()) == 1
    names = [revision.revision for revision in script.walk_revisions()]
    assert sorted(names, reverse=True) == names, "numbered in their order"


def tables() -> set[str]:
    return {name for name in sa.inspect(db.engine).get_table_names() if name != "alembic_version"}


@pytest.fixture
def restored(app: Flask) -> Iterator[None]:
    """The database is whole again for the tests behind this one."""
    yield
    upgrade(directory=MIGRATIONS)


@pytest.mark.usefixtures("restored")
def test_up_down_up() -> None:
    full = tables()
    assert full == set(db.metadata.tables)
    downgrade(directory=MIGRATIONS, revision="base")
    assert tables() == set()
    upgrade(directory=MIGRATIONS)
    assert tables() == full


@pytest.mark.usefixtures("app")
def test_the_tables_are_those_of_the_code() -> None:
    """As `flask db check`; also server defaults."""
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, db.metadata) == []


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("table", ["consent_act", "audit_entry"])
def test_what_is_append_only_is_guarded_after_every_migration(table: str) -> None:
    kind = db.engine.dialect.name
    question = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :name"
        if kind == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE tgrelid = CAST(:name AS regclass) AND NOT tgisinternal"
    )
    with db.engine.connect() as connection:
        found = set(connection.execute(sa.text(question), {"name": table}).scalars())
    expected = {f"{table}_no_update", f"{table}_no_delete"} if kind == "sqlite" else {f"{table}_append_only"}
    assert found == expected
