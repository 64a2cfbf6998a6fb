"""The doors for people and machines: the console, the API, health. Handlers call services and know no SQL."""

from __future__ import annotations

from flask import Flask, redirect, url_for
from flask_bootstrap import Bootstrap5  # type: ignore[import-untyped]

from hub.web import access, account, admin, api, compression, errors, health, metrics, navigation, pages


def register(app: Flask) -> None:
    """Put the blueprints on the application."""
    compression.register(app)
    pages.register(app)
    Bootstrap5(app)  # for its style sheet, served from here
    errors.register(app)
    account.register(app)
    access.register(app)
    api.register(app)
    app.register_blueprint(health.health)
    metrics.register(app)
    app.register_blueprint(admin.admin)
    app.add_url_rule("/", "home", access.open_to_all(lambda: redirect(url_for("admin.show_overview"))))
    navigation.register(app)
