"""Contacts as people and the API create and correct them. Imports have a way of their own (intake.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from hub.core import normalize
from hub.core.errors import Invalid, NotFound
from hub.core.texts import N_
from hub.rules.identity import is_placeholder_email, is_placeholder_phone
from hub.services.audit import note
from hub.services.context import Context
from hub.services.dossier import Dossier as Dossier
from hub.services.dossier import contact_profile as contact_profile
from hub.services.dossier import version_of as version_of
from hub.services.finding import Found as Found
from hub.services.finding import export_contacts as export_contacts
from hub.services.finding import find_contacts as find_contacts
from hub.services.hooks import tell
from hub.services.people import claimant_of, resolve
from hub.services.preferences import ChangedMeanwhile
from hub.store import contacts, dossier
from hub.store.contacts import PROFILE
from hub.store.db import Session, lock_identities, reading, transaction

LONGEST = {"first_name": 120, "last_name": 120, "company": 200, "city": 120, "postcode": 20, "country": 60}
IDENTIFIERS = ("email", "phone")

WRONG = N_("The contact cannot be saved")
NO_FIELD = N_("There is no such field; the fields are {known}")
NOT_TEXT = N_("A text belongs here")
TOO_LONG = N_("At most {longest} characters fit here")
UNPRINTABLE = N_("This holds characters that cannot be shown; type it again")
BAD_EMAIL = N_("This is not an e-mail address; it looks like name@example.com")
BAD_PHONE = N_("Nobody can have this number; a foreign one needs its country code, like +420 601 123 456")
BAD_COUNTRY = N_("No country has this code or name; use two letters, for example PL")
PLACEHOLDER = N_("This finds nobody: it stands for «none». Leave the field empty")
TAKEN = N_("This belongs to another contact: {holder}")
NO_IDENTIFIER = N_("An e-mail address or a phone number is needed, so that the person can be found again")


def read_contact(context: Context, contact_id: str) -> tuple[dict[str, Any], str]:
    """(the contact's row, its version); NotFound if there is none. Looking is not noted: for pages use `contact_profile`."""
    with reading() as session:
        row = _row(session, contact_id)
    return row, version_of(row)


def create_contact(context: Context, fields: Mapping[str, Any]) -> tuple[str, bool]:
    """(id, whether it was made). An existing person is answered with their id and stays as they are.

    `fields`: any of `hub.store.contacts.PROFILE`, in any spelling that people use; an e-mail or a phone is needed. The same
    rules as for imports say who is who: a shared mailbox or a phone is one person only where both names agree.
    Invalid names the wrong fields.
    """
    given = _read_fields(context, fields, None)
    if not (given.get("email") or given.get("phone")):
        raise Invalid(WRONG, fields={"email": NO_IDENTIFIER})
    now = context.now()
    with transaction() as session:
        lock_identities(session)
        (claim,) = resolve(session, [claimant_of("", given, None)])
        if not claim.new:
            return claim.contact_id, False
        row = {**dict.fromkeys(PROFILE), **given, "id": claim.contact_id, "created_at": now, "updated_at": now}
        contacts.save_contacts(session, [row])
        _save_identifiers(session, claim.contact_id, claim.identifiers, now)
        filled = {name: _masked(name, value) for name, value in given.items() if value}
        note(session, "contact.created", ("contact", claim.contact_id, ""), now, after=filled)
        tell(session, "contact.created", claim.contact_id, {"contact_id": claim.contact_id, "fields": sorted(filled)}, now)
    return claim.contact_id, True


def change_contact(context: Context, contact_id: str, fields: Mapping[str, Any], seen_version: str | None) -> str:
    """Correct what is given of a profile; an empty text (or None) clears a field. Returns the new version.

    `seen_version`: the version that the change is based on (None: whatever it is now). `ChangedMeanwhile` if it is not the
    newest; Invalid with the wrong fields, `details["holders"]` naming whose an e-mail or phone is ({field: {id, name}}).
    """
    now = context.now()
    with transaction() as session:
        lock_identities(session)
        row = _row(session, contact_id, lock=True)
        if seen_version is not None and seen_version != version_of(row):
            raise changed_meanwhile(row)
        given = _read_fields(context, fields, row)
        changed = {name: value for name, value in given.items() if value != (row[name] or None)}
        if not changed:
            return version_of(row)
        after = {**row, **changed}
        if not any(after[name] for name in (*IDENTIFIERS, "first_name", "last_name")):
            raise Invalid(WRONG, fields={"email": NO_IDENTIFIER})
        _move_identifiers(session, row, changed, now)
        after["updated_at"] = max(now, row["updated_at"])
        contacts.save_contacts(session, [after])
        note(
            session,
            "contact.changed",
            ("contact", contact_id, ""),
            now,
            before={name: _masked(name, row[name]) for name in changed},
            after={name: _masked(name, value) for name, value in changed.items()},
        )
        tell(session, "contact.changed", contact_id, {"contact_id": contact_id, "fields": sorted(changed)}, now)
    return version_of(after)


def changed_meanwhile(theirs: Any) -> ChangedMeanwhile:
    """The conflict with what stands there now, for a page that shows both."""
    error = ChangedMeanwhile()
    error.theirs = theirs
    return error


def _row(session: Session, contact_id: str, *, lock: bool = False) -> dict[str, Any]:
    row = contacts.find_contact(session, contact_id, lock=lock)
    if row is None:
        raise NotFound("There is no such contact", cure="Look for the person by name, e-mail or phone", subject=contact_id)
    return dict(row._mapping)


def _read_fields(context: Context, fields: Mapping[str, Any], row: Mapping[str, Any] | None) -> dict[str, str | None]:
    """The fields in the hub's spelling; a value that stands there already is left alone, whatever it is."""
    wrong: dict[str, str] = {}
    params: dict[str, object] = {"known": ", ".join(PROFILE)}
    given: dict[str, str | None] = {}
    home = str(fields.get("country") or (row or {}).get("country") or "")
    country = normalize.country(home) or context.settings.country
    for name, value in fields.items():
        if name not in PROFILE:
            wrong[str(name)[:60]] = NO_FIELD
        elif value is not None and not isinstance(value, str):
            wrong[name] = NOT_TEXT
        elif not (text := " ".join((value or "").split())):
            given[name] = None
        elif row is not None and text == row[name]:
            given[name] = text
        elif not text.isprintable():
            wrong[name] = UNPRINTABLE
        elif name in LONGEST and len(text) > LONGEST[name]:
            wrong[name] = TOO_LONG
            params["longest"] = LONGEST[name]
        else:
            given[name], problem = _READERS.get(name, _as_it_is)(text, country)
            if problem:
                wrong[name] = problem
    if wrong:
        raise Invalid(WRONG, fields=wrong, **params)
    return given


def _as_it_is(text: str, country: str) -> tuple[str | None, str]:
    return text, ""


def _email(text: str, country: str) -> tuple[str | None, str]:
    found = normalize.email(text)
    if found is None:
        return None, BAD_EMAIL
    return found, PLACEHOLDER if is_placeholder_email(found) else ""


def _phone(text: str, country: str) -> tuple[str | None, str]:
    found = normalize.phone(text, country) if len(text) <= 60 else None
    if found is None:
        return None, BAD_PHONE
    return found, PLACEHOLDER if is_placeholder_phone(found) else ""


def _country(text: str, country: str) -> tuple[str | None, str]:
    found = normalize.country(text)
    return found, "" if found else BAD_COUNTRY


_READERS: dict[str, Callable[[str, str], tuple[str | None, str]]] = {"email": _email, "phone": _phone, "country": _country}


def _move_identifiers(session: Session, row: Mapping[str, Any], changed: Mapping[str, str | None], now: datetime) -> None:
    """The new e-mail and phone find the contact from now on; the old ones no longer, unless a record still says them.

    What belongs to somebody else is refused and named: merging two people is never a side effect of a correction.
    """
    contact_id = row["id"]
    named = {kind: changed[kind] for kind in IDENTIFIERS if kind in changed}
    holders: dict[str, dict[str, str]] = {}
    for kind, value in named.items():
        owner = contacts.owners(session, kind, [value]).get(value) if value else None
        if owner is not None and owner.contact_id != contact_id:
            name = " ".join(part for part in owner[1:] if part)
            holders[kind] = {"id": owner.contact_id, "name": name}
    if holders:
        first = next(iter(holders.values()))
        raise Invalid(
            WRONG, fields=dict.fromkeys(holders, TAKEN), details={"holders": holders}, holder=first["name"] or first["id"]
        )
    said = dossier.values_said(session, contact_id, IDENTIFIERS)
    for kind, value in named.items():
        old = row[kind]
        if old and old not in said[kind]:
            contacts.free_identifier(session, contact_id, kind, old)
        if value:
            _save_identifiers(session, contact_id, [(kind, value)], now)


def _save_identifiers(session: Session, contact_id: str, found: list[tuple[str, str]], now: datetime) -> None:
    contacts.save_identifiers(
        session, [{"kind": kind, "value": value, "contact_id": contact_id, "created_at": now} for kind, value in found]
    )


def _masked(name: str, value: str | None) -> str | None:
    """Enough to see in the trail what was changed; the trail is for ever, the person's data are not."""
    if not value:
        return None
    if name == "email":
        return f"{value[0]}…@{value.rpartition('@')[2]}"
    return f"…{value[-2:]}" if name in ("phone", "postcode") else value if name == "country" else f"{value[0]}…"
