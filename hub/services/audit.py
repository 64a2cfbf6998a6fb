"""Who acts, and the trail of what was done. Doors say who acts; verbs note what they did in their own transaction.

The actor is ambient (a context variable) and not an argument of every verb: forgetting to hand it on would be an entry by
nobody, and no verb decides anything by it. Whether somebody may do something is the door's question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from hub.core.redact import redact_value
from hub.core.types import Actor
from hub.store import audit
from hub.store.db import Session

HUB = Actor("hub", "hub", "hub")
_acting: ContextVar[Actor] = ContextVar("acting", default=HUB)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """What is done inside is done by `actor`."""
    token = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(token)


def act_as(actor: Actor) -> None:
    """For doors that have no block: until the end of this context (a request, a command)."""
    _acting.set(actor)


def actor() -> Actor:
    return _acting.get()


def note(
    session: Session,
    action: str,
    subject: tuple[str, str, str],
    now: datetime,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> int:
    """Append to the audit trail, inside the caller's transaction. Only what differs is kept; secrets are redacted.

    `action` is «subject.verb-in-the-past» (docs/audit.md lists them); `subject` is (kind, id, name).
    """
    old, new = dict(before or {}), dict(after or {})
    same = {name for name in old.keys() & new.keys() if old[name] == new[name]}
    return audit.append_entry(
        session,
        actor(),
        action,
        subject,
        redact_value({name: value for name, value in old.items() if name not in same}),
        redact_value({name: value for name, value in new.items() if name not in same}),
        now,
    )
