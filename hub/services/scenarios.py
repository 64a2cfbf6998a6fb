"""Scenarios as people write them: checked, published, stopped and resumed. Evaluating one is in evaluate.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from marshmallow import Schema, ValidationError, fields, validate

from hub.core.connector import Verb
from hub.core.errors import Conflict, Invalid
from hub.core.texts import N_
from hub.core.types import Channel
from hub.rules.segments import Node, parse_segment
from hub.services.audit import note
from hub.services.context import Context
from hub.services.hooks import tell
from hub.store import connections, scenarios, stopping
from hub.store.db import Session, transaction

PUBLISHED, STOPPED = "published", "stopped"
STOPPED_REASON = stopping.SCENARIO_STOPPED

UNREADABLE = N_("The scenario cannot be read")
MISSING = N_("This is missing")
BAD_KEY = N_("Small letters, digits and «-» fit here, at most 80, beginning with a letter or a digit")
BAD_NAME = N_("Between 1 and 200 characters fit here")
BAD_SCOPE = N_("At most 60 characters fit here")
BAD_TOPIC = N_("Between 1 and 60 characters fit here")
BAD_AUTOMATION = N_("Between 1 and 120 characters fit here")
BAD_PACE = N_("A whole number from 1 to 100,000 fits here")
BAD_CHANNEL = N_("Choose one of the channels")
NOT_TEXT = N_("A text belongs here")
UNPRINTABLE = N_("This holds characters that cannot be shown; type it again")
UNKNOWN = N_("The hub does not know this field")
TOO_DEEP = N_("This is nested too deeply or has too many conditions: at most 12 levels and 100 conditions")
DEEPEST, MOST_CONDITIONS, LONGEST_DEFINITION = 12, 100, 50_000

_TEXT: dict[str, str | list[Any] | dict[Any, Any]] = {"required": MISSING, "null": MISSING, "invalid": NOT_TEXT}


def _printable(value: str) -> None:
    if not value.isprintable():
        raise ValidationError(UNPRINTABLE)


def _text(most: int, wrong: str, *, least: int = 1, **rest: Any) -> fields.String:
    return fields.String(validate=[validate.Length(least, most, error=wrong), _printable], error_messages=_TEXT, **rest)


def _key() -> fields.String:
    return fields.String(
        required=True, validate=validate.Regexp(r"[a-z0-9][a-z0-9-]{0,79}\Z", error=BAD_KEY), error_messages=_TEXT
    )


class _Known(Schema):
    error_messages = {"unknown": UNKNOWN, "type": UNREADABLE}  # noqa: RUF012 - marshmallow's way


class _SegmentSchema(_Known):
    key = _key()
    name = _text(200, BAD_NAME, required=True)
    definition = fields.Dict(required=True, error_messages={"required": MISSING, "null": MISSING, "invalid": UNREADABLE})


class ScenarioSchema(_Known):
    """A scenario as an admin writes it (docs/scenarios.md)."""

    key = _key()
    name = _text(200, BAD_NAME, required=True)
    segment = fields.Nested(_SegmentSchema, required=True, error_messages={"required": MISSING, "null": MISSING})
    connection = _text(80, MISSING, required=True)
    channel = fields.Enum(
        Channel, by_value=True, required=True, error_messages={"required": MISSING, "null": MISSING, "unknown": BAD_CHANNEL}
    )
    topic = _text(60, BAD_TOPIC, required=True)
    brand = _text(60, BAD_SCOPE, least=0, load_default="")
    automation = _text(120, BAD_AUTOMATION, required=True)
    list = _text(60, BAD_SCOPE, load_default=None, allow_none=True)
    starts_per_minute = fields.Integer(
        strict=True,
        load_default=600,
        validate=validate.Range(1, 100_000, error=BAD_PACE),
        error_messages={"invalid": BAD_PACE, "null": BAD_PACE},
    )


@dataclass(frozen=True)
class Checked:
    """A definition that can be published. `definition` has every field, in the form in which it is stored and compared."""

    definition: dict[str, Any]
    connection_id: str
    tree: Node


def check_scenario(context: Context, session: Session, definition: Mapping[str, Any]) -> Checked:
    """Invalid names every wrong field («segment.definition.all[0].orders.paid»), NotFound the connection."""
    try:
        given = ScenarioSchema().load(definition)
    except ValidationError as error:
        raise Invalid(UNREADABLE, fields=_flatten(error.messages_dict)) from error
    tree = check_segment(given["segment"]["definition"], "segment.definition")
    row = connections.get_connection(session, given["connection"])
    declaration = context.platform(row.platform).DECLARATION
    declaration.need(Verb.TRIGGER)
    kind, colon, target = given["automation"].partition(":")
    if kind not in declaration.automations or not colon or not target:
        known = ", ".join(f"{name}:ID" for name in declaration.automations)
        raise Invalid(
            UNREADABLE,
            fields={"automation": "{platform} starts automations written as: {known}"},
            platform=declaration.title,
            known=known,
        )
    return Checked({**given, "connection": row.name, "channel": given["channel"].value}, row.id, tree)


def check_segment(definition: Any, place: str) -> Node:
    """The tree of a segment's definition; Invalid names the place that is wrong, also of one that nobody could follow."""
    if _size(definition, 1) > MOST_CONDITIONS:
        raise Invalid("The segment cannot be read", fields={place: TOO_DEEP})
    tree = parse_segment(definition, place)
    try:
        written = orjson.dumps(definition)
    except TypeError:  # half a character
        written = b"\\u0000"
    if b"\\u0000" in written or len(written) > LONGEST_DEFINITION:
        raise Invalid("The segment cannot be read", fields={place: UNPRINTABLE})
    return tree


