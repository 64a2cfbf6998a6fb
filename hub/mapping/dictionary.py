"""The hub's own fields, and what a platform's mapping.toml says about them. Everything is checked before a record is read."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import phonenumbers

from hub.core.texts import N_
from hub.core.types import Channel, Target
from hub.mapping.files import (
    ConsentSchema,
    InvalidMapping,
    MappingSchema,
    Problem,
    StandardSchema,
    check,
    parse_toml,
    suggest,
)
from hub.mapping.paths import collects, parse_path, plain_path
from hub.mapping.transforms import TRANSFORMS

STANDARD = Path(__file__).with_name("standard.toml")
REVISION = 1
"""Raise it when the meaning of a type or a transform changes, so that stored records are mapped anew."""

UNKNOWN_FIELD = N_("The hub has no such field; it has {known}")
UNKNOWN_FIELD_NEAR = N_("The hub has no such field: did you mean {near}?")
UNKNOWN_TRANSFORM = N_("There is no transform «{name}»; there are {known}")
UNKNOWN_TRANSFORM_NEAR = N_("There is no transform «{name}»: did you mean {near}?")
UNKNOWN_PATH = N_("The platform's records have no «{name}»; look at a raw record")
UNKNOWN_PATH_NEAR = N_("The platform's records have no «{name}»: did you mean {near}?")
BAD_PATH = N_("«{name}» is not a path; write it like billing.phone, refunds[].total or meta_data[key=x].value")
LIST_PATH = N_("A path with [] gives a list, which does not fit the type {type}; choose one item with [0] or [key=value]")
NO_LIST_PATH = N_("The type texts needs a path with []")
MIXED_PATHS = N_("Either all paths of a field have [] or none has")
NO_CURRENCY = N_("«currency» belongs to amounts only; this field's type is {type}")
NO_COUNTRY = N_("«country» belongs to phone numbers only; this field's type is {type}")
MISSING_FIELD = N_("The field {name} is required; map it")
NO_STREAM = N_("The mapping has no section for this stream; it has {known}")
NO_STREAM_NEAR = N_("The mapping has no section for this stream: did you mean {near}?")
YES_AND_NO = N_("«{name}» stands under both «yes» and «no»")


@dataclass(frozen=True, slots=True)
class StandardField:
    """One of the hub's own fields. `drop` leaves an unreadable value out instead of refusing the record."""

    name: str
    type: str
    data: str
    required: bool
    drop: bool
    meaning: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FieldRule:
    """Where a standard field's value comes from: the first of `paths` that is not empty."""

    field: StandardField
    paths: tuple[str, ...]
    currency: str = ""
    country: str = ""
    transforms: tuple[str, ...] = ()

    @property
    def collects(self) -> bool:
        """Whether the value is made of a list (`[]` in the path)."""
        return collects(self.paths[0])


@dataclass(frozen=True, slots=True)
class ConsentRule:
    """Which raw values are a person's act, on which scope, and where its time stands. Everything else is no act."""

    path: str
    yes: tuple[str, ...]
    no: tuple[str, ...]
    channel: Channel
    topic: str
    brand: str
    at: str


@dataclass(frozen=True, slots=True)
class ReadMapping:
    """How a stream's raw records become standard ones; `rules` in the order of standard.toml.

    `version` is a fingerprint of everything that decides the result: a stored record with another one is mapped anew.
    """

    stream: str
    target: Target
    id_path: str
    rules: tuple[FieldRule, ...]
    consents: tuple[ConsentRule, ...]
    version: str


@dataclass(frozen=True, slots=True)
class WriteRule:
    """`property` of the platform = the standard field `source`."""

    property: str
    source: str
    type: str
    transforms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WriteMapping:
    """How a standard record becomes the platform's properties; `key` is the property that names the record there."""

    stream: str
    key: str
    rules: tuple[WriteRule, ...]


