"""Finding contacts: beginnings of names, e-mails and phones through their indexes, and exact ids of platforms.

What is looked for may fit in several ways (a first name, a last name, an e-mail). The ways are asked one after another,
each in the order of its own index, and leave out whom an earlier one shows: so every page is a few looks into indexes,
however many contacts there are and however far one turns the pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.store.connections import connection
from hub.store.contacts import contact, identifier
from hub.store.orders import shop_order
from hub.store.records import record
from hub.store.remotes import remote

MOST_EXACT = 200
"""Contacts shown for one exact value; an id or an address has one or two."""
_HIGHEST = 0x10FFFF


class Name(NamedTuple):
    """Beginnings of one or both names as search keys (`core.normalize.name_key`)."""

    last: str = ""
    first: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for, in the hub's spelling. Empty parts are not looked for; all empty: everybody, newest first."""

    contact_id: str = ""
    identifiers: tuple[tuple[str, str], ...] = ()
    """(kind, whole value): whose they are, also where the contact now shows another."""
    external_id: str = ""
    streams: tuple[str, ...] = ()
    """Streams of all platforms, whose records are looked for by `external_id`."""
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    names: tuple[Name, ...] = ()


class Place(NamedTuple):
    """Where a page ends: the way, and the last contact's values in that way's order."""

    way: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Way:
    """`condition` says of a contact whether it fits; `identified`: (kind, beginning) of identifiers, if it is found by them."""

    condition: sa.ColumnElement[bool]
    order: tuple[sa.Column[Any], ...]
    newest_first: bool = False
    identified: tuple[str, str] | None = None


def page_contacts(session: Session, wanted: Wanted, after: Place | None, limit: int) -> tuple[list[Any], Place | None]:
    """Up to `limit` rows of contacts behind `after`, and where the next page begins (None: there is none)."""
    ways = _ways(session, wanted)
    found: list[tuple[int, Any]] = []
    for number, way in enumerate(ways):
        if (after is not None and number < after.way) or len(found) > limit:
            continue
        statement = _select(way).where(*(_not(earlier.condition) for earlier in ways[:number]))
        if after is not None and number == after.way:
            statement = statement.where(_behind(way, after.values))
        order = [column.desc() for column in way.order] if way.newest_first else list(way.order)
        rows = session.execute(statement.order_by(*order).limit(limit + 1 - len(found)))
        found += [(number, row) for row in rows]
    if len(found) <= limit:
        return [row for _, row in found], None
    number, last = found[limit - 1]
    place = Place(number, tuple(str(last._mapping[column.name]) for column in ways[number].order))
    return [row for _, row in found[:limit]], place


def places_fit(place: Place) -> bool:
    """Whether a place may be one of ours: it comes back from outside."""
    return 0 <= place.way < 50 and 1 <= len(place.values) <= 3 and all(len(value) <= 254 for value in place.values)


def _ways(session: Session, wanted: Wanted) -> list[_Way]:
    by_id, ways = (contact.c.id,), []
    exact = _exact(session, wanted)
    if exact is not None:
        ways.append(_Way(contact.c.id.in_(exact), by_id))
    for name in wanted.names:
        longer = contact.c.first_key if len(name.first) > len(name.last) else contact.c.last_key  # leaves fewer to look at
        ways.append(_Way(_named(name), (longer, contact.c.id)))
    ways += [_identified("phone", phone) for phone in wanted.phones]
    ways += [_identified("email", email) for email in wanted.emails]
    return ways or [_Way(sa.true(), by_id, newest_first=True)]


def _select(way: _Way) -> sa.Select[Any]:
    """Contacts that fit; by identifiers once each, at the first one that fits, with it as `value`."""
    if way.identified is None:
        return sa.select(contact).where(way.condition)
    other = identifier.alias("other")
    earlier = sa.exists().where(_fits(other, *way.identified), other.c.value < identifier.c.value)
    joined = sa.select(contact, identifier.c.value).join(identifier, identifier.c.contact_id == contact.c.id)
    return joined.where(_fits(identifier, *way.identified), ~earlier)


def _fits(table: sa.FromClause, kind: str, text: str) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.contact_id == contact.c.id, table.c.kind == kind, _begins(table.c.value, text))


def _identified(kind: str, text: str) -> _Way:
    fits = sa.exists().where(_fits(identifier.alias("one"), kind, text))
    return _Way(fits, (identifier.c.value, contact.c.id), identified=(kind, text))


def _named(name: Name) -> sa.ColumnElement[bool]:
    pairs = ((contact.c.last_key, name.last), (contact.c.first_key, name.first))
    return sa.and_(*(_begins(column, value) for column, value in pairs if value))


def _begins(column: sa.ColumnElement[str], text: str) -> sa.ColumnElement[bool]:
    """The text's beginning as a range: unlike LIKE, an index serves it on both databases, whatever stands in it."""
    head = text.rstrip(chr(_HIGHEST))
    if not head:
        return column >= text
    code = ord(head[-1]) + 1
    following = head[:-1] + chr(0xE000 if 0xD800 <= code <= 0xDFFF else code)  # no text holds a surrogate
    return sa.and_(column >= text, column < following)


def _not(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """What is unknown (an empty e-mail's beginning) is not so."""
    return sa.not_(sa.func.coalesce(condition, sa.false()))


def _behind(way: _Way, values: tuple[str, ...]) -> sa.ColumnElement[bool]:
    if len(values) != len(way.order):
        return sa.false()
    place = sa.tuple_(*(sa.literal(value, column.type) for value, column in zip(values, way.order, strict=True)))
    return sa.tuple_(*way.order) < place if way.newest_first else sa.tuple_(*way.order) > place


def _exact(session: Session, wanted: Wanted) -> list[str] | None:
    """Ids of contacts that exact values name; None if none was asked for."""
    if not (wanted.contact_id or wanted.identifiers or wanted.external_id):
        return None
    found = [wanted.contact_id] if wanted.contact_id else []
    for kind, value in wanted.identifiers:
        statement = sa.select(identifier.c.contact_id).where(identifier.c.kind == kind, identifier.c.value == value)
        found += session.scalars(statement)
    if wanted.external_id:
        connections = session.scalars(sa.select(connection.c.id)).all()
        for table in (record, remote, shop_order):
            statement = sa.select(table.c.contact_id).where(
                table.c.connection_id.in_(connections), table.c.external_id == wanted.external_id
            )
            if table is record:
                statement = statement.where(record.c.stream.in_(wanted.streams))
            found += session.scalars(statement.where(table.c.contact_id.is_not(None)).limit(MOST_EXACT))
    return sorted(set(found))[:MOST_EXACT]
