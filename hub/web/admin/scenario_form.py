"""The form of a scenario: what was typed → a definition, and back. What the rows cannot say is written as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from hub.core.errors import Invalid
from hub.core.normalize import minor_digits
from hub.core.texts import N_

ORDER_ROWS, FIELD_ROWS = 2, 4
PLAIN = ("key", "name", "connection", "channel", "topic", "brand", "automation", "list", "starts_per_minute")
SEGMENT = ("segment.key", "segment.name")
ORDER_PARTS = ("has", "paid", "at_least", "within_days", "total", "currency")
FIELD_PARTS = ("field", "relation", "value")
RELATIONS: dict[str, str] = {
    "is": N_("is"),
    "is_not": N_("is not"),
    "known": N_("is known"),
    "unknown": N_("is not known"),
}
NAMES = (
    *(*PLAIN, *SEGMENT, "match", "json", "note"),
    *(f"o{row}.{part}" for row in range(ORDER_ROWS) for part in ORDER_PARTS),
    *(f"f{row}.{part}" for row in range(FIELD_ROWS) for part in FIELD_PARTS),
)
LONGEST_JSON = 50_000
BAD_NUMBER = N_("A whole number belongs here")
BAD_AMOUNT = N_("An amount belongs here, for example 500 or 499.90")
BAD_JSON = N_("This is not JSON; look at line {line}")
NEEDED_CURRENCY = N_("An amount needs its currency, for example PLN")
NEEDED_VALUE = N_("Say what the field is")
NEEDED_CONDITION = N_("Give at least one condition")


def read_form(values: Mapping[str, str]) -> dict[str, Any]:
    """The definition that was typed; Invalid names the inputs that cannot be read. What they mean is checked by the service."""
    wrong: dict[str, str] = {}
    params: dict[str, object] = {}
    pace: Any = _whole(values, "starts_per_minute", wrong) if values["starts_per_minute"] else 600
    text = values["json"]
    definition: Any = None
    if text:
        try:
            definition = json.loads(text[: LONGEST_JSON + 1])
        except (ValueError, RecursionError) as error:
            wrong["json"], params["line"] = BAD_JSON, getattr(error, "lineno", 1)
    else:
        definition = _conditions(values, wrong)
    if wrong:
        raise Invalid("The scenario cannot be read", fields=wrong, **params)
    given: dict[str, Any] = {name: values[name] for name in PLAIN if name not in ("list", "starts_per_minute")}
    segment = {"key": values["segment.key"], "name": values["segment.name"], "definition": definition}
    return {**given, "list": values["list"] or None, "starts_per_minute": pace, "segment": segment}


def _conditions(values: Mapping[str, str], wrong: dict[str, str]) -> dict[str, Any] | None:
    parts = [_orders(values, f"o{row}", wrong) for row in range(ORDER_ROWS) if values[f"o{row}.has"]]
    parts += [_field(values, f"f{row}", wrong) for row in range(FIELD_ROWS) if values[f"f{row}.field"]]
    if not parts:
        wrong["json"] = NEEDED_CONDITION
        return None
    if len(parts) == 1:
        return parts[0]
    return {"any" if values["match"] == "any" else "all": parts}


def _orders(values: Mapping[str, str], row: str, wrong: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"paid": values[f"{row}.paid"] != "no"}
    found["at_least"] = _whole(values, f"{row}.at_least", wrong) if values[f"{row}.at_least"] else 1
    if values[f"{row}.within_days"]:
        found["within_days"] = _whole(values, f"{row}.within_days", wrong)
    currency = values[f"{row}.currency"].upper()
    if amount := values[f"{row}.total"]:
        if not currency:
            wrong[f"{row}.currency"] = NEEDED_CURRENCY
        found["total_at_least"] = _minor(amount, currency, f"{row}.total", wrong)
        found["currency"] = currency
    condition = {"orders": found}
    return {"not": condition} if values[f"{row}.has"] == "no" else condition


def _field(values: Mapping[str, str], row: str, wrong: dict[str, str]) -> dict[str, Any]:
    relation, value = values[f"{row}.relation"], values[f"{row}.value"]
    condition: dict[str, Any] = {"field": values[f"{row}.field"]}
    if relation in ("known", "unknown"):
        condition["known"] = True
    else:
        condition["is"] = value
        if not value:
            wrong[f"{row}.value"] = NEEDED_VALUE
    return {"not": condition} if relation in ("is_not", "unknown") else condition


def _whole(values: Mapping[str, str], name: str, wrong: dict[str, str]) -> int:
    text = values[name].replace(" ", "").replace("\u00a0", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        wrong[name] = BAD_NUMBER
        return 0
    return int(text)


def _minor(text: str, currency: str, name: str, wrong: dict[str, str]) -> int:
    try:
        amount = Decimal(text.replace(" ", "").replace("\u00a0", "").replace(",", "."))
        minor = amount.scaleb(minor_digits(currency))
        if amount.is_finite() and 0 < minor < 10**15 and minor == int(minor):
            return int(minor)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    wrong[name] = BAD_AMOUNT
    return 0


def fill_form(definition: Mapping[str, Any] | None, note: str = "") -> dict[str, str]:
    """What the form shows for a definition; conditions that the rows cannot say stand in the JSON."""
    values = dict.fromkeys(NAMES, "") | {"match": "all", "note": note, "starts_per_minute": "600", "channel": "email"}
    values |= {f"o{row}.paid": "yes" for row in range(ORDER_ROWS)} | {f"f{row}.relation": "is" for row in range(FIELD_ROWS)}
    if definition is None:
        return values | {"o0.has": "yes", "o0.paid": "yes", "o0.at_least": "1", "o0.within_days": "90"}
    values |= {name: str(definition.get(name) or "") for name in PLAIN}
    segment = definition["segment"]
    values |= {"segment.key": segment["key"], "segment.name": segment["name"]}
    rows = _rows(segment["definition"])
    return values | (rows if rows is not None else {"json": json.dumps(segment["definition"], ensure_ascii=False, indent=2)})


def _rows(definition: Any) -> dict[str, str] | None:
    """The definition as rows; None where they cannot say it."""
    kind = next(iter(definition), "")
    parts = definition[kind] if kind in ("all", "any") else [definition]
    values, orders, fields = {"match": kind if kind in ("all", "any") else "all"}, 0, 0
    for part in parts:
        positive, condition = ("not" not in part), part.get("not", part)
        if "orders" in condition and orders < ORDER_ROWS:
            values |= _order_row(f"o{orders}", condition["orders"], positive)
            orders += 1
        elif "field" in condition and fields < FIELD_ROWS:
            relation = ("known" if positive else "unknown") if "known" in condition else ("is" if positive else "is_not")
            row = {"field": condition["field"], "relation": relation, "value": condition.get("is", "")}
            values |= {f"f{fields}.{name}": str(value) for name, value in row.items()}
            fields += 1
        else:
            return None
    return values


def _order_row(row: str, orders: Mapping[str, Any], positive: bool) -> dict[str, str]:
    total, currency = orders.get("total_at_least"), str(orders.get("currency") or "")
    amount = "" if total is None else str(Decimal(total).scaleb(-minor_digits(currency)))
    return {
        f"{row}.has": "yes" if positive else "no",
        f"{row}.paid": "no" if orders.get("paid") is False else "yes",
        f"{row}.at_least": str(orders.get("at_least", 1)),
        f"{row}.within_days": str(orders.get("within_days") or ""),
        f"{row}.total": amount,
        f"{row}.currency": currency,
    }
