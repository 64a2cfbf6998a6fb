"""Evaluating a scenario: who is in the segment, who may get it, why, and what is owed for it."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from hub.core.types import Channel, Decision, Lane, RunState
from hub.rules.scenario import ALREADY_STARTED, EntryFacts, decide_entry
from hub.rules.segments import Node, parse_segment
from hub.services.audit import note
from hub.services.consent import gate
from hub.services.context import Context, Stop
from hub.services.dictionaries import outgoing
from hub.services.hooks import tell
from hub.services.scenarios import check_scenario, need_published
from hub.services.scenarios import publish_scenario as publish_scenario
from hub.store import boxes, connections, contacts, remotes, scenarios, segments, stopping
from hub.store.boxes import Effect, EffectState
from hub.store.db import Session, new_id, reading, transaction
from hub.store.scenarios import Plan

log = logging.getLogger("hub.evaluate")

CHUNK = 1000
"""Contacts considered in one transaction."""

Translate = Callable[[dict[str, Any]], dict[str, str]]
"""From a contact to the platform's own properties."""


def request_evaluation(context: Context, key: str) -> str:
    """Queue an evaluation of the scenario as of now; returns its id (the open one's, if one is open)."""
    now = context.now()
    with transaction() as session:
        found = scenarios.find_scenario(session, key)
        need_published(found)
        evaluation_id = scenarios.add_evaluation(session, scenarios.load_plan(session, found.id), now)
        note(session, "evaluation.requested", ("scenario", found.id, key), now, after={"evaluation": evaluation_id})
    return evaluation_id


@dataclass(frozen=True)
class Trial:
    """What an evaluation would decide now. `whole`: every member was asked about, not only the first ones."""

    considered: int
    reasons: dict[tuple[bool, str], int]
    whole: bool


TRIAL_MEMBERS, TRIAL_SECONDS = 20_000, 3.0


def try_evaluation(context: Context, definition: Mapping[str, Any]) -> Trial:
    """Decide about the members of a definition's segment without keeping or owing anything; stops after a few seconds."""
    now, until = context.now(), time.monotonic() + TRIAL_SECONDS
    reasons: Counter[tuple[bool, str]] = Counter()
    with reading() as session:
        plan, tree = _trial_plan(context, session, definition)
        connection = connections.get_connection(session, plan.connection_id)
        translate = outgoing(connection.platform, connection.options)
        ids: Sequence[str] = []
        while True:
            ids = segments.members(session, tree, now, ids[-1] if ids else None, CHUNK)
            profiles = contacts.profiles(session, ids)
            decisions, _ = _decide(session, plan, translate, profiles, now)
            reasons.update((decision.allowed, decision.reason) for decision in decisions.values())
            done = len(ids) < CHUNK
            if done or reasons.total() >= TRIAL_MEMBERS or time.monotonic() > until:
                return Trial(reasons.total(), dict(reasons), done)


def _trial_plan(context: Context, session: Session, definition: Mapping[str, Any]) -> tuple[Plan, Node]:
    """A plan that is not stored; if the scenario is, who had it before counts."""
    checked = check_scenario(context, session, definition)
    given, known = checked.definition, stopping.scenario_with_segment(session, definition["key"])
    names = ("key", "name", "channel", "topic", "brand", "automation", "starts_per_minute")
    return Plan(
        id=known.id if known else new_id(),
        connection_id=checked.connection_id,
        list_id=given["list"],
        version=0,
        definition=given["segment"]["definition"],
        segment_version=0,
        **{name: given[name] for name in names},
    ), checked.tree


@dataclass(frozen=True)
class _Work:
    """What one evaluation needs for every contact."""

    plan: Plan
    evaluation_id: str
    at: datetime
    outgoing: Translate


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
            if done:
                _tell_finished(session, plan, evaluation_id, now)
        if done or pausing:
            log.info("evaluation released", extra={"evaluation": evaluation_id, "done": done})
            return True


def _tell_finished(session: Session, plan: Plan, evaluation_id: str, now: datetime) -> None:
    row = scenarios.find_evaluation(session, evaluation_id)
    counts = {"considered": row.considered, "allowed": row.allowed} if row else {}
    tell(session, "evaluation.finished", evaluation_id, {"scenario": plan.key, "evaluation_id": evaluation_id, **counts}, now)


def abandon_evaluation(context: Context, evaluation_id: str, owner: str, error: Mapping[str, Any]) -> None:
    """Stop an evaluation that cannot go on; its decisions so far stay."""
    with transaction() as session:
        values = {"state": RunState.FAILED.value, "error": dict(error), "lease_owner": None, "lease_until": None}
        scenarios.advance_evaluation(session, evaluation_id, owner, values | {"finished_at": context.now()})


def _consider(session: Session, work: _Work, ids: Sequence[str], now: datetime) -> int:
    """Decide for each contact, keep the decisions, owe the effects. Returns how many are allowed."""
    if not ids:
        return 0
    decisions, hashes = _decide(session, work.plan, work.outgoing, contacts.profiles(session, ids), now)
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


def _decide(
    session: Session, plan: Plan, translate: Translate, profiles: Mapping[str, dict[str, Any]], now: datetime
) -> tuple[dict[str, Decision], dict[str, str]]:
    """For each of these contacts the decision, and the hash of what the platform would have of them."""
    gated = gate(session, profiles, Channel(plan.channel), plan.topic, plan.brand, now)
    keys = {contact_id: f"{plan.id}:{contact_id}:start" for contact_id in profiles}
    started = boxes.known_keys(session, keys.values())
    hashes = {contact_id: values_hash(translate(profile)) for contact_id, profile in profiles.items()}
    pushes = {contact_id: _push_key(plan, contact_id, hashes[contact_id]) for contact_id in profiles}
    rejected = boxes.known_keys(session, pushes.values(), EffectState.REJECTED)
    return {
        contact_id: decide_entry(EntryFacts(gated[contact_id], keys[contact_id] in started, pushes[contact_id] in rejected))
        for contact_id in profiles
    }, hashes


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
