"""Whose a record is, and what the contact looks like after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from hub.core.types import Standard
from hub.rules.identity import Claim, Claimant, Resolver, is_placeholder_email, is_placeholder_phone
from hub.store import contacts
from hub.store.db import Session, new_id


def claimant_of(external_id: str, standard: Standard, linked: str | None, *, bare: bool = False) -> Claimant:
    return Claimant(
        external_id=external_id,
        email=None if bare else standard.get("email"),
        phone=None if bare else standard.get("phone"),
        first_name=standard.get("first_name"),
        last_name=standard.get("last_name"),
        linked=linked,
    )


def names_somebody(claimant: Claimant) -> bool:
    by_email = bool(claimant.email) and not is_placeholder_email(claimant.email or "")
    return by_email or (bool(claimant.phone) and not is_placeholder_phone(claimant.phone or ""))


def resolve(session: Session, claimants: Sequence[Claimant]) -> list[Claim]:
    emails = {claimant.email for claimant in claimants if claimant.email}
    phones = {claimant.phone for claimant in claimants if claimant.phone}
    resolver = Resolver(
        contacts.owners(session, "email", emails) if emails else {},
        contacts.owners(session, "phone", phones) if phones else {},
    )
    return [resolver.resolve(claimant, new_id()) for claimant in claimants]


def save_profiles(session: Session, claimed: Iterable[tuple[Claim, Standard]], now: datetime, *, overwrite: bool) -> None:
    """Write the contacts that are new or differ now. Sources that `overwrite` say how a person is called today; others only
    fill gaps."""
    claimed = list(claimed)
    fresh = {claim.contact_id for claim, _ in claimed if claim.new}
    stored = contacts.profiles(session, {claim.contact_id for claim, _ in claimed} - fresh)
    touched: dict[str, dict[str, Any]] = {}
    identifiers: list[dict[str, Any]] = []
    for claim, standard in claimed:
        contact_id = claim.contact_id
        current = touched.get(contact_id) or stored.get(contact_id)
        if current is None:
            touched[contact_id] = current = {**_NOBODY, "id": contact_id, "created_at": now, "updated_at": now}
            current |= _improve(current, standard, overwrite)
        elif better := _improve(current, standard, overwrite):
            touched[contact_id] = {**current, **better, "updated_at": now}
        for kind, value in claim.identifiers:
            identifiers.append({"kind": kind, "value": value, "contact_id": contact_id, "created_at": now})
    contacts.save_contacts(session, list(touched.values()))
    contacts.save_identifiers(session, identifiers)


_NOBODY: dict[str, Any] = dict.fromkeys(contacts.PROFILE)
"""What is known of somebody new."""


def _improve(current: Mapping[str, Any], standard: Standard, overwrite: bool) -> dict[str, Any]:
    better: dict[str, Any] = {}
    for name in contacts.PROFILE:
        value = standard.get(name)
        if not value or value == current[name] or (current[name] and not overwrite):
            continue
        if (name == "email" and is_placeholder_email(value)) or (name == "phone" and is_placeholder_phone(value)):
            continue
        better[name] = value
    return better
