"""Consent acts found in what platforms send: into the ledger, and a withdrawal out to every list at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hub.core.types import Act, ConsentAct
from hub.mapping.apply import FieldError
from hub.mapping.convert import REASONS
from hub.services.consent import owe_leaving
from hub.store import ledger
from hub.store.db import Session

SKEW = timedelta(minutes=2)
"""How far a platform's clock may be ahead of ours."""


def note_acts(
    session: Session, connection_id: str, found: Sequence[tuple[str, ConsentAct]], now: datetime
) -> list[tuple[ConsentAct, FieldError]]:
    """Append (contact id, act) pairs; returns the acts that were not believed, each with what is wrong.

    A yes from the future is a time read wrongly: believed, it would beat a withdrawal made in between. A no counts at once.
    """
    acts: list[tuple[str, ConsentAct]] = []
    doubted: list[tuple[ConsentAct, FieldError]] = []
    for contact_id, act in found:
        if act.at > now + SKEW and act.act is Act.GRANTED:
            reason, cure = REASONS["future_consent"]
            doubted.append((act, FieldError(f"consent:{act.evidence.get('field', '')}", "future_consent", reason, cure, "")))
            continue
        reference = f"{connection_id}:{act.source_ref}"
        acts.append((contact_id, replace(act, source_ref=reference, at=min(act.at, now))))
    ledger.append_acts(session, acts, now)
    owe_leaving(session, acts, now)
    return doubted
