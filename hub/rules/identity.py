"""Which records are one person: deterministic matches with guards.

A match needs an identifier that really names one person. Placeholders name nobody; role mailboxes and phones are shared
by families and firms, so they only count when the names agree as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from hub.core.normalize import name_key

ROLE_MAILBOXES = frozenset(
    "admin administracja administrator biuro bok contact dostawy faktury firma hello help helpdesk hurt info ksiegowosc "
    "kadry kontakt mail marketing noreply no-reply office poczta pomoc postmaster recepcja reklamacje rodo sales "
    "sekretariat serwis shop sklep sprzedaz support team webmaster zakupy zamowienia".split()
)
PLACEHOLDER_LOCALS = frozenset(
    "brak brakmaila brakemaila brakadresu nomail noemail no-email none nie niema test asdf xxx".split()
)
PLACEHOLDER_DOMAINS = frozenset({"brak.pl", "test.pl", "test.com", "mail.pl", "email.pl", "noemail.com", "none.com", "xxx.pl"})
_RESERVED = (".invalid", ".test", ".localhost")  # RFC 2606: never anybody's mailbox; .example stays, demos live there


@lru_cache(maxsize=4096)  # asked of each record of a batch more than once
def is_placeholder_email(email: str) -> bool:
    """«brak@brak.pl», `deleted@site.invalid`: typed because the field was required, or left by an erasure."""
    local, _, domain = email.rpartition("@")
    if domain.endswith(_RESERVED) or domain in ("invalid", "localhost"):
        return True
    return local in PLACEHOLDER_LOCALS or (domain in PLACEHOLDER_DOMAINS and len(set(local)) < 4)


def is_role_mailbox(email: str) -> bool:
    """«biuro@», also numbered («biuro14@»): read by several people."""
    local = email.rpartition("@")[0].split("+")[0]
    return re.sub(r"[\d._-]+$", "", local) in ROLE_MAILBOXES


@lru_cache(maxsize=4096)
def is_placeholder_phone(phone: str) -> bool:
    """000 000 000, 600 100 200's cousins such as 111 111 111, 123 456 789: E.164 digits without the country."""
    digits = phone.lstrip("+")[-9:]
    return len(set(digits)) <= 2 or digits in "0123456789012345678" or digits in "9876543210987654321"


def names_agree(one: Iterable[str | None], other: Iterable[str | None]) -> bool:
    """Both first names and both last names known and the same, spelling aside."""
    left, right = [name_key(name or "") for name in one], [name_key(name or "") for name in other]
    return all(left) and left == right


class Owner(NamedTuple):
    """The contact an identifier belongs to."""

    contact_id: str
    first_name: str | None
    last_name: str | None


@dataclass(slots=True)
class Claimant:
    """A record that asks whose it is; `linked` is the contact it is linked to already, `buyer` the customer an order names."""

    external_id: str
    email: str | None
    phone: str | None
    first_name: str | None
    last_name: str | None
    linked: str | None = None
    buyer: str | None = None


@dataclass(slots=True)
class Claim:
    """The answer: the contact, why, whether it is new, and the identifiers that are free for it."""

    contact_id: str
    reason: str
    new: bool
    identifiers: list[tuple[str, str]] = field(default_factory=list)


class Resolver:
    """Resolves the records of one batch one after another, so that later ones find the contacts of earlier ones."""

    def __init__(self, emails: Mapping[str, Owner], phones: Mapping[str, Owner]) -> None:
        self._emails, self._phones = dict(emails), dict(phones)
        self._buyers: dict[str | None, str] = {}

    def resolve(self, who: Claimant, new_id: str) -> Claim:
        """The record's contact; `new_id` is used if there is none yet."""
        buyer = who.buyer
        if buyer in self._buyers:
            return Claim(self._buyers[buyer], "buyer", new=False)
        email = who.email if who.email and not is_placeholder_email(who.email) else None
        phone = who.phone if who.phone and not is_placeholder_phone(who.phone) else None
        contact_id, reason = self._match(who, email, phone)
        claim = Claim(contact_id or new_id, reason, contact_id is None)
        if buyer:
            self._buyers[buyer] = claim.contact_id
        if email and email not in self._emails:
            self._emails[email] = Owner(claim.contact_id, who.first_name, who.last_name)
            claim.identifiers.append(("email", email))
        if phone and phone not in self._phones:
            self._phones[phone] = Owner(claim.contact_id, who.first_name, who.last_name)
            claim.identifiers.append(("phone", phone))
        return claim

    def _match(self, who: Claimant, email: str | None, phone: str | None) -> tuple[str | None, str]:
        if who.linked:
            return who.linked, "linked"
        owner = self._emails.get(email) if email else None
        if owner and (not is_role_mailbox(email or "") or names_agree((who.first_name, who.last_name), owner[1:])):
            return owner.contact_id, "email"
        owner = self._phones.get(phone) if phone else None
        if owner and names_agree((who.first_name, who.last_name), owner[1:]):
            return owner.contact_id, "phone"
        return None, "new"
