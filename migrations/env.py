"""Alembic's entry point: the application's own engine and tables."""

from __future__ import annotations

import importlib
import pkgutil

from alembic import context
from flask import current_app

import hub.store

for module in pkgutil.iter_modules(hub.store.__path__):
    importlib.import_module(f"hub.store.{module.name}")

config = context.config
db = current_app.extensions["migrate"].db
engine = db.engine


def run() -> None:
    """One transaction for all steps: a migration that fails half-way leaves nothing behind on PostgreSQL."""
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            render_as_batch=engine.dialect.name == "sqlite",
            compare_type=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
