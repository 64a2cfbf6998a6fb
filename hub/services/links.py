"""One-time links: what stands in letters and on the terminal. The database keeps only a token's hash."""

from __future__ import annotations

import hashlib
import secrets

from hub.core.redact import know_secret
from hub.core.settings import Settings
from hub.services.context import Context


def console_url(context: Context) -> str:
    """Where people open the hub, without a slash at the end."""
    return base_url(context.settings)


def base_url(settings: Settings) -> str:
    """The public address; without one, this machine's own."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{settings.port}"  # noqa: S104 - is compared, not bound


def new_token() -> str:
    """256 random bits; counts as secret from now on."""
    token = secrets.token_urlsafe(32)
    know_secret(token)
    return token


def hash_token(token: str) -> str:
    """A token has so many bits that a plain hash is enough."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
