"""Consents and pauses of a contact: what stands, what was said, and what the person told us elsewhere."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from hub.core.roles import Permission
from hub.core.types import Act, Channel
from hub.services import contacts, wishes
from hub.services.consent import may_contact
from hub.services.wishes import ToldAct
from hub.store import dossier, ledger
from hub.store.db import reading
from hub.web.api.kit import Area, Rows, hub
from hub.web.api.paging import read_cursor
from hub.web.api.shapes import Choice, Code, Flag, Moment, PageQuery, Shape, Text, Whole, page_of

area = Area("consents", "Consents and pauses: the ledger, and what stands now.")
P = Permission
CHANNELS = tuple(channel.value for channel in Channel)
WAYS = tuple(wishes.WAYS)


class ConsentShape(Shape):
    channel = Code("The channel", "email", required=True)
    topic = Code("The topic; *: every topic of the channel", "offers", required=True)
    brand = Code("The brand; empty: the firm itself", "", required=True)
    act = Code("The newest act on this scope: granted or withdrawn", "granted", required=True)
    at = Moment("When the person did it", required=True)
    source = Code("Where it was done", "api", required=True)
    allowed = Flag("Whether the person may be contacted on it now", required=True)
    reason = Code("Why: docs/reasons.md", "allowed", required=True)


class ConsentsShape(Shape):
    items = fields.List(fields.Nested(ConsentShape), required=True, metadata={"description": "One per scope"})


class ActShape(Shape):
    seq = Whole("Its place in the ledger", required=True, example=12)
    act = Code("granted or withdrawn", "granted", required=True)
    channel = Code("The channel", "email", required=True)
    topic = Code("The topic; *: every topic", "offers", required=True)
    brand = Code("The brand; empty: the firm itself", "", required=True)
    at = Moment("When the person did it", required=True)
    recorded_at = Moment("When it was written down", required=True)
    source = Code("Where it was done", "shop", required=True)
    evidence = fields.Dict(keys=fields.String(), required=True, metadata={"description": "Where it can be seen"})


class NewActShape(Shape):
    act = Choice("What the person did", tuple(act.value for act in Act), required=True)
    channel = Choice("The channel", CHANNELS, required=True)
    topic = Text("The topic; * for every topic, in a withdrawal only", 60, shortest=1, example="offers", required=True)
    brand = Text("The brand; empty: the firm itself", 60, load_default="")
    at = Moment("When the person did it; not in the future", required=True)
    how = Choice("How they told us; needed for a grant", ("", *WAYS), example="paper", load_default="")
    reference = Text("Where the proof lies; needed for a grant", 300, example="form 2026/117", load_default="")


class RecordedShape(Shape):
    recorded = Flag("False: the ledger held this act already", required=True)
    consents = fields.List(fields.Nested(ConsentShape), required=True, metadata={"description": "What stands now"})


class PauseShape(Shape):
    channel = Code("The channel", "email", required=True)
    until = Moment("Nothing is sent before", required=True)


class PausesShape(Shape):
    items = fields.List(fields.Nested(PauseShape), required=True, metadata={"description": "Pauses that are not over"})


class NewPauseShape(Shape):
    channel = Choice("Only on this channel; on every one by default", CHANNELS, allow_none=True, load_default=None)
    until = Moment("Until when; in the future", required=True)


class EndPauseShape(Shape):
    channel = Choice("Only on this channel; on every one by default", CHANNELS, allow_none=True, load_default=None)
    how = Choice("How the person asked for it", WAYS, required=True)
    reference = Text("Where the proof lies", 300, shortest=3, example="call of 22 Nov", required=True)


class DecisionQuery(Shape):
    channel = Choice("The channel", CHANNELS, required=True)
    topic = Text("The topic", 60, shortest=1, example="offers", required=True)
    brand = Text("The brand", 60, load_default="")
    at = Moment("For another moment than now")


class DecisionShape(Shape):
    allowed = Flag("Whether the person may be contacted", required=True)
    reason = Code("Why: docs/reasons.md", "allowed", required=True)


def _standing(contact_id: str) -> list[dict[str, Any]]:
    found = contacts.contact_profile(hub(), contact_id, noted=False)
    names = ("channel", "topic", "brand", "act", "at", "source")
    return [
        {**{name: getattr(one, name) for name in names}, "allowed": one.now.allowed, "reason": one.now.reason}
        for one in found.consents
    ]


def _channel(name: str | None) -> Channel | None:
    return Channel(name) if name else None


@area.operation("GET", "/contacts/<uuid:contact_id>/consents", P.CONTACTS_READ, answer=ConsentsShape, refuses=(404,))
def list_consents(contact_id: str) -> dict[str, Any]:
    """What stands now, scope by scope, and whether the person may be contacted."""
    return {"items": _standing(contact_id)}


@area.operation(
    "GET",
    "/contacts/<uuid:contact_id>/consents/history",
    P.CONTACTS_READ,
    query=PageQuery,
    answer=page_of(ActShape),
    refuses=(404,),
)
def list_consent_acts(query: dict[str, Any], contact_id: str) -> Rows:
    """Every act of the ledger on the contact, the last written first."""
    contacts.read_contact(hub(), contact_id)
    with reading() as session:
        rows = ledger.page_acts(session, contact_id, before=read_cursor(query), limit=query["limit"] + 1)
    return Rows(rows, query["limit"], lambda row: row.seq)


@area.operation(
    "POST",
    "/contacts/<uuid:contact_id>/consents",
    P.CONSENTS_WRITE,
    body=NewActShape,
    answer=RecordedShape,
    status=201,
    refuses=(404,),
    example={
        "act": "granted",
        "channel": "email",
        "topic": "offers",
        "at": "2026-11-22T10:00:00Z",
        "how": "paper",
        "reference": "form 2026/117",
    },
)
def record_consent(body: dict[str, Any], contact_id: str) -> dict[str, Any]:
    """Record a consent or a withdrawal that the person gave elsewhere.

    The same act again changes nothing. A withdrawal leaves every list at once.
    """
    told = ToldAct(**{**body, "act": Act(body["act"]), "channel": Channel(body["channel"])})
    recorded = wishes.record_consent(hub(), contact_id, told, source="api")
    return {"recorded": recorded, "consents": _standing(contact_id)}


@area.operation(
    "GET",
    "/contacts/<uuid:contact_id>/decision",
    P.CONTACTS_READ,
    query=DecisionQuery,
    answer=DecisionShape,
    refuses=(404,),
)
def get_decision(query: dict[str, Any], contact_id: str) -> Any:
    """Whether the contact may be contacted, now or at another moment, and why."""
    at = query.get("at") or hub().now()
    return may_contact(hub(), contact_id, Channel(query["channel"]), query["topic"], at, query["brand"])


def _pauses(contact_id: str) -> dict[str, Any]:
    contacts.read_contact(hub(), contact_id)
    with reading() as session:
        return {"items": dossier.pauses_of(session, contact_id, hub().now())}


@area.operation("GET", "/contacts/<uuid:contact_id>/pauses", P.CONTACTS_READ, answer=PausesShape, refuses=(404,))
def list_pauses(contact_id: str) -> dict[str, Any]:
    """Pauses that are not over."""
    return _pauses(contact_id)


@area.operation(
    "POST",
    "/contacts/<uuid:contact_id>/pauses",
    P.CONSENTS_WRITE,
    body=NewPauseShape,
    answer=PausesShape,
    refuses=(404,),
    example={"channel": "email", "until": "2027-01-01T00:00:00Z"},
)
def pause_contact(body: dict[str, Any], contact_id: str) -> dict[str, Any]:
    """Send nothing before a moment; a pause that there is moves."""
    wishes.pause_contact(hub(), contact_id, _channel(body["channel"]), body["until"], source="api")
    return _pauses(contact_id)


@area.operation(
    "POST",
    "/contacts/<uuid:contact_id>/pauses/end",
    P.CONSENTS_WRITE,
    body=EndPauseShape,
    answer=PausesShape,
    refuses=(404,),
    example={"how": "phone", "reference": "call of 22 November, 10:15"},
)
def end_pause(body: dict[str, Any], contact_id: str) -> dict[str, Any]:
    """End a pause because the person asked for it."""
    wishes.resume_contact(hub(), contact_id, _channel(body["channel"]), body["how"], body["reference"], source="api")
    return _pauses(contact_id)
