"""From a raw value that is not empty to the standard value of a type, fast. `schema` says the same slowly.

Converters raise `Unfit(code)`; `REASONS` has each code's text and cure. They never put the value itself into an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from hub.core import normalize
from hub.core.texts import N_
from hub.mapping.paths import Misplaced

LONGEST_TEXT = 10_000
"""Characters."""
LONGEST_ID = 200
"""Characters."""
LARGEST = 2**63 - 1
"""Databases keep whole numbers in 64 bits."""


class Unfit(Exception):
    """The value does not fit its type; `args[0]` is a code of `REASONS`."""

    @property
    def code(self) -> str:
        return str(self.args[0])


REASONS: dict[str, tuple[str, str]] = {
    "missing": (N_("The record has no value for this required field"), N_("Fill it in on the platform, or map another path")),
    "wrong_type": (N_("The value is of another kind than the field's type"), N_("Map the path that holds the value itself")),
    "wrong_shape": (
        N_("The record has another shape here than the path"),
        N_("Compare the path in the mapping with a raw record"),
    ),
    "bad_email": (N_("This is not an e-mail address"), N_("Correct the address on the platform")),
    "bad_phone": (
        N_("Nobody can have this phone number"),
        N_("Correct the number on the platform, with the country code if it is foreign"),
    ),
    "bad_country": (N_("No country has this code or name"), N_("Use the two letters of ISO 3166-1, for example PL")),
    "bad_currency": (N_("No currency has this code"), N_("Use the three letters of ISO 4217, for example PLN")),
    "no_currency": (
        N_("The amount has no currency that can be read"),
        N_("Check the path under «currency» in the mapping"),
    ),
    "bad_time": (N_("This is not a time in ISO 8601"), N_("Map a field such as 2026-11-22T10:00:00Z")),
    "bad_number": (
        N_("This is not a number"),
        N_("Numbers are written as 1234.56; the transform comma_decimal reads 1 234,56"),
    ),
    "too_large": (N_("The number is too large"), N_("Correct the number on the platform")),
    "too_long": (N_("The text is too long"), N_("Map another path, or shorten the text on the platform")),
    "bad_characters": (
        N_("The text holds characters that cannot be stored"),
        N_("Type the text anew on the platform; it may have been pasted from a damaged file"),
    ),
    "bad_id": (N_("The record has no usable id"), N_("Map «id» to a path that holds a number or a text in every record")),
    "not_a_record": (N_("This is not a record"), N_("Report this to whoever maintains the connector")),
    "future_consent": (
        N_("The consent is dated in the future, so it was not recorded"),
        N_("Check the path under «at» of this consent: a time without a zone is read as UTC"),
    ),
    "no_consent_time": (
        N_("The consent has no time that can be read, so it was not recorded"),
        N_("Check the path under «at» of this consent in the mapping"),
    ),
}
"""Code → what is wrong, what to do; source texts for people."""


def text(value: Any) -> str:
    """Text as it is; a whole number in digits."""
    if isinstance(value, str):
        if value.isprintable() and len(value) <= LONGEST_TEXT:
            return value
        return _unusual_text(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(bounded(value))
    raise Unfit("wrong_type")


def _unusual_text(value: str) -> str:
    if len(value) > LONGEST_TEXT:
        raise Unfit("too_long")
    if "\0" in value:
        raise Unfit("bad_characters")
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: neither UTF-8 nor a database takes it
        raise Unfit("bad_characters") from None
    return value


def external_id(value: Any) -> str:
    """The platform's id as text; its absence and every other trouble is `bad_id`."""
    try:
        found = text(value.strip() if isinstance(value, str) else value)
    except Unfit:
        raise Unfit("bad_id") from None
    if not found or len(found) > LONGEST_ID:
        raise Unfit("bad_id")
    return found


