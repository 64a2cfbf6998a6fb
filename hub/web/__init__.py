"""The admin's door: pages and health. Handlers call services and know no SQL."""

from __future__ import annotations

from flask import Flask, redirect, url_for

from hub.web import admin, errors, health, pages


def register(app: Flask) -> None:
    """Put the blueprints on the application."""
    pages.register(app)
    errors.register(app)
    app.register_blueprint(health.health)
    app.register_blueprint(admin.admin)
    app.add_url_rule("/", "home", lambda: redirect(url_for("admin.list_runs")))
