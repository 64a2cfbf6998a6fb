"""HubSpot's refusals, row by row: what each status, category and policy means for the hub."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson

from hub.core.errors import ContractBroken, PlatformError, RateLimited, ReauthorizeNeeded, RecordRejected, Unavailable
from hub.core.http import Answer
from hub.transport.verdicts import Judge, retry_after

Clock = Callable[[], float]

POLICY_WAITS = {"SECONDLY": 1.0, "TEN_SECONDLY_ROLLING": 10.0}
"""Seconds to wait where there is no Retry-After: the constants of the vendor's own client."""

MIGRATION_WAIT = 600.0
SUPPORT_CASES = frozenset({522, 525, 526})
MAPPING_CODES = frozenset({"PROPERTY_DOESNT_EXIST", "READ_ONLY_VALUE"})
"""Faults of the dictionary, not of a record: every record with that property would be refused."""

_EXISTING = re.compile(r"Existing ID:\s*(\d+)", re.I)
_LIST_IN_TEXT = re.compile(r"\[\s*\{.*\}\s*\]", re.S)
_UNKNOWN_PROPERTY = re.compile(r'Property "?([\w-]+)"? does not exist', re.I)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What HubSpot says about a refused write: its words, and whom or what it names (all may be empty)."""

    words: str
    code: str = ""
    field: str = ""
    traces: tuple[str, ...] = ()
    existing_id: str = ""


def read_refusal(body: dict[str, Any]) -> Refusal:
    """The envelope's parts; HubSpot hides the detail as JSON text inside `message` where older services answer."""
    message = str(body.get("message") or "")
    contexts = [body.get("context")]
    words, code, field = message, "", ""
    for detail in [item for item in body.get("errors") or [] if isinstance(item, dict)] + _details_in(message):
        contexts.append(detail.get("context"))
        if not code:
            words = str(detail.get("message") or message)
            code = str(detail.get("code") or detail.get("error") or "")
            field = str(detail.get("name") or "")
    field = field or next(iter(_named(contexts, "propertyName")), "")
    unknown = _UNKNOWN_PROPERTY.search(message)
    if unknown:
        code, field = "PROPERTY_DOESNT_EXIST", field or unknown[1]
    existing = _EXISTING.search(message)
    return Refusal(
        words[:500],
        code or str(body.get("category") or ""),
        field,
        tuple(_named(contexts, "objectWriteTraceId")),
        existing[1] if existing else next(iter(_named(contexts, "existingId")), ""),
    )


def _details_in(message: str) -> list[dict[str, Any]]:
    found = _LIST_IN_TEXT.search(message)
    try:
        details = orjson.loads(found[0]) if found else []
    except orjson.JSONDecodeError:
        return []
    return [item for item in details if isinstance(item, dict)]


def _named(contexts: Iterable[Any], name: str) -> list[str]:
    """Values under `name`; HubSpot writes each as a list, older services as a plain text."""
    found: list[str] = []
    for context in contexts:
        value = context.get(name) if isinstance(context, dict) else None
        found += [str(item) for item in (value if isinstance(value, list) else [value]) if item not in (None, "")]
    return found


def make_judge(zone: str, clock: Clock = time.time) -> Judge:
    """The reading of answers for an account in time zone `zone` (the daily limit ends at its midnight)."""

    def judge(answer: Answer) -> PlatformError | None:
        body = _envelope(answer)
        rest: dict[str, Any] = {
            "status": answer.status,
            "request_id": str(body.get("correlationId") or answer.headers.get("x-hubspot-correlation-id", "")),
            "vendor_code": str(body.get("category") or body.get("errorType") or ""),
            "cause": f"HTTP {answer.status}, {str(body.get('message') or '')[:500]}".rstrip(", "),
        }
        asked = retry_after(answer, datetime.fromtimestamp(clock(), UTC))
        if answer.status == 429:
            return _rate_limited(body, asked, seconds_to_midnight(zone, clock()), rest)
        if answer.status in (401, 403, 530):
            return _no_entry(answer.status, body, rest)
        if answer.status in (423, 477) or answer.status >= 500:
            return _come_later(answer.status, asked, rest)
        ours = body.get("category") or body.get("correlationId") or body.get("status") == "error"
        if answer.status in (400, 404, 409) and ours:
            return _refused(answer, body, rest)
        return None

    return judge


