"""Bringing the database to the newest schema: what every command does that opens it."""

from __future__ import annotations

from pathlib import Path

from alembic.util import CommandError
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy.exc import OperationalError

import hub
from hub.app import with_migrations
from hub.core.errors import SetupError
from hub.store import db

MIGRATIONS = Path(hub.__file__).parent.parent / "migrations"


def migrate(app: Flask) -> str:
    """Bring the database to the newest schema; returns the database's name and version."""
    with with_migrations(app).app_context():
        try:
            upgrade(directory=str(MIGRATIONS))
            return db.ping()
        except OperationalError as error:
            cause = str(error.orig).strip().splitlines()[0] if error.orig else type(error).__name__
            raise SetupError(
                "The database does not answer",
                subject="HUB_DATABASE_URL",
                cause=cause,
                cure="Check the address and that the server runs",
            ) from error
        except CommandError as error:
            raise SetupError(
                "The database was made by a newer version of the hub",
                subject="HUB_DATABASE_URL",
                cause=str(error),
                cure="Install that version, or restore the backup from before",
            ) from error
