"""Outgoing webhooks: who is told of what. Telling is part of the caller's transaction; delivering is in hook_delivery.py.

Signatures follow Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 over «id.timestamp.body».
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from hub.core.errors import Conflict, Invalid, NotFound
from hub.core.redact import know_secret, redact
from hub.core.texts import N_
from hub.services.audit import note
from hub.services.context import Context
from hub.store import hooks
from hub.store.db import Session, new_id, reading, transaction
from hub.transport.guard import check_host, is_listed

KINDS: dict[str, str] = {
    "connection.created": N_("An account was connected"),
    "connection.changed": N_("A connection was changed, paused, or needs new credentials"),
    "connection.removed": N_("A connection was removed"),
    "run.finished": N_("A stream of a connection was read to its end"),
    "run.failed": N_("A run has failed"),
    "contact.created": N_("A contact was created by a person or through the API"),
    "contact.changed": N_("A contact was corrected by a person or through the API"),
    "consent.granted": N_("A consent was recorded"),
    "consent.withdrawn": N_("A consent was withdrawn"),
    "pause.changed": N_("A contact's pause was set or ended"),
    "scenario.submitted": N_("A scenario was handed in for publishing"),
    "scenario.published": N_("A scenario was published"),
    "scenario.rejected": N_("A scenario was sent back to its author"),
    "evaluation.finished": N_("An evaluation of a scenario has decided about everybody"),
    "webhook.ping": N_("A test that somebody asked for; it goes to that one webhook whatever it chose"),
}
"""What can be told. Payloads hold ids, names of things and counts; never an address or another fact about a person."""

PING = "webhook.ping"
WHSEC = "whsec_"
SECRET_BYTES = 32
ROTATION = timedelta(hours=24)
"""How long the secret before is still signed with after a new one was made."""
LONGEST_URL, LONGEST_DESCRIPTION = 2000, 200
MOST_REPLAYED = 1000
_SEALED = "webhook"


@dataclass(frozen=True)
class Made:
    """A webhook with its secret, which is shown now and never again."""

    id: str
    secret: str


def tell(session: Session, kind: str, subject_id: str, payload: Mapping[str, Any], now: datetime) -> int:
    """Owe this event to every active webhook that asked for its kind, in the caller's transaction. Returns how many."""
    return tell_many(session, kind, [(subject_id, payload)], now)


def tell_many(session: Session, kind: str, told: Sequence[tuple[str, Mapping[str, Any]]], now: datetime) -> int:
    """The same for many subjects at once: (subject's id, payload)."""
    assert kind in KINDS, kind
    webhook_ids = hooks.listeners(session, kind) if told else []
    if not webhook_ids:
        return 0
    events = [
        {"id": new_id(), "kind": kind, "subject_id": subject_id, "payload": dict(payload), "at": now}
        for subject_id, payload in told
    ]
    hooks.add_events(session, events)
    pairs = [(webhook_id, str(event["id"]), None) for event in events for webhook_id in webhook_ids]
    return len(hooks.add_deliveries(session, pairs, now))


def check_url(context: Context, url: str) -> None:
    """Invalid unless it is an https address outside; plain http and private hosts only where the deployment lists the host."""
    allowed = context.settings.allow_private_hosts
    wrong = ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > LONGEST_URL:
        wrong = "The address has characters that an address cannot have, or is longer than 2000 characters"
    elif parts.scheme not in ("http", "https") or not host:
        wrong = "This is not a web address; it starts with https:// and has a host, for example https://example.com/hook"
    elif parts.scheme == "http" and not is_listed(host, port, allowed):
        wrong = "Use an address that starts with https://, so that nobody on the way can read along"
    elif parts.username or parts.password:
        wrong = "Keys do not belong into the address; the signature proves who is calling"
    elif parts.fragment:
        wrong = "The address ends before «#»"
    if wrong:
        raise Invalid("The webhook cannot be used", fields={"url": wrong})
    check_host(host, port or (443 if parts.scheme == "https" else 80), allowed)


