"""Delivering webhooks: claim → call (no transaction) → settle; retries for three days, then the hub gives up and says so."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson

from hub import __version__
from hub.core.errors import HubError
from hub.core.http import Answer
from hub.core.redact import redact
from hub.services import hooks as webhooks
from hub.services.audit import note
from hub.services.connections import http_settings
from hub.services.context import Context
from hub.store import hooks
from hub.store.db import transaction
from hub.transport import HttpSettings, retry_after
from hub.transport.posting import Postman

log = logging.getLogger("hub.hooks")

PAUSES = (5, 30, 120, 600, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 72_000)
"""Seconds after the first, second, … failed attempt."""
GIVE_UP_AFTER = timedelta(days=3)
DISABLE_AFTER = 8
"""Failures in a row from which a delivery that is given up switches its webhook off: the address has been dead for days."""
GONE = 410
KEPT_ANSWER = 500
KEEP_LOG = timedelta(days=30)
CONNECT_SECONDS, READ_SECONDS = 5.0, 10.0
LEASE = 60.0
"""Seconds a delivery is ours: longer than its call may take."""


class HookRefused(HubError):
    """The receiver answered, but not with a 2xx."""

    code = "hook_refused"
    message = "The receiver answered with status {status}"
    cure = "Look at the beginning of its answer; the hub tries again for three days"


class HookGivenUp(HubError):
    """Nothing more is tried for this delivery."""

    code = "hook_given_up"
    message = "The webhook was switched off before this could be delivered"
    cure = "Mend the receiver, switch the webhook on, then send the failed deliveries again"


def envelope(kind: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    """The body as it is signed and sent."""
    return orjson.dumps({"type": kind, "timestamp": at.isoformat(), "data": dict(data)})


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """One «v1,…» signature of Standard Webhooks."""
    key = base64.b64decode(secret.removeprefix(webhooks.WHSEC))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def deliver(context: Context, delivery_id: str) -> bool:
    """One attempt at one delivery; False if it was not to be had (settled, too early, another worker's)."""
    now = context.now()
    with transaction() as session:
        row = hooks.claim_delivery(session, delivery_id, now, LEASE)
        if row is not None and (not row.active or now > row.created_at + GIVE_UP_AFTER + GIVE_UP_AFTER):
            hooks.settle_delivery(session, row.id, row.attempts, _failed(HookGivenUp(), now))
            row = None
    if row is None:
        return False
    answer, error = _call(context, row, now)
    _settle(context, row, answer, error)
    return True


def _call(context: Context, row: Any, now: datetime) -> tuple[Answer | None, HubError | None]:
    body = envelope(row.kind, row.at, row.payload)
    stamp = int(now.timestamp())
    try:
        secrets = webhooks.signing_secrets(context, row, now, row.webhook_id)
        headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"hub/{__version__}",
            "webhook-id": row.event_id,  # the same for every attempt and replay: receivers know repeats by it
            "webhook-timestamp": str(stamp),
            "webhook-signature": " ".join(sign(secret, row.event_id, stamp, body) for secret in secrets),
        }
        webhooks.check_url(context, row.url)
        answer = Postman(f"webhook {row.webhook_id}", _settings(context)).post(row.url, body, headers)
    except HubError as error:
        return None, error
    if 200 <= answer.status < 300:
        return answer, None
    return answer, HookRefused(status=answer.status)


def _settings(context: Context) -> HttpSettings:
    usual = http_settings(context)
    return HttpSettings(
        connect_timeout=min(usual.connect_timeout, CONNECT_SECONDS),
        read_timeout=min(usual.read_timeout, READ_SECONDS),
        private_hosts=usual.private_hosts,
        ca_bundle=usual.ca_bundle,
    )


def _settle(context: Context, row: Any, answer: Answer | None, error: HubError | None) -> None:
    now = context.now()
    seen: dict[str, Any] = {
        "status": answer.status if answer else None,
        "answer": beginning(answer.body) if answer else None,
        "seconds": round(answer.elapsed, 3) if answer else None,
    }
    with transaction() as session:
        if error is None:
            if hooks.settle_delivery(
                session, row.id, row.attempts, {**seen, "state": hooks.SENT, "error": None, "settled_at": now}
            ):
                hooks.clear_failures(session, row.webhook_id)
            return
        gone = answer is not None and answer.status == GONE
        wait = pause(row.attempts, answer, now)
        over = gone or now + timedelta(seconds=wait) > row.created_at + GIVE_UP_AFTER
        if over:
            outcome = {**seen, **_failed(error, now)}
        else:
            outcome = {**seen, "error": error.as_json(), "not_before": now + timedelta(seconds=wait)}
        if not hooks.settle_delivery(session, row.id, row.attempts, outcome):
            return
        failures = hooks.count_failure(session, row.webhook_id)
        if (gone or (over and failures >= DISABLE_AFTER)) and hooks.switch_off(session, row.webhook_id, now):
            hooks.give_up_owed(session, row.webhook_id, HookGivenUp().as_json(), now)
            subject = ("webhook", row.webhook_id, webhooks.shown_url(row.url))
            why = "answered 410 Gone" if gone else "failed for three days"
            note(session, "webhook.disabled", subject, now, before={"active": True}, after={"active": False, "why": why})
    log.warning("a webhook was not delivered: %s", error, extra={"webhook": row.webhook_id, "delivery": row.id})


def _failed(error: HubError, now: datetime) -> dict[str, Any]:
    return {"state": hooks.FAILED, "error": error.as_json(), "settled_at": now}


def pause(attempts: int, answer: Answer | None, now: datetime) -> float:
    """Seconds until the next attempt: growing, a little uneven so that many do not come at once, or what is asked for."""
    own = PAUSES[min(attempts, len(PAUSES)) - 1] * random.uniform(0.9, 1.1)
    asked = retry_after(answer, now) if answer is not None and answer.status in (429, 503) else None
    return max(own, asked or 0.0)


def beginning(body: bytes) -> str:
    """The beginning of an answer, as text without secrets and without what a database cannot keep."""
    text = redact(body[: 4 * KEPT_ANSWER].decode("utf-8", "replace"))
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text)[:KEPT_ANSWER]


def forget_old_deliveries(context: Context) -> int:
    """Periodic: the delivery log keeps 30 days."""
    with transaction() as session:
        return hooks.forget_deliveries(session, context.now() - KEEP_LOG)
