"""Rows and look-ups at driver speed keep every value as it is, and behave as the plain statements would."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.services import connections
from hub.store import bulk, contacts, records
from hub.store.contacts import PROFILE, contact, identifier
from hub.store.db import new_id, reading, transaction
from hub.store.finding import find

pytestmark = pytest.mark.usefixtures("app")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
NASTY = st.sampled_from(
    ["", "\x1e", "\x1f", "a\x1fb", '"', "\\", '\\"', "{}", "{a,b}", "NULL", "null", "'", "%s", "%(id)s", ",", "ż"]
)


def save(profiles: dict[str, list[str | None]]) -> None:
    with transaction() as session:
        contacts.save_profiles(session, profiles, NOW)


def cities(ids: list[str]) -> list[str | None]:
    with reading() as session:
        found = contacts.profiles(session, ids)
    return [found[one]["city"] for one in ids]


def profile(city: str | None) -> list[str | None]:
    return [city if name == "city" else None for name in PROFILE]


@settings(max_examples=60)
@given(st.lists(st.none() | TEXTS | NASTY, max_size=8))
def test_every_text_is_stored_as_it_is(values: list[str | None]) -> None:
    """Also alone, also empty, also with the characters that texts are put together with on the way."""
    ids = [new_id() for _ in values]
    save({one: profile(city) for one, city in zip(ids, values, strict=True)})
    assert cities(ids) == values


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 127, 130, 500])
def test_every_row_is_stored_however_many_there_are(count: int) -> None:
    ids = [new_id() for _ in range(count)]
    save({one: profile(str(number)) for number, one in enumerate(ids)})
    assert cities(ids) == [str(number) for number in range(count)]
    save({one: profile(f"again {number}") for number, one in enumerate(ids)})
    assert cities(ids) == [f"again {number}" for number in range(count)]


def test_an_identifier_stays_with_whom_it_belongs_to_and_the_written_ones_are_counted() -> None:
    one, other = new_id(), new_id()
    save({one: profile("a"), other: profile("b")})
    with transaction() as session:
        contacts.claim_identifiers(session, [("email", "a@b.example", one)], NOW)
        given = [("email", "a@b.example", other), ("email", "c@b.example", other)]
        contacts.claim_identifiers(session, given, NOW)
        rows = [{"kind": kind, "value": value, "contact_id": owner, "created_at": NOW} for kind, value, owner in given]
        more = {"kind": "phone", "value": "+48600100200", "contact_id": one, "created_at": NOW}
        assert bulk.upsert(session, identifier, [*rows, more], key=("kind", "value")) == 1
        assert contacts.owners(session, "email", ["a@b.example", "c@b.example"])["a@b.example"].contact_id == one


def test_what_fails_among_several_inserts_fails_at_the_end_of_them_and_leaves_nothing() -> None:
    contact_id = new_id()

    def save_all() -> None:
        with transaction() as session, bulk.together(session):
            contacts.save_profiles(session, {contact_id: profile("Łódź")}, NOW)
            contacts.claim_identifiers(session, [("email", "a@b.example", new_id())], NOW)
            contacts.claim_identifiers(session, [("email", "c@b.example", contact_id)], NOW)

    with pytest.raises(Exception, match=r"(?i)foreign key"):
        save_all()
    with reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(contact)) == 0
        assert contacts.owners(session, "email", ["c@b.example"]) == {}


def test_records_are_found_by_place_and_only_those_asked_for(context: Any, shop: Any) -> None:
    connection_id = connections.connect(context, "woocommerce", shop().credentials(), name="shop").connection.id
    read = [records.Read(str(number), None, f"{number:032}", {"city": "Łódź", "n": number}) for number in range(300)]
    with transaction() as session:
        records.save_records(session, connection_id, "customers", read, NOW)
        records.save_records(session, connection_id, "orders", [records.Read("7", None, "o" * 32, {})], NOW)
    with reading() as session:
        found = records.known_records(session, connection_id, "customers", ["7", "299", "300", "' OR 1=1", "7'"])
        assert found == {str(n): records.Known(f"{n:032}", None) for n in (7, 299)}
        assert records.known_records(session, connection_id, "customers", []) == {}
        assert records.known_records(session, connection_id, "orders", ["7"])["7"].raw_hash == "o" * 32
        assert records.stored_standard(session, connection_id, "customers", "7") == {"city": "Łódź", "n": 7}
        asked = (records.record.c.external_id,)
        where = {"connection_id": new_id(), "stream": "customers"}
        assert find(session, asked, records.record.c.external_id, ["7"], where=where) == []
