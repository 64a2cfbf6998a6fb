"""Looking for contacts as people do: an e-mail, a phone written any way, a name without its accents, an id of a platform."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import phonenumbers

from hub import connectors
from hub.core import normalize
from hub.core.errors import Invalid, NotFound
from hub.core.texts import N_
from hub.services.audit import note
from hub.services.context import Context
from hub.store import search
from hub.store.contacts import LONGEST_KEY
from hub.store.db import reading, transaction
from hub.store.records import LONGEST_ID
from hub.store.search import Name, Place, Wanted

LONGEST_QUERY = 254
MOST_AT_ONCE = 200
_PHONE = re.compile(r"[\s().\-/+0-9]{3,}")
_FEWEST_DIGITS = 3
UNREADABLE = N_("The search holds characters that nobody types; type it again")
TOO_LONG = N_("At most {most} characters can be looked for")


@dataclass(frozen=True)
class Found:
    """One page of contacts (rows of the table `contact`), and the cursor of the next one (None: there is none)."""

    contacts: list[Any]
    next: str | None


def find_contacts(context: Context, query: str = "", after: str | None = None, limit: int = 50) -> Found:
    """Contacts that the query may mean, at most `limit` (1–200) behind the cursor `after`.

    The query is an e-mail or its beginning, a phone in any spelling or its beginning, beginnings of first and last name in
    either order (case and accents do not matter), an id on a platform, an order's number, or the hub's own id. Empty:
    everybody, newest first. Invalid(query) where it cannot be read, NotFound where the cursor is not one of this search.
    """
    place = _read_place(after) if after else None
    wanted = read_query(query, context.settings.country)
    with reading() as session:
        rows, following = search.page_contacts(session, wanted, place, max(1, min(limit, MOST_AT_ONCE)))
    return Found(rows, _write_place(following) if following else None)


def export_contacts(context: Context, query: str = "") -> Iterator[Any]:
    """Every contact that the query may mean, page by page; noted in the audit trail with the query's kind, not the people."""
    wanted = read_query(query, context.settings.country)
    with transaction() as session:
        note(session, "contacts.exported", ("export", "contacts", "contacts"), context.now(), after={"filter": _kind(wanted)})
    return _all(wanted)


def _all(wanted: Wanted) -> Iterator[Any]:
    place: Place | None = None
    while True:
        with reading() as session:
            rows, place = search.page_contacts(session, wanted, place, 1000)
        yield from rows
        if place is None:
            return


def _kind(wanted: Wanted) -> str:
    """What was looked for, without saying whom."""
    if wanted == Wanted():
        return "everybody"
    parts = {
        "id": wanted.contact_id or wanted.external_id,
        "email": wanted.emails,
        "phone": wanted.phones,
        "name": wanted.names,
    }
    return ", ".join(name for name, value in parts.items() if value)


def read_query(query: str, country: str) -> Wanted:
    """What a text may mean; `country` is where phone numbers without a country code are dialled."""
    text = " ".join(query.split())
    if not text.isprintable():
        raise Invalid("The search cannot be read", fields={"query": UNREADABLE})
    if len(text) > LONGEST_QUERY:
        raise Invalid("The search cannot be read", fields={"query": TOO_LONG}, most=LONGEST_QUERY)
    if not text:
        return Wanted()
    if own := _uuid(text):
        return Wanted(contact_id=own)
    if "@" in text:
        whole = normalize.email(text)
        return Wanted(identifiers=(("email", whole),) if whole else (), emails=(whole or text.lower(),))
    digits = re.sub(r"\D", "", text)
    external = text if len(text) <= LONGEST_ID else ""
    if _PHONE.fullmatch(text) and len(digits) >= _FEWEST_DIGITS:
        whole = normalize.phone(text, country)
        emails = (text,) if text.isdigit() else ()
        identifiers = (("phone", whole),) if whole else ()
        return Wanted(
            identifiers=identifiers,
            external_id=external,
            streams=_streams(),
            emails=emails,
            phones=_phones(text, digits, country),
        )
    emails = () if " " in text else (text.lower(),)
    return Wanted(external_id=external, streams=_streams(), emails=emails, names=_names(text))


def _names(text: str) -> tuple[Name, ...]:
    """First and last name in either order; of more than two words every cut may be the right one."""
    words = normalize.name_key(text)[:LONGEST_KEY].split()
    if not words:
        return ()
    whole = " ".join(words)
    found = [Name(last=whole), Name(first=whole)]
    for cut in dict.fromkeys((1, len(words) - 1) if len(words) > 1 else ()):
        left, right = " ".join(words[:cut]), " ".join(words[cut:])
        found += [Name(last=right, first=left), Name(last=left, first=right)]
    return tuple(found)


def _phones(text: str, digits: str, country: str) -> tuple[str, ...]:
    """Beginnings in E.164 that the digits may be."""
    if text.lstrip().startswith("+"):
        return (f"+{digits}",)
    if digits.startswith("00"):
        return (f"+{digits[2:]}",) if len(digits) > 2 else ()
    home = phonenumbers.country_code_for_region(country.upper())
    national = digits.removeprefix("0") if country.upper() != "IT" else digits
    found = (f"+{home}{national}",) if home else ()
    return (*found, f"+{digits}") if home and digits.startswith(str(home)) else found


def _streams() -> tuple[str, ...]:
    """Every stream that some platform has: records are found by connection, stream and id."""
    return tuple(sorted({stream.name for name in connectors.names() for stream in connectors.load(name).DECLARATION.streams}))


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return ""


def _write_place(place: Place) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([place.way, *place.values])).decode().rstrip("=")


def _read_place(cursor: str) -> Place:
    try:
        way, *values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        place = Place(way, tuple(values))
        sound = isinstance(way, int) and all(isinstance(value, str) and "\0" not in value for value in values)
        if sound and search.places_fit(place) and _uuid(values[-1]):
            return place
    except (ValueError, TypeError, binascii.Error):
        pass
    raise NotFound("This page cannot be found", cure="Start again from the first page")