@cache
def standard_fields(target: Target) -> Mapping[str, StandardField]:
    """The hub's fields for what a stream's records become, in the order of standard.toml."""
    content = tomllib.loads(STANDARD.read_text("utf-8")).get(target.value, {})
    found: dict[str, StandardField] = {}
    for name, entry in content.items():
        one = check(StandardSchema(), entry, subject=STANDARD.name, place=f"{target.value}.{name}")
        found[name] = StandardField(
            name, one["type"], one["data"], one["required"], one["invalid"] == "drop", MappingProxyType(one["meaning"])
        )
    return MappingProxyType(found)


def load_reads(
    source: str | Path,
    stream: str,
    target: Target,
    *,
    known_paths: Iterable[str] | None = None,
    extra_consents: Sequence[ConsentRule | Mapping[str, Any]] = (),
) -> ReadMapping:
    """The reading of one stream from a mapping.toml (a `Path`, or its content as text); else `InvalidMapping`.

    `known_paths` (see `paths.paths_of`) lets wrong raw paths be found; `extra_consents` are an admin's own rules for one
    connection, as `ConsentRule` or as a table like those under `consents`; paths in them are not compared with known ones.
    """
    content, subject = _load(source)
    section = _section(content["reads"], "reads", stream, subject)
    place = f"reads.{stream}"
    problems: dict[str, Problem] = {}
    known = None if known_paths is None else sorted({plain_path(path) for path in known_paths})
    fields = standard_fields(target)
    _check_path(section["id"], f"{place}.id", known, problems)
    rules = _read_rules(section["fields_"], fields, f"{place}.fields", known, problems)
    consents = [ConsentRule(**{**entry, "channel": Channel(entry["channel"])}) for entry in section["consents"]]
    for index, rule in enumerate(consents):
        _check_consent(rule, f"{place}.consents.{index}", known, problems)
    for index, extra in enumerate(extra_consents):
        consents.append(_extra_consent(extra, f"extra_consents.{index}", subject))
        _check_consent(consents[-1], f"extra_consents.{index}", None, problems)
    for name, field in fields.items():
        if field.required and name not in section["fields_"]:
            problems[f"{place}.fields.{name}"] = Problem(MISSING_FIELD, {"name": name})
    if problems:
        raise InvalidMapping(subject=subject, problems=problems)
    parts = (stream, target, section["id"], tuple(rules), tuple(consents))
    return ReadMapping(*parts, version=_fingerprint(parts))


def load_writes(
    source: str | Path, stream: str, target: Target = Target.CONTACT, *, extra_fields: Collection[str] = ()
) -> WriteMapping:
    """The writing of one stream; `extra_fields` are names that the caller adds to the standard record (as text)."""
    content, subject = _load(source)
    section = _section(content["writes"], "writes", stream, subject)
    problems: dict[str, Problem] = {}
    fields = standard_fields(target)
    known = [*fields, *extra_fields]
    rules: list[WriteRule] = []
    for name, entry in section["fields_"].items():
        place = f"writes.{stream}.fields.{name}"
        if entry["source"] not in known:
            problems[f"{place}.from"] = suggest(entry["source"], known, UNKNOWN_FIELD, UNKNOWN_FIELD_NEAR)
        _check_transforms(entry["transforms"], place, problems)
        kind = fields[entry["source"]].type if entry["source"] in fields else "text"
        rules.append(WriteRule(name, entry["source"], kind, entry["transforms"]))
    if problems:
        raise InvalidMapping(subject=subject, problems=problems)
    return WriteMapping(stream, section["key"], tuple(rules))


def _load(source: str | Path) -> tuple[dict[str, Any], str]:
    if isinstance(source, Path):
        subject, text = f"{source.parent.name}/{source.name}", source.read_text("utf-8")
    else:
        subject, text = "mapping.toml", source
    return check(MappingSchema(), parse_toml(text, subject), subject=subject), subject


def _section(sections: Mapping[str, Any], kind: str, stream: str, subject: str) -> Any:
    if stream not in sections:
        problem = suggest(stream, sections, NO_STREAM, NO_STREAM_NEAR)
        raise InvalidMapping(subject=subject, problems={f"{kind}.{stream}": problem})
    return sections[stream]


