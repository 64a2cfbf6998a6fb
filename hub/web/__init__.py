"""The admin's door: pages and health. Handlers call services and know no SQL."""

from __future__ import annotations

from flask import Flask

from hub.web import admin, errors, health, pages


def register(app: Flask) -> None:
    """Put the blueprints on the application."""
    pages.register(app)
    errors.register(app)
    app.register_blueprint(health.health)
    app.register_blueprint(admin.admin)
