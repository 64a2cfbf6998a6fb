"""Small named changes to a raw value before its type is read. Text is trimmed in any case.

Each takes any raw value and returns one; what it does not fit it leaves alone, for the type's own check to judge.
The docstrings stand in docs/mapping.md.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

Transform = Callable[[Any], Any]

_ZEROS = re.compile(r"[+-]?0[0 .:,+-]*")
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_COMMA_NUMBER = re.compile(r"([+-]?[0-9]{1,3}(?:[ \u00a0\u202f][0-9]{3})+|[+-]?[0-9]+)(?:,([0-9]+))?")
_GAPS = re.compile(r"\s+")
_MARKUP = re.compile(r"<[^<>]*>")
_WHOLE = re.compile(r"-?[0-9]{1,17}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DELETED = frozenset({"[deleted]", "deleted@site.invalid"})


def absolute(value: Any) -> Any:
    """A number without its sign: refunds that a platform writes as `-12.00`."""
    if isinstance(value, str):
        return value.lstrip("+-") if _NUMBER.fullmatch(value) else value
    return abs(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def zero_is_empty(value: Any) -> Any:
    """0, `"0"`, `"0.00"`, `"0000-00-00 00:00:00"` and `"000000000"` count as empty: the id of a guest, a date never set."""
    if isinstance(value, str):
        return None if _ZEROS.fullmatch(value) else value
    return None if value == 0 and not isinstance(value, bool) else value


def deleted_is_empty(value: Any) -> Any:
    """What WooCommerce leaves where a person was erased, `[deleted]` and `deleted@site.invalid`, counts as empty."""
    return None if isinstance(value, str) and value.lower() in _DELETED else value


def lower(value: Any) -> Any:
    """Small letters."""
    return value.lower() if isinstance(value, str) else value


def upper(value: Any) -> Any:
    """Capital letters."""
    return value.upper() if isinstance(value, str) else value


def one_line(value: Any) -> Any:
    """Line breaks, tabs and repeated spaces become one space."""
    return _GAPS.sub(" ", value).strip() if isinstance(value, str) else value


def plain_text(value: Any) -> Any:
    """HTML tags go, entities become characters: `Kawa &amp; herbata` is `Kawa & herbata`."""
    return html.unescape(_MARKUP.sub("", value)).strip() if isinstance(value, str) else value


def comma_decimal(value: Any) -> Any:
    """A number written the Polish or German way: `1 234,56` is `1234.56`."""
    match = _COMMA_NUMBER.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    whole = _GAPS.sub("", match[1])
    return f"{whole}.{match[2]}" if match[2] else whole


def from_seconds(value: Any) -> Any:
    """A Unix time in seconds becomes a time: `1763800000`."""
    return _from_unix(value, "seconds")


def from_milliseconds(value: Any) -> Any:
    """A Unix time in milliseconds becomes a time: `1763800000000`."""
    return _from_unix(value, "milliseconds")


def _from_unix(value: Any, unit: str) -> Any:
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, str) and _WHOLE.fullmatch(value))):
        return value
    try:
        return (_EPOCH + timedelta(**{unit: int(value)})).isoformat()
    except OverflowError:
        return value


TRANSFORMS: dict[str, Transform] = {
    transform.__name__: transform
    for transform in (
        absolute,
        comma_decimal,
        deleted_is_empty,
        from_milliseconds,
        from_seconds,
        lower,
        one_line,
        plain_text,
        upper,
        zero_is_empty,
    )
}
"""The only names that a mapping file may list under `transforms`."""
