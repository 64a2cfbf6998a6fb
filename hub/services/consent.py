"""The consent gate, and the acts that it asks about."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hub.core.errors import Invalid, NotFound
from hub.core.types import Act, Channel, ConsentAct, Decision, Lane
from hub.rules.consent import EVERY_TOPIC, ConsentFacts
from hub.rules.consent import may_contact as decide
from hub.services.audit import note
from hub.services.context import Context
from hub.services.hooks import tell
from hub.store import boxes, contacts, ledger, scenarios
from hub.store.boxes import Effect, EffectState
from hub.store.db import Session, reading, transaction

ADDRESS_OF = {Channel.EMAIL: "email", Channel.SMS: "phone", Channel.PHONE: "phone"}
SHARED_ADDRESS = "shared_address"


def may_contact(context: Context, contact_id: str, channel: Channel, topic: str, at: datetime, brand: str = "") -> Decision:
    """Whether the contact may (or might, for a moment in the past) be contacted; asked of the ledger itself.

    Acts recorded later but done before `at` count. NotFound if there is no such contact.
    """
    with reading() as session:
        profile = contacts.profiles(session, [contact_id]).get(contact_id)
        if profile is None:
            raise NotFound("There is no such contact", subject=contact_id)
        address = _address(profile, channel)
        facts = ConsentFacts(
            address=address,
            acts=ledger.acts_until(session, contact_id, channel, at),
            suppressed=ledger.suppressed(session, channel, [address]).get(address) if address else None,
            paused_until=ledger.pauses(session, channel, [contact_id], at).get(contact_id),
        )
        holder = contacts.owners(session, "email", [address]).get(address) if address and channel is Channel.EMAIL else None
    if holder is not None and holder.contact_id != contact_id:
        return Decision(False, SHARED_ADDRESS)
    return decide(facts, topic, brand, at)


def gate(
    session: Session, profiles: Mapping[str, Mapping[str, Any]], channel: Channel, topic: str, brand: str, at: datetime
) -> dict[str, Decision]:
    """The same for many contacts now, set-based: from the projection of the ledger.

    An e-mail that belongs to another contact (a shared mailbox) is refused: their permission is not this one's.
    """
    addresses = {contact_id: _address(profile, channel) for contact_id, profile in profiles.items()}
    given = {address for address in addresses.values() if address}
    states = ledger.states_of(session, profiles, channel)
    suppressed = ledger.suppressed(session, channel, given)
    paused = ledger.pauses(session, channel, profiles, at)
    holders = contacts.owners(session, "email", given) if channel is Channel.EMAIL else {}
    decisions = {}
    for contact_id, address in addresses.items():
        holder = holders.get(address) if address else None
        if holder is not None and holder.contact_id != contact_id:
            decisions[contact_id] = Decision(False, SHARED_ADDRESS)
            continue
        facts = ConsentFacts(
            address=address,
            acts=states.get(contact_id, ()),
            suppressed=suppressed.get(address) if address else None,
            paused_until=paused.get(contact_id),
        )
        decisions[contact_id] = decide(facts, topic, brand, at)
    return decisions


def _address(profile: Mapping[str, Any], channel: Channel) -> str | None:
    column = ADDRESS_OF.get(channel)
    return (profile.get(column) or None) if column else str(profile["id"])


def record_act(context: Context, contact_id: str, act: ConsentAct) -> bool:
    """Write one act of the person; False if it stands in the ledger already.

    A withdrawal leaves at once, in the urgent lane, to every platform whose list the person is on.
    """
    now = context.now()
    if act.at.tzinfo is None or act.at > now:
        raise Invalid("The act cannot be recorded", fields={"at": "The moment must be aware UTC and not in the future"})
    if act.topic == EVERY_TOPIC and act.act is Act.GRANTED:
        raise Invalid(
            "The act cannot be recorded", fields={"topic": "A consent names one topic; only a withdrawal may name all"}
        )
    with transaction() as session:
        if contact_id not in contacts.profiles(session, [contact_id]):
            raise NotFound("There is no such contact", subject=contact_id)
        written = ledger.append_acts(session, [(contact_id, act)], now)
        if written:
            owe_leaving(session, [(contact_id, act)], now)
            _note_act(session, contact_id, act, now)
    return bool(written)


def _note_act(session: Session, contact_id: str, act: ConsentAct, now: datetime) -> None:
    """Who recorded it stands in the trail; what proves it stands in the ledger."""
    kind = "consent.granted" if act.act is Act.GRANTED else "consent.withdrawn"
    scope = {"channel": act.channel.value, "topic": act.topic, "brand": act.brand, "at": act.at.isoformat()}
    note(session, kind, ("contact", contact_id, ""), now, after={**scope, "source": act.source})
    tell(session, kind, contact_id, {"contact_id": contact_id, **scope}, now)


def owe_leaving(session: Session, acts: Sequence[tuple[str, ConsentAct]], now: datetime) -> None:
    """For each withdrawal among the acts: leave every list that a scenario of its scope put the person on."""
    withdrawals = [(contact_id, act) for contact_id, act in acts if act.act is Act.WITHDRAWN]
    if not withdrawals:
        return
    rows = []
    for scenario in scenarios.list_scenarios(session):
        for contact_id, act in withdrawals:
            if (scenario.channel, scenario.brand) != (act.channel.value, act.brand):
                continue
            if act.topic not in (EVERY_TOPIC, scenario.topic) or _allowed_again(session, contact_id, act, scenario.topic, now):
                continue
            key = f"{scenario.id}:{contact_id}:leave:{_short(act.source_ref)}"
            rows += [
                leave_list(scenario.connection_id, contact_id, list_id, f"{key}:{list_id}") for list_id in _lists_of(scenario)
            ]
    boxes.owe(session, rows, now)


def _lists_of(scenario: Any) -> set[str]:
    """The lists a scenario puts people on: the mirror of its segment, and the one that starts the automation."""
    kind, _, target = scenario.automation.partition(":")
    return {list_id for list_id in (scenario.list_id, target if kind == "list" else None) if list_id}


def leave_list(connection_id: str, contact_id: str, list_id: str, key: str) -> dict[str, Any]:
    """The effect that takes a person off a list, in the urgent lane; nothing is asked before it leaves."""
    return {
        "effect": Effect.SET_MEMBER.value,
        "connection_id": connection_id,
        "contact_id": contact_id,
        "lane": Lane.URGENT.value,
        "detail": f"-{list_id}",
        "gate": {},
        "idempotency_key": key[:200],
        "evaluation_id": None,
        "state": EffectState.OWED.value,
        "not_before": None,
    }


def _allowed_again(session: Session, contact_id: str, act: ConsentAct, topic: str, now: datetime) -> bool:
    """Whether a newer yes has outlived the withdrawal already."""
    acts = ledger.states_of(session, [contact_id], act.channel).get(contact_id, ())
    return decide(ConsentFacts(contact_id, acts), topic, act.brand, now).allowed


def _short(reference: str) -> str:
    return hashlib.blake2b(reference.encode(), digest_size=16).hexdigest()