def email(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit("wrong_type")
    found = normalize.email(value)
    if found is None:
        raise Unfit("bad_email")
    return found


def phone(value: Any, country: str) -> str:
    """Some platforms keep phone numbers as numbers, so digits do as well as text."""
    found = normalize.phone(text(value), country)
    if found is None:
        raise Unfit("bad_phone")
    return found


def country(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit("wrong_type")
    found = normalize.country(value)
    if found is None:
        raise Unfit("bad_country")
    return found


def currency(value: Any) -> str:
    if not isinstance(value, str):
        raise Unfit("wrong_type")
    found = normalize.currency(value)
    if found is None:
        raise Unfit("bad_currency")
    return found


_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?",
    re.ASCII,
)


def moment(value: Any) -> datetime:
    """ISO 8601 as aware UTC; what has no zone is UTC, a date alone its first second."""
    if not isinstance(value, str):
        raise Unfit("wrong_type")
    if _TIME.fullmatch(value) is None:
        raise Unfit("bad_time")
    try:
        found = datetime.fromisoformat(value)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Unfit("bad_time") from None


def time(value: Any) -> str:
    """`moment` as text with Z; the two commonest spellings are only checked, not spelled anew."""
    if isinstance(value, str) and (len(value) == 19 or (len(value) == 20 and value[19] == "Z")):
        start = value[:19]
        if start[4] == start[7] == "-" and start[10] == "T" and start[13] == start[16] == ":":
            try:
                datetime.fromisoformat(start)
            except ValueError:
                raise Unfit("bad_time") from None
            return start + "Z"
    return moment(value).isoformat()[:-6] + "Z"


def bounded(number: int) -> int:
    """The number, if 64 bits hold it."""
    if not -LARGEST <= number <= LARGEST:
        raise Unfit("too_large")
    return number


_DECIMAL = re.compile(r"([+-]?)0*([0-9]{1,19})(?:\.([0-9]{1,30}))?", re.ASCII)
_WHOLE = re.compile(r"[+-]?0*[0-9]{1,19}", re.ASCII)


def money(value: Any, digits: int) -> int:
    """An amount in minor units, half a unit rounded away from zero (PrestaShop writes six decimals)."""
    if isinstance(value, str):
        match = _DECIMAL.fullmatch(value)
        if match is None:
            raise Unfit("bad_number")
        sign, whole, fraction = match.groups(default="")
        if len(fraction) <= digits:
            minor = int(whole + fraction.ljust(digits, "0"))
        else:
            minor = int(whole + fraction[:digits]) + (fraction[digits] >= "5")
        minor = -minor if sign == "-" else minor
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit("wrong_type")
    else:
        if not -LARGEST <= value <= LARGEST:  # also true of what is not a number
            raise Unfit("too_large")
        minor = int(Decimal(repr(value)).scaleb(digits).quantize(Decimal(1), ROUND_HALF_UP))
    return bounded(minor)


def integer(value: Any) -> int:
    """A whole number, also as text or as 3.0."""
    if isinstance(value, str):
        if _WHOLE.fullmatch(value) is None:
            raise Unfit("bad_number")
        value = int(value)
    elif isinstance(value, float):
        if not value.is_integer():
            raise Unfit("bad_number")
        value = int(value)
    elif isinstance(value, bool) or not isinstance(value, int):
        raise Unfit("wrong_type")
    return bounded(int(value))


SIMPLE: dict[str, Callable[[Any], Any]] = {
    "text": text,
    "email": email,
    "country": country,
    "currency": currency,
    "time": time,
    "integer": integer,
}
"""Types whose value needs nothing beside itself; `phone`, `money` and `texts` are put together in `apply`."""


def value_class(value: Any) -> str:
    """What kind of value it was, without the value: safe for errors, logs and the quarantine's list."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "yes or no"
    if isinstance(value, str):
        return f"text of {len(value)} characters"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, list):
        return f"list of {len(value)}"
    return "object" if isinstance(value, dict) else type(value).__name__


def problem_code(error: Unfit | Misplaced) -> str:
    """The code of `REASONS` for either of the two internal errors."""
    return error.code if isinstance(error, Unfit) else "wrong_shape"
