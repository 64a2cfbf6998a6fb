"""What the pages of accounts share: the verbs' context, limits, the shelf, where a request comes from, where it goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import current_app, request
from flask_security.totp import Totp
from passlib.totp import TokenError, TotpMatch  # type: ignore[import-untyped]

from hub.core.errors import HubError, Unavailable
from hub.core.roles import Role
from hub.core.texts import N_, say
from hub.services.context import Context
from hub.services.sign_ins import Origin, TooManyTries
from hub.store.attempts import Attempts
from hub.store.shelf import Shelf
from hub.web.pages import language

START = "/admin/"
"""Where people go who came from nowhere in particular."""
TOTP = "hub_totp"
ISSUER = "Consent hub"
ROLE_NAMES = {
    Role.OWNER: N_("Owner"),
    Role.ADMIN: N_("Administrator"),
    Role.MARKETER: N_("Marketer"),
    Role.CONSENT_OFFICER: N_("Consent officer"),
    Role.OPS: N_("Operations"),
    Role.AUDITOR: N_("Auditor"),
}
SKEW = 30
"""Seconds that a phone's clock may be off."""


def context() -> Context:
    found: Context = current_app.extensions["hub"]
    return found


def attempts() -> Attempts:
    return Attempts(current_app.extensions["hub_redis"], context().settings.namespace)


def shelf() -> Shelf:
    keys = list(context().vault.derive("shelf").values())
    return Shelf(current_app.extensions["hub_redis"], context().settings.namespace, keys)


def origin() -> Origin:
    return Origin(request.remote_addr or "", request.headers.get("User-Agent", "")[:200])


def secret_typed(name: str) -> str:
    """A password as it was typed: spaces count."""
    return request.form.get(name, "")[:1000]


def local_path(wished: str) -> str:
    """Where to go on: a path of this hub and nothing else, else the start page."""
    if not wished.startswith("/") or wished.startswith(("//", "/\\")) or len(wished) > 2000 or not wished.isprintable():
        return START
    if "\\" in wished or wished.startswith(("/account/login", "/account/logout")):
        return START
    try:
        parts = urlsplit(wished)
    except ValueError:
        return START
    return START if parts.scheme or parts.netloc else wished


class OneTimeCodes(Totp):
    """Flask-Security's codes of an authenticator app, each of which works once, by the hub's own clock."""

    def __init__(self, secrets: dict[str, str], issuer: str, clock: Callable[[], float]) -> None:
        super().__init__(secrets, issuer)
        self._totp = self._totp.using(now=clock)

    def set_last_counter(self, user: Any, tmatch: TotpMatch) -> None:
        if not attempts().once(f"totp/{user}/{tmatch.totp.base32_key}/{tmatch.counter}", 600):
            raise TokenError("used before")


def codes() -> OneTimeCodes:
    found: OneTimeCodes = current_app.extensions[TOTP]
    return found


def right_code(user_id: str, sealed_secret: str, code: str) -> bool:
    """Whether it is the app's code now (or 30 seconds around), and was not used before."""
    digits = "".join(code.split())
    if not (digits.isascii() and digits.isdigit() and len(digits) == 6):
        return False
    return bool(codes().verify_totp(digits, sealed_secret, user_id, window=SKEW))  # type: ignore[arg-type] # only our hook sees it


def role_word(name: str) -> str:
    """A role's name in the reader's language; a name that is no role stands for itself."""
    return say(ROLE_NAMES[Role(name)], language()) if name in set(Role) else name


def status_of(error: HubError) -> int:
    """Of a page that shows the error in its form."""
    return 429 if isinstance(error, TooManyTries) else 503 if isinstance(error, Unavailable) else 400
