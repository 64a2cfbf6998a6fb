"""Evaluating a scenario: who is in the segment, who may get it, why, and what is owed for it."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from marshmallow import Schema, ValidationError, fields, validate

from hub.core.connector import Verb
from hub.core.errors import Invalid
from hub.core.types import Channel, Decision, Lane, RunState
from hub.rules.scenario import ALREADY_STARTED, EntryFacts, decide_entry
from hub.rules.segments import parse_segment
from hub.services.consent import gate
from hub.services.context import Context, Stop
from hub.services.dictionaries import outgoing
from hub.store import boxes, connections, contacts, remotes, scenarios, segments
from hub.store.boxes import Effect, EffectState
from hub.store.db import Session, transaction
from hub.store.scenarios import Plan

log = logging.getLogger("hub.evaluate")

CHUNK = 1000
"""Contacts considered in one transaction."""

KEY = validate.Regexp(r"^[a-z0-9][a-z0-9-]{0,79}$")


class _SegmentSchema(Schema):
    key = fields.String(required=True, validate=KEY)
    name = fields.String(required=True, validate=validate.Length(1, 200))
    definition = fields.Dict(required=True)


class ScenarioSchema(Schema):
    """A scenario as an admin writes it (docs/scenarios.md)."""

    key = fields.String(required=True, validate=KEY)
    name = fields.String(required=True, validate=validate.Length(1, 200))
    segment = fields.Nested(_SegmentSchema, required=True)
    connection = fields.String(required=True)
    channel = fields.Enum(Channel, by_value=True, required=True)
    topic = fields.String(required=True, validate=validate.Length(1, 60))
    brand = fields.String(load_default="", validate=validate.Length(0, 60))
    automation = fields.String(required=True, validate=validate.Length(1, 120))
    list = fields.String(load_default=None, allow_none=True, validate=validate.Length(1, 60))
    starts_per_minute = fields.Integer(strict=True, load_default=600, validate=validate.Range(1, 100_000))


def publish_scenario(context: Context, definition: Mapping[str, Any]) -> str:
    """Check a scenario's definition and keep it; the same key again makes a new version. Returns its id."""
    try:
        given = ScenarioSchema().load(definition)
    except ValidationError as error:
        raise Invalid("The scenario cannot be read", fields=_flatten(error.messages_dict)) from error
    segment = given["segment"]
    parse_segment(segment["definition"], "segment.definition")
    now = context.now()
    with transaction() as session:
        row = connections.get_connection(session, given["connection"])
        declaration = context.platform(row.platform).DECLARATION
        declaration.need(Verb.TRIGGER)
        kind = given["automation"].partition(":")[0]
        if kind not in declaration.automations or ":" not in given["automation"]:
            known = ", ".join(f"{name}:ID" for name in declaration.automations)
            raise Invalid(
                "The scenario cannot be read",
                fields={"automation": "{platform} starts automations written as: {known}"},
                platform=declaration.title,
                known=known,
            )
        segment_id = scenarios.save_segment(session, segment["key"], segment["name"], segment["definition"], now)
        values = {
            "name": given["name"],
            "segment_id": segment_id,
            "connection_id": row.id,
            "channel": given["channel"].value,
            "topic": given["topic"],
            "brand": given["brand"],
            "automation": given["automation"],
            "list_id": given["list"],
            "starts_per_minute": given["starts_per_minute"],
            "state": "published",
        }
        return scenarios.save_scenario(session, given["key"], values, now)