def _check(context: Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values trimmed and in order; Invalid names each that is wrong."""
    clean: dict[str, Any] = dict(values)
    wrong: dict[str, str] = {}
    if "description" in clean:
        clean["description"] = str(clean["description"]).strip()
        if len(clean["description"]) > LONGEST_DESCRIPTION or not clean["description"].isprintable():
            wrong["description"] = N_("Describe the webhook in one line of at most 200 characters")
    if "kinds" in clean:
        clean["kinds"] = sorted(set(clean["kinds"]))
        if not clean["kinds"] or any(kind not in KINDS and kind != hooks.EVERY_KIND for kind in clean["kinds"]):
            wrong["kinds"] = N_("Choose at least one kind of event from the list")
    if wrong:
        raise Invalid("The webhook cannot be used", fields=wrong)
    if "url" in clean:
        clean["url"] = str(clean["url"]).strip()
        check_url(context, clean["url"])
    return clean


def create_webhook(context: Context, url: str, kinds: Iterable[str], description: str = "", *, active: bool = True) -> Made:
    clean = _check(context, {"url": url, "kinds": list(kinds), "description": description, "active": active})
    now, webhook_id = context.now(), new_id()
    secret = _new_secret()
    key_id, sealed = context.vault.seal(webhook_id, _SEALED, {"secret": secret})
    with transaction() as session:
        hooks.add_webhook(
            session,
            {
                "id": webhook_id,
                **clean,
                "key_id": key_id,
                "sealed": sealed,
                "failures": 0,
                "version": 1,
                "created_at": now,
                "updated_at": now,
            },
        )
        note(session, "webhook.created", _subject(webhook_id, clean["url"]), now, after=_shown(clean))
    return Made(webhook_id, secret)


def change_webhook(context: Context, webhook_id: str, changes: Mapping[str, Any], *, version: int) -> None:
    """Change `url`, `kinds`, `description` or `active` of the version seen; Conflict if somebody changed it meanwhile.

    Whoever switches it on or off takes note of its failures: they are counted from the beginning.
    """
    clean = _check(context, changes)
    now = context.now()
    with transaction() as session:
        row = get_webhook(session, webhook_id)
        before = {name: getattr(row, name) for name in ("url", "kinds", "description", "active")}
        if row.version != version:
            raise _changed_meanwhile()
        if not {name for name in clean if clean[name] != before[name]} and not row.failures:
            return
        values = {**clean, "failures": 0} if "active" in clean or "url" in clean else clean
        if not hooks.change_webhook(session, webhook_id, values, now, version=version):
            raise _changed_meanwhile()
        note(
            session,
            "webhook.changed",
            _subject(webhook_id, clean.get("url", row.url)),
            now,
            before=_shown(before),
            after=_shown({**before, **clean}),
        )


def remove_webhook(context: Context, webhook_id: str) -> None:
    """With its delivery log."""
    now = context.now()
    with transaction() as session:
        row = get_webhook(session, webhook_id)
        hooks.remove_webhook(session, webhook_id)
        note(session, "webhook.removed", _subject(webhook_id, row.url), now, before=_shown(row._mapping))


def rotate_secret(context: Context, webhook_id: str) -> str:
    """A new secret, shown now and never again; for 24 hours deliveries are signed with the old one too."""
    now = context.now()
    with transaction() as session:
        row = get_webhook(session, webhook_id)
        current = signing_secrets(context, row, now)[0]
        secret = _new_secret()
        values = {"secret": secret, "previous": current, "expires_at": (now + ROTATION).isoformat()}
        key_id, sealed = context.vault.seal(webhook_id, _SEALED, values)
        if not hooks.change_webhook(session, webhook_id, {"key_id": key_id, "sealed": sealed}, now, version=row.version):
            raise _changed_meanwhile()
        note(session, "webhook.secret_rotated", _subject(webhook_id, row.url), now)
    return secret


def signing_secrets(context: Context, row: Any, now: datetime, webhook_id: str | None = None) -> list[str]:
    """The secrets that are valid now, the newest first. `row` has `key_id` and `sealed`."""
    values = context.vault.open(webhook_id or row.id, _SEALED, row.key_id, row.sealed)
    found = [values["secret"]]
    if values.get("previous") and datetime.fromisoformat(values["expires_at"]) > now:
        found.append(values["previous"])
    return found


def ping(context: Context, webhook_id: str) -> str:
    """Owe a test event to this webhook alone, whatever kinds it chose; returns the delivery's id."""
    now = context.now()
    with transaction() as session:
        row = get_webhook(session, webhook_id)
        if not row.active:
            raise Conflict("This webhook is switched off", cure="Switch it on first, then test it")
        event_id = new_id()
        event = {"id": event_id, "kind": PING, "subject_id": webhook_id, "payload": {"webhook_id": webhook_id}, "at": now}
        hooks.add_events(session, [event])
        delivery_id = hooks.add_deliveries(session, [(webhook_id, event_id, None)], now)[0]
        note(session, "webhook.tested", _subject(webhook_id, row.url), now)
    return delivery_id


def replay_delivery(context: Context, webhook_id: str, delivery_id: str) -> str:
    """Owe a settled delivery once more; returns the new one's id. Twice asked while it is owed: Conflict."""
    now = context.now()
    with transaction() as session:
        row = _active(session, webhook_id)
        found = hooks.find_delivery(session, delivery_id)
        if found is None or found.webhook_id != webhook_id:
            raise NotFound("There is no such delivery", cure="Go on from the webhook's delivery log")
        if found.state == hooks.OWED:
            raise Conflict("This delivery is still owed", cure="Wait: the hub tries again by itself")
        if hooks.is_owed(session, webhook_id, found.event_id):  # the same button twice
            raise Conflict("This delivery is still owed", cure="Wait: the hub tries again by itself")
        repeated = hooks.add_deliveries(session, [(webhook_id, found.event_id, delivery_id)], now)[0]
        note(session, "webhook.replayed", _subject(webhook_id, row.url), now, after={"deliveries": 1})
    return repeated


def replay_failed(context: Context, webhook_id: str, since: datetime) -> int:
    """Owe again what has failed since then and was not delivered later, at most 1000 events; returns how many."""
    now = context.now()
    with transaction() as session:
        row = _active(session, webhook_id)
        failed = hooks.failed_since(session, webhook_id, since, MOST_REPLAYED)
        if failed:
            hooks.add_deliveries(session, [(webhook_id, one.event_id, one.id) for one in failed], now)
            after = {"deliveries": len(failed), "since": since.isoformat()}
            note(session, "webhook.replayed", _subject(webhook_id, row.url), now, after=after)
    return len(failed)


def troubled() -> list[Any]:
    """Webhooks that need a person: failing now, or switched off by the hub because they failed for too long."""
    with reading() as session:
        return [row for row in hooks.list_webhooks(session) if row.failures]


def get_webhook(session: Session, webhook_id: str) -> Any:
    row = hooks.find_webhook(session, webhook_id)
    if row is None:
        raise NotFound("There is no such webhook", cure="Go on from the list of webhooks")
    return row


def _active(session: Session, webhook_id: str) -> Any:
    row = get_webhook(session, webhook_id)
    if not row.active:
        raise Conflict("This webhook is switched off", cure="Switch it on first, then send again")
    return row


def _changed_meanwhile() -> Conflict:
    return Conflict("Somebody changed this webhook meanwhile", cure="Look at it again, then repeat your change")


def _new_secret() -> str:
    secret = WHSEC + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    know_secret(secret)
    return secret


def shown_url(url: str) -> str:
    """Without what may be a key in the query: for names and logs."""
    return redact(url.partition("?")[0])


def _subject(webhook_id: str, url: str) -> tuple[str, str, str]:
    return ("webhook", webhook_id, shown_url(url))


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: values[name] for name in ("kinds", "description", "active") if name in values}
    return {"url": shown_url(values["url"]), **kept} if "url" in values else kept
