"""The shape of standard.toml and mapping.toml as marshmallow schemas, and their errors in words for an admin.

Problems are named by their dotted place in the file, for example «reads.orders.fields.totl».
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from hub.core.errors import Invalid, fill
from hub.core.texts import N_, Say
from hub.core.types import Channel

TYPES = ("text", "email", "phone", "country", "currency", "time", "money", "integer", "texts")
DATA_CLASSES = ("identifier", "personal", "none")

UNKNOWN_KEY = N_("The hub does not know this key; it knows {known}")
UNKNOWN_KEY_NEAR = N_("The hub does not know this key: did you mean {near}? It knows {known}")
MISSING = N_("This is missing")
NOT_TEXT = N_("A text in quotes belongs here")
NOT_TEXTS = N_("A text or a list of texts in [ ] belongs here")
NOT_TABLE = N_("A table with keys belongs here")
NOT_LIST = N_("A list of tables belongs here, written as [[…]]")
NOT_FLAG = N_("true or false belongs here")
NOT_ONE_OF = N_("One of these belongs here: {choices}")
EMPTY = N_("This must not be empty")
NOT_TOML = N_("This is not TOML")
NOT_TOML_CURE = N_("Mend the line that is named; texts need quotes, sections stand in [ ]")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file: a source text for people with its params."""

    text: str
    params: Mapping[str, str] = field(default_factory=dict)


class InvalidMapping(Invalid):
    """A mapping file cannot be used; `problems` are keyed by the dotted place in the file, as `fields` are."""

    code = "invalid_mapping"
    message = "The mapping cannot be used"
    cure = "Mend the places that are named, then load it again; docs/mapping.md explains the format"

    def __init__(self, message: str | None = None, *, problems: Mapping[str, Problem] | None = None, **rest: Any) -> None:
        self.problems = dict(problems or {})
        filled = {place: fill(problem.text, problem.params) for place, problem in self.problems.items()}
        super().__init__(message, fields=filled, **rest)

    def fields_in(self, say: Say) -> dict[str, str]:
        """Each place's text, said with the given function."""
        return {place: say(problem.text, **problem.params) for place, problem in self.problems.items()}


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that looks most like this one, or nothing."""
    return next(iter(get_close_matches(name, list(known), 1, 0.6)), "")


def suggest(name: str, known: Iterable[str], plain: str, near: str) -> Problem:
    """The text `near` with the nearest known name where there is one, else `plain`; both may list the known ones."""
    names = list(known)
    found = nearest(name, names)
    params = {"name": name, "known": ", ".join(names) or "-"}
    return Problem(near, {**params, "near": found}) if found else Problem(plain, params)


class Text(fields.String):
    """Text only: TOML has types, so a number is a mistake; empty where the file may say so."""

    default_error_messages = {"invalid": NOT_TEXT, "required": MISSING, "null": NOT_TEXT}  # noqa: RUF012 - marshmallow's way

    def __init__(self, *, empty: bool = False, **rest: Any) -> None:
        super().__init__(validate=None if empty else validate.Length(min=1, error=EMPTY), **rest)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **rest: Any) -> Any:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        return value.strip()


class Texts(fields.Field[tuple[str, ...]]):
    """A text or a list of texts, as a tuple; no empty ones, and no empty list unless the file may have one."""

    default_error_messages = {"invalid": NOT_TEXTS, "required": MISSING, "null": NOT_TEXTS, "empty": EMPTY}  # noqa: RUF012

    def __init__(self, *, empty: bool = False, **rest: Any) -> None:
        super().__init__(**rest)
        self.empty = empty

    def _deserialize(self, value: Any, attr: str | None, data: Any, **rest: Any) -> tuple[str, ...]:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
            raise self.make_error("invalid")
        if not (items or self.empty) or not all(item.strip() for item in items):
            raise self.make_error("empty")
        return tuple(item.strip() for item in items)


class OneOf(Text):
    """One text of a few."""

    def __init__(self, choices: tuple[str, ...], **rest: Any) -> None:
        super().__init__(**rest)
        self.validators = [validate.OneOf(choices, error=NOT_ONE_OF)]
        self.choices = choices


class FileSchema(Schema):
    class Meta:
        unknown = RAISE

    error_messages = {"unknown": UNKNOWN_KEY, "type": NOT_TABLE}  # noqa: RUF012


def _nested(schema: type[Schema], **rest: Any) -> fields.Nested:
    messages: Any = {"required": MISSING, "null": NOT_TABLE, "type": NOT_TABLE, "invalid": NOT_TABLE}
    return fields.Nested(schema, error_messages=messages, **rest)


def _table(schema: type[Schema], **rest: Any) -> fields.Dict:
    messages: Any = {"required": MISSING, "null": NOT_TABLE, "invalid": NOT_TABLE}
    return fields.Dict(keys=fields.String(), values=_nested(schema), error_messages=messages, **rest)


class MeaningSchema(FileSchema):
    en = Text(required=True)
    pl = Text(required=True)


class StandardSchema(FileSchema):
    type = OneOf(TYPES, required=True)
    data = OneOf(DATA_CLASSES, required=True)
    required = fields.Boolean(truthy={True}, falsy={False}, load_default=False, error_messages={"invalid": NOT_FLAG})
    invalid = OneOf(("quarantine", "drop"), load_default="quarantine")
    meaning = _nested(MeaningSchema, required=True)


class FieldSchema(FileSchema):
    source = Texts(required=True, data_key="from")
    currency = Text(load_default="")
    country = Text(load_default="")
    transforms = Texts(empty=True, load_default=())


class ConsentSchema(FileSchema):
    path = Text(required=True, data_key="from")
    yes = Texts(required=True)
    no = Texts(empty=True, load_default=())
    channel = OneOf(tuple(Channel), required=True)
    topic = Text(required=True)
    brand = Text(empty=True, load_default="")
    at = Text(required=True)


class ReadSchema(FileSchema):
    id = Text(required=True)
    fields_ = _table(FieldSchema, required=True, data_key="fields")
    consents = fields.List(_nested(ConsentSchema), load_default=list, error_messages={"invalid": NOT_LIST, "null": NOT_LIST})


class WriteFieldSchema(FileSchema):
    source = Text(required=True, data_key="from")
    transforms = Texts(empty=True, load_default=())


class WriteSchema(FileSchema):
    key = Text(required=True)
    fields_ = _table(WriteFieldSchema, required=True, data_key="fields")


class MappingSchema(FileSchema):
    reads = _table(ReadSchema, load_default=dict)
    writes = _table(WriteSchema, load_default=dict)


def parse_toml(text: str, subject: str) -> dict[str, Any]:
    """The file's content; `InvalidMapping` with line and column if it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidMapping(NOT_TOML, cure=NOT_TOML_CURE, subject=subject, cause=str(error)) from error


