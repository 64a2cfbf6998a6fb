"""Reading the audit trail, and proving that nobody changed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from hub.services.audit import note
from hub.services.context import Context
from hub.store import audit
from hub.store.db import reading, transaction
from hub.store.vault import Vault


@dataclass(frozen=True)
class Proof:
    """`entries` are as they were written; `broken` is the number of the first that is not, or None."""

    entries: int
    broken: int | None
    at: datetime


_proofs: WeakKeyDictionary[Vault, Proof] = WeakKeyDictionary()
"""By the vault, of which each application has one."""


def page(**wanted: Any) -> Sequence[Any]:
    """Entries as `hub.store.audit.page_entries` finds them."""
    with reading() as session:
        return audit.page_entries(session, **wanted)


def known_names() -> audit.Known:
    """What can be filtered by."""
    with reading() as session:
        return audit.known_names(session)


def prove(context: Context) -> Proof:
    """Go through the whole chain. Every entry is read, so this is done when somebody asks."""
    with reading() as session:
        entries, broken = audit.verify(session)
    proof = Proof(entries, broken, context.now())
    _proofs[context.vault] = proof
    return proof


def note_export(context: Context, kind: str, filters: Mapping[str, str]) -> None:
    """Somebody takes a list with personal data out of the hub; `kind` is the list's name."""
    asked = {name: value for name, value in filters.items() if value}
    with transaction() as session:
        note(session, f"{kind}.exported", (kind, "", ""), context.now(), after=asked)


def last_proof(context: Context) -> Proof | None:
    """What this process last found."""
    return _proofs.get(context.vault)
