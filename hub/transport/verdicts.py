"""From an answer to an error: one table for all platforms, and each platform's own corrections to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from hub.core.errors import (
    ContractBroken,
    PlatformError,
    RateLimited,
    ReauthorizeNeeded,
    Unavailable,
)
from hub.core.http import Answer

LONGEST_WAIT = 24 * 3600.0
"""Seconds: a longer Retry-After is cut to this (HubSpot's 477 asks for up to a day)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means: the error to raise, its sentence and cure, and a waiting time where the vendor gives none."""

    error: type[PlatformError]
    message: str
    cure: str = ""
    after: float | None = None


Judge = Callable[[Answer], "PlatformError | Verdict | None"]
"""A platform's own reading of an answer that is not a success; None: take the table's."""

TABLE: dict[int, Verdict] = {
    400: Verdict(ContractBroken, "The platform calls our request wrong"),
    401: Verdict(ReauthorizeNeeded, "The platform does not accept the credentials", "Check the keys, then connect again"),
    402: Verdict(ReauthorizeNeeded, "The platform's plan does not include this", "Ask the account's owner"),
    403: Verdict(
        ReauthorizeNeeded,
        "The credentials lack a permission that the hub needs",
        "Give the keys the missing permission, then connect again",
    ),
    404: Verdict(ContractBroken, "The address exists but not this part of it", "Check the setting «url»"),
    405: Verdict(ContractBroken, "The platform does not know this kind of call"),
    408: Verdict(Unavailable, "The platform took too long"),
    409: Verdict(ContractBroken, "The platform reports a conflict"),
    413: Verdict(ContractBroken, "The platform finds the request too large"),
    414: Verdict(ContractBroken, "The platform finds the address too long"),
    423: Verdict(Unavailable, "The platform has locked the records for a moment", after=2.0),
    425: Verdict(Unavailable, "The platform asks to come later", after=5.0),
    429: Verdict(RateLimited, "The platform's API limit is used up", after=10.0),
    477: Verdict(Unavailable, "The platform is moving this account to another data centre", after=600.0),
    530: Verdict(ReauthorizeNeeded, "The platform cannot read the token", "Connect the account again"),
}
SERVER_ERROR = Verdict(Unavailable, "The platform has an error of its own")
REDIRECT = Verdict(
    ContractBroken,
    "The address leads to another one: {location}",
    "Put the final address into the setting «url»",
)
UNKNOWN = Verdict(ContractBroken, "The platform answered with an unexpected status")


def judge_answer(answer: Answer, *, connection: str, judge: Judge | None, now: datetime) -> PlatformError | None:
    """The error that an answer stands for, or None for a success (2xx)."""
    if 200 <= answer.status < 300:
        return None
    own = judge(answer) if judge else None
    if isinstance(own, PlatformError):
        own.connection = own.connection or connection
        own.status = own.status or answer.status
        return own
    verdict = own or _from_table(answer.status)
    extra: dict[str, Any] = {}
    if issubclass(verdict.error, Unavailable):
        asked = retry_after(answer, now)
        extra["after"] = verdict.after if asked is None else asked
    if issubclass(verdict.error, ContractBroken):
        extra["sample"] = answer.body[:2000].decode("utf-8", "replace")
    return verdict.error(
        verdict.message,
        cure=verdict.cure or None,
        connection=connection,
        status=answer.status,
        cause=_vendor_words(answer),
        request_id=answer.headers.get("x-hubspot-correlation-id", ""),
        location=answer.headers.get("location", ""),
        **extra,
    )


def _from_table(status: int) -> Verdict:
    if status in TABLE:
        return TABLE[status]
    if 300 <= status < 400:
        return REDIRECT
    return SERVER_ERROR if status >= 500 else UNKNOWN


def _vendor_words(answer: Answer) -> str:
    """The vendor's own message where the body has one in a usual place, else «HTTP 503»."""
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        body = None
    if isinstance(body, dict):
        for name in ("message", "error_description", "error"):
            if isinstance(body.get(name), str):
                return f"HTTP {answer.status}, {body[name][:500]}"
    return f"HTTP {answer.status}"


def retry_after(answer: Answer, now: datetime) -> float | None:
    """Retry-After in seconds, whether given as seconds or as a date (RFC 9110 §10.2.3); None where absent or unreadable."""
    value = answer.headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
            seconds = ((date if date.tzinfo else date.replace(tzinfo=UTC)) - now).total_seconds()
        except (ValueError, TypeError):
            return None
    if seconds != seconds:  # a literal «nan»
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def read_json(answer: Answer, *, connection: str = "") -> Any:
    """The parsed body, or `ContractBroken` that says what stands there instead (HTML, cut off, empty) with a sample."""
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        start = answer.body[:200].lstrip().lower()
        if not start:
            message = "The answer is empty where JSON was expected"
        elif start.startswith(b"<"):
            message = "The answer is a web page where JSON was expected"
        else:
            message = "The answer is cut off or is not JSON"
        raise ContractBroken(
            message,
            connection=connection,
            status=answer.status,
            cause=str(error),
            cure="Open the address in a browser: a firewall, a login page or a maintenance page may stand before it",
            sample=answer.body[:2000].decode("utf-8", "replace"),
        ) from error
