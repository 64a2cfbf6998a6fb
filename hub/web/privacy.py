"""Personal data out of what the console shows: addresses keep their first letter and their domain, numbers their end."""

from __future__ import annotations

import re
from typing import Any

from hub.core.redact import redact, redact_value

_LOCAL = r"""(?:[^\s@%"<>,;:()\[\]]|%(?!40))"""
_EMAIL = re.compile(rf"(?P<first>{_LOCAL}){_LOCAL}*+(?:(?P<at>(?:@|%40){{1,50}}+)(?P<domain>[\w.-]+))?", re.I)
"""Generous to the left, so that no odd but valid address stays readable: in a URL it takes the parameter's name along.

It finds words that are no address, too, so that each is looked at once: else one long word would take minutes."""
_NUMBER_NAME = re.compile(r"phone|mobile|telefon|\bfax|_ip_|\bip\b|ip_address", re.I)
_KEPT = 2
"""Characters of a phone number that stay, to tell two apart."""


def veil(text: str) -> str:
    """The text without secrets, and with every e-mail address in it as «a…@example.com»."""
    return _EMAIL.sub(_shorten, redact(text))


def _shorten(found: re.Match[str]) -> str:
    return f"{found['first']}…{found['at']}{found['domain']}" if found["at"] else found[0]


def veil_value(value: Any) -> Any:
    """The same for JSON-like values; what stands under the name of a phone or network address loses all but its end."""
    return _walk(redact_value(value), numbers=False)


def _walk(value: Any, *, numbers: bool) -> Any:
    if isinstance(value, dict):
        return {
            veil(str(key)): _walk(item, numbers=numbers or bool(_NUMBER_NAME.search(str(key)))) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_walk(item, numbers=numbers) for item in value]
    if numbers and isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value)
        return f"…{text[-_KEPT:]}" if len(text) > 2 * _KEPT else text and "…"
    return veil(value) if isinstance(value, str) else value
