"""Secrets out of everything that is written down: logs, errors, samples, stored answers.

Two nets: the exact values that the hub knows to be secret (`know_secret`), and shapes and names that always are.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

HIDDEN = "[hidden]"

_NAMES = (
    r"(?:consumer_?key|consumer_?secret|client_?secret|access_?token|refresh_?token|api_?key|secret(?:_?key)?|password"
    r"|passwd|authorization|code_verifier|oauth_signature|oauth_token|oauth_consumer_key|order_key|signature|token|ws_key)"
)
_SHAPES = (
    re.compile(r"\b(?:ck|cs)_[0-9a-zA-Z]{8,}"),  # WooCommerce keys
    re.compile(r"\bpat-[a-z0-9]+-[0-9a-f-]{8,}", re.I),  # HubSpot private apps
    re.compile(r"\bhub_[A-Za-z0-9_-]{32}(?![\w-])|\bwhsec_[A-Za-z0-9+/=]{24,}"),  # our own API tokens and webhook secrets
    re.compile(r"\bwc_order_\w+"),  # whoever holds it can view and pay the order
    re.compile(r"(?<=Bearer )[^\s\"',;]+", re.I),
    re.compile(r"(?<=Basic )[A-Za-z0-9+/=]{6,}", re.I),
    re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"),  # credentials in a URL
)
_NAMED = re.compile(rf"""(["']?\b{_NAMES}\b["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s&,;}}\]]+)""", re.I)
_SECRET_NAME = re.compile(rf"^{_NAMES}$", re.I)

_JSON_STARTS = re.compile(r"""[{\[]\s*["{\[]""")
_JSON_VALUE = re.compile(r""""(?:[^"\\]|\\.)*(?:"|\\?\Z)(?P<colon>\s*:)?|\d{6,}(?:\.\d*)?""", re.S)  # also a cut-off string

_lock = threading.Lock()
_known: set[str] = set()
_longest_first: tuple[str, ...] = ()
"""The same, in the order in which they are hidden."""


def know_secret(*values: str) -> None:
    """Remember exact values that must never be written down, also in their URL-quoted form. Short ones are ignored."""
    more = {form for value in values if len(value) >= 6 for form in (value, quote(value, safe=""))}
    with _lock:
        if not more <= _known:
            _known.update(more)
            _sort()


def _sort() -> None:
    global _longest_first
    _longest_first = tuple(sorted(_known, key=len, reverse=True))


def redact(text: str) -> str:
    """The text with every known secret and everything shaped or named like one replaced by `[hidden]`."""
    for value in _longest_first:
        if value in text:
            text = text.replace(value, HIDDEN)
    for shape in _SHAPES:
        text = shape.sub(HIDDEN, text)
    return _NAMED.sub(_hide_value, text)


def _hide_value(match: re.Match[str]) -> str:
    value = match.group(2)
    quote_mark = value[0] if value[:1] in "\"'" else ""
    return f"{match.group(1)}{quote_mark}{HIDDEN}{quote_mark}"


def keep_shape(text: str) -> str:
    """JSON without what it says: strings and long numbers become «…», keys and structure stay. A web page stays as it is."""
    start = 0
    if text.lstrip().startswith("<"):  # a page; PHP's notices stand before JSON, too
        found = _JSON_STARTS.search(text)
        start = found.start() if found else len(text)
    return text[:start] + _JSON_VALUE.sub(_drop_value, text[start:])


def _drop_value(match: re.Match[str]) -> str:
    text = match.group()
    if not text.startswith('"'):
        return "…"
    return text if match.group("colon") and "@" not in text else '"…"' + (match.group("colon") or "")


def redact_value(value: Any) -> Any:
    """The same for JSON-like values: whatever stands under a secret's name goes whole."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: HIDDEN if _SECRET_NAME.match(str(key)) else redact_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_value(item) for item in value]
    return value


def forget_secrets(values: Iterable[str] = ()) -> None:
    """Forget the given secrets, or all of them (between tests, after a disconnect)."""
    gone = set(values)
    with _lock:
        if gone:
            _known.difference_update(gone | {quote(value, safe="") for value in gone})
        else:
            _known.clear()
        _sort()
