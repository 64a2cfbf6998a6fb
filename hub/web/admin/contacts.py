"""Contacts: looking for people, one person from near with the reason of everything, and lists to take along."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import Response, current_app, render_template, request

from hub.core.errors import Invalid
from hub.core.roles import Permission
from hub.rules.scenario import ALLOWED
from hub.services import contacts as verbs
from hub.services.context import Context
from hub.services.finding import LONGEST_QUERY
from hub.store.boxes import Effect, EffectState
from hub.store.contacts import PROFILE
from hub.store.contacts import anybody as is_anybody
from hub.store.db import reading
from hub.web import labels
from hub.web.access import may
from hub.web.forms import wrong_fields
from hub.web.pages import argument, language
from hub.web.sheets import stream_csv

PAGE = 50
LISTED = ("id", *PROFILE, "created_at", "updated_at")
OPEN = (EffectState.HELD.value, EffectState.OWED.value, EffectState.CLAIMED.value)


def list_contacts() -> str | tuple[str, int]:
    """What is looked for, and who may be meant; without a search the newest contacts."""
    query = request.args.get("q", "").strip()
    wrong, found = "", verbs.Found([], None)
    try:
        found = verbs.find_contacts(_context(), query, argument("after") or None, PAGE)
    except Invalid as error:
        wrong = wrong_fields(error).get("query", "")
    with reading() as session:
        anybody = bool(found.contacts) or is_anybody(session)
    page = render_template(
        "admin/contacts.html",
        query=query[:LONGEST_QUERY],
        wrong=wrong,
        rows=found.contacts,
        next_page=found.next,
        anybody=anybody,
    )
    return (page, 400) if wrong else page


def export_contacts() -> Response:
    """Everybody that the search finds, as CSV. A form sends it: no link somewhere else may start it."""
    rows = verbs.export_contacts(_context(), request.form.get("q", "").strip())
    return stream_csv("contacts", LISTED, _cells(rows))


def _cells(rows: Iterator[Any]) -> Iterator[Sequence[Any]]:
    for row in rows:
        yield [getattr(row, name) for name in LISTED]


def show_contact(contact_id: UUID) -> str:
    """The person: profile, identities, consents, events, decisions, what is owed. The trail notes that somebody looked."""
    return render_contact(verbs.contact_profile(_context(), str(contact_id)))


def render_contact(found: verbs.Dossier) -> str:
    lang = language()
    profile = found.contact
    starts = [row for row in found.effects if row.effect == Effect.START_AUTOMATION.value]
    return render_template(
        "admin/contact.html",
        contact=profile,
        name=name_of(profile),
        found=found,
        profile=[(labels.label(labels.FIELDS, name, lang), profile[name], found.sources.get(name)) for name in PROFILE],
        started=[row for row in starts if row.state == EffectState.DONE.value],
        owed=[row for row in found.effects if row.state in OPEN],
        settled=[row for row in found.effects if row.state not in OPEN],
        decided=[(row, one) for row, one in found.decisions if one is not None],
        undecided=[row for row, one in found.decisions if one is None],
        acts=[(act, labels.evidence_lines(act.evidence, lang)) for act in found.acts],
        allowed_code=ALLOWED,
        may_write=may("contacts:write"),
        may_consent=may("consents:write"),
        **words(),
    )


def words() -> Mapping[str, Callable[..., str]]:
    """Functions of the templates that say codes in the reader's language."""
    lang = language()
    return {
        "channel_word": lambda code: labels.label(labels.CHANNELS, code, lang),
        "act_word": lambda code: labels.label(labels.ACTS, code, lang),
        "source_word": lambda code: labels.label(labels.SOURCES, code, lang),
        "suppression_word": lambda code: labels.label(labels.SUPPRESSIONS, code, lang),
        "money": lambda minor, currency: labels.money(minor, currency, lang),
    }


def name_of(profile: Mapping[str, Any]) -> str:
    """How a person is called on a page: by name, else by e-mail or phone, else by nothing."""
    name = " ".join(part for part in (profile["first_name"], profile["last_name"]) if part)
    return name or profile["company"] or profile["email"] or profile["phone"] or ""


def _context() -> Context:
    found: Context = current_app.extensions["hub"]
    return found


def routes(add: Callable[..., None]) -> None:
    add("/contacts", list_contacts, Permission.CONTACTS_READ)
    add("/contacts/export", export_contacts, Permission.CONTACTS_EXPORT, ["POST"])
    add("/contacts/<uuid:contact_id>", show_contact, Permission.CONTACTS_READ)
