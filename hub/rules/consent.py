"""May a person be contacted on a channel about a topic? The newest act of the person on a scope wins.

Invariants (docs/architecture.md): absence of an act is no consent; of two acts at the same moment the withdrawal wins;
a withdrawal of the whole channel («*») ends every topic until a newer grant; suppression beats everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from hub.core.types import Act, Decision

EVERY_TOPIC = "*"

ALLOWED = "consent"
NO_ADDRESS = "no_address"
SUPPRESSED = "suppressed"
PAUSED = "paused"
WITHDRAWN = "withdrawn"
NO_CONSENT = "no_consent"


class ActLike(Protocol):
    """An act as the ledger stores it."""

    @property
    def topic(self) -> str: ...
    @property
    def brand(self) -> str: ...
    @property
    def act(self) -> str: ...
    @property
    def at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class ConsentFacts:
    """What is known of one contact on one channel. `acts`: at least the newest per scope, in any order."""

    address: str | None
    acts: Iterable[ActLike] = field(default_factory=tuple)
    suppressed: str | None = None
    paused_until: datetime | None = None


def may_contact(facts: ConsentFacts, topic: str, brand: str, at: datetime) -> Decision:
    """Whether the contact may be contacted at the moment `at`; acts after it do not count."""
    if not facts.address:
        return Decision(False, NO_ADDRESS)
    if facts.suppressed:
        return Decision(False, SUPPRESSED)
    newest: ActLike | None = None
    for act in facts.acts:
        if act.at > at or act.brand != brand or not _covers(act, topic):
            continue
        if newest is None or (act.at, _restrictive(act)) > (newest.at, _restrictive(newest)):
            newest = act
    if newest is None:
        return Decision(False, NO_CONSENT)
    if newest.act != Act.GRANTED.value:
        return Decision(False, WITHDRAWN)
    if facts.paused_until and facts.paused_until > at:
        return Decision(False, PAUSED)
    return Decision(True, ALLOWED)


def _covers(act: ActLike, topic: str) -> bool:
    """A withdrawal of every topic covers each; a grant only the topic it names, never all (GDPR art. 4(11): specific)."""
    if _restrictive(act):
        return act.topic in (topic, EVERY_TOPIC)
    return act.topic == topic != EVERY_TOPIC


def _restrictive(act: ActLike) -> bool:
    return act.act != Act.GRANTED.value
