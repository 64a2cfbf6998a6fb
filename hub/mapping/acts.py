"""Consent acts in raw records: what an admin's mapping calls a yes or a no of the person, with its evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from hub.core.types import Act, ConsentAct, Raw
from hub.mapping import convert
from hub.mapping.convert import Unfit
from hub.mapping.dictionary import ConsentRule
from hub.mapping.paths import Misplaced, as_text, compile_path
from hub.mapping.reading import FieldError, field_error, first_of, look

ReadActs = Callable[[Raw, str, list[FieldError]], list[ConsentAct]]
"""(raw record, external id, where to report unreadable times) → the acts found."""


def compile_acts(rules: Sequence[ConsentRule], stream: str, source: str) -> ReadActs | None:
    """What finds a record's consent acts; None if there are no rules."""
    seen: set[str] = set()
    readers = []
    for rule in rules:
        readers.append(_compile_act(rule, stream, source, again=rule.path in seen))
        seen.add(rule.path)
    if not readers:
        return None

    def read(raw: Raw, external_id: str, dropped: list[FieldError]) -> list[ConsentAct]:
        found = (reader(raw, external_id, dropped) for reader in readers)
        return [act for act in found if act is not None]

    return read


def _compile_act(
    rule: ConsentRule, stream: str, source: str, *, again: bool
) -> Callable[[Raw, str, list[FieldError]], ConsentAct | None]:
    """One rule as a closure. A yes has one `source_ref` for ever: a record that is merely edited must not repeat an old yes
    after a newer no. A no has one for each time: each is believed. Each further scope of one tick has its own (`again`)."""
    get, get_time = first_of((compile_path(rule.path),), ()), first_of((compile_path(rule.at),), ())
    yes = frozenset(value.casefold() for value in rule.yes)
    no = frozenset(value.casefold() for value in rule.no)
    scope = f"#{rule.channel}.{rule.topic}.{rule.brand}" if again else ""

    def read(raw: Raw, external_id: str, dropped: list[FieldError]) -> ConsentAct | None:
        try:
            value = get(raw)
        except Misplaced:
            return None
        said = as_text(value).casefold()
        if not said or not (said in yes or said in no):
            return None
        act = Act.GRANTED if said in yes else Act.WITHDRAWN
        try:
            at = _time_of_act(get_time(raw))
        except (Unfit, Misplaced):
            dropped.append(field_error(f"consent:{rule.path}", "no_consent_time", look(raw, rule.at)))
            return None
        reference = f"{stream}:{external_id}:{rule.path}{scope}"
        if act is Act.WITHDRAWN:
            reference += f":withdrawn:{at.isoformat()}"
        evidence = {"field": rule.path, "value": value, "record": external_id, "stream": stream}
        return ConsentAct(act, rule.channel, rule.topic, rule.brand, at, source, reference, evidence)

    return read


def _time_of_act(value: Any) -> datetime:
    if value is None:
        raise Unfit("no_consent_time")
    return convert.moment(value)
