"""The door of the API: who is calling, how often they may, and what was answered before under the same key."""

from __future__ import annotations

import math
import re
import time

from flask import Flask, Request, Response, current_app, g, request
from flask_limiter import Limiter
from limits import RateLimitItem, parse
from limits.errors import StorageError

from hub.core.texts import N_
from hub.services import api_tokens, idempotency
from hub.services.idempotency import Kept
from hub.web.access import API, BEARER, SignInFirst, Who
from hub.web.api.kit import hub
from hub.web.api.refusals import TooManyRequests, WrongInput, request_id

CALLS_ALLOWED = "600/minute"
"""Of one token."""
WRONG_TOKENS = parse("30/minute")
"""Of one address; a valid token is let in from there all the same."""
LIMITER = "hub_api_limiter"
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_REPEATED_HEADERS = ("Content-Type", "ETag", "Location", "Content-Language")


def register(app: Flask) -> None:
    """After `access.register`: its guard must have looked at the caller first."""
    app.extensions[BEARER] = read_bearer
    app.extensions[LIMITER] = Limiter(
        _token,
        app=app,
        storage_uri="redis://",
        storage_options={
            "connection_pool": app.extensions["hub_redis"].connection_pool,
            "wrap_exceptions": True,
            "key_prefix": f"{app.config['HUB_SETTINGS'].namespace}:api",
        },
    )
    app.before_request(_repeat)
    app.after_request(_finish)


def read_bearer(asked: Request) -> Who | None:
    """Who calls: None without the header, `SignInFirst` for a token that is not valid (now).

    Each call counts before anybody asks what it may do: a refused one costs as much as another.
    """
    given = asked.headers.get("Authorization", "")
    if not given:
        return None
    scheme, _, token = given.partition(" ")
    address = asked.remote_addr or ""
    found = api_tokens.recognise(hub(), token.strip(), address) if scheme.lower() == "bearer" else None
    if found is None:
        _count(WRONG_TOKENS, "wrong-token", address)
        raise SignInFirst(
            "The API token is not valid", cure="Send a token that exists, is not past its end, and whose user is active"
        )
    g.hub_limits = _count(parse(CALLS_ALLOWED), "token", found.token_id)
    return Who(found.actor, found.user_id, found.permissions, found.roles, found.token_id)


def _count(limit: RateLimitItem, *names: str) -> tuple[int, int, int] | None:
    """(allowed, left, seconds until it starts anew); `TooManyRequests` when nothing is left.

    Without Redis nothing is counted: tokens are checked in the database all the same.
    """
    strategy = current_app.extensions[LIMITER].limiter
    try:
        allowed = strategy.hit(limit, *names)
        window = strategy.get_window_stats(limit, *names)
    except StorageError:
        return None
    seconds = max(0, math.ceil(window.reset_time - time.time()))
    if not allowed:
        g.hub_limits = (limit.amount, 0, seconds)
        raise TooManyRequests(max(1, seconds))
    return limit.amount, window.remaining, seconds


def _token() -> str:
    asking: Who | None = g.get("hub_who")
    return (asking.token_id or "") if asking else ""


def _repeat() -> Response | None:
    """A repeated POST gets the first one's answer."""
    key = request.headers.get("Idempotency-Key")
    token_id = _token()
    if key is None or request.method != "POST" or not token_id or not request.path.startswith(API):
        return None
    if not _KEY.fullmatch(key):
        raise WrongInput({"Idempotency-Key": (N_("1 to 200 visible ASCII characters"), {})})
    body = request.get_data(cache=True)
    kept = idempotency.begin(hub(), token_id, key, idempotency.fingerprint("POST", request.full_path, body))
    if kept is None:
        g.hub_idempotency = (token_id, key)
        return None
    answer = Response(kept.body, kept.status, headers=dict(kept.headers))
    answer.headers["Idempotency-Replayed"] = "true"
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _finish(answer: Response) -> Response:
    if not request.path.startswith(API):
        return answer
    answer.headers["X-Request-Id"] = request_id()
    answer.vary.update(("Authorization", "Accept-Language"))
    _tell_limits(answer)
    taken = g.pop("hub_idempotency", None)
    if taken is not None:
        if 200 <= answer.status_code < 300:
            headers = {name: answer.headers[name] for name in _REPEATED_HEADERS if name in answer.headers}
            idempotency.keep(hub(), taken[0], taken[1], Kept(answer.status_code, headers, answer.get_data()))
        else:
            idempotency.release(hub(), taken[0], taken[1])
    return answer


def _tell_limits(answer: Response) -> None:
    """As the IETF's draft names them: how many, how many are left, seconds until it starts anew."""
    if counted := g.pop("hub_limits", None):
        for name, value in zip(("Limit", "Remaining", "Reset"), counted, strict=True):
            answer.headers[f"RateLimit-{name}"] = str(value)
