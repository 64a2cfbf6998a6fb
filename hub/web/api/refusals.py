"""Errors of the API: one shape for all of them, in the caller's language, each with the number that the log knows."""

from __future__ import annotations

import logging
import math
import re
import secrets
from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response, g, request
from werkzeug.exceptions import HTTPException

from hub.core.errors import Conflict, Forbidden, HubError, Invalid, NotFound, PlatformError, Refused, Unavailable
from hub.core.texts import N_, Say, SaysFields, choose_language, say
from hub.web.access import SignInFirst
from hub.web.privacy import veil

log = logging.getLogger("hub.web")


class BadRequest(Invalid):
    """The request cannot be read at all."""

    code = "bad_request"
    message = "The request cannot be read"


class WrongInput(Invalid):
    """Fields that a schema refuses; each text has places of its own: name → (text, params)."""

    code = "invalid"

    def __init__(self, wrong: Mapping[str, tuple[str, Mapping[str, object]]]) -> None:
        super().__init__(fields={name: text for name, (text, _) in wrong.items()}, cure=N_("Correct the named fields"))
        self.wrong = wrong

    def fields_in(self, say: Say) -> dict[str, str]:
        return {name: say(text, **params) for name, (text, params) in self.wrong.items()}


class ChangedSince(Conflict):
    """If-Match names another version than there is."""

    code = "changed_since"
    message = "It was changed since you read it"
    cure = "Read it again, then repeat your change with the new ETag"


class MatchRequired(HubError):
    """A change without If-Match."""

    code = "match_required"
    message = "Say which version you change: the header If-Match is missing"
    cure = "Read it first, and send its ETag as If-Match"


class TooManyRequests(HubError):
    """More requests than this token, or wrong tokens than this address, may send."""

    code = "too_many_requests"
    message = "Too many requests"
    cure = "Wait as many seconds as the header Retry-After says"

    def __init__(self, after: float) -> None:
        super().__init__()
        self.after = after


class NotJson(HubError):
    """A body of another kind."""

    code = "not_json"
    message = "The body must be JSON"
    cure = "Send it with the header Content-Type: application/json"


PLAIN: dict[int, tuple[str, str, str]] = {
    400: ("bad_request", N_("The request cannot be read"), N_("Compare it with /api/v1/openapi.json")),
    404: ("not_found", N_("There is nothing at this address"), N_("The addresses are listed in /api/v1/openapi.json")),
    405: ("no_such_method", N_("This address does not know the method"), N_("The header Allow says which it knows")),
    413: ("too_large", N_("The body is larger than 1 MB"), N_("Send less at once")),
    414: ("too_large", N_("The address is too long"), N_("Send less at once")),
    431: ("too_large", N_("The headers are too long"), N_("Send less at once")),
    500: (
        "fault",
        N_("The hub itself has a fault"),
        N_("It was written to the log. Tell whoever maintains the hub the request_id"),
    ),
}
"""What Flask itself refuses: code, message, cure."""

STATUS: tuple[tuple[type[HubError], int], ...] = (
    (BadRequest, 400),
    (SignInFirst, 401),
    (ChangedSince, 412),
    (MatchRequired, 428),
    (TooManyRequests, 429),
    (NotJson, 415),
    (Invalid, 422),
    (NotFound, 404),
    (Conflict, 409),
    (Forbidden, 403),
    (Refused, 422),
    (PlatformError, 424),
)
"""First match wins. A platform that does not answer is a failed dependency: neither the caller's fault nor ours."""


def request_id() -> str:
    """This request's number, the same in the answer's X-Request-Id, in an error and in the log."""
    if "hub_request_id" not in g:
        g.hub_request_id = secrets.token_hex(8)
    return str(g.hub_request_id)


def language() -> str:
    return choose_language(request.headers.get("Accept-Language", ""))


def tell(error: Exception) -> Response:
    """Any error as an answer. What is nobody's fault but ours is logged once."""
    if isinstance(error, HTTPException):
        return error.response if isinstance(error.response, Response) else _tell_plain(error)
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 0)
    if not status or not isinstance(error, HubError):
        place = {"incident": request_id(), "path": veil(request.path), "method": request.method}
        log.error("an API call failed", exc_info=error, extra=place)
        code, message, cure = PLAIN[500]
        return _answer(500, code, message, cure)
    answer = _answer(status, error.code, error.message, error.cure, error=error)
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="hub"'
    after = getattr(error, "after", None)
    if isinstance(error, TooManyRequests | Unavailable) and after is not None:
        answer.headers["Retry-After"] = str(max(1, math.ceil(after)))
    return answer


