"""List members and automations. Adding a member to a MANUAL list is the steady way to start a workflow: present members stay as
they are, so that a repeated call starts nothing twice. v2 enrolment has no such memory and looks before a repeated call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from hub.connectors.hubspot.contacts import PAUSE
from hub.connectors.hubspot.paths import path
from hub.connectors.hubspot.schema import ContactSchema, EnrolmentSchema, MembershipsSchema, load
from hub.core.connector import Outcome, Outgoing, Result
from hub.core.errors import HubError, Invalid, NotFound, RecordRejected, Refused, Unavailable
from hub.core.http import Call
from hub.core.types import Lane
from hub.transport import Http

KINDS = ("list", "workflow")
LARGEST_MEMBERSHIP = 500
NO_ID = Result(Outcome.REJECTED, reason="The contact has no HubSpot id: write it to HubSpot first", field="remote_id")
NO_EMAIL = Result(Outcome.REJECTED, reason="A workflow enrols by e-mail address, and the contact has none", field="email")

Verdicts = dict[int, Result]
"""Results by the record's place."""


def remote_id(record: Outgoing) -> str:
    return str(record.values.get("remote_id") or record.remote_id or "")


def fill_in(verdicts: Verdicts, count: int, steps: Iterable[Callable[[], None]]) -> list[Result]:
    """Take the steps, each of which adds verdicts. Raises while none is known; later, the rest is postponed."""
    after = PAUSE
    try:
        for step in steps:
            step()
    except HubError as error:
        if not verdicts:
            raise
        after = (error.after if isinstance(error, Unavailable) else None) or PAUSE
    waiting = Result(Outcome.POSTPONED, reason="The call for this record could not be made yet", after=after)
    return [verdicts.get(place, waiting) for place in range(count)]


def write_members(http: Http, records: Sequence[Outgoing]) -> list[Result]:
    """Values: `list_id`, `member` (True to add, False to take off), `remote_id`. Of two orders for one the later counts."""
    verdicts: Verdicts = {}
    by_list: dict[str, dict[str, tuple[bool, list[int]]]] = {}
    for place, record in enumerate(records):
        list_id, contact = str(record.values.get("list_id") or ""), remote_id(record)
        if not list_id.isdigit():
            raise Invalid("The record names no list", fields={"list_id": "Give the number of a HubSpot list, for example 61"})
        if not contact:
            continue
        orders = by_list.setdefault(list_id, {})
        places = orders[contact][1] if contact in orders else []
        orders[contact] = (bool(record.values.get("member", True)), [*places, place])

    def change(list_id: str) -> None:
        verdicts.update(_change_list(http, list_id, by_list[list_id]))

    results = fill_in(verdicts, len(records), [partial(change, list_id) for list_id in by_list])
    return [result if remote_id(record) else NO_ID for record, result in zip(records, results, strict=True)]


def _change_list(http: Http, list_id: str, orders: dict[str, tuple[bool, list[int]]]) -> Verdicts:
    add = [contact for contact, (member, _) in orders.items() if member]
    remove = [contact for contact, (member, _) in orders.items() if not member]
    call = Call("PUT", path("list.change", list=list_id), json={"recordIdsToAdd": add, "recordIdsToRemove": remove})
    answer = _call_list(http, list_id, call)
    verdicts: Verdicts = {}
    for contact, (member, places) in orders.items():
        result = _member_result(contact, answer) if member else _left_result(contact, answer)
        verdicts.update(dict.fromkeys(places, result))
    return verdicts


def _call_list(http: Http, list_id: str, call: Call) -> Any:
    """A membership call. A list that is gone or not MANUAL is the set-up's fault: said once, no record is rejected for it."""
    try:
        answer = http.call(call)
    except RecordRejected as error:
        kind = NotFound if error.status == 404 else Refused
        raise kind(
            "HubSpot does not take members for the list {list}",
            cure="Check the list's number; only MANUAL and SNAPSHOT lists take members from outside",
            cause=error.cause,
            list=list_id,
        ) from error
    return load(MembershipsSchema(), answer, http.connection)


