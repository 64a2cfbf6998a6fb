"""Whose a record is, and what the contact looks like after it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from hub.core.types import Standard
from hub.rules.identity import Claim, Claimant, Resolver, is_placeholder_email, is_placeholder_phone
from hub.store import contacts
from hub.store.db import Session, new_id


def claimant_of(external_id: str, standard: Standard, linked: str | None, *, bare: bool = False) -> Claimant:
    return Claimant(
        external_id,
        None if bare else standard.get("email"),
        None if bare else standard.get("phone"),
        standard.get("first_name"),
        standard.get("last_name"),
        linked,
    )


def names_somebody(claimant: Claimant) -> bool:
    by_email = bool(claimant.email) and not is_placeholder_email(claimant.email or "")
    return by_email or (bool(claimant.phone) and not is_placeholder_phone(claimant.phone or ""))


def resolve(session: Session, claimants: Sequence[Claimant]) -> list[Claim]:
    emails = {claimant.email for claimant in claimants if claimant.email}
    phones = {claimant.phone for claimant in claimants if claimant.phone}
    resolver = Resolver(contacts.owners(session, "email", emails), contacts.owners(session, "phone", phones))
    return [resolver.resolve(claimant, new_id()) for claimant in claimants]


class Changes(NamedTuple):
    """Contacts that are new or differ now, and the identifiers that become theirs."""

    profiles: dict[str, list[str | None]]
    identifiers: list[tuple[str, str, str]]

    def save(self, session: Session, now: datetime) -> None:
        contacts.save_profiles(session, self.profiles, now)
        contacts.claim_identifiers(session, self.identifiers, now)


def find_changes(session: Session, claimed: Sequence[tuple[Claim, Standard]], *, overwrite: bool) -> Changes:
    """Sources that `overwrite` say how a person is called today; others only fill gaps."""
    met = {claim.contact_id for claim, _ in claimed if not claim.new} - {claim.contact_id for claim, _ in claimed if claim.new}
    profiles = _stored(session, met)
    better: dict[str, list[str | None]] = {}
    identifiers: list[tuple[str, str, str]] = []
    for claim, standard in claimed:
        contact_id = claim.contact_id
        profile = profiles.get(contact_id)
        if profile is None:
            profiles[contact_id] = better[contact_id] = profile = [None] * len(contacts.PROFILE)
        if _improve(profile, standard, overwrite):
            better[contact_id] = profile
        for kind, value in claim.identifiers:
            identifiers.append((kind, value, contact_id))
    return Changes(better, identifiers)


def _stored(session: Session, contact_ids: set[str]) -> dict[str, list[str | None]]:
    if not contact_ids:
        return {}
    found = contacts.profiles(session, contact_ids)
    return {contact_id: [row[name] for name in contacts.PROFILE] for contact_id, row in found.items()}


_PLACES = tuple(enumerate(contacts.PROFILE))


def _improve(profile: list[str | None], standard: Standard, overwrite: bool) -> bool:
    """Write into the profile what the record knows better; whether that was anything."""
    improved = False
    for place, name in _PLACES:
        value = standard.get(name)
        if not value or value == profile[place] or (profile[place] and not overwrite):
            continue
        if (name == "email" and is_placeholder_email(value)) or (name == "phone" and is_placeholder_phone(value)):
            continue
        profile[place] = value
        improved = True
    return improved
