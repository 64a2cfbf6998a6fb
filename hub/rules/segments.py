"""Segments: a declarative definition, parsed once into a small tree.

The tree is evaluated here in Python (to explain one contact) and compiled to SQL in `hub.store.segments` (to evaluate a
million); a property test holds the two equal.

    {"all": [{"orders": {"paid": true, "within_days": 90, "at_least": 2}}, {"field": "country", "is": "PL"}]}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from hub.core.errors import Invalid

FIELDS = ("email", "phone", "first_name", "last_name", "company", "city", "postcode", "country")


@dataclass(frozen=True, slots=True)
class Group:
    """`all` of the parts, or `any` of them."""

    kind: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Node


@dataclass(frozen=True, slots=True)
class Orders:
    """At least so many orders, or at least so much money (minor units, net of refunds, one currency), in a time span."""

    paid: bool
    within_days: int | None
    at_least: int
    total_at_least: int | None
    currency: str | None


@dataclass(frozen=True, slots=True)
class Field:
    """A contact's field equals a text, or is known at all (`value` None)."""

    name: str
    value: str | None


Node = Group | Not | Orders | Field


@dataclass(frozen=True, slots=True)
class OrderFact:
    paid: bool
    at: datetime
    """When it was paid, or placed if it is not paid."""
    total: int
    currency: str


class _OrdersSchema(Schema):
    paid = fields.Boolean(load_default=True)
    within_days = fields.Integer(strict=True, validate=validate.Range(1, 3660))
    at_least = fields.Integer(strict=True, load_default=1, validate=validate.Range(1, 10_000))
    total_at_least = fields.Integer(strict=True, validate=validate.Range(1))
    currency = fields.String(validate=validate.Regexp(r"^[A-Z]{3}$"))

    @validates_schema
    def _money_has_currency(self, data: Mapping[str, Any], **_: Any) -> None:
        if ("total_at_least" in data) != ("currency" in data):
            raise ValidationError("total_at_least and currency go together", "currency")


def parse_segment(definition: Any, place: str = "definition") -> Node:
    """The tree of a definition; Invalid names the place that is wrong."""
    if not isinstance(definition, dict) or not definition:
        raise _wrong(place, "A condition is a table with one of: all, any, not, orders, field")
    if "field" in definition:
        return _parse_field(definition, place)
    if len(definition) != 1:
        raise _wrong(place, "A condition has exactly one of: all, any, not, orders, field")
    kind, inner = next(iter(definition.items()))
    if kind in ("all", "any"):
        if not isinstance(inner, list) or not inner:
            raise _wrong(f"{place}.{kind}", "This needs a list with at least one condition")
        return Group(kind, tuple(parse_segment(part, f"{place}.{kind}[{index}]") for index, part in enumerate(inner)))
    if kind == "not":
        return Not(parse_segment(inner, f"{place}.not"))
    if kind == "orders":
        try:
            loaded = _OrdersSchema().load(inner)
        except ValidationError as error:
            found = {name: " ".join(map(str, texts)) for name, texts in error.messages_dict.items()}
            whole = found.pop("_schema", "")
            wrong = {f"{place}.orders.{name}": text for name, text in found.items()}
            raise Invalid(
                "The segment cannot be read", fields={**({f"{place}.orders": whole} if whole else {}), **wrong}
            ) from error
        names = ("paid", "within_days", "at_least", "total_at_least", "currency")
        return Orders(**{name: loaded.get(name) for name in names})
    raise _wrong(f"{place}.{kind}", "There is no such condition; use one of: all, any, not, orders, field")


def _parse_field(definition: Mapping[str, Any], place: str) -> Field:
    name = definition["field"]
    if name not in FIELDS:
        raise _wrong(f"{place}.field", "There is no such field; use one of: " + ", ".join(FIELDS))
    if set(definition) == {"field", "is"} and isinstance(definition["is"], str) and definition["is"]:
        return Field(name, definition["is"])
    if set(definition) == {"field", "known"} and definition["known"] is True:
        return Field(name, None)
    raise _wrong(place, 'A field needs either "is" with a text, or "known": true')


def _wrong(place: str, text: str) -> Invalid:
    return Invalid("The segment cannot be read", fields={place: text})


def matches(node: Node, contact: Mapping[str, Any], orders: Iterable[OrderFact], at: datetime) -> bool:
    """Whether one contact is in the segment at the moment `at`."""
    facts = list(orders)
    match node:
        case Group(kind="all", parts=parts):
            return all(matches(part, contact, facts, at) for part in parts)
        case Group(parts=parts):
            return any(matches(part, contact, facts, at) for part in parts)
        case Not(part):
            return not matches(part, contact, facts, at)
        case Field(name, value):
            stored = contact.get(name)
            return bool(stored) if value is None else stored == value
        case Orders():
            return _orders_match(node, facts, at)


def _orders_match(node: Orders, facts: Iterable[OrderFact], at: datetime) -> bool:
    since = at - timedelta(days=node.within_days) if node.within_days else None
    counted = [
        fact
        for fact in facts
        if fact.paid == node.paid
        and fact.at <= at
        and (since is None or fact.at > since)
        and (node.currency is None or fact.currency == node.currency)
    ]
    if len(counted) < node.at_least:
        return False
    return node.total_at_least is None or sum(fact.total for fact in counted) >= node.total_at_least