def _size(part: Any, depth: int) -> int:
    """Conditions of a definition; more than may be where it is too deep. No deeper than that is looked, whatever comes."""
    if depth > DEEPEST:
        return MOST_CONDITIONS + 1
    if isinstance(part, list):
        return sum(_size(one, depth + isinstance(one, list)) for one in part[: MOST_CONDITIONS + 1])
    if not isinstance(part, dict):
        return 0
    return 1 + sum(_size(part[kind], depth + 1) for kind in ("all", "any", "not") if kind in part)


def _flatten(messages: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in messages.items():
        place = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found |= _flatten(value, f"{place}.")
        else:
            found[place] = str(value[0]) if isinstance(value, list) and value else str(value)
    return found


def publish_scenario(context: Context, definition: Mapping[str, Any]) -> str:
    """Check a scenario's definition and keep it; the same key again makes a new version. Returns its id."""
    with transaction() as session:
        checked = check_scenario(context, session, definition)
        return save_published(session, checked, context.now())


def save_published(session: Session, checked: Checked, now: datetime) -> str:
    """Publish inside the caller's transaction, with its entry in the trail; returns the scenario's id."""
    given = checked.definition
    before = published_definition(session, given["key"])
    segment = given["segment"]
    segment_id = scenarios.save_segment(session, segment["key"], segment["name"], segment["definition"], now)
    values = {
        "segment_id": segment_id,
        "connection_id": checked.connection_id,
        "list_id": given["list"],
        "state": PUBLISHED,
        **{name: given[name] for name in ("name", "channel", "topic", "brand", "automation", "starts_per_minute")},
    }
    scenario_id = scenarios.save_scenario(session, given["key"], values, now)
    note(session, "scenario.published", ("scenario", scenario_id, given["key"]), now, before=before, after=given)
    tell(session, "scenario.published", scenario_id, {"key": given["key"], "name": given["name"]}, now)
    return scenario_id


def published_definition(session: Session, key: str) -> dict[str, Any] | None:
    """A scenario as it stands, written as it would be published; None if there is none."""
    row = stopping.scenario_with_segment(session, key)
    if row is None:
        return None
    return {
        "key": row.key,
        "name": row.name,
        "segment": {"key": row.segment_key, "name": row.segment_name, "definition": row.definition},
        "connection": row.connection_name,
        "channel": row.channel,
        "topic": row.topic,
        "brand": row.brand,
        "automation": row.automation,
        "list": row.list_id,
        "starts_per_minute": row.starts_per_minute,
    }


def stop_scenario(context: Context, key: str) -> int:
    """No evaluation begins any more, an open one ends, and starts and list entries that have not left are cancelled.

    What is on its way in a call already cannot be called back. Returns how many effects were cancelled. A scenario that is
    stopped already stays so.
    """
    now = context.now()
    with transaction() as session:
        row = scenarios.find_scenario(session, key)
        stopping.set_scenario_state(session, row.id, STOPPED, now)
        cancelled = stopping.cancel_effects(session, row.id, now)
        if row.state != STOPPED:
            after = {"state": STOPPED, "effects_cancelled": cancelled}
            note(session, "scenario.stopped", ("scenario", row.id, key), now, before={"state": row.state}, after=after)
    return cancelled


def resume_scenario(context: Context, key: str) -> None:
    """A stopped scenario may be evaluated again, as it was published; who was cancelled is considered anew."""
    now = context.now()
    with transaction() as session:
        row = scenarios.find_scenario(session, key)
        if row.state == PUBLISHED:
            return
        stopping.set_scenario_state(session, row.id, PUBLISHED, now)
        states = {"before": {"state": row.state}, "after": {"state": PUBLISHED}}
        note(session, "scenario.resumed", ("scenario", row.id, key), now, **states)


def need_published(row: Any) -> None:
    """Conflict for a scenario that was stopped."""
    if row.state != PUBLISHED:
        raise Conflict("The scenario «{key}» is stopped", cure="Put it into service again on its page first", key=row.key)
