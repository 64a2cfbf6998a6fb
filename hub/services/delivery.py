"""Delivering effects: claim (decide again, load) → call (no transaction) → settle (outcome, what is next)."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hub.core.connector import Connector, Limits, Outcome, Outgoing, Result
from hub.core.errors import ContractBroken, HubError, RateLimited, ReauthorizeNeeded, Unavailable
from hub.core.http import Answer, Budget
from hub.core.types import Channel, Lane
from hub.services.connections import open_connector
from hub.services.consent import gate
from hub.services.context import Context, Stop
from hub.services.dictionaries import outgoing
from hub.services.evaluate import values_hash
from hub.services.sync import GIVE_UP_STRANGE, back_off
from hub.store import boxes, connections, contacts, quarantine, scenarios
from hub.store.boxes import Effect, EffectState, Parcel
from hub.store.connections import ConnectionRow
from hub.store.db import Session, transaction

log = logging.getLogger("hub.delivery")

OUT = "out"
THROTTLE_SECONDS = 60.0
ATTEMPTS_TO_GIVE_UP = 200
"""Attempts that ended in no verdict; at the longest back-off that is more than a week of a dead platform."""


@dataclass(frozen=True)
class _Item:
    """One claimed effect, ready to be sent."""

    id: str
    contact_id: str
    outgoing: Outgoing
    values_hash: str


@dataclass(frozen=True)
class _Line:
    """A connector, and the budget that its calls go through."""

    connector: Connector
    budgets: list[_Counting]

    @property
    def calls(self) -> int:
        return sum(budget.calls for budget in self.budgets)


def _open_line(context: Context, row: ConnectionRow, lane: Lane) -> _Line:
    budgets: list[_Counting] = []

    def counting(connection_id: str, limits: Limits) -> Budget:
        budgets.append(_Counting(context.budget(connection_id, limits)))
        return budgets[-1]

    return _Line(open_connector(replace(context, budget=counting), row, lane), budgets)


class _Counting:
    """A budget that counts the calls it let through."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.calls = 0

    def take(self, lane: Lane) -> None:
        self._budget.take(lane)
        self.calls += 1

    def learn(self, answer: Answer) -> None:
        self._budget.learn(answer)


def deliver(context: Context, parcel: Parcel, owner: str, stop: Stop) -> int:
    """Send the parcel's due effects, call by call, until none is left, the budget is empty or `stop` says so.

    Returns how many effects were settled.
    """
    deadline = time.monotonic() + context.settings.slice
    settled = 0
    line: _Line | None = None
    while True:
        with transaction() as session:
            row = connections.get_connection(session, parcel.connection_id)
            if row.state != connections.ACTIVE:
                return settled
            items = _claim(session, context, parcel, owner, row)
        if items is None:
            return settled
        if items:
            line = line or _open_line(context, row, Lane(parcel.lane))
            if not _send(context, parcel, owner, row, line, items):
                return settled
            settled += len(items)
        if time.monotonic() > deadline or stop():
            return settled


def _claim(session: Session, context: Context, parcel: Parcel, owner: str, row: ConnectionRow) -> list[_Item] | None:
    """Take due effects and decide about each now; None when nothing is due."""
    now = context.now()
    limit = _batch_size(context, parcel, row)
    if parcel.effect == Effect.START_AUTOMATION:
        limit, free_at = _throttled(session, parcel, now, limit)
        if limit == 0:
            context.holds.hold(str(parcel), max((free_at - now).total_seconds(), 0.25))
            return None
    claimed = boxes.claim(session, parcel, owner, now, context.settings.lease, limit)
    if not claimed:
        return None
    profiles = contacts.profiles(session, {effect.contact_id for effect in claimed})
    passing = _pass_gate(session, claimed, profiles, owner, now)
    remotes = boxes.remotes(session, parcel.connection_id, {effect.contact_id for effect in passing})
    if parcel.effect != Effect.PUSH_CONTACT:
        unknown = [effect.id for effect in passing if effect.contact_id not in remotes]
        boxes.settle(session, unknown, owner, EffectState.CANCELLED, now, reason="not_on_platform")
        passing = [effect for effect in passing if effect.contact_id in remotes]
    translate = outgoing(row.platform, row.options)
    return [_item(parcel, effect, profiles[effect.contact_id], remotes, translate) for effect in passing]