def _read_rules(
    entries: Mapping[str, Any],
    fields: Mapping[str, StandardField],
    place: str,
    known: list[str] | None,
    problems: dict[str, Problem],
) -> list[FieldRule]:
    rules: dict[str, FieldRule] = {}
    for name, entry in entries.items():
        here = f"{place}.{name}"
        if name not in fields:
            problems[here] = suggest(name, fields, UNKNOWN_FIELD, UNKNOWN_FIELD_NEAR)
            continue
        rule = FieldRule(fields[name], entry["source"], entry["currency"], entry["country"], entry["transforms"])
        _check_rule(rule, here, known, problems)
        rules[name] = rule
    return [rules[name] for name in fields if name in rules]


def _check_rule(rule: FieldRule, place: str, known: list[str] | None, problems: dict[str, Problem]) -> None:
    kind = rule.field.type
    _check_transforms(rule.transforms, place, problems)
    for path in rule.paths:
        if not _check_path(path, f"{place}.from", known, problems):
            continue
        if collects(path) and kind not in ("money", "integer", "texts"):
            problems[f"{place}.from"] = Problem(LIST_PATH, {"type": kind})
        elif kind == "texts" and not collects(path):
            problems[f"{place}.from"] = Problem(NO_LIST_PATH)
        elif collects(path) != collects(rule.paths[0]):
            problems[f"{place}.from"] = Problem(MIXED_PATHS)
    for path, key in ((rule.currency, "currency"), (rule.country, "country")):
        if path and _check_path(path, f"{place}.{key}", known, problems) and collects(path):
            problems[f"{place}.{key}"] = Problem(LIST_PATH, {"type": key})
    if kind != "money" and rule.currency:
        problems[f"{place}.currency"] = Problem(NO_CURRENCY, {"type": kind})
    if kind != "phone" and rule.country:
        problems[f"{place}.country"] = Problem(NO_COUNTRY, {"type": kind})


def _check_transforms(names: tuple[str, ...], place: str, problems: dict[str, Problem]) -> None:
    for name in names:
        if name not in TRANSFORMS:
            problems[f"{place}.transforms"] = suggest(name, TRANSFORMS, UNKNOWN_TRANSFORM, UNKNOWN_TRANSFORM_NEAR)


def _check_path(path: str, place: str, known: list[str] | None, problems: dict[str, Problem]) -> bool:
    try:
        parse_path(path)
    except ValueError:
        problems[place] = Problem(BAD_PATH, {"name": path})
        return False
    if known is not None and plain_path(path) not in known:
        problems[place] = suggest(plain_path(path), known, UNKNOWN_PATH, UNKNOWN_PATH_NEAR)
        return False
    return True


def _check_consent(rule: ConsentRule, place: str, known: list[str] | None, problems: dict[str, Problem]) -> None:
    for path, key in ((rule.path, "from"), (rule.at, "at")):
        if _check_path(path, f"{place}.{key}", known, problems) and collects(path):
            problems[f"{place}.{key}"] = Problem(LIST_PATH, {"type": "text" if key == "from" else "time"})
    both = {value.casefold() for value in rule.yes} & {value.casefold() for value in rule.no}
    if both:
        problems[f"{place}.no"] = Problem(YES_AND_NO, {"name": sorted(both)[0]})


def _extra_consent(extra: ConsentRule | Mapping[str, Any], place: str, subject: str) -> ConsentRule:
    if isinstance(extra, ConsentRule):
        return extra
    entry = check(ConsentSchema(), extra, subject=subject, place=place)
    return ConsentRule(**{**entry, "channel": Channel(entry["channel"])})


def _fingerprint(parts: tuple[Any, ...]) -> str:
    """Sixteen hex digits; meanings for people are left out, they decide nothing."""
    stream, target, id_path, rules, consents = parts
    plain: list[list[object]] = []
    for rule in rules:
        plain.append([rule.field.name, rule.field.type, rule.field.required, rule.field.drop])
        plain.append([rule.paths, rule.currency, rule.country, rule.transforms])
    facts = [REVISION, phonenumbers.__version__, stream, target, id_path, plain, [asdict(rule) for rule in consents]]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
