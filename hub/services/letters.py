"""Our own letters: owed in the transaction of what they tell about, sent by a worker, with patience."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import orjson

from hub.core.errors import HubError, SetupError
from hub.mail import sender
from hub.services.context import Context
from hub.store import letters
from hub.store.db import Session, new_id, transaction

FIRST_WAIT = 30.0
LONGEST_WAIT = 3600.0
GIVEN_UP = 40
"""Attempts: about a day and a half of a mail server that is away."""
CLAIM = 120.0
"""Seconds a worker owns a letter; longer than a mail server may take."""


def owe_letter(session: Session, context: Context, kind: str, recipient: str, language: str, values: Mapping[str, str]) -> str:
    """Put a letter into the outbox, inside the caller's transaction; `kind` is a folder of mail/templates."""
    letter_id = new_id()
    key_id, sealed = context.vault.seal(letter_id, "letter", {"values": orjson.dumps(dict(values)).decode()})
    letters.add_letter(
        session,
        id=letter_id,
        kind=kind,
        recipient=recipient,
        language=language,
        key_id=key_id,
        sealed=sealed,
        state=letters.OWED,
        not_before=context.now(),
        created_at=context.now(),
    )
    return letter_id


def send_letter(context: Context, letter_id: str) -> bool:
    """Send one letter if it is due. One that cannot be sent now is tried again, more and more rarely."""
    now = context.now()
    with transaction() as session:  # two workers do not send one letter twice
        row = letters.claim_letter(session, letter_id, now, now + timedelta(seconds=CLAIM))
    if row is None:
        return False
    error: HubError | None = None
    try:
        values = context.vault.open(row.id, "letter", row.key_id, row.sealed)["values"]
        sender.send(
            context.settings,
            sender.Letter(row.id, row.kind, row.recipient, row.language, orjson.loads(values), row.created_at),
        )
    except HubError as failed:
        error = failed
    now = context.now()
    with transaction() as session:
        if error is None:
            letters.settle_letter(session, letter_id, letters.SENT, now)
            return True
        wait = min(FIRST_WAIT * 2 ** min(row.attempts, 20), LONGEST_WAIT)
        hopeless = row.attempts + 1 >= GIVEN_UP or isinstance(error, SetupError | sender.Undeliverable)
        state = letters.FAILED if hopeless else letters.OWED
        letters.settle_letter(session, letter_id, state, now, error=error.as_json(), not_before=now + timedelta(seconds=wait))
    return False