def _batch_size(context: Context, parcel: Parcel, row: ConnectionRow) -> int:
    declaration = context.platform(row.platform).DECLARATION
    stream = "contacts" if parcel.effect == Effect.PUSH_CONTACT else "list_members"
    size = declaration.stream(stream).write_batch
    # An automation that is started one call each must not outlive its lease within one claim.
    return min(size, 10) if parcel.effect == Effect.START_AUTOMATION and not parcel.detail.startswith("list:") else size


def _throttled(session: Session, parcel: Parcel, now: datetime, limit: int) -> tuple[int, datetime]:
    """How many automations may start now, and when the next may: at most so many in each rolling minute."""
    pace = scenarios.lock_pace(session, parcel.connection_id, parcel.detail)
    if pace is None:
        return limit, now
    since = now - timedelta(seconds=THROTTLE_SECONDS)
    recent = boxes.starts_since(session, parcel.detail, parcel.connection_id, since, now)
    free = pace - len(recent)
    if free > 0:
        return min(limit, free), now
    return 0, recent[0] + timedelta(seconds=THROTTLE_SECONDS)


def _pass_gate(session: Session, claimed: Sequence[Any], profiles: Mapping[str, Any], owner: str, now: datetime) -> list[Any]:
    """Effects that may leave; the others are cancelled with the reason, and their decision is overturned."""
    passing: list[Any] = []
    refused: list[tuple[Any, str]] = []
    scopes: dict[tuple[str, str, str], list[Any]] = {}
    for effect in claimed:
        if effect.contact_id not in profiles:
            refused.append((effect, "contact_gone"))
        elif not effect.gate:
            passing.append(effect)
        else:
            scope = (effect.gate["channel"], effect.gate["topic"], effect.gate["brand"])
            scopes.setdefault(scope, []).append(effect)
    for (channel, topic, brand), effects in scopes.items():
        asked = {effect.contact_id: profiles[effect.contact_id] for effect in effects}
        decisions = gate(session, asked, Channel(channel), topic, brand, now)
        for effect in effects:
            decision = decisions[effect.contact_id]
            if decision.allowed:
                passing.append(effect)
            else:
                refused.append((effect, decision.reason))
    for effect, reason in refused:
        boxes.settle(session, [effect.id], owner, EffectState.CANCELLED, now, reason=reason)
        if effect.effect == Effect.PUSH_CONTACT:
            boxes.cancel_held(session, effect.connection_id, [effect.contact_id], reason, now)
        if effect.evaluation_id:
            scenarios.overturn_decisions(session, [(effect.evaluation_id, effect.contact_id, reason)], now)
    return passing


def _item(parcel: Parcel, effect: Any, profile: Mapping[str, Any], remotes: Mapping[str, Any], translate: Any) -> _Item:
    values = translate(profile)
    remote_id = remotes.get(effect.contact_id, (None,))[0]
    digest = values_hash(values)
    if parcel.effect == Effect.SET_MEMBER:
        values = {"list_id": parcel.detail[1:], "member": parcel.detail.startswith("+"), "remote_id": remote_id}
    return _Item(
        effect.id,
        effect.contact_id,
        Outgoing(effect.contact_id, values, remote_id, effect.idempotency_key, effect.attempts),
        digest,
    )


def _send(context: Context, parcel: Parcel, owner: str, row: ConnectionRow, line: _Line, items: Sequence[_Item]) -> bool:
    """Call and settle. False when the parcel cannot go on now."""
    connector, before = line.connector, line.calls
    records = [item.outgoing for item in items]
    try:
        match Effect(parcel.effect):
            case Effect.PUSH_CONTACT:
                results = connector.write("contacts", records)
            case Effect.SET_MEMBER:
                results = connector.write("list_members", records)
            case Effect.START_AUTOMATION:
                results = connector.trigger(parcel.detail, records)
    except HubError as error:
        _settle_failure(context, parcel, owner, row, items, error, called=line.calls > before)
        return False
    now = context.now()
    with transaction() as session:
        waiting = _settle_results(session, context, parcel, owner, items, results, now)
    if waiting > 0:
        context.holds.hold(parcel.lane_key, waiting)
    return waiting == 0