def _envelope(answer: Answer) -> dict[str, Any]:
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def seconds_to_midnight(zone: str, now: float) -> float:
    """Seconds until the next midnight in `zone`; UTC where the zone is not known."""
    try:
        place = ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        place = ZoneInfo("UTC")
    today = datetime.fromtimestamp(now, place)
    midnight = datetime.combine(today.date() + timedelta(days=1), datetime.min.time(), place)
    return midnight.timestamp() - now


def _rate_limited(body: dict[str, Any], asked: float | None, until_midnight: float, rest: dict[str, Any]) -> RateLimited:
    policy = str(body.get("policyName") or "TEN_SECONDLY_ROLLING")
    after = until_midnight if policy == "DAILY" else POLICY_WAITS.get(policy, 10.0)
    message = "HubSpot's daily API limit is used up" if policy == "DAILY" else "HubSpot's API limit is used up for a moment"
    return RateLimited(
        message,
        after=after if asked is None else asked,
        details={"policy": policy},
        **{**rest, "vendor_code": policy},
    )


def _no_entry(status: int, body: dict[str, Any], rest: dict[str, Any]) -> ReauthorizeNeeded:
    if status == 401:
        expired = body.get("category") == "EXPIRED_AUTHENTICATION"
        return ReauthorizeNeeded(
            "HubSpot says that the token has expired" if expired else "HubSpot does not accept the token",
            cure="Check «token», or connect the app again for a new «refresh_token»",
            **rest,
        )
    if status == 530:
        return ReauthorizeNeeded(
            "HubSpot cannot read the token", cure="Check that «token» was copied whole and without spaces", **rest
        )
    scopes = _named([body.get("context"), *_contexts(body)], "requiredGranularScopes")
    if body.get("category") == "MISSING_SCOPES" or scopes:
        return ReauthorizeNeeded(
            "The connection works but lacks a scope. One of these is needed: {scopes}",
            cure="Add the scope to the service key or app in HubSpot, then connect again; the account's plan must include it",
            scopes=", ".join(scopes) or "?",
            details={"scopes": scopes},
            **{**rest, "vendor_code": "MISSING_SCOPES"},
        )
    return ReauthorizeNeeded("HubSpot forbids this to the connection", cure="Check the scopes and the account's plan", **rest)


def _contexts(body: dict[str, Any]) -> list[Any]:
    return [item.get("context") for item in body.get("errors") or [] if isinstance(item, dict)]


def _come_later(status: int, asked: float | None, rest: dict[str, Any]) -> Unavailable:
    if status == 423:
        return Unavailable("HubSpot has locked the records for a moment", after=max(asked or 0.0, 2.0), **rest)
    if status == 477:
        wait = MIGRATION_WAIT if asked is None else asked
        return Unavailable(
            "HubSpot is moving this account to another data centre", after=wait, details={"migration": True}, **rest
        )
    if status in SUPPORT_CASES:
        return Unavailable(
            "HubSpot's own network has an error that it wants reported",
            cure="The hub tries again by itself; if it lasts, open a case with HubSpot's support and name the request id",
            after=600.0 if asked is None else asked,
            **rest,
        )
    return Unavailable("HubSpot has an error of its own", after=asked, **rest)


def _refused(answer: Answer, body: dict[str, Any], rest: dict[str, Any]) -> PlatformError:
    message = str(body.get("message") or "")
    if answer.status == 400 and message.startswith("Invalid input JSON"):
        return ContractBroken("HubSpot cannot read our request", sample=answer.body[:2000].decode("utf-8", "replace"), **rest)
    refusal = read_refusal(body)
    return RecordRejected(
        "HubSpot does not have this record or list" if answer.status == 404 else "HubSpot refuses this write",
        field=refusal.field,
        details={"traces": list(refusal.traces), "existing_id": refusal.existing_id},
        **{**rest, "vendor_code": refusal.code, "cause": refusal.words},
    )