def _member_result(contact: str, answer: dict[str, Any]) -> Result:
    if contact in (answer["missing"] or ()):
        return Result(Outcome.REJECTED, contact, reason="HubSpot has no contact with this id", field="remote_id")
    return Result(Outcome.CREATED if contact in (answer["added"] or ()) else Outcome.UNCHANGED, contact)


def _left_result(contact: str, answer: dict[str, Any]) -> Result:
    """A contact that is gone is no member either: what was wanted is so."""
    return Result(Outcome.UPDATED if contact in (answer["removed"] or ()) else Outcome.UNCHANGED, contact)


def start(http: Http, automation: str, records: Sequence[Outgoing]) -> list[Result]:
    """Start «list:61» or «workflow:123» for each record."""
    kind, _, number = automation.partition(":")
    if kind not in KINDS:
        raise Refused(
            "HubSpot has no automation of the kind «{kind}»",
            cure="Write list:NUMBER or workflow:NUMBER",
            kind=kind,
        )
    if not (number.isascii() and number.isdigit()):
        raise Invalid(
            "The automation has no number: {automation}",
            fields={"automation": "Write list:NUMBER or workflow:NUMBER, for example list:61"},
            automation=automation,
        )
    return _start_by_list(http, number, records) if kind == "list" else _enrol_all(http, number, records)


def _start_by_list(http: Http, list_id: str, records: Sequence[Outgoing]) -> list[Result]:
    verdicts: Verdicts = {}
    places: dict[str, list[int]] = {}
    for place, record in enumerate(records):
        if remote_id(record):
            places.setdefault(remote_id(record), []).append(place)
    contacts = list(places)

    def add(chunk: list[str]) -> None:
        answer = _call_list(http, list_id, Call("PUT", path("list.add", list=list_id), json=chunk, lane=Lane.EVENT))
        for contact in chunk:
            verdicts.update(dict.fromkeys(places[contact], _member_result(contact, answer)))

    chunks = [contacts[at : at + LARGEST_MEMBERSHIP] for at in range(0, len(contacts), LARGEST_MEMBERSHIP)]
    results = fill_in(verdicts, len(records), [partial(add, chunk) for chunk in chunks])
    return [result if remote_id(record) else NO_ID for record, result in zip(records, results, strict=True)]


def _enrol_all(http: Http, workflow: str, records: Sequence[Outgoing]) -> list[Result]:
    verdicts: Verdicts = {}

    def enrol(place: int, record: Outgoing) -> None:
        verdicts[place] = _enrol(http, workflow, record)

    return fill_in(verdicts, len(records), [partial(enrol, at, one) for at, one in enumerate(records)])


def _enrol(http: Http, workflow: str, record: Outgoing) -> Result:
    """Enrol one contact; a repeated attempt looks first, because the answer of the earlier one may have been lost.

    HubSpot shows current enrolments only: a contact that has gone through the whole workflow meanwhile is not seen.
    """
    email = str(record.values.get("email") or "").strip().lower()
    if not email:
        return NO_EMAIL
    contact = remote_id(record)
    try:
        if record.attempt > 1:
            contact = contact or _find(http, email)
            if int(workflow) in _current(http, contact):
                return Result(Outcome.UNCHANGED, contact)
        http.call(Call("POST", path("workflow.enrol", workflow=workflow, email=email), lane=Lane.EVENT))
    except RecordRejected as error:
        return Result(Outcome.REJECTED, contact or None, reason=error.cause, field=error.field)
    return Result(Outcome.CREATED, contact or None)


def _find(http: Http, email: str) -> str:
    call = Call("GET", path("contact", contact=email), query={"idProperty": "email"}, lane=Lane.EVENT)
    return str(load(ContactSchema(), http.call(call), http.connection)["id"])


def _current(http: Http, contact: str) -> set[int]:
    call = Call("GET", path("workflow.enrolments", contact=contact), lane=Lane.EVENT)
    return {item["id"] for item in load(EnrolmentSchema(many=True), http.call(call), http.connection)}