def _settle_results(
    session: Session,
    context: Context,
    parcel: Parcel,
    owner: str,
    items: Sequence[_Item],
    results: Sequence[Result],
    now: datetime,
) -> float:
    """Close each effect by its verdict; returns the seconds after which those without one may be tried, else 0."""
    by_outcome: dict[Outcome, list[tuple[_Item, Result]]] = {}
    for item, result in zip(items, results, strict=True):
        by_outcome.setdefault(result.outcome, []).append((item, result))
    waiting = 0.0
    sound: list[tuple[_Item, Result]] = []
    for outcome, pairs in by_outcome.items():
        ids = [item.id for item, _ in pairs]
        if outcome is Outcome.POSTPONED:
            waiting = max(0.05, max(result.after for _, result in pairs))
            not_before = now + timedelta(seconds=waiting)
            boxes.put_back(session, ids, owner, not_before, pairs[0][1].reason or None, tried=True)
        elif outcome is Outcome.REJECTED:
            for item, result in pairs:
                boxes.settle(session, [item.id], owner, EffectState.REJECTED, now, outcome=outcome.value, reason=result.reason)
            _note_rejections(session, parcel, pairs, now)
        else:
            closed = boxes.settle(session, ids, owner, EffectState.DONE, now, outcome=outcome.value)
            sound += [(item, result) for item, result in pairs if item.id in closed]
    if parcel.effect == Effect.PUSH_CONTACT and sound:
        _note_pushed(session, parcel, sound, now)
    return waiting


def _note_pushed(session: Session, parcel: Parcel, sound: Sequence[tuple[_Item, Result]], now: datetime) -> None:
    rows = [
        {
            "connection_id": parcel.connection_id,
            "contact_id": item.contact_id,
            "external_id": result.remote_id,
            "pushed_hash": item.values_hash,
            "pushed_at": now,
        }
        for item, result in sound
        if result.remote_id
    ]
    boxes.save_remotes(session, rows)
    boxes.let_go(session, parcel.connection_id, [item.contact_id for item, _ in sound])
    quarantine.clear_entries(session, parcel.connection_id, OUT, "contacts", [item.contact_id for item, _ in sound])


def _note_rejections(session: Session, parcel: Parcel, pairs: Sequence[tuple[_Item, Result]], now: datetime) -> None:
    stream = "contacts" if parcel.effect == Effect.PUSH_CONTACT else parcel.effect
    entries = [
        {
            "connection_id": parcel.connection_id,
            "direction": OUT,
            "stream": stream,
            "external_id": item.contact_id,
            "field": result.field or "record",
            "whole": True,
            "code": "rejected",
            "reason": result.reason,
            "cure": "Correct the value where it comes from; the next change is sent again",
            "value_class": "",
            "raw": None,
            "run_id": None,
        }
        for item, result in pairs
    ]
    quarantine.add_entries(session, entries, now)
    if parcel.effect == Effect.PUSH_CONTACT:
        boxes.cancel_held(session, parcel.connection_id, [item.contact_id for item, _ in pairs], "rejected", now)


def _settle_failure(
    context: Context,
    parcel: Parcel,
    owner: str,
    row: ConnectionRow,
    items: Sequence[_Item],
    error: HubError,
    *,
    called: bool,
) -> None:
    """No verdict on any of them: put all back and say when; pause the connection where a person is needed.

    Where our own budget stopped the connector after it had `called` (in the middle of looking for a bad record), that was an
    attempt: the next one carries fewer.
    """
    now = context.now()
    ids = [item.id for item in items]
    local = isinstance(error, RateLimited) and error.local
    attempts = max(item.outgoing.attempt for item in items)
    asked = error.after if isinstance(error, Unavailable) else None
    wait = (asked or 0.05) if local else back_off(attempts - 1, asked)
    with transaction() as session:
        strange = isinstance(error, ContractBroken) and attempts < GIVE_UP_STRANGE
        if strange or (isinstance(error, Unavailable) and attempts < ATTEMPTS_TO_GIVE_UP):
            # A refusal of our own budget holds the lane, not the rows: whichever is first in line goes first again.
            not_before = now if local else now + timedelta(seconds=wait)
            boxes.put_back(session, ids, owner, not_before, None if local else str(error), tried=called or not local)
        else:
            boxes.put_back(session, ids, owner, now + timedelta(seconds=wait), str(error), tried=True)
            state = connections.REAUTHORIZE if isinstance(error, ReauthorizeNeeded) else connections.PAUSED
            connections.set_state(session, row.id, state, error.as_json(), now)
    if isinstance(error, Unavailable | ContractBroken):
        context.holds.hold(parcel.lane_key, wait)
    if not local:
        log.warning("delivery stopped: %s", error, extra={"parcel": str(parcel), "code": error.code})