def check(schema: Schema, content: Any, *, subject: str, place: str = "") -> Any:
    """The content through a schema; all its errors as one `InvalidMapping`."""
    try:
        return schema.load(content)
    except ValidationError as error:
        problems: dict[str, Problem] = {}
        _flatten(error.messages, schema, place, problems)
        raise InvalidMapping(subject=subject, problems=problems) from error


def _flatten(messages: Any, node: Any, place: str, problems: dict[str, Problem]) -> None:
    """Marshmallow's nested messages → dotted places; `node` is the schema or field that they are about."""
    if isinstance(messages, dict):
        for key, below in messages.items():
            if key in ("value", "_schema") and isinstance(node, fields.Dict | Schema | fields.Nested):
                inner = node.value_field if isinstance(node, fields.Dict) else node
                _flatten(below, inner, place, problems)
            else:
                _flatten(below, _inner(node, key), f"{place}.{key}" if place else str(key), problems)
        return
    text = str(messages[0] if isinstance(messages, list) else messages)
    if text == UNKNOWN_KEY and isinstance(node, Unknown):
        problems[place] = suggest(node.name, node.known, UNKNOWN_KEY, UNKNOWN_KEY_NEAR)
    elif isinstance(node, OneOf) and text not in (NOT_TEXT, MISSING):
        problems[place] = Problem(NOT_ONE_OF, {"choices": ", ".join(node.choices)})
    else:
        problems[place] = Problem(text)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A key that a schema does not have, and the ones that it has."""

    name: str
    known: tuple[str, ...]


def _inner(node: Any, key: Any) -> Any:
    """What stands below `key` of a schema or field."""
    if isinstance(node, fields.Nested):
        node = node.schema
    if isinstance(node, fields.Dict):
        return node  # its messages come as {key: {"value": …}}
    if isinstance(node, fields.List):
        return node.inner
    if not isinstance(node, Schema):
        return node
    known = {found.data_key or name: found for name, found in node.load_fields.items()}
    return known.get(key) or Unknown(str(key), tuple(known))
