"""Paths into a raw record, as mapping files write them.

`billing.phone`                         a value inside objects
`refunds[].total`                       that value of every item of a list, as a list
`meta_data[key=newsletter].value`       the first item whose `key` equals the text
`results[0].id`                         the item at that place

Missing, None, empty text and, on the way down, anything empty (PHP writes an empty object as `[]`) give None. Something
else than an object or a list where the path needs one is `Misplaced`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

Getter = Callable[[dict[str, Any]], Any]


class Pick(Enum):
    WHOLE = "whole"
    EACH = "each"
    AT = "at"
    WHERE = "where"


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a path: a key, and which items when a list stands there."""

    key: str
    pick: Pick = Pick.WHOLE
    place: int = 0
    where: tuple[str, str] = ("", "")


class Misplaced(Exception):
    """The raw record has another shape than the path."""


_STEP = re.compile(r"([^.\[\]]+)(?:\[(?:([0-9]{1,4})|([^=\[\]]+)=([^\]]*))?(\]))?(?:\.(?=.)|\Z)")


def parse_path(text: str) -> tuple[Step, ...]:
    """The steps of a path; ValueError if it is not written as one."""
    steps: list[Step] = []
    position = 0
    while position < len(text) or not steps:
        match = _STEP.match(text, position)
        if match is None or match[1] != match[1].strip():
            raise ValueError(text)
        key, place, name, value, bracket = match.groups()
        if place is not None:
            steps.append(Step(key, Pick.AT, place=int(place)))
        elif name is not None:
            steps.append(Step(key, Pick.WHERE, where=(name.strip(), value.strip())))
        else:
            steps.append(Step(key, Pick.EACH if bracket else Pick.WHOLE))
        position = match.end()
    return tuple(steps)


def collects(path: str) -> bool:
    """Whether the path has a `[]`, so that it gives a list."""
    return any(step.pick is Pick.EACH for step in parse_path(path))


def walk(raw: Any, steps: tuple[Step, ...]) -> Any:
    """The value at a path, step by step; `compile_path` gives the same faster."""
    value = raw
    for index, step in enumerate(steps):
        if not isinstance(value, dict):
            if value:
                raise Misplaced(step.key)
            return None
        value = value.get(step.key)
        if step.pick is Pick.WHOLE:
            continue
        if not isinstance(value, list):
            if value:
                raise Misplaced(step.key)
            return None
        if step.pick is Pick.EACH:
            return _each(value, steps[index + 1 :])
        value = _choose(value, step)
    return value


def _each(items: list[Any], rest: tuple[Step, ...]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        value = walk(item, rest) if rest else item
        if any(step.pick is Pick.EACH for step in rest):
            found.extend(value or ())
        else:
            found.append(value)
    return found


def _choose(items: list[Any], step: Step) -> Any:
    if step.pick is Pick.AT:
        return items[step.place] if step.place < len(items) else None
    name, wanted = step.where
    for item in items:
        if isinstance(item, dict) and item.get(name) is not None and as_text(item[name]) == wanted:
            return item
    return None


def as_text(value: Any) -> str:
    """A plain value as the text that mapping files compare with: trimmed; yes and no as JSON writes them."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return ""


def plain_keys(path: str) -> tuple[str, ...]:
    """The keys of a path that only goes down through objects; nothing for one with brackets."""
    steps = parse_path(path)
    return tuple(step.key for step in steps) if all(step.pick is Pick.WHOLE for step in steps) else ()


def compile_path(path: str) -> Getter:
    """`walk` for one path as a closure; the usual shapes without a loop."""
    steps = parse_path(path)
    picks = tuple(step.pick for step in steps)
    keys = tuple(step.key for step in steps)
    if picks == (Pick.WHOLE,):
        key = keys[0]
        return lambda raw: raw.get(key)
    if picks == (Pick.WHOLE, Pick.WHOLE):
        return _two_keys(*keys)
    if len(picks) == 2 and picks[0] is Pick.WHERE and picks[1] is Pick.WHOLE:
        return _value_where(keys[0], *steps[0].where, keys[1])
    return lambda raw: walk(raw, steps)


def _two_keys(outer: str, inner: str) -> Getter:
    def get(raw: dict[str, Any]) -> Any:
        value = raw.get(outer)
        if isinstance(value, dict):
            return value.get(inner)
        if value:
            raise Misplaced(inner)
        return None

    return get


def _value_where(key: str, name: str, wanted: str, inner: str) -> Getter:
    def get(raw: dict[str, Any]) -> Any:
        items = raw.get(key)
        if not isinstance(items, list):
            if items:
                raise Misplaced(key)
            return None
        for item in items:
            if isinstance(item, dict):
                value = item.get(name)
                if value == wanted or (value is not None and as_text(value) == wanted):
                    return item.get(inner)
        return None

    return get


_BRACKETS = re.compile(r"\[[^\]]*\]")


def plain_path(path: str) -> str:
    """The path with every bracket as `[]`: how known paths are compared."""
    return _BRACKETS.sub("[]", path)


def paths_of(samples: Iterable[Any]) -> set[str]:
    """Every path that leads somewhere in the sample records, for `known_paths`."""
    found: set[str] = set()
    for sample in samples:
        _collect(sample, "", found)
    return found


def _collect(value: Any, path: str, found: set[str]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            below = f"{path}.{key}" if path else str(key)
            found.add(below)
            _collect(item, below, found)
    elif isinstance(value, list):
        found.add(f"{path}[]")
        for item in value:
            _collect(item, f"{path}[]", found)
