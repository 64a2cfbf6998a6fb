"""The checks of a mapping as a marshmallow schema: slow, and written to be read. `reading` is the fast form.

`schema_for(mapping).load(raw)` walks the paths of one raw record and gives `{"id": …, field: value, …}`, or a
`ValidationError` whose messages are the codes of `convert.REASONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, pre_load

from hub.core import normalize
from hub.mapping.convert import LARGEST, LONGEST_ID, LONGEST_TEXT
from hub.mapping.dictionary import FieldRule, ReadMapping
from hub.mapping.paths import Misplaced, parse_path, walk
from hub.mapping.transforms import TRANSFORMS


class Unreadable:
    """Stands for a value that could not even be found: `code` says why."""

    def __init__(self, code: str) -> None:
        self.code = code


DROPPED = object()


def _found(value: Any) -> Any:
    if isinstance(value, Unreadable):
        raise ValidationError(value.code)
    return value


class HubField(fields.Field[Any]):
    """A standard field: `read` says what its type takes; with `drop` its errors leave the field out."""

    default_error_messages = {"required": "missing", "null": "missing"}  # noqa: RUF012 - marshmallow's way

    def __init__(self, *, drop: bool = False, **rest: Any) -> None:
        super().__init__(**rest)
        self.drop = drop

    def _deserialize(self, value: Any, attr: str | None, data: Any, **rest: Any) -> Any:
        try:
            return self.read(_found(value), data)
        except ValidationError:
            if self.drop:
                return DROPPED
            raise

    def read(self, value: Any, data: Mapping[str, Any]) -> Any:
        raise NotImplementedError(f"{type(self).__name__} says how its values are read")


class TextField(HubField):
    def read(self, value: Any, data: Mapping[str, Any]) -> str:
        if type(value) is int:
            return str(_bounded(value))
        if not isinstance(value, str):
            raise ValidationError("wrong_type")
        if len(value) > LONGEST_TEXT:
            raise ValidationError("too_long")
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
            raise ValidationError("bad_characters")
        return value


class IdField(TextField):
    """Whatever is wrong with an id, it is a bad id."""

    default_error_messages = {"required": "bad_id", "null": "bad_id"}  # noqa: RUF012 - marshmallow's way

    def _deserialize(self, value: Any, attr: str | None, data: Any, **rest: Any) -> Any:
        try:
            found = super()._deserialize(value, attr, data, **rest)
        except ValidationError:
            raise ValidationError("bad_id") from None
        if len(found) > LONGEST_ID:
            raise ValidationError("bad_id")
        return found


_NORMAL: dict[str, Callable[[str], str | None]] = {
    "email": normalize.email,
    "country": normalize.country,
    "currency": normalize.currency,
}


class NormalField(HubField):
    """E-mail, country, currency: text that one of the normalisers knows."""

    def __init__(self, kind: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.kind = kind

    def read(self, value: Any, data: Mapping[str, Any]) -> str:
        if not isinstance(value, str):
            raise ValidationError("wrong_type")
        found = _NORMAL[self.kind](value)
        if found is None:
            raise ValidationError(f"bad_{self.kind}")
        return found


class PhoneField(TextField):
    def __init__(self, country: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.country = country

    def read(self, value: Any, data: Mapping[str, Any]) -> str:
        own = _found(data[f"{self.name}/country"])
        code = normalize.country(own) if isinstance(own, str) else None
        found = normalize.phone_by_library(super().read(value, data), code or self.country)
        if found is None:
            raise ValidationError("bad_phone")
        return found


class TimeField(HubField):
    """ISO 8601 in its usual forms; what has no zone is UTC."""

    def read(self, value: Any, data: Mapping[str, Any]) -> str:
        if not isinstance(value, str):
            raise ValidationError("wrong_type")
        if not value.isascii() or any(char.isspace() and char != " " for char in value):
            raise ValidationError("bad_time")
        try:
            found = datetime.fromisoformat(value)
            found = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
        except (ValueError, OverflowError):
            raise ValidationError("bad_time") from None
        if value[10:11] not in ("", "T", " ") or not _usual_form(value):
            raise ValidationError("bad_time")
        return found.isoformat().replace("+00:00", "Z")


def _usual_form(value: str) -> bool:
    """Digits, colons and dashes where people expect them: no week dates, no «20261122», no «T10»."""
    shape = "".join("9" if char.isdigit() else char for char in value)
    zones = ("", "Z", "+99:99", "-99:99", "+9999", "-9999")
    fractions = [""] + ["." + "9" * count for count in range(1, 10)]
    times = ["99:99"] + [f"99:99:99{fraction}" for fraction in fractions]
    if shape[:10] != "9999-99-99":
        return False
    return len(shape) == 10 or any(shape[11:] == time + zone for time in times for zone in zones)


class IntegerField(HubField):
    def read(self, value: Any, data: Mapping[str, Any]) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValidationError("wrong_type")
        if isinstance(value, float) and (value != value or value in (float("inf"), -float("inf")) or value % 1):
            raise ValidationError("bad_number")
        if isinstance(value, str):
            digits = value.removeprefix("-") if value[:1] == "-" else value.removeprefix("+")
            if not _digits_only(digits) or len(digits.lstrip("0")) > 19:
                raise ValidationError("bad_number")
        return _bounded(int(value))


class MoneyField(HubField):
    def read(self, value: Any, data: Mapping[str, Any]) -> int:
        own = _found(data[f"{self.name}/currency"])
        code = normalize.currency(own) if isinstance(own, str) else None
        if code is None:
            raise ValidationError("no_currency")
        return self.amount(value, normalize.minor_digits(code))

    def amount(self, value: Any, digits: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValidationError("wrong_type")
        if isinstance(value, str):
            unsigned = value.removeprefix("-") if value[:1] == "-" else value.removeprefix("+")
            whole, point, fraction = unsigned.partition(".")
            if not _digits_only(whole) or (point and not _digits_only(fraction)):
                raise ValidationError("bad_number")
            if len(whole.lstrip("0")) > 19 or len(fraction) > 30:
                raise ValidationError("bad_number")
        elif not -LARGEST <= value <= LARGEST:
            raise ValidationError("too_large")
        with localcontext(prec=100):
            minor = (Decimal(str(value)) * 10**digits).quantize(Decimal(1), ROUND_HALF_UP)
        return _bounded(int(minor))


class MoneySumField(MoneyField):
    def amount(self, value: Any, digits: int) -> int:
        return _bounded(sum(super(MoneySumField, self).amount(item, digits) for item in value))


class CountField(HubField):
    def read(self, value: Any, data: Mapping[str, Any]) -> int:
        return len(value)


class TextsField(TextField):
    def read(self, value: Any, data: Mapping[str, Any]) -> Any:
        return [super(TextsField, self).read(item, data) for item in value]


def _digits_only(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _bounded(number: int) -> int:
    if abs(number) > LARGEST:
        raise ValidationError("too_large")
    return number


def schema_for(mapping: ReadMapping, *, country: str = "PL", currency: str = "") -> Schema:
    """The mapping as a schema over raw records, with the same result as `compile_reads` for everything but consents."""
    members: dict[str, Any] = {"id": IdField(required=True)}
    for rule in mapping.rules:
        members[rule.field.name] = _field_for(rule, country)

    class RecordSchema(Schema):
        class Meta:
            unknown = EXCLUDE

        @pre_load
        def extract(self, raw: Any, **rest: Any) -> dict[str, Any]:
            if not isinstance(raw, dict):
                raise ValidationError("not_a_record", "record")
            found = {"id": _scalar(raw, (mapping.id_path,), ())}
            for rule in mapping.rules:
                name = rule.field.name
                found[name] = _listed(raw, rule) if rule.collects else _scalar(raw, rule.paths, rule.transforms)
                found[f"{name}/country"] = _scalar(raw, (rule.country,), ()) if rule.country else None
                found[f"{name}/currency"] = _scalar(raw, (rule.currency,), ()) if rule.currency else currency
            return {name: value for name, value in found.items() if value is not None or "/" in name}

        @post_load
        def leave_out(self, loaded: dict[str, Any], **rest: Any) -> dict[str, Any]:
            return {name: loaded[name] for name in members if name in loaded and loaded[name] is not DROPPED}

    return RecordSchema.from_dict(members, name="Record")()


def _field_for(rule: FieldRule, country: str) -> HubField:
    kind = rule.field.type
    flags = {"drop": rule.field.drop and not rule.field.required, "required": rule.field.required}
    if kind in ("email", "country", "currency"):
        return NormalField(kind, **flags)
    if kind == "phone":
        return PhoneField(country, **flags)
    if kind == "money":
        return MoneySumField(**flags) if rule.collects else MoneyField(**flags)
    if kind == "integer":
        return CountField(**flags) if rule.collects else IntegerField(**flags)
    return {"text": TextField, "time": TimeField, "texts": TextsField}[kind](**flags)


def _prepared(value: Any, transforms: tuple[str, ...]) -> Any:
    """Trimmed, transformed; None for everything empty."""
    value = value.strip() if isinstance(value, str) else value
    for name in transforms:
        value = None if value is None or value == "" else TRANSFORMS[name](value)
    return None if value is None or (isinstance(value, str) and not value) else value


def _scalar(raw: dict[str, Any], paths: tuple[str, ...], transforms: tuple[str, ...]) -> Any:
    try:
        found = (_prepared(walk(raw, parse_path(path)), transforms) for path in paths)
        return next((value for value in found if value is not None), None)
    except Misplaced:
        return Unreadable("wrong_shape")


def _listed(raw: dict[str, Any], rule: FieldRule) -> Any:
    for path in rule.paths:
        try:
            items = walk(raw, parse_path(path))
        except Misplaced:
            return Unreadable("wrong_shape")
        prepared = [_prepared(item, rule.transforms) for item in items or ()]
        values = [value for value in prepared if value is not None]
        if values or (items is not None and rule.field.type != "texts"):
            return values
    return None
