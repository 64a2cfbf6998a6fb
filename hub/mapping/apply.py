"""Raw records → standard records, and standard records → a platform's properties: compiled once, run millions of times.

marshmallow says the same at 50,000 records a second (`schema`); a property test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hub.core import normalize
from hub.core.errors import Invalid
from hub.core.texts import Say
from hub.core.types import ConsentAct, Json, Raw, Standard
from hub.mapping import convert
from hub.mapping.acts import compile_acts
from hub.mapping.convert import Unfit, problem_code
from hub.mapping.dictionary import ReadMapping, WriteMapping, WriteRule
from hub.mapping.paths import Misplaced, compile_path
from hub.mapping.reading import FieldError, blamed, compile_rule, field_error, first_of, look
from hub.mapping.schema import schema_for
from hub.mapping.transforms import TRANSFORMS

__all__ = [
    "FieldError",
    "Line",
    "Mapped",
    "RecordInvalid",
    "compile_reads",
    "compile_writes",
    "preview",
    "schema_for",
]


@dataclass(slots=True)
class Mapped:
    """A record in the hub's own fields: `standard` is JSON-able, `dropped` are unreadable values that were left out."""

    external_id: str
    standard: Standard
    consents: list[ConsentAct] = field(default_factory=list)
    dropped: list[FieldError] = field(default_factory=list)


class RecordInvalid(Invalid):
    """A record that cannot be mapped, with every reason. `external_id` is empty if that is what is wrong."""

    code = "record_invalid"
    message = "The record cannot be read into the hub's fields"

    def __init__(self, message: str | None = None, *, external_id: str = "", errors: list[FieldError], **rest: Any) -> None:
        fields = {error.field: f"{error.reason} ({error.value_class}): {error.cure}" for error in errors}
        super().__init__(message, fields=fields, subject=external_id, **rest)
        self.external_id = external_id
        self.errors = errors

    def fields_in(self, say: Say) -> dict[str, str]:
        """Each field's reason and cure, said with the given function."""
        return {error.field: f"{say(error.reason)} ({error.value_class}): {say(error.cure)}" for error in self.errors}


def compile_reads(
    mapping: ReadMapping, *, source: str = "", country: str = "PL", currency: str = ""
) -> Callable[[Raw], Mapped]:
    """A function from a raw record to `Mapped`, or `RecordInvalid`.

    `source` names the connection in consent acts; phone numbers without a country code are read as dialled in `country`,
    amounts whose rule names no currency are in `currency` (a shop's products often do not say it).
    """
    read_id = first_of((compile_path(mapping.id_path),), ())
    steps = tuple((rule.field.name, compile_rule(rule, country, currency)) for rule in mapping.rules)
    required = frozenset(rule.field.name for rule in mapping.rules if rule.field.required)
    droppable = frozenset(rule.field.name for rule in mapping.rules if rule.field.drop and not rule.field.required)
    rules = {rule.field.name: rule for rule in mapping.rules}
    read_acts = compile_acts(mapping.consents, mapping.stream, source)

    def apply(raw: Raw) -> Mapped:
        if not isinstance(raw, dict):
            raise RecordInvalid(errors=[field_error("record", "not_a_record", raw)])
        errors: list[FieldError] = []
        dropped: list[FieldError] = []
        standard: Standard = {}
        try:
            found = read_id(raw)
            external_id = str(found) if type(found) is int and 0 <= found <= convert.LARGEST else convert.external_id(found)
        except (Unfit, Misplaced):
            external_id = ""
            errors.append(field_error("id", "bad_id", look(raw, mapping.id_path)))
        for name, read in steps:
            try:
                value = read(raw)
            except (Unfit, Misplaced) as error:
                problem = field_error(name, problem_code(error), blamed(raw, rules[name]))
                (dropped if name in droppable else errors).append(problem)
                continue
            if value is not None:
                standard[name] = value
            elif name in required:
                errors.append(field_error(name, "missing", None))
        if errors:
            raise RecordInvalid(external_id=external_id, errors=errors)
        return Mapped(external_id, standard, read_acts(raw, external_id, dropped) if read_acts else [], dropped)

    return apply


def compile_writes(mapping: WriteMapping) -> Callable[[Standard], dict[str, str]]:
    """A function from a standard record to the platform's properties as text; what the record lacks is left out."""
    steps = tuple((rule.property, _compile_write(rule)) for rule in mapping.rules)

    def apply(standard: Standard) -> dict[str, str]:
        found = ((name, write(standard)) for name, write in steps)
        return {name: text for name, text in found if text}

    return apply


def _compile_write(rule: WriteRule) -> Callable[[Standard], str]:
    """Amounts go out in major units with a point, lists with «;» between their texts, all else as it is."""
    source, kind = rule.source, rule.type
    transforms = tuple(TRANSFORMS[name] for name in rule.transforms)

    def write(standard: Standard) -> str:
        value = standard.get(source)
        if kind == "money" and isinstance(value, int):
            digits = normalize.minor_digits(str(standard.get("currency", "")))
            value = f"{Decimal(value).scaleb(-digits):.{digits}f}"
        for transform in transforms:
            value = transform(value)
        if value is None:
            return ""
        return ";".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

    return write


@dataclass(frozen=True, slots=True)
class Line:
    """One field of a preview: where it was looked for, what stood there, and the result or what is wrong with it."""

    field: str
    type: str
    paths: tuple[str, ...]
    raw: Json
    value: Json = None
    error: FieldError | None = None


def preview(mapping: ReadMapping, raw: Raw, *, country: str = "PL", currency: str = "") -> list[Line]:
    """Each field of one record for a person who edits the mapping. Holds personal values: show it, do not log it."""
    lines = [_preview_id(mapping, raw)]
    for rule in mapping.rules:
        seen, kind = blamed(raw, rule), rule.field.type
        try:
            value = compile_rule(rule, country, currency)(raw)
        except (Unfit, Misplaced) as error:
            line = Line(rule.field.name, kind, rule.paths, seen, error=field_error(rule.field.name, problem_code(error), seen))
        else:
            missing = value is None and rule.field.required
            error_found = field_error(rule.field.name, "missing", None) if missing else None
            line = Line(rule.field.name, kind, rule.paths, seen, value, error_found)
        lines.append(line)
    return lines


def _preview_id(mapping: ReadMapping, raw: Raw) -> Line:
    seen = look(raw, mapping.id_path)
    try:
        return Line("id", "text", (mapping.id_path,), seen, convert.external_id(seen))
    except Unfit as error:
        return Line("id", "text", (mapping.id_path,), seen, error=field_error("id", error.code, seen))
