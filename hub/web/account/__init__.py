"""Signing in and one's own account: Flask-Security's users and sessions, with our pages, words and limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from flask import Blueprint, Flask, Response
from flask_security import Security
from flask_security.utils import aware_utcnow
from werkzeug.middleware.proxy_fix import ProxyFix

from hub.services.context import Context
from hub.store.logins import make_datastore
from hub.web.account import doors, forgotten, joining, kept, own, sign_on
from hub.web.account.parts import ISSUER, TOTP, OneTimeCodes, role_word
from hub.web.pages import remember_language

PREFIX = "/account"


def register(app: Flask) -> None:
    """Sessions, sign-in pages and second factors, with keys derived from the vault's."""
    context: Context = app.extensions["hub"]
    app.config.update(_options(context))
    # Its own pages stay away: none of them would know our limits, languages and records of sign-ins.
    app.extensions["hub_security"] = security = Security(app, make_datastore(), register_blueprint=False)
    security.login_manager.request_loader(None)  # no tokens of Flask-Security's: the API has its own
    app.extensions[TOTP] = OneTimeCodes(
        context.vault.derive("totp"), ISSUER, lambda: float(app.extensions["hub"].now().timestamp())
    )
    app.jinja_env.globals.update(role_word=role_word)
    if proxies := context.settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies
        )
    app.register_blueprint(_blueprint())


def _blueprint() -> Blueprint:
    account = Blueprint("account", __name__, url_prefix=PREFIX)

    def add(rule: str, name: str, view: Callable[..., Any], methods: Sequence[str]) -> None:
        account.add_url_rule(rule, name, view, methods=list(methods), provide_automatic_options=False)

    for module in (doors, joining, own, forgotten, kept, sign_on):
        module.routes(add)

    @account.after_request
    def _private(answer: Response) -> Response:
        answer.headers["Cache-Control"] = "no-store"
        return remember_language(answer)

    return account


def _options(context: Context) -> dict[str, Any]:
    session_keys = list(context.vault.derive("sessions").values())
    secure = context.settings.public_url.startswith("https://")
    return {
        "SECRET_KEY": session_keys[0],
        "SECRET_KEY_FALLBACKS": session_keys[1:],
        "SESSION_COOKIE_NAME": "__Host-hub_session" if secure else "hub_session",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": secure,
        "SESSION_COOKIE_PATH": "/",
        "PERMANENT_SESSION_LIFETIME": timedelta(hours=context.settings.session_hours),
        "REMEMBER_COOKIE_SECURE": secure,
        "WTF_CSRF_CHECK_DEFAULT": False,  # access.py asks for the token, after it knows who is there
        "WTF_CSRF_TIME_LIMIT": None,  # as long as the session
        "WTF_CSRF_SSL_STRICT": False,  # it wants a Referer, which our own pages keep to themselves
        "SECURITY_PASSWORD_HASH": "argon2",
        "SECURITY_PASSWORD_SCHEMES": ["argon2"],
        "SECURITY_DEPRECATED_PASSWORD_SCHEMES": [],
        "SECURITY_PASSWORD_SINGLE_HASH": ["argon2"],  # no pepper: a new vault key must not lock everybody out
        "SECURITY_PASSWORD_SALT": next(iter(context.vault.derive("passwords").values())),
        "SECURITY_DATETIME_FACTORY": aware_utcnow,
    }
