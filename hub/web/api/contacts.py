"""Contacts: found, created, corrected; all that is known of one, and why."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from marshmallow import fields

from hub.core.roles import Permission
from hub.services import contacts
from hub.store.contacts import PROFILE
from hub.web.api.kit import Area, hub, match
from hub.web.api.paging import page_of_rows, read_cursor, write_cursor
from hub.web.api.shapes import Code, Flag, Id, Moment, PageQuery, Shape, Text, Whole, page_of

area = Area("contacts", "Contacts: the people as the hub knows them.")
P = Permission
_EXAMPLES = {"email": "anna@example.com", "phone": "+48600700800", "first_name": "Anna", "city": "Kraków", "country": "PL"}


class ContactShape(Shape):
    id = Id("The contact's id", required=True)
    email = Code("Main e-mail address", "anna@example.com", required=True, allow_none=True)
    phone = Code("Main phone number, E.164", "+48600700800", required=True, allow_none=True)
    first_name = Code("First name", "Anna", required=True, allow_none=True)
    last_name = Code("Last name", "Nowak", required=True, allow_none=True)
    company = Code("Company", required=True, allow_none=True)
    city = Code("City", "Kraków", required=True, allow_none=True)
    postcode = Code("Postcode", "30-001", required=True, allow_none=True)
    country = Code("Two letters of ISO 3166-1", "PL", required=True, allow_none=True)
    created_at = Moment("When the hub first knew of the person", required=True)
    updated_at = Moment("When something of this changed", required=True)


class ContactFieldsShape(Shape):
    email = Text("E-mail address", 254, allow_none=True, example="anna@example.com")
    phone = Text("Phone number in any spelling; without a prefix it is read as of the home country", 60, allow_none=True)
    first_name = Text("First name", 120, allow_none=True, example="Anna")
    last_name = Text("Last name", 120, allow_none=True, example="Nowak")
    company = Text("Company", 200, allow_none=True)
    city = Text("City", 120, allow_none=True, example="Kraków")
    postcode = Text("Postcode", 20, allow_none=True, example="30-001")
    country = Text("A country's code or name", 60, allow_none=True, example="PL")


class ContactsQuery(PageQuery):
    q = Text("An e-mail, a phone, beginnings of names, or an id; everybody by default, newest first", 254, example="anna nowak")


class IdentifierShape(Shape):
    kind = Code("email or phone", "email", required=True)
    value = Code("The address", "anna@example.com", required=True)


class RecordShape(Shape):
    connection_name = Code("The connection", "shop", required=True)
    stream = Code("The stream", "customers", required=True)
    external_id = Code("The platform's id", "77", required=True)


class OrderShape(Shape):
    connection_name = Code("The connection", "shop", required=True)
    external_id = Code("The platform's id", "1001", required=True)
    paid = Flag("Whether it was paid", required=True)
    total = Whole("In minor units of the currency", required=True, allow_none=True, example=12900)
    currency = Code("ISO 4217", "PLN", required=True, allow_none=True)
    placed_at = Moment("When it was placed", required=True, allow_none=True)


class EffectShape(Shape):
    effect = Code("push_contact, set_member, start_automation", required=True)
    connection_name = Code("The connection", "crm", required=True)
    detail = Code("The automation or the list", "list:61", required=True)
    state = Code("held, owed, claimed, done, rejected, cancelled", "done", required=True)
    reason = Code("Why it was not sent", required=True, allow_none=True)
    created_at = Moment("Since when it is owed", required=True)
    settled_at = Moment("When it was settled", required=True, allow_none=True)


class ContactDecisionShape(Shape):
    scenario = Code("The scenario's key", "welcome", required=True)
    allowed = Flag("Whether the contact was allowed in", required=True)
    reason = Code("Why: docs/reasons.md", "allowed", required=True)
    at = Moment("When it was decided", required=True)


class DossierShape(Shape):
    contact = fields.Nested(ContactShape, required=True)
    identifiers = fields.List(
        fields.Nested(IdentifierShape), required=True, metadata={"description": "Addresses that find the contact"}
    )
    records = fields.List(fields.Nested(RecordShape), required=True, metadata={"description": "Records that are theirs"})
    orders = fields.List(fields.Nested(OrderShape), required=True, metadata={"description": "The newest orders"})
    effects = fields.List(fields.Nested(EffectShape), required=True, metadata={"description": "The newest effects"})
    decisions = fields.List(
        fields.Nested(ContactDecisionShape), required=True, metadata={"description": "The newest decision of each scenario"}
    )


def shape_contact(row: Any) -> dict[str, Any]:
    mapping = row if isinstance(row, dict) else row._mapping
    return {name: mapping[name] for name in ("id", *PROFILE, "created_at", "updated_at")}


@area.operation("GET", "/contacts", P.CONTACTS_READ, query=ContactsQuery, answer=page_of(ContactShape), refuses=(404,))
def find_contacts(query: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """Search contacts, or list them all, the newest first."""
    found = contacts.find_contacts(hub(), query.get("q", ""), read_cursor(query), query["limit"])
    page, headers = page_of_rows(found.contacts, query["limit"], lambda row: row.id, shape_contact)
    if found.next is not None:
        page["next"], headers = following(query, found.next)
    return page, headers


def following(query: dict[str, Any], cursor: str) -> tuple[str, dict[str, str]]:
    """The next page of a search that has cursors of its own."""
    kept = {"q": query["q"]} if "q" in query else {}  # also an empty one: the cursor belongs to this very list
    link = "/api/v1/contacts?" + urlencode({**kept, "limit": query["limit"], "cursor": write_cursor(cursor)})
    return link, {"Link": f'<{link}>; rel="next"'}


@area.operation("GET", "/contacts/<uuid:contact_id>", P.CONTACTS_READ, answer=ContactShape, refuses=(404,))
def get_contact(contact_id: str) -> dict[str, Any]:
    """One contact's profile."""
    return shape_contact(contacts.read_contact(hub(), contact_id)[0])


