"""Correcting and creating contacts, and recording what a person told us."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.core.errors import HubError, Invalid
from hub.core.roles import Permission
from hub.core.types import Act, Channel
from hub.services import contacts as verbs
from hub.services import wishes
from hub.services.context import Context
from hub.services.preferences import ChangedMeanwhile
from hub.store.contacts import PROFILE
from hub.store.db import reading
from hub.store.dossier import pauses_of
from hub.store.stopping import scenarios_with_segments
from hub.web import labels
from hub.web.admin.contacts import name_of, words
from hub.web.forms import error_summary, tell, wrong_fields
from hub.web.pages import language, zone

LONGEST = 1000
EVERY = "every"
Answer = str | AnyResponse | tuple[str, int]


def show_new_contact() -> str:
    return _profile_form(None, dict.fromkeys(PROFILE, ""))


def create_contact() -> Answer:
    """A person who is known already is shown instead of made twice."""
    values = _values(PROFILE)
    try:
        contact_id, created = verbs.create_contact(_context(), values)
    except Invalid as error:
        return _profile_form(None, values, error=error), 400
    tell("The contact was created" if created else "This person was known already: here is their contact, unchanged")
    return _to(contact_id)


def show_edit_contact(contact_id: UUID) -> str:
    row, version = verbs.read_contact(_context(), str(contact_id))
    return _profile_form(row, {name: row[name] or "" for name in PROFILE}, version)


def change_contact(contact_id: UUID) -> Answer:
    """Save a correction; if somebody was faster, both versions are shown beside each other."""
    context, values = _context(), _values(PROFILE)
    row, _ = verbs.read_contact(context, str(contact_id))
    seen = request.form.get("version", "")
    try:
        verbs.change_contact(context, str(contact_id), values, seen)
    except ChangedMeanwhile as error:
        return _profile_form(row, values, verbs.version_of(error.theirs), error=error, theirs=error.theirs), 409
    except Invalid as error:
        return _profile_form(row, values, seen, error=error), 400
    tell("The contact was saved")
    return _to(contact_id)


def _profile_form(
    row: Mapping[str, Any] | None,
    values: Mapping[str, str],
    version: str = "",
    error: HubError | None = None,
    theirs: Mapping[str, Any] | None = None,
) -> str:
    lang = language()
    return render_template(
        "admin/contact_form.html",
        contact=row,
        name=name_of(row) if row else "",
        fields=[(name, labels.label(labels.FIELDS, name, lang)) for name in PROFILE],
        values=values,
        version=version,
        error=error_summary(error) if error else None,
        wrong=wrong_fields(error) if isinstance(error, Invalid) else {},
        holders=(error.details.get("holders") or {}) if error else {},
        theirs={name: theirs[name] or "–" for name in PROFILE if (theirs[name] or "") != values[name]} if theirs else {},
    )


def show_consent_form(contact_id: UUID) -> str:
    now = _context().now().astimezone(zone()).strftime("%Y-%m-%dT%H:%M")
    given = {name: request.args.get(name, "")[:100] for name in ("act", "channel", "topic", "brand")}
    return _consent_form(str(contact_id), {**given, "at": now, "how": "", "reference": ""})


def record_consent(contact_id: UUID) -> Answer:
    """A consent needs its proof; a withdrawal does not, and leaves every list at once."""
    values = _values(("act", "channel", "topic", "brand", "at", "how", "reference"))
    try:
        told = wishes.ToldAct(
            act=_one_of(Act, values["act"], "act"),
            channel=_one_of(Channel, values["channel"], "channel"),
            topic=values["topic"],
            brand=values["brand"],
            at=_moment(values["at"]),
            how=values["how"],
            reference=values["reference"],
        )
        written = wishes.record_consent(_context(), str(contact_id), told)
    except Invalid as error:
        return _consent_form(str(contact_id), values, error), 400
    if not written:
        tell("This act was recorded before; nothing was added")
    elif told.act is Act.GRANTED:
        tell("The consent was recorded. A newer withdrawal, if there is one, still holds")
    else:
        tell("The withdrawal was recorded; the person leaves the lists at once")
    return _to(contact_id)


def _consent_form(contact_id: str, values: Mapping[str, str], error: Invalid | None = None) -> str:
    row, _ = verbs.read_contact(_context(), contact_id)
    with reading() as session:
        known = scenarios_with_segments(session)
    return render_template(
        "admin/contact_consent.html",
        contact=row,
        name=name_of(row),
        values=values,
        error=error_summary(error) if error else None,
        wrong=wrong_fields(error) if error else {},
        acts=_choices(labels.ACTS),
        channels=_choices(labels.CHANNELS),
        ways=[("", "–"), *_choices(wishes.WAYS)],
        topics=sorted({one.topic for one in known}),
        brands=sorted({one.brand for one in known if one.brand}),
        zone=zone().key,
    )


def show_pause_form(contact_id: UUID) -> str:
    return _pause_form(str(contact_id), {"channel": EVERY, "until": "", "how": "", "reference": ""})


def pause_contact(contact_id: UUID) -> Answer:
    values = _values(("channel", "until"))
    try:
        wishes.pause_contact(_context(), str(contact_id), _channel(values["channel"]), _moment(values["until"], "until"))
    except Invalid as error:
        return _pause_form(str(contact_id), values, error), 400
    tell("The pause is set")
    return _to(contact_id)


def resume_contact(contact_id: UUID) -> Answer:
    """A pause that the person asked for ends early only if they asked for that, too."""
    values = _values(("channel", "how", "reference"))
    try:
        channel = _channel(values["channel"])
        ended = wishes.resume_contact(_context(), str(contact_id), channel, values["how"], values["reference"])
    except Invalid as error:
        return _pause_form(str(contact_id), values, error, resuming=True), 400
    tell("The pause is over" if ended else "There was no pause to end")
    return _to(contact_id)


def _pause_form(contact_id: str, values: Mapping[str, str], error: Invalid | None = None, *, resuming: bool = False) -> str:
    context = _context()
    row, _ = verbs.read_contact(context, contact_id)
    with reading() as session:
        pauses = pauses_of(session, contact_id, context.now())
    return render_template(
        "admin/contact_pause.html",
        contact=row,
        name=name_of(row),
        pauses=pauses,
        values=values,
        resuming=resuming,
        error=error_summary(error) if error else None,
        wrong=wrong_fields(error) if error else {},
        every=EVERY,
        channels=_choices(labels.CHANNELS),
        ways=[("", "–"), *_choices(wishes.WAYS)],
        **words(),
    )


def _choices(choices: Mapping[str, str]) -> list[tuple[str, str]]:
    lang = language()
    return [(code, labels.label(choices, code, lang)) for code in choices]


def _channel(code: str) -> Channel | None:
    return None if code == EVERY else _one_of(Channel, code, "channel")


def _one_of(kind: Any, code: str, name: str) -> Any:
    if code not in set(kind):
        raise Invalid("This cannot be recorded", fields={name: "Choose one of the list"})
    return kind(code)


def _moment(text: str, name: str = "at") -> datetime:
    """What a date or time field gives, in the firm's time zone; Invalid at the field."""
    try:
        return datetime.fromisoformat(text[:32]).replace(tzinfo=zone()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid("This cannot be recorded", fields={name: "Choose a day and a time"}) from None


def _values(names: tuple[str, ...]) -> dict[str, str]:
    """What was typed; services say what is wrong with it. Nobody types more than this into one line."""
    return {name: request.form.get(name, "").strip()[:LONGEST] for name in names}


def _to(contact_id: object) -> AnyResponse:
    return redirect(url_for("admin.show_contact", contact_id=contact_id), 303)


def _context() -> Context:
    found: Context = current_app.extensions["hub"]
    return found


def routes(add: Callable[..., None]) -> None:
    for rule, show, save, permission in (
        ("/contacts/new", show_new_contact, create_contact, Permission.CONTACTS_WRITE),
        ("/contacts/<uuid:contact_id>/edit", show_edit_contact, change_contact, Permission.CONTACTS_WRITE),
        ("/contacts/<uuid:contact_id>/consent", show_consent_form, record_consent, Permission.CONSENTS_WRITE),
        ("/contacts/<uuid:contact_id>/pause", show_pause_form, pause_contact, Permission.CONSENTS_WRITE),
    ):
        add(rule, show, permission)
        add(rule, save, permission, ["POST"])
    add("/contacts/<uuid:contact_id>/resume", resume_contact, Permission.CONSENTS_WRITE, ["POST"])
