"""The doors for people and machines: the console, the API, health. Handlers call services and know no SQL."""

from __future__ import annotations

from flask import Flask, redirect, url_for

from hub.web import access, account, admin, errors, health, metrics, pages


def register(app: Flask) -> None:
    """Put the blueprints on the application."""
    pages.register(app)
    errors.register(app)
    account.register(app)
    access.register(app)
    app.register_blueprint(health.health)
    metrics.register(app)
    app.register_blueprint(admin.admin)
    app.add_url_rule("/", "home", access.open_to_all(lambda: redirect(url_for("admin.list_runs"))))
