"""The admin's door: pages and health. Handlers call services and know no SQL."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    """Put the blueprints on the application."""
