"""All that the hub knows of one contact, and why: for the contact's page and the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hub.core.errors import NotFound
from hub.core.types import Channel, Decision
from hub.rules.consent import EVERY_TOPIC, ConsentFacts
from hub.rules.consent import may_contact as decide
from hub.services.audit import note
from hub.services.consent import ADDRESS_OF, SHARED_ADDRESS
from hub.services.context import Context
from hub.store import contacts, dossier
from hub.store.contacts import PROFILE
from hub.store.db import Session, reading, transaction

MOST_SHOWN = 50
MOST_ACTS = 200


@dataclass(frozen=True)
class Said:
    """A record that says what the profile says."""

    connection: str
    stream: str
    external_id: str
    changed_at: datetime


@dataclass(frozen=True)
class Consent:
    """One scope of a contact. `now`: whether they may be contacted on it at this moment, and why.

    `act`, `at` and `source` are of the newest act on the scope itself; `topic` «*» stands for every topic of the channel.
    """

    channel: str
    topic: str
    brand: str
    act: str
    at: datetime
    source: str
    now: Decision


@dataclass(frozen=True)
class Dossier:
    """`contact`: its row as a dict, without search keys. `version`: what a change of the profile is based on.

    `sources`: for each field of the profile the record that says so, the last changed first; a field with a value and no
    source was written in the hub. The rest are rows of the tables, newest first (hub/store/dossier.py), `decisions`
    (scenario, decision or None).
    """

    contact: dict[str, Any]
    version: str
    sources: dict[str, Said]
    identifiers: Sequence[Any]
    records: Sequence[Any]
    remotes: Sequence[Any]
    consents: list[Consent]
    acts: Sequence[Any]
    suppressions: Sequence[Any]
    pauses: Sequence[Any]
    orders: Sequence[Any]
    effects: Sequence[Any]
    decisions: list[tuple[Any, Any]]


def version_of(row: Mapping[str, Any]) -> str:
    """The version of a contact's row: changes whenever anything of the profile does. Safe in an ETag."""
    at: datetime = row["updated_at"]
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")


def contact_profile(context: Context, contact_id: str, *, noted: bool = True) -> Dossier:
    """Everything about the contact; NotFound if there is none. That somebody looked stands in the audit trail, by id."""
    now = context.now()
    with reading() as session:
        found = _read(session, contact_id, now)
    if noted:
        with transaction() as session:
            note(session, "contact.viewed", ("contact", contact_id, ""), now)
    return found


def _read(session: Session, contact_id: str, now: datetime) -> Dossier:
    row = contacts.find_contact(session, contact_id)
    if row is None:
        raise NotFound("There is no such contact", cure="Look for the person by name, e-mail or phone", subject=contact_id)
    profile = {name: value for name, value in row._mapping.items() if name not in ("first_key", "last_key")}
    records = dossier.records_of(session, contact_id)
    acts = dossier.acts_of(session, contact_id, MOST_ACTS)
    addresses = [(channel.value, profile[column]) for channel, column in ADDRESS_OF.items() if profile[column]]
    suppressions = dossier.suppressions_of(session, addresses)
    pauses = dossier.pauses_of(session, contact_id, now)
    return Dossier(
        contact=profile,
        version=version_of(profile),
        sources=_sources(profile, records),
        identifiers=contacts.identifiers_of(session, contact_id),
        records=records,
        remotes=dossier.remotes_of(session, contact_id),
        consents=_consents(session, profile, acts, suppressions, pauses, now),
        acts=acts,
        suppressions=suppressions,
        pauses=pauses,
        orders=dossier.orders_of(session, contact_id, MOST_SHOWN),
        effects=dossier.effects_of(session, contact_id, MOST_SHOWN),
        decisions=dossier.decisions_of(session, contact_id),
    )


def _sources(profile: Mapping[str, Any], records: Sequence[Any]) -> dict[str, Said]:
    found: dict[str, Said] = {}
    for record in records:
        standard = record.standard if isinstance(record.standard, dict) else {}
        for name in PROFILE:
            if profile[name] and name not in found and standard.get(name) == profile[name]:
                found[name] = Said(record.connection_name, record.stream, record.external_id, record.changed_at)
    return found


def _consents(
    session: Session,
    profile: Mapping[str, Any],
    acts: Sequence[Any],
    suppressions: Sequence[Any],
    pauses: Sequence[Any],
    now: datetime,
) -> list[Consent]:
    states = dossier.states_of(session, profile["id"])
    owner = contacts.owners(session, "email", [profile["email"]]).get(profile["email"]) if profile["email"] else None
    shared = owner is not None and owner.contact_id != profile["id"]
    suppressed = {row.channel: row.reason for row in suppressions}
    paused = {row.channel: row.until for row in pauses}
    sources: dict[tuple[Any, ...], str] = {}
    for act in acts:
        sources.setdefault((act.channel, act.topic, act.brand, act.act, act.at), act.source)
    found: list[Consent] = []
    for state in states:
        column = ADDRESS_OF.get(Channel(state.channel))
        facts = ConsentFacts(
            address=profile[column] if column else profile["id"],
            acts=[one for one in states if one.channel == state.channel],
            suppressed=suppressed.get(state.channel),
            paused_until=paused.get(state.channel),
        )
        decision = decide(facts, state.topic if state.topic != EVERY_TOPIC else "", state.brand, now)
        if shared and state.channel == Channel.EMAIL.value:
            decision = Decision(False, SHARED_ADDRESS)
        scope = (state.channel, state.topic, state.brand)
        found.append(Consent(*scope, state.act, state.at, sources.get((*scope, state.act, state.at), ""), decision))
    return found
