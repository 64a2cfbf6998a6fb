"""Contacts made and corrected by people: who is who, whose an address is, what the trail keeps, what is told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from hub.core.errors import Invalid, NotFound
from hub.core.types import Act, Channel
from hub.services import contacts as verbs
from hub.services import hooks, wishes
from hub.services.context import Context
from hub.services.finding import read_query
from hub.services.preferences import ChangedMeanwhile
from hub.services.wishes import ToldAct
from hub.store import audit, boxes, contacts, ledger, search
from hub.store.db import new_id, reading, transaction
from hub.store.hooks import webhook_event

ANNA = {"email": "anna@example.com", "phone": "601 202 303", "first_name": "Anna", "last_name": "Żak"}


def make(context: Context, **fields: str | None) -> str:
    contact_id, created = verbs.create_contact(context, fields)
    assert created
    return contact_id


def identifiers(contact_id: str) -> set[tuple[str, str]]:
    with reading() as session:
        return {(row.kind, row.value) for row in contacts.identifiers_of(session, contact_id)}


def actions() -> list[str]:
    with reading() as session:
        return [entry.action for entry in reversed(audit.page_entries(session))]


def test_a_known_person_is_not_made_twice(context: Context) -> None:
    anna = make(context, **ANNA)
    for fields in (
        {"email": "ANNA@example.com"},
        {"phone": "+48601202303", "first_name": "anna", "last_name": "ZAK"},
        {"email": "anna@example.com", "first_name": "Somebody", "last_name": "Else"},
    ):
        assert verbs.create_contact(context, fields) == (anna, False)
    assert actions() == ["contact.created"]
    other, created = verbs.create_contact(context, {"phone": "601202303", "first_name": "Jan", "last_name": "Żak"})
    assert created, "a phone in a family"
    assert identifiers(other) == set()


def test_a_shared_mailbox_is_one_person_only_where_the_names_agree(context: Context) -> None:
    anna = make(context, email="biuro@example.com", first_name="Anna", last_name="Żak")
    shared = {"email": "biuro@example.com"}
    assert verbs.create_contact(context, {**shared, "first_name": "Anna", "last_name": "Zak"}) == (anna, False)
    assert verbs.create_contact(context, {**shared, "first_name": "Jan", "last_name": "Lis"})[1]


def test_two_who_create_the_same_person_at_once_make_one(context: Context, in_threads: Callable[..., list[Any]]) -> None:
    results = in_threads(*[lambda: verbs.create_contact(context, ANNA)] * 4)
    assert len({contact_id for contact_id, _ in results}) == 1
    assert sorted(created for _, created in results) == [False, False, False, True]


def test_only_what_is_given_changes(context: Context) -> None:
    anna = make(context, **ANNA)
    version = verbs.change_contact(context, anna, {"city": " Gdańsk  Wrzeszcz "}, None)
    row, now = verbs.read_contact(context, anna)
    assert (row["city"], row["last_name"], now) == ("Gdańsk Wrzeszcz", "Żak", version)
    assert verbs.change_contact(context, anna, {"city": "Gdańsk Wrzeszcz", "company": ""}, version) == version
    assert actions() == ["contact.created", "contact.changed"]
    with pytest.raises(ChangedMeanwhile) as caught:
        verbs.change_contact(context, anna, {"city": "Sopot"}, "20200101T000000.000000")
    assert caught.value.theirs["city"] == "Gdańsk Wrzeszcz"


def test_a_corrected_address_finds_the_person_and_the_wrong_one_does_not(context: Context) -> None:
    anna = make(context, **ANNA)
    verbs.change_contact(context, anna, {"email": "anna.zak@example.com"}, None)
    assert identifiers(anna) == {("email", "anna.zak@example.com"), ("phone", "+48601202303")}
    other = make(context, email="anna@example.com")
    assert other != anna
    with pytest.raises(Invalid) as caught:
        verbs.change_contact(context, anna, {"email": "anna@example.com"}, None)
    assert caught.value.details["holders"] == {"email": {"id": other, "name": ""}}


def test_an_address_that_a_record_says_stays_the_persons(connected: Callable[..., Any], context: Context) -> None:
    pair = connected({"customers": 10, "rebase": True})
    pair.run_sync("woocommerce")
    with reading() as session:
        owned = sa.select(contacts.identifier).where(contacts.identifier.c.kind == "email").limit(1)
        row = session.execute(owned).one()
    verbs.change_contact(context, row.contact_id, {"email": "new@example.com"}, None)
    assert {("email", row.value), ("email", "new@example.com")} <= identifiers(row.contact_id)
    page = verbs.contact_profile(context, row.contact_id)
    assert "email" not in page.sources
    assert page.records


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, {"email"}),
        ({"first_name": "Anna"}, {"email"}),
        ({"email": "x", "phone": "y", "country": "z"}, {"email", "phone", "country"}),
        ({"email": "a@example.com", "soul": "white"}, {"soul"}),
        ({"email": ["a@example.com"]}, {"email"}),
        ({"email": "a@example.com", "city": 7}, {"city"}),
        ({"email": "a@example.com", "city": "\x00"}, {"city"}),
        ({"email": "brak@brak.pl"}, {"email"}),
        ({"phone": "111 111 111"}, {"phone"}),
    ],
)
def test_what_cannot_be_a_contact_is_refused_at_the_field(context: Context, fields: dict[str, Any], wrong: set[str]) -> None:
    with pytest.raises(Invalid) as caught:
        verbs.create_contact(context, fields)
    assert set(caught.value.fields) == wrong
    with reading() as session:
        assert contacts.count_contacts(session) == 0


def test_nobody_is_left_without_anything(context: Context) -> None:
    anna = make(context, **ANNA)
    with pytest.raises(Invalid):
        verbs.change_contact(context, anna, dict.fromkeys(ANNA, ""), None)
    verbs.change_contact(context, anna, {"phone": "", "last_name": None}, None)
    assert identifiers(anna) == {("email", "anna@example.com")}


def test_unknown_people(context: Context) -> None:
    for verb in (
        lambda: verbs.read_contact(context, new_id()),
        lambda: verbs.contact_profile(context, new_id()),
        lambda: verbs.change_contact(context, new_id(), {"city": "X"}, None),
        lambda: wishes.pause_contact(context, new_id(), None, context.now() + timedelta(days=1)),
        lambda: wishes.record_consent(context, new_id(), told(context)),
    ):
        with pytest.raises(NotFound):
            verb()


def test_the_trail_does_not_keep_the_person(context: Context) -> None:
    anna = make(context, **ANNA)
    verbs.change_contact(context, anna, {"email": "anna.zak@example.com", "phone": "", "city": "Gdańsk"}, None)
    verbs.contact_profile(context, anna)
    list(verbs.export_contacts(context, "anna"))
    with reading() as session:
        kept = str([(one.subject_name, one.before, one.after) for one in audit.page_entries(session)])
    for value in ("anna", "Anna", "Żak", "601202303", "Gdańsk"):
        assert value not in kept


def told(context: Context, **changes: Any) -> ToldAct:
    given = {"act": Act.GRANTED, "channel": Channel.EMAIL, "topic": "offers", "brand": ""}
    given |= {"how": "paper", "reference": "form 1"}
    return ToldAct(**{**given, "at": context.now() - timedelta(days=1), **changes})


def test_a_withdrawal_leaves_every_list_and_a_grant_without_proof_raises_nothing(
    connected: Callable[..., Any], context: Context
) -> None:
    connected().publish()
    anna = make(context, **ANNA)
    with pytest.raises(Invalid):
        wishes.record_consent(context, anna, told(context, reference=""))
    act = told(context)
    assert wishes.record_consent(context, anna, act)
    assert not wishes.record_consent(context, anna, act)
    assert [one.now.allowed for one in verbs.contact_profile(context, anna).consents] == [True]
    withdrawal = told(context, act=Act.WITHDRAWN, topic="*", how="", reference="", at=context.now())
    assert wishes.record_consent(context, anna, withdrawal)
    with reading() as session:
        owed = session.execute(sa.select(boxes.outbox).where(boxes.outbox.c.contact_id == anna)).all()
    assert {(row.lane, row.detail[:1]) for row in owed} == {("urgent", "-")}
    profile = verbs.contact_profile(context, anna)
    assert {one.topic: one.now.allowed for one in profile.consents} == {"offers": False, "*": False}
    assert profile.acts[-1].evidence["reference"] == "form 1"


def test_whoever_listens_is_told(context: Context) -> None:
    with transaction() as session:
        from hub.store.hooks import webhook

        now = context.now()
        row = {"id": new_id(), "url": "https://x.example", "kinds": ["*"], "key_id": "k", "sealed": b"x", "active": True}
        session.execute(sa.insert(webhook).values(**row, created_at=now, updated_at=now))
    anna = make(context, **ANNA)
    verbs.change_contact(context, anna, {"city": "Gdańsk"}, None)
    wishes.record_consent(context, anna, told(context))
    wishes.record_consent(context, anna, told(context, act=Act.WITHDRAWN, at=context.now()))
    wishes.pause_contact(context, anna, Channel.SMS, context.now() + timedelta(days=3))
    with reading() as session:
        events = session.execute(sa.select(webhook_event).order_by(webhook_event.c.id)).all()
    assert [event.kind for event in events] == [
        *("contact.created", "contact.changed", "consent.granted", "consent.withdrawn", "pause.changed")
    ]
    assert {event.kind for event in events} <= set(hooks.KINDS)
    assert "anna@" not in str([event.payload for event in events])


def test_a_pause_ends_only_with_its_proof(context: Context) -> None:
    anna = make(context, **ANNA)
    wishes.pause_contact(context, anna, Channel.EMAIL, context.now() + timedelta(days=3))
    with pytest.raises(Invalid):
        wishes.resume_contact(context, anna, None, "phone", "")
    assert wishes.resume_contact(context, anna, None, "phone", "call of Monday")
    assert not wishes.resume_contact(context, anna, None, "phone", "call of Monday")
    with reading() as session:
        assert not ledger.pauses(session, Channel.EMAIL, [anna], context.now())


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("", search.Wanted()),
        ("Anna@Example.com", search.Wanted(identifiers=(("email", "anna@example.com"),), emails=("anna@example.com",))),
        ("anna@", search.Wanted(emails=("anna@",))),
    ],
)
def test_what_a_query_means(query: str, meant: search.Wanted) -> None:
    assert read_query(query, "PL") == meant


def test_phones_and_names_in_any_spelling() -> None:
    for text in ("601 202 303", "+48 601-202-303", "0048601202303", "(601) 202 303"):
        assert read_query(text, "PL").identifiers == (("phone", "+48601202303"),)
    assert read_query("601 2", "PL").phones == ("+486012",)
    assert read_query("+420 60", "PL").phones == ("+42060",)
    assert search.Name(last="zak", first="anna maria") in read_query("Anna Maria Żak", "PL").names


def test_any_text_can_be_looked_for(context: Context) -> None:
    make(context, **ANNA)
    strange = ("a" * 254, "ż" * 100, "1" * 200, "🙂", "\u9fff", "\U0002fa1d")
    for text in ("%", "_", "'", '"', "\\", "+", "--", "00", "+++", *strange):
        found = verbs.find_contacts(context, text)
        assert len(found.contacts) <= 1