def _flatten(messages: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in messages.items():
        place = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found |= _flatten(value, f"{place}.")
        else:
            found[place] = " ".join(str(text) for text in value) if isinstance(value, list) else str(value)
    return found


def request_evaluation(context: Context, key: str) -> str:
    """Queue an evaluation of the scenario as of now; returns its id (the open one's, if one is open)."""
    with transaction() as session:
        found = scenarios.find_scenario(session, key)
        return scenarios.add_evaluation(session, scenarios.load_plan(session, found.id), context.now())


@dataclass(frozen=True)
class _Work:
    """What one evaluation needs for every contact."""

    plan: Plan
    evaluation_id: str
    at: datetime
    outgoing: Callable[[dict[str, Any]], dict[str, str]]


def advance_evaluation(context: Context, evaluation_id: str, owner: str, stop: Stop) -> bool:
    """Consider members chunk by chunk until none is left or `stop` says so. False if it was not to be had."""
    lease = context.settings.lease
    with transaction() as session:
        row = scenarios.claim_evaluation(session, evaluation_id, owner, context.now(), lease)
        if row is None:
            return False
        plan = scenarios.load_plan(session, row.scenario_id)
        connection = connections.get_connection(session, plan.connection_id)
    work = _Work(plan, evaluation_id, row.at, outgoing(connection.platform, connection.options))
    tree = parse_segment(plan.definition)
    after: str | None = row.after_contact
    while True:
        now = context.now()
        with transaction() as session:
            ids = segments.members(session, tree, row.at, after, CHUNK)
            allowed = _consider(session, work, ids, now)
            after = ids[-1] if ids else after
            done = len(ids) < CHUNK
            values: dict[str, Any] = {
                "after_contact": after,
                "considered": scenarios.evaluation.c.considered + len(ids),
                "allowed": scenarios.evaluation.c.allowed + allowed,
                "lease_until": now + timedelta(seconds=lease),
            }
            pausing = stop()
            if done or pausing:
                state = RunState.DONE if done else RunState.WAITING
                values |= {"state": state.value, "lease_owner": None, "lease_until": None}
                values |= {"finished_at": now if done else None}
            if not scenarios.advance_evaluation(session, evaluation_id, owner, values):
                session.rollback()  # the lease was lost: whoever has it now considers these contacts
                return True
        if done or pausing:
            log.info("evaluation released", extra={"evaluation": evaluation_id, "done": done})
            return True


def abandon_evaluation(context: Context, evaluation_id: str, owner: str, error: Mapping[str, Any]) -> None:
    """Stop an evaluation that cannot go on; its decisions so far stay."""
    with transaction() as session:
        values = {"state": RunState.FAILED.value, "error": dict(error), "lease_owner": None, "lease_until": None}
        scenarios.advance_evaluation(session, evaluation_id, owner, values | {"finished_at": context.now()})


def _consider(session: Session, work: _Work, ids: Sequence[str], now: datetime) -> int:
    """Decide for each contact, keep the decisions, owe the effects. Returns how many are allowed."""
    if not ids:
        return 0
    plan = work.plan
    profiles = contacts.profiles(session, ids)
    gated = gate(session, profiles, Channel(plan.channel), plan.topic, plan.brand, now)
    keys = {contact_id: f"{plan.id}:{contact_id}:start" for contact_id in ids}
    started = boxes.known_keys(session, keys.values())
    hashes = {contact_id: values_hash(work.outgoing(profiles[contact_id])) for contact_id in ids}
    pushes = {contact_id: _push_key(plan, contact_id, hashes[contact_id]) for contact_id in ids}
    rejected = boxes.known_keys(session, pushes.values(), EffectState.REJECTED)
    decisions = {
        contact_id: decide_entry(EntryFacts(gated[contact_id], keys[contact_id] in started, pushes[contact_id] in rejected))
        for contact_id in ids
    }
    scenarios.save_decisions(
        session,
        [
            {
                "evaluation_id": work.evaluation_id,
                "contact_id": contact_id,
                "allowed": decision.allowed,
                "reason": decision.reason,
                "at": now,
            }
            for contact_id, decision in decisions.items()
        ],
    )
    _owe(session, work, hashes, decisions, now)
    return sum(decision.allowed for decision in decisions.values())


def values_hash(values: Mapping[str, str]) -> str:
    """Of what a platform has from us: the same hash means nothing to write."""
    return hashlib.blake2b(orjson.dumps(dict(values), option=orjson.OPT_SORT_KEYS), digest_size=16).hexdigest()


def _owe(
    session: Session,
    work: _Work,
    hashes: Mapping[str, str],
    decisions: Mapping[str, Decision],
    now: datetime,
) -> None:
    plan = work.plan
    welcome = [contact_id for contact_id, decision in decisions.items() if decision.allowed]
    again = [contact_id for contact_id, decision in decisions.items() if decision.reason == ALREADY_STARTED]
    known = remotes.remotes(session, plan.connection_id, [*welcome, *again])
    rows: list[dict[str, Any]] = []
    for contact_id in [*welcome, *again]:
        stored = known.get(contact_id)
        if stored is None or stored[1] != hashes[contact_id]:
            key = _push_key(plan, contact_id, hashes[contact_id])
            rows.append(_effect(work, contact_id, Effect.PUSH_CONTACT, "contacts", key, Lane.BULK, EffectState.OWED))
        if not decisions[contact_id].allowed:
            continue
        state = EffectState.HELD if stored is None else EffectState.OWED
        if plan.list_id:
            key = f"{plan.id}:{contact_id}:join"
            rows.append(_effect(work, contact_id, Effect.SET_MEMBER, f"+{plan.list_id}", key, Lane.BULK, state))
        key = f"{plan.id}:{contact_id}:start"
        rows.append(_effect(work, contact_id, Effect.START_AUTOMATION, plan.automation, key, Lane.EVENT, state))
    boxes.owe(session, rows, now)


def _push_key(plan: Plan, contact_id: str, digest: str) -> str:
    return f"{plan.connection_id}:{contact_id}:push:{digest}"


def _effect(
    work: _Work, contact_id: str, effect: Effect, detail: str, key: str, lane: Lane, state: EffectState
) -> dict[str, Any]:
    plan = work.plan
    return {
        "effect": effect.value,
        "connection_id": plan.connection_id,
        "contact_id": contact_id,
        "lane": lane.value,
        "detail": detail,
        "gate": {"channel": plan.channel, "topic": plan.topic, "brand": plan.brand},
        "idempotency_key": key,
        "evaluation_id": work.evaluation_id,
        "state": state.value,
        "not_before": None,
    }
