"""A secret that was just made: shown to this browser until it says that it has it, at most for a quarter of an hour."""

from __future__ import annotations

import secrets
from typing import Any

from flask import current_app, request, session

from hub.store.shelf import Shelf

SECONDS = 900
REPEATS = 3600
_SENT = "sent"


def _shelf() -> Shelf:
    context = current_app.extensions["hub"]
    return Shelf(current_app.extensions["hub_redis"], context.settings.namespace, list(context.vault.derive("shelf").values()))


def keep(kind: str, value: Any) -> None:
    """The session's cookie only holds the key; what is kept is sealed."""
    session[f"hub_{kind}"] = _shelf().put(kind, value, SECONDS)


def kept(kind: str) -> Any:
    """None where there is nothing (any more)."""
    return _shelf().get(kind, str(session.get(f"hub_{kind}") or ""))


def drop(kind: str) -> None:
    _shelf().drop(kind, str(session.pop(f"hub_{kind}", "")))


def form_id() -> str:
    """Of one form on one page, so that pressing its button twice makes one thing."""
    return secrets.token_urlsafe(16)


def was_sent() -> bool:
    """Whether this very form has done its work already."""
    return _shelf().get(_SENT, request.form.get("form_id", "")[:60]) is not None


def note_sent() -> None:
    if given := request.form.get("form_id", "")[:60]:
        _shelf().put(_SENT, True, REPEATS, key=given)