def _tell_plain(error: HTTPException) -> Response:
    status: int = error.code or 500
    if status < 400:  # a redirect of the router
        return Response(status=status, headers=error.get_response().headers)
    code, message, cure = PLAIN.get(status, ("refused", N_("The request cannot be answered"), PLAIN[400][2]))
    answer = _answer(status, code, message, cure)
    for name, value in error.get_headers():
        if name.lower() == "allow":
            answer.headers[name] = value
    return answer


def _answer(status: int, code: str, message: str, cure: str, *, error: HubError | None = None) -> Response:
    lang = language()
    params: dict[str, object] = dict(error.params) if error else {}

    def said(text: str, **own: object) -> str:
        return veil(say(text, lang, **{**params, **own})) if text else ""

    whole = ": ".join(part for part in (said(message), veil(error.cause) if error else "") if part)
    told: dict[str, Any] = {"code": code, "message": whole, "cure": said(cure), "request_id": request_id()}
    if isinstance(error, Invalid) and error.fields:
        told["fields"] = (
            error.fields_in(said)
            if isinstance(error, SaysFields)
            else {name: said(text) for name, text in error.fields.items()}
        )
    answer = Response(orjson.dumps({"error": told}), status, content_type="application/json")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Content-Language"] = lang
    return answer


_NUMBER = r"(-?[\d.]+)"
SCHEMA_TEXTS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"Missing data for required field\.", N_("This field is missing")),
        (r"Unknown field\.", N_("There is no such field")),
        (r"Field may not be null\.", N_("This field cannot be null")),
        (r"Not a valid string\.", N_("This must be a text")),
        (r"Not a valid integer\.", N_("This must be a whole number")),
        (r"Not a valid number\.", N_("This must be a number")),
        (r"Not a valid boolean\.", N_("This must be true or false")),
        (r"Not a valid list\.", N_("This must be a list")),
        (r"Not a valid mapping type\.", N_("This must be an object")),
        (r"Not a valid UUID\.", N_("This must be an id (a UUID)")),
        (r"Invalid input type\.", N_("This must be an object")),
        (r"Not a valid(?: aware)? (?:datetime|time)\.", N_("This must be a moment with a time zone, as 2026-11-22T10:00:00Z")),
        (rf"(?:Must be|Length must be) between {_NUMBER} and {_NUMBER}\.", N_("This must be between {a} and {b} long")),
        (rf"Must be greater than or equal to {_NUMBER} and less than or equal to {_NUMBER}\.", N_("Between {a} and {b}")),
        (rf"Must be greater than or equal to {_NUMBER}\.", N_("At least {a}")),
        (rf"Must be less than or equal to {_NUMBER}\.", N_("At most {a}")),
        (rf"Shorter than minimum length {_NUMBER}\.", N_("At least {a} characters or entries")),
        (rf"Longer than maximum length {_NUMBER}\.", N_("At most {a} characters or entries")),
        (r"Must be one of: (.+)\.", N_("One of: {a}")),
    )
)
"""What marshmallow says, in our words; its numbers become {a} and {b}."""


def wrong_input(messages: Any) -> WrongInput:
    """marshmallow's messages as one flat list of fields: «segment.key», «kinds.0»."""
    found: dict[str, tuple[str, Mapping[str, object]]] = {}
    _flatten(messages, "", found)
    return WrongInput(found)


def _flatten(messages: Any, place: str, found: dict[str, tuple[str, Mapping[str, object]]]) -> None:
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            step = "" if name == "_schema" else str(name)[:100]
            _flatten(inner, ".".join(part for part in (place, step) if part), found)
        return
    first = str(messages[0] if isinstance(messages, list) and messages else messages)
    for pattern, text in SCHEMA_TEXTS:
        if seen := pattern.fullmatch(first):
            found[place or "body"] = (text, dict(zip(("a", "b"), seen.groups(), strict=False)))
            return
    found[place or "body"] = (first, {})
