"""One field's reading: from a raw record to one standard value, as a closure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hub.core import normalize
from hub.core.types import Raw
from hub.mapping import convert
from hub.mapping.convert import REASONS, Unfit, value_class
from hub.mapping.dictionary import FieldRule
from hub.mapping.paths import Getter, Misplaced, compile_path, plain_keys
from hub.mapping.transforms import TRANSFORMS, Transform

Read = Callable[[Raw], Any]
"""From a raw record to one standard value; None where there is none, `Unfit` or `Misplaced` where it cannot be read."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of one record: `code`, `reason` and `cure` of `convert.REASONS`.

    `value_class` says what kind of value it was; the value itself may be personal and stays in the raw record.
    """

    field: str
    code: str
    reason: str
    cure: str
    value_class: str

    def as_json(self) -> dict[str, str]:
        """For the quarantine."""
        return {
            "field": self.field,
            "code": self.code,
            "reason": self.reason,
            "cure": self.cure,
            "value_class": self.value_class,
        }


def field_error(name: str, code: str, value: Any) -> FieldError:
    """The error for a field, with the texts of its code and the class of its value."""
    reason, cure = REASONS[code]
    return FieldError(name, code, reason, cure, value_class(value))


def look(raw: Raw, path: str) -> Any:
    """The raw value at a path, None also where the record has another shape: for people, never for a result."""
    try:
        return compile_path(path)(raw)
    except Misplaced:
        return None


def blamed(raw: Raw, rule: FieldRule) -> Any:
    """The raw value that an error is about: the first that is not empty."""
    found = (look(raw, path) for path in rule.paths)
    return next((value for value in found if value is not None and value != ""), None)


def first_of(getters: tuple[Getter, ...], transforms: tuple[Transform, ...]) -> Getter:
    """The first value that is not empty after trimming and the transforms, else None."""
    if len(getters) == 1 and not transforms:
        only = getters[0]

        def get(raw: Raw) -> Any:
            value = only(raw)
            return (value.strip() or None) if isinstance(value, str) else value

        return get

    def get_first(raw: Raw) -> Any:
        for getter in getters:
            value = getter(raw)
            if isinstance(value, str):
                value = value.strip() or None
            if transforms:
                value = prepare(value, transforms)
            if value is not None:
                return value
        return None

    return get_first


def prepare(value: Any, transforms: tuple[Transform, ...]) -> Any:
    """A raw value trimmed and transformed; None where it is or becomes empty."""
    if isinstance(value, str):
        value = value.strip() or None
    for transform in transforms:
        if value is None:
            return None
        value = transform(value)
        if value == "":
            return None
    return value


def compile_rule(rule: FieldRule, country: str, currency: str) -> Read:
    """One field's reading; `country` and `currency` stand in where the rule names no path for them."""
    getters = tuple(compile_path(path) for path in rule.paths)
    transforms = tuple(TRANSFORMS[name] for name in rule.transforms)
    kind = rule.field.type
    if rule.collects:
        return _compile_list(rule, getters, transforms, currency)
    pick = first_of(getters, transforms)
    if kind == "money":
        return _money(pick, _currency_of(rule, currency))
    if kind == "phone":
        return _phone(pick, first_of((compile_path(rule.country),), ()) if rule.country else None, country)
    if len(getters) == 1 and not transforms:
        return _text(rule.paths[0]) if kind == "text" else _simplest(getters[0], convert.SIMPLE[kind])
    if kind == "text" and not transforms:
        return _first_text(tuple(map(_text, rule.paths)))
    return _simple(pick, convert.SIMPLE[kind])


def _text(path: str) -> Read:
    """`_simplest` for text: what is short and printable needs no further look (a NUL and half a character are not).

    Most fields of most records are texts one or two keys deep: these take one call.
    """
    get, keys = compile_path(path), plain_keys(path)

    def read(raw: Raw) -> Any:
        value = get(raw)
        if isinstance(value, str):
            value = value.strip()
            if len(value) < 100 and value.isprintable():
                return value or None
        return None if value is None else convert.text(value)

    if len(keys) == 1:
        return _text_at(*keys, read)
    return _text_below(*keys, read) if len(keys) == 2 else read


def _text_at(key: str, read: Read) -> Read:
    """`read` is asked about everything unusual."""

    def read_one(raw: Raw) -> Any:
        value = raw.get(key)
        if type(value) is str and len(value) < 100:
            value = value.strip()
            if value.isprintable():
                return value or None
        return read(raw)

    return read_one


def _text_below(outer: str, inner: str, read: Read) -> Read:
    def read_two(raw: Raw) -> Any:
        found = raw.get(outer)
        if type(found) is dict:
            value = found.get(inner)
            if type(value) is str and len(value) < 100:
                value = value.strip()
                if value.isprintable():
                    return value or None
        return read(raw)

    return read_two


def _first_text(reads: tuple[Read, ...]) -> Read:
    def read(raw: Raw) -> Any:
        for attempt in reads:
            value = attempt(raw)
            if value is not None:
                return value
        return None

    return read


def _simplest(get: Getter, change: Callable[[Any], Any]) -> Read:
    """One path and no transforms, which most fields are: one call less."""

    def read(raw: Raw) -> Any:
        value = get(raw)
        if isinstance(value, str):
            value = value.strip()
            return change(value) if value else None
        return None if value is None else change(value)

    return read


def _simple(pick: Getter, change: Callable[[Any], Any]) -> Read:
    def read(raw: Raw) -> Any:
        value = pick(raw)
        return None if value is None else change(value)

    return read


def _phone(pick: Getter, where: Getter | None, country: str) -> Read:
    """With `where`, the record's own country decides: a Czech number read as a Polish one would ring a stranger."""

    def read(raw: Raw) -> Any:
        value = pick(raw)
        if value is None:
            return None
        own = where(raw) if where else None
        code = normalize.country(own) if isinstance(own, str) else None
        return convert.phone(value, code or country)

    return read


def _digits(value: Any) -> int:
    """The minor unit's decimals of a raw currency code; `no_currency` if it is none."""
    code = normalize.currency(value) if isinstance(value, str) else None
    if code is None:
        raise Unfit("no_currency")
    return normalize.minor_digits(code)


def _currency_of(rule: FieldRule, currency: str) -> Getter:
    return first_of((compile_path(rule.currency),), ()) if rule.currency else lambda raw: currency


def _money(pick: Getter, currency: Getter) -> Read:
    def read(raw: Raw) -> Any:
        value = pick(raw)
        return None if value is None else convert.money(value, _digits(currency(raw)))

    return read


def _compile_list(rule: FieldRule, getters: tuple[Getter, ...], transforms: tuple[Transform, ...], currency: str) -> Read:
    """Lists: amounts are summed, integers count the items that are not empty, texts are kept in order."""
    get_currency = _currency_of(rule, currency)
    kind = rule.field.type

    def read(raw: Raw) -> Any:
        for getter in getters:
            items = getter(raw)
            if items is None:
                continue
            values = [value for value in (prepare(item, transforms) for item in items) if value is not None]
            if kind == "integer":
                return len(values)
            if kind == "money":
                digits = _digits(get_currency(raw))
                return convert.bounded(sum(convert.money(value, digits) for value in values))
            if values:
                return [convert.text(value) for value in values]
        return None

    return read
