"""The shape of the three streams as recorded, and which of it is read.

`FIELDS` is what a call asks for (`_fields`) and what a webhook's payload is cut down to: never `order_key` or `payment_url`,
whose holder can view and pay the order. `RAW_FIELDS` are the paths that a mapping may name.
"""

from __future__ import annotations

from typing import Any

from marshmallow import INCLUDE, Schema, fields

from hub.core.types import Raw

FIELDS: dict[str, tuple[str, ...]] = {
    "customers": (
        *("id", "date_created_gmt", "date_modified_gmt", "email", "first_name", "last_name", "role"),
        *("billing", "shipping.phone", "is_paying_customer", "meta_data"),
    ),
    "orders": (
        *("id", "number", "status", "currency", "date_created_gmt", "date_modified_gmt", "date_paid_gmt", "total"),
        *("customer_id", "billing", "meta_data", "refunds", "line_items.id"),
    ),
    "products": ("id", "name", "sku", "price", "status", "categories", "date_modified_gmt"),
}


class _Open(Schema):
    """Plugins add fields of their own: unknown ones stay."""

    class Meta:
        unknown = INCLUDE


def _text() -> fields.String:
    return fields.String(required=True)


def _time() -> fields.NaiveDateTime:
    """UTC without a suffix («2026-11-22T16:43:36»); null for a customer that was never changed and an order not paid."""
    return fields.NaiveDateTime(format="iso", required=True, allow_none=True)


class Meta(_Open):
    id = fields.Integer(strict=True, required=True)
    key = _text()
    value = fields.Raw(required=True, allow_none=True)


class Address(_Open):
    first_name = _text()
    last_name = _text()
    company = _text()
    address_1 = _text()
    address_2 = _text()
    city = _text()
    state = _text()
    postcode = _text()
    country = _text()
    email = _text()
    phone = _text()


class ShippingPhone(_Open):
    phone = _text()


class Refund(_Open):
    id = fields.Integer(strict=True, required=True)
    reason = _text()
    total = _text()


class Item(_Open):
    id = fields.Integer(strict=True, required=True)


class Category(_Open):
    id = fields.Integer(strict=True, required=True)
    name = _text()
    slug = _text()


class Customer(_Open):
    id = fields.Integer(strict=True, required=True)
    date_created_gmt = _time()
    date_modified_gmt = _time()
    email = _text()
    first_name = _text()
    last_name = _text()
    role = _text()
    billing = fields.Nested(Address, required=True)
    shipping = fields.Nested(ShippingPhone, required=True)
    is_paying_customer = fields.Boolean(required=True)
    meta_data = fields.List(fields.Nested(Meta), required=True)


class Order(_Open):
    """Money is text with two decimals; a refund's is negative."""

    id = fields.Integer(strict=True, required=True)
    number = _text()
    status = _text()
    currency = _text()
    date_created_gmt = _time()
    date_modified_gmt = _time()
    date_paid_gmt = _time()
    total = _text()
    customer_id = fields.Integer(strict=True, required=True)
    billing = fields.Nested(Address, required=True)
    meta_data = fields.List(fields.Nested(Meta), required=True)
    refunds = fields.List(fields.Nested(Refund), required=True)
    line_items = fields.List(fields.Nested(Item), required=True)


class Product(_Open):
    """`price` has no currency of its own: it is the shop's."""

    id = fields.Integer(strict=True, required=True)
    name = _text()
    sku = _text()
    price = _text()
    status = _text()
    categories = fields.List(fields.Nested(Category), required=True)
    date_modified_gmt = _time()


SCHEMAS: dict[str, type[Schema]] = {"customers": Customer, "orders": Order, "products": Product}


def _paths(schema: Schema, before: str = "") -> set[str]:
    """Every path of a schema: `billing.city`, `refunds[].total`; the entries of `meta_data` are named by their key."""
    found: set[str] = set()
    for name, field in schema.fields.items():
        path = before + name
        if name == "meta_data":
            found.add(f"{path}[key=ANY].value")
        elif isinstance(field, fields.Nested):
            found |= _paths(field.schema, f"{path}.")
        elif isinstance(field, fields.List) and isinstance(field.inner, fields.Nested):
            found |= {f"{path}[]"} | _paths(field.inner.schema, f"{path}[].")
        else:
            found.add(path)
    return found


RAW_FIELDS: dict[str, frozenset[str]] = {stream: frozenset(_paths(schema())) for stream, schema in SCHEMAS.items()}


def narrow(stream: str, record: Raw) -> Raw:
    """The record as a list call with `_fields` would have given it, keys in the order the shop sent them."""
    wanted: dict[str, set[str]] = {}
    for path in FIELDS[stream]:
        top, _, below = path.partition(".")
        wanted.setdefault(top, set()).update({below} if below else set())
    return {name: _inside(value, wanted[name]) for name, value in record.items() if name in wanted}


def _inside(value: Any, names: set[str]) -> Any:
    if not names:
        return value
    if isinstance(value, list):
        return [_inside(item, names) for item in value]
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if name in names}
    return value
