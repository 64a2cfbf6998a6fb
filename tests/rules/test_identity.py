"""Which records are one person: matches need an identifier that really names somebody."""

from __future__ import annotations

from itertools import count

import pytest

from hub.rules.identity import (
    Claim,
    Claimant,
    Owner,
    Resolver,
    is_placeholder_email,
    is_placeholder_phone,
    is_role_mailbox,
)

ANNA, JAN = ("Anna", "Nowak"), ("Jan", "Nowak")
PHONE = "+48600100200"
_ids = (f"new-{number}" for number in count(1))


def claim(
    resolver: Resolver, email: str | None = None, phone: str | None = None, names: tuple[str, str] = ("", ""), **rest: str
) -> Claim:
    return resolver.resolve(Claimant("1", email, phone, *names, **rest), next(_ids))


def known(**identifiers: tuple[str, str]) -> Resolver:
    """A resolver that knows the contact «old» by these identifiers, under these names."""
    emails = {value: Owner("old", *names) for value, names in identifiers.items() if "@" in value}
    phones = {value: Owner("old", *names) for value, names in identifiers.items() if "@" not in value}
    return Resolver(emails, phones)


def test_an_email_names_one_person_whatever_they_call_themselves() -> None:
    found = claim(known(**{"a@poczta.example": ANNA}), "a@poczta.example", names=JAN)
    assert (found.contact_id, found.reason, found.new, found.identifiers) == ("old", "email", False, [])


@pytest.mark.parametrize("mailbox", ["biuro@firma.example", "biuro14@firma.example", "info+shop@firma.example"])
def test_a_role_mailbox_needs_the_names_to_agree(mailbox: str) -> None:
    assert is_role_mailbox(mailbox)
    assert claim(known(**{mailbox: ANNA}), mailbox, names=JAN).new
    assert claim(known(**{mailbox: ANNA}), mailbox).new, "no name agrees with nothing"
    assert claim(known(**{mailbox: ("", "")}), mailbox).new
    assert claim(known(**{mailbox: ANNA}), mailbox, names=("ANNA ", "nowak")).contact_id == "old"


def test_ordinary_mailboxes_are_no_role_mailboxes() -> None:
    assert not any(map(is_role_mailbox, ("anna@biuro.example", "biurowiec@firma.example", "anna.biuro@firma.example")))


def test_a_phone_needs_the_names_to_agree() -> None:
    assert claim(known(**{PHONE: ANNA}), phone=PHONE, names=JAN).new
    assert claim(known(**{PHONE: ANNA}), phone=PHONE).new
    assert claim(known(**{PHONE: ANNA}), "new@poczta.example", PHONE, ANNA).reason == "phone"


@pytest.mark.parametrize(
    "email",
    ["brak@brak.pl", "brak@firma.example", "deleted@site.invalid", "x@localhost", "a@b.test", "aaa@test.pl", "nomail@wp.pl"],
)
def test_a_placeholder_names_nobody(email: str) -> None:
    assert is_placeholder_email(email)
    resolver = known(**{email: ANNA})
    found = claim(resolver, email, names=ANNA)
    assert (found.new, found.identifiers) == (True, [])
    assert claim(resolver, email, names=ANNA).contact_id != found.contact_id


@pytest.mark.parametrize("phone", ["+48000000000", "+48111111111", "+48123456789", "+48121212121", "+48987654321"])
def test_a_placeholder_phone_names_nobody(phone: str) -> None:
    assert is_placeholder_phone(phone)
    assert claim(known(**{phone: ANNA}), phone=phone, names=ANNA).new


def test_a_real_phone_is_no_placeholder() -> None:
    assert not any(map(is_placeholder_phone, ("+48600100200", "+48512345678", "+48223334455")))


def test_a_linked_record_stays_with_its_contact_and_takes_nobodys_identifiers() -> None:
    found = claim(known(**{"a@poczta.example": ANNA}), "a@poczta.example", PHONE, linked="mine")
    assert (found.contact_id, found.reason, found.identifiers) == ("mine", "linked", [("phone", PHONE)])


def test_later_records_of_a_batch_find_the_contacts_of_earlier_ones() -> None:
    resolver = Resolver({}, {})
    first = claim(resolver, "a@poczta.example", PHONE, ANNA)
    assert first.identifiers == [("email", "a@poczta.example"), ("phone", PHONE)]
    assert claim(resolver, "a@poczta.example").contact_id == first.contact_id
    assert claim(resolver, "b@poczta.example", PHONE, ANNA).contact_id == first.contact_id
    assert claim(resolver, "c@poczta.example", PHONE, JAN).contact_id != first.contact_id


def test_orders_of_one_buyer_are_one_contact_and_later_ones_name_nobody_else() -> None:
    resolver = known(**{"other@poczta.example": JAN})
    first = claim(resolver, "a@poczta.example", names=ANNA, buyer="7")
    second = claim(resolver, "other@poczta.example", PHONE, names=ANNA, buyer="7")
    assert (second.contact_id, second.new, second.identifiers) == (first.contact_id, False, [])
    assert claim(resolver, "b@poczta.example", buyer="8").contact_id != first.contact_id
