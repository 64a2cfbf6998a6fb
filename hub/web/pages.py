"""What every page shares: the reader's language, links that keep their place, strict headers, the templates' functions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Flask, Response, current_app, g, request

from hub import __version__
from hub.core.errors import NotFound
from hub.core.texts import LANGUAGES, choose_language, say, say_many
from hub.services.preferences import Firm, read_firm
from hub.store.db import reading
from hub.web import charts, formats, words
from hub.web.privacy import veil

LANGUAGE_COOKIE = "hub_lang"
_CHOSEN = "hub.language"
YEAR = 365 * 24 * 3600
LANGUAGE_NAMES = {"en": "English", "pl": "Polski"}
LONGEST_ARGUMENT = 200

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every answer that does not say otherwise itself."""
HTTPS_ONLY = f"max-age={YEAR}"
"""Strict-Transport-Security, where people open the hub over https."""
LONGEST_BODY = 1_000_000
LONGEST_FORM = 500_000
MOST_FIELDS = 500


def register(app: Flask) -> None:
    """Headers for every answer, limits for what is sent to us, functions for every template."""
    app.config.update(MAX_CONTENT_LENGTH=LONGEST_BODY, MAX_FORM_MEMORY_SIZE=LONGEST_FORM, MAX_FORM_PARTS=MOST_FIELDS)
    app.after_request(_protect)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        _=_say,
        ngettext=_say_many,
        language=language,
        languages=LANGUAGE_NAMES,
        here=here,
        share_bar=charts.share_bar,
        number=_bound(formats.number),
        percent=_bound(formats.percent),
        duration=_bound(formats.duration),
        moment=lambda at: formats.moment(at, datetime.now(UTC), language(), zone()),
        clock=lambda at: formats.clock(at, language(), zone()),
        zone_name=lambda: zone().key,
        firm_name=lambda: firm().name,
        hub_version=__version__,
        ago=lambda at: formats.ago(at, datetime.now(UTC), language()),
        state_word=lambda code: words.word(words.STATES, code, language()),
        reason_word=lambda code: words.word(words.REASONS, code, language()),
        effect_word=lambda code: words.word(words.EFFECTS, code, language()),
        effect_state_word=lambda code: words.word(words.EFFECT_STATES, code, language()),
        connection_word=lambda code: words.word(words.CONNECTION_STATES, code, language()),
        direction_word=lambda code: words.word(words.DIRECTIONS, code, language()),
        limit_word=lambda code: words.word(words.LIMITS, code, language()),
        code_word=_bound(words.quarantine_word),
    )
    app.jinja_env.filters["veil"] = lambda text: veil(str(text or ""))


def _protect(answer: Response) -> Response:
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    if current_app.config["HUB_SETTINGS"].public_url.startswith("https://"):
        answer.headers.setdefault("Strict-Transport-Security", HTTPS_ONLY)
    return answer


def firm() -> Firm:
    """What the firm has set in the console, read once per request."""
    if "hub_firm" not in g:
        with reading() as session:
            g.hub_firm = read_firm(session).firm
    found: Firm = g.hub_firm
    return found


def zone() -> ZoneInfo:
    """The time zone that times are shown in; UTC where this machine does not know the firm's."""
    try:
        return ZoneInfo(firm().time_zone)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def _bound(function: Callable[[Any, str], str]) -> Callable[[Any], str]:
    return lambda value: function(value, language())


def _say(text: str, **params: object) -> str:
    return say(text, language(), **params)


def _say_many(singular: str, plural: str, n: int, **params: object) -> str:
    """The count stands in the text as people write numbers."""
    return say_many(singular, plural, n, language(), **{"n": formats.number(n, language()), **params})


def language() -> str:
    """The reader's language: asked for in the address, chosen before, or the browser's own."""
    if _CHOSEN not in request.environ:
        wished = (request.args.get("lang", ""), request.cookies.get(LANGUAGE_COOKIE, ""))
        chosen = next((lang for lang in wished if lang in LANGUAGES), "")
        request.environ[_CHOSEN] = chosen or choose_language(request.headers.get("Accept-Language", ""))
    return str(request.environ[_CHOSEN])


def remember_language(answer: Response) -> Response:
    """Keep a language that was asked for in the address. The cookie says nothing else and is not sent elsewhere."""
    if request.args.get("lang", "") in LANGUAGES:
        secure = bool(current_app.config.get("SESSION_COOKIE_SECURE"))
        answer.set_cookie(LANGUAGE_COOKIE, language(), max_age=YEAR, httponly=True, samesite="Lax", secure=secure)
    answer.vary.update(("Accept-Language", "Cookie"))
    return answer


def here(**changes: str | None) -> str:
    """A link to this page with other arguments; None takes one away. Relative, so that it cannot lead elsewhere."""
    kept = {name: value for name, value in request.args.items() if name not in changes}
    changed = {name: value for name, value in changes.items() if value}
    return "?" + urlencode({**kept, **changed})


def argument(name: str) -> str:
    """A filter from the address: trimmed; unprintable and endless ones are refused before they reach the database."""
    value = request.args.get(name, "").strip()
    if len(value) > LONGEST_ARGUMENT or not value.isprintable():
        raise NotFound("The filter «{name}» cannot be read", cure="Start again from the first page", name=name)
    return value


def argument_id(name: str) -> str | None:
    """An id from the address, or None if there is none."""
    value = argument(name)
    if not value:
        return None
    try:
        return str(UUID(value))
    except ValueError:
        raise NotFound("The filter «{name}» cannot be read", cure="Start again from the first page", name=name) from None
