"""What visitors see when something is wrong: one page for people, one shape for machines. The only place that catches bugs."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from flask import Flask, Response, current_app, g, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError  # type: ignore[import-untyped]
from werkzeug.exceptions import BadHost, HTTPException

from hub.core.errors import Conflict, Forbidden, HubError, Invalid, NotFound, PlatformError, RateLimited, Refused, Unavailable
from hub.core.texts import N_, say
from hub.services.preferences import Firm
from hub.web import keeping
from hub.web.access import API, API_ERRORS, SignInFirst
from hub.web.forms import wrong_fields
from hub.web.pages import language
from hub.web.privacy import veil

log = logging.getLogger("hub.web")

STATUS: tuple[tuple[type[HubError], int], ...] = (
    *((Invalid, 400), (NotFound, 404), (Conflict, 409), (SignInFirst, 401), (Forbidden, 403), (Refused, 400)),
    *((RateLimited, 503), (Unavailable, 503), (PlatformError, 502)),
)
"""First match wins; other errors of the hub are faults of the server."""

TEXTS: dict[int, tuple[str, str]] = {
    400: (N_("The request cannot be read"), N_("Nothing was changed. Go back, load the page again and repeat it")),
    401: (N_("Sign in first"), N_("Nothing was changed. Sign in, then repeat it")),
    403: (N_("This is not allowed"), N_("The hub refused the request")),
    404: (N_("This page does not exist"), N_("Check the address, or go on from the overview")),
    405: (N_("This address does not take such a request"), N_("Nothing was changed")),
    409: (N_("It was changed meanwhile"), N_("Nothing was changed. Look at it again, then repeat")),
    413: (N_("Too much was sent at once"), N_("Nothing was changed. Shorten it: at most 1 MB, in at most 500 fields")),
    415: (N_("This kind of content cannot be read"), N_("Nothing was changed")),
    429: (N_("Too many requests in a short time"), N_("Wait a minute, then try again")),
    500: (
        N_("The hub itself has a fault"),
        N_("It was written to the log. Send this number to whoever maintains the hub: {incident}"),
    ),
    503: (N_("The hub cannot answer right now"), N_("Wait a minute, then try again")),
}
OTHER = (N_("The request cannot be answered"), N_("Go back and try it another way"))
EXPIRED = (
    N_("The form was open for too long"),
    N_("Nothing was changed. Send it again from here, or go back and load the page again"),
)
CODES = {404: "not_found", 401: "sign_in_first", 409: "conflict", 429: "rate_limited", 500: "fault"}
PLAIN_PATHS = ("/healthz", "/readyz", "/metrics")
"""Asked by machines: their errors are JSON."""
EXPIRED_CODE = "form_expired"


def register(app: Flask) -> None:
    app.register_error_handler(HTTPException, _by_door(_say_refusal))
    app.register_error_handler(HubError, _by_door(_say_error))
    app.register_error_handler(Exception, _by_door(_say_fault))


def _by_door(teller: Callable[[Any], Response]) -> Callable[[Exception], Response]:
    """Below /api/ the API tells its own errors."""

    def tell(error: Exception) -> Response:
        machine = current_app.extensions.get(API_ERRORS) if request.path.startswith(API) else None
        return machine(error) if machine else teller(error)

    return tell


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
    if isinstance(refusal, BadHost):  # no address can be built then, so no page either
        return as_json(HubError(TEXTS[400][0], cure=N_("Open the hub at its own address")), status)
    expired = isinstance(refusal, CSRFError)
    title, cure = EXPIRED if expired else TEXTS.get(status, OTHER)
    answer = _answer(status, HubError(title, cure=cure), code=EXPIRED_CODE if expired else CODES.get(status, "refused"))
    for name, value in refusal.get_headers():
        if name.lower() in ("allow", "retry-after"):
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
    g.hub_who, g.hub_firm = None, Firm()  # the database may be what failed: the page must not ask it
    title, cure = TEXTS[500]
    return _answer(500, HubError(title, cure=cure, incident=incident, details={"incident": incident}), code="fault")


def _answer(status: int, error: HubError, *, code: str = "") -> Response:
    if request.path in PLAIN_PATHS or request.path.startswith(API):
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
        cause=veil(error.cause) if isinstance(error, Refused | PlatformError) else "",
        cure=veil(say(error.cure, lang, **params)),
        fields=[veil(text) for text in wrong_fields(error).values()] if isinstance(error, Invalid) else [],
        console=status not in (401, 403),
        sign_in=f"/account/login?next={quote(_way_back(), safe='')}" if status == 401 else "",
        kept=keeping.sent_fields() if status == 401 or code == EXPIRED_CODE else [],
        comes_back=keeping.was_kept(),
    )
    answer = make_response(page, status)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _way_back() -> str:
    if keeping.was_kept():
        return "/account/kept"
    return request.full_path.rstrip("?") if request.method in ("GET", "HEAD") else "/admin/"
