"""What visitors see when something is wrong: one page for people, one shape for machines. The only place that catches bugs."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from flask import Flask, Response, jsonify, make_response, render_template, request
from werkzeug.exceptions import HTTPException

from hub.core.errors import Conflict, Forbidden, HubError, Invalid, NotFound
from hub.core.texts import N_, say
from hub.web.pages import language
from hub.web.privacy import veil

log = logging.getLogger("hub.web")

STATUS: tuple[tuple[type[HubError], int], ...] = ((Invalid, 400), (NotFound, 404), (Conflict, 409), (Forbidden, 403))
"""First match wins; other errors of the hub are faults of the server."""

TEXTS: dict[int, tuple[str, str]] = {
    403: (N_("This is not allowed"), N_("The hub refused the request")),
    404: (N_("This page does not exist"), N_("Check the address, or go on from the list of runs")),
    405: (N_("This page can only be read"), N_("Nothing was changed")),
    500: (
        N_("The hub itself has a fault"),
        N_("It was written to the log. Send this number to whoever maintains the hub: {incident}"),
    ),
}
OTHER = (N_("The request cannot be answered"), N_("Go back and try it another way"))
PLAIN_PATHS = ("/healthz", "/readyz")
"""Asked by machines: their errors are JSON."""


def register(app: Flask) -> None:
    app.register_error_handler(HTTPException, _say_refusal)
    app.register_error_handler(HubError, _say_error)
    app.register_error_handler(Exception, _say_fault)


def as_json(error: HubError, status: int) -> Response:
    """The one shape of an error for machines."""
    answer = jsonify({"error": error.as_json()})
    answer.status_code = status
    return answer


def _say_refusal(refusal: HTTPException) -> Response:
    """What Flask itself refuses: no such page, a method that does not exist, a request that cannot be read."""
    status = refusal.code or 500
    if refusal.response is not None:  # a redirect of the router
        return make_response(refusal.get_response())
    title, cure = TEXTS.get(status, OTHER)
    answer = _answer(status, HubError(title, cure=cure), code="not_found" if status == 404 else "refused")
    for name, value in refusal.get_headers():
        if name.lower() == "allow":
            answer.headers[name] = value
    return answer


def _say_error(error: HubError) -> Response:
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 0)
    return _answer(status, error) if status else _say_fault(error)


def _say_fault(error: Exception) -> Response:
    """A bug, or an outage below us: logged once, with an id that the page shows and nothing else of it."""
    incident = secrets.token_hex(4)
    log.error(
        "a page failed", exc_info=error, extra={"incident": incident, "path": veil(request.path), "method": request.method}
    )
    title, cure = TEXTS[500]
    return _answer(500, HubError(title, cure=cure, incident=incident), code="fault")


def _answer(status: int, error: HubError, *, code: str = "") -> Response:
    if request.path in PLAIN_PATHS:
        answer = as_json(error, status)
        if code:
            answer.set_data(jsonify({"error": {**error.as_json(), "code": code}}).get_data())
        return answer
    lang = language()
    params: dict[str, Any] = error.params
    page = render_template(
        "error.html",
        status=status,
        title=veil(say(error.message, lang, **params)),
        cure=veil(say(error.cure, lang, **params)),
        console=status != 403,
    )
    answer = make_response(page, status)
    answer.headers["Cache-Control"] = "no-store"
    return answer
