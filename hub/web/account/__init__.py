"""Signing in: Flask-Security with our tables, our pages and our words."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_security import Security
from flask_security.utils import aware_utcnow

from hub.services.context import Context
from hub.store.logins import make_datastore

PREFIX = "/account"


def register(app: Flask) -> None:
    """Sessions, sign-in pages and second factors, with keys derived from the vault's."""
    context: Context = app.extensions["hub"]
    app.config.update(_options(context))
    app.extensions["hub_security"] = Security(app, make_datastore())


def _options(context: Context) -> dict[str, Any]:
    session_keys = list(context.vault.derive("sessions").values())
    return {
        "SECRET_KEY": session_keys[0],
        "SECRET_KEY_FALLBACKS": session_keys[1:],
        "SESSION_COOKIE_NAME": "hub_session",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SECURITY_URL_PREFIX": PREFIX,
        "SECURITY_PASSWORD_HASH": "argon2",
        "SECURITY_PASSWORD_SINGLE_HASH": ["argon2"],  # no pepper: a new vault key must not lock everybody out
        "SECURITY_PASSWORD_SALT": next(iter(context.vault.derive("passwords").values())),
        "SECURITY_DATETIME_FACTORY": aware_utcnow,
        "SECURITY_POST_LOGIN_VIEW": "/admin/",
        "SECURITY_POST_LOGOUT_VIEW": f"{PREFIX}/login",
        "SECURITY_SEND_REGISTER_EMAIL": False,
        "SECURITY_TOTP_SECRETS": context.vault.derive("totp"),
    }
