"""Who of a segment's members gets a scenario now, and what is owed for it."""

from __future__ import annotations

from dataclasses import dataclass

from hub.core.types import Decision

ALREADY_STARTED = "already_started"
PLATFORM_REFUSES = "platform_refuses"
ALLOWED = "allowed"


@dataclass(frozen=True, slots=True)
class EntryFacts:
    """`may_contact` is the gate's answer; `started` whether this scenario was started for the contact before;
    `rejected` whether the platform has refused the contact as they are now."""

    may_contact: Decision
    started: bool
    rejected: bool = False


def decide_entry(facts: EntryFacts) -> Decision:
    """The gate first: a refusal is always named as such, even for those who had the scenario before."""
    if not facts.may_contact.allowed:
        return facts.may_contact
    if facts.started:
        return Decision(False, ALREADY_STARTED)
    if facts.rejected:
        return Decision(False, PLATFORM_REFUSES)
    return Decision(True, ALLOWED)
