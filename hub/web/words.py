"""What codes mean, in words: states, reasons of decisions, effects, kinds of values. Translated where they are said."""

from __future__ import annotations

import re

from hub.core.texts import N_, say, say_many
from hub.core.types import RunState
from hub.mapping import convert
from hub.rules import consent, scenario
from hub.services.consent import SHARED_ADDRESS
from hub.store import connections
from hub.store.boxes import Effect, EffectState

STATES: dict[str, str] = {
    RunState.QUEUED.value: N_("queued"),
    RunState.RUNNING.value: N_("running"),
    RunState.WAITING.value: N_("waiting"),
    RunState.DONE.value: N_("done"),
    RunState.FAILED.value: N_("failed"),
}

REASONS: dict[str, str] = {
    scenario.ALLOWED: N_("Allowed: consent is given, and the scenario was not started before"),
    consent.ALLOWED: N_("Allowed: consent is given"),
    consent.NO_ADDRESS: N_("No address is known for this channel"),
    consent.SUPPRESSED: N_("The address is suppressed: after a bounce, a complaint or an erasure nothing is sent to it"),
    consent.PAUSED: N_("The person asked for a pause that is not over"),
    consent.WITHDRAWN: N_("The person withdrew consent"),
    consent.NO_CONSENT: N_("The person has not given consent"),
    SHARED_ADDRESS: N_("The address belongs to another contact, whose consent is not this one's"),
    scenario.ALREADY_STARTED: N_("The scenario was started for this contact before"),
    scenario.PLATFORM_REFUSES: N_("The platform refuses this contact as it is now"),
    "contact_gone": N_("The contact does not exist any more"),
    "not_pushed": N_("The contact's own record is not on its way to the platform any more"),
    "not_on_platform": N_("The contact is not on the platform"),
    "rejected": N_("The platform rejected the contact"),
    "scenario_stopped": N_("The scenario was stopped before this left"),
}
"""Code → sentence, for every reason that a rule, the gate or a delivery gives."""

EFFECTS: dict[str, str] = {
    Effect.PUSH_CONTACT.value: N_("Write the contact to the platform"),
    Effect.SET_MEMBER.value: N_("Change a list's members"),
    Effect.START_AUTOMATION.value: N_("Start the automation"),
}

EFFECT_STATES: dict[str, str] = {
    EffectState.HELD.value: N_("waits for the contact to be written"),
    EffectState.OWED.value: N_("owed"),
    EffectState.CLAIMED.value: N_("being sent"),
    EffectState.DONE.value: N_("done"),
    EffectState.REJECTED.value: N_("rejected by the platform"),
    EffectState.CANCELLED.value: N_("cancelled: no longer allowed"),
}

CONNECTION_STATES: dict[str, str] = {
    connections.ACTIVE: N_("works"),
    connections.PAUSED: N_("paused"),
    connections.REAUTHORIZE: N_("needs new credentials"),
}

LIMITS: dict[str, str] = {
    "burst": N_("Calls in each window"),
    "window": N_("Length of the window in seconds"),
    "daily": N_("Calls a day"),
    "in_flight": N_("Calls at the same time"),
}
"""What an admin may cap on a connection."""

DIRECTIONS: dict[str, str] = {"in": N_("read from the platform"), "out": N_("sent to the platform")}

_KINDS: dict[str, str] = {
    "empty": N_("empty"),
    "yes or no": N_("yes or no"),
    "number": N_("number"),
    "object": N_("object"),
}
_LONG_TEXT = re.compile(r"text of (\d+) characters\Z")
_LIST = re.compile(r"list of (\d+)\Z")


def word(words: dict[str, str], code: str, lang: str) -> str:
    """The code's words; a code without words stands for itself."""
    return say(words.get(code, code), lang)


def quarantine_word(code: str, lang: str) -> str:
    """Why a record or a field could not be used."""
    reason, _ = convert.REASONS.get(code, (REASONS.get(code, code), ""))
    return say(reason, lang)


def value_class(stored: str, lang: str) -> str:
    """What `mapping.convert.value_class` wrote in English, in the reader's language."""
    if found := _LONG_TEXT.match(stored):
        return say_many("text of {n} character", "text of {n} characters", int(found[1]), lang)
    if found := _LIST.match(stored):
        return say_many("list of {n} item", "list of {n} items", int(found[1]), lang)
    return word(_KINDS, stored, lang)
