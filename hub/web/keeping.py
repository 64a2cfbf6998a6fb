"""A form that came when the sign-in was over is kept for an hour, sealed, for the browser that sent it.

Never secrets or files, and only where the browser says that the form came from one of our own pages: what another site
makes a browser send must not become a form of ours with one button to press.
"""

from __future__ import annotations

from contextlib import suppress

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from hub.core.errors import Unavailable
from hub.core.redact import redact, redact_value
from hub.store.shelf import Shelf

COOKIE = "hub_kept"
SECONDS = 3600
LONGEST = 200_000
_KIND = "form"

Fields = list[tuple[str, str]]


def register(app: Flask) -> None:
    app.after_request(_hand_out)


def sent_fields() -> Fields:
    """What was typed into the form that this request brings, as far as it may be shown again."""
    if request.method != "POST" or request.headers.get("Sec-Fetch-Site") != "same-origin":
        return []
    if request.path.startswith("/account/"):
        return []
    try:
        sent = [(name, value) for name, value in request.form.items(multi=True) if name != "csrf_token"]
    except HTTPException:  # too large to be read, which may be why we are here
        return []
    kept = [(name, value) for name, value in sent if redact_value({name: value}) == {name: value} and redact(value) == value]
    return kept if sum(len(name) + len(value) for name, value in kept) <= LONGEST else []


def keep_form() -> None:
    """Keep it until its person is signed in again; the answer to this request brings the key as a cookie."""
    if fields := sent_fields():
        with suppress(Unavailable):  # the answer holds it, too
            g.hub_kept = _shelf().put(_KIND, {"path": request.full_path.rstrip("?"), "fields": fields}, SECONDS)


def was_kept() -> bool:
    return "hub_kept" in g


def kept_form() -> tuple[str, Fields] | None:
    """(where it was sent to, what was typed), if this browser has one."""
    found = _shelf().get(_KIND, request.cookies.get(COOKIE, ""))
    return (str(found["path"]), [(str(name), str(value)) for name, value in found["fields"]]) if found else None


def drop_kept() -> None:
    _shelf().drop(_KIND, request.cookies.get(COOKIE, ""))


def _shelf() -> Shelf:
    context = current_app.extensions["hub"]
    return Shelf(
        current_app.extensions["hub_redis"], context.settings.namespace, list(context.vault.derive("kept-forms").values())
    )


def _hand_out(answer: Response) -> Response:
    if was_kept():
        secure = bool(current_app.config.get("SESSION_COOKIE_SECURE"))
        answer.set_cookie(COOKIE, g.hub_kept, max_age=SECONDS, httponly=True, samesite="Lax", secure=secure)
    return answer