@area.operation("GET", "/contacts/<uuid:contact_id>/dossier", P.CONTACTS_READ, answer=DossierShape, refuses=(404,))
def get_dossier(contact_id: str) -> dict[str, Any]:
    """All that the hub knows of one contact; that somebody looked stands in the audit trail."""
    found = contacts.contact_profile(hub(), contact_id)
    return {
        "contact": shape_contact(found.contact),
        "identifiers": found.identifiers,
        "records": found.records,
        "orders": found.orders,
        "effects": found.effects,
        "decisions": [
            {"scenario": scenario.key, "allowed": one.allowed, "reason": one.reason, "at": one.at}
            for scenario, one in found.decisions
            if one is not None
        ],
    }


@area.operation(
    "POST",
    "/contacts",
    P.CONTACTS_WRITE,
    body=ContactFieldsShape,
    answer=ContactShape,
    status=201,
    example=_EXAMPLES,
)
def create_contact(body: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """Create a contact; somebody who is known already is answered as they are, with `Contact-Created: false`.

    An e-mail address or a phone number is needed. The same rules as for imports say who is who.
    """
    contact_id, created = contacts.create_contact(hub(), body)
    row, _ = contacts.read_contact(hub(), contact_id)
    headers = {"Location": f"/api/v1/contacts/{contact_id}", "Contact-Created": "true" if created else "false"}
    return shape_contact(row), headers


@area.operation(
    "PATCH",
    "/contacts/<uuid:contact_id>",
    P.CONTACTS_WRITE,
    body=ContactFieldsShape,
    answer=ContactShape,
    example={"city": "Gdańsk"},
)
def change_contact(body: dict[str, Any], contact_id: str) -> dict[str, Any]:
    """Correct a contact; null or an empty text clears a field."""
    row, version = contacts.read_contact(hub(), contact_id)
    match(ContactShape, shape_contact(row))
    contacts.change_contact(hub(), contact_id, body, version)
    return shape_contact(contacts.read_contact(hub(), contact_id)[0])
