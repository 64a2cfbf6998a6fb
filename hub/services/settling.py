"""The third beat of a delivery: what becomes of effects after the call, or instead of it.

A connection is only taken out of service when its credentials are dead. Everything else that stands in the way is noted at
the connection and tried again, more and more rarely: an opt-out must not wait for a person to press a button.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hub.core.connector import Outcome, Outgoing, Result
from hub.core.errors import ContractBroken, HubError, RateLimited, ReauthorizeNeeded, Refused, Unavailable
from hub.core.types import Channel, Lane
from hub.services.consent import gate, leave_list
from hub.services.context import Context
from hub.services.endings import close_connection
from hub.services.sync import back_off
from hub.store import boxes, connections, contacts, quarantine, remotes, scenarios
from hub.store.boxes import Effect, EffectState, Parcel
from hub.store.connections import ConnectionRow
from hub.store.db import Session, transaction

log = logging.getLogger("hub.delivery")

DISPATCH = 0.02
"""Seconds from the end of a hold to the next call: relay, queue and claim. A hold for our own budget ends so much earlier."""

OUT = "out"
NO_VERDICT_LIMIT = 30
"""Attempts without a verdict on one record, while others of its batch got theirs; then it goes to quarantine."""

CURE = "Correct the value where it comes from; the next change is sent again"


@dataclass(frozen=True)
class Item:
    """One claimed effect, ready to be sent; `gate` is what was asked for it, {} for what takes away."""

    id: str
    contact_id: str
    outgoing: Outgoing
    values_hash: str
    gate: Mapping[str, str]


def scope_of(asked: Mapping[str, str]) -> tuple[str, str, str]:
    """(channel, topic, brand) of an effect's gate."""
    return asked["channel"], asked["topic"], asked["brand"]


def cancel(session: Session, effect: Any, owner: str, reason: str, now: datetime) -> None:
    """An effect that may not leave: its decision is overturned, and so is what waited for it.

    A push may serve several scenarios: if another one still waits for it, it is owed again under that one's gate.
    """
    boxes.settle(session, [effect.id], owner, EffectState.CANCELLED, now, reason=reason)
    if effect.evaluation_id:
        scenarios.overturn_decisions(session, [(effect.evaluation_id, effect.contact_id, reason)], now)
    if effect.effect != Effect.PUSH_CONTACT:
        return
    everybody = reason == "contact_gone"
    given_up = boxes.cancel_held(
        session,
        effect.connection_id,
        [effect.contact_id],
        reason,
        now,
        evaluation_id=None if everybody else effect.evaluation_id,
    )
    scenarios.overturn_decisions(session, [(evaluation, contact, reason) for evaluation, contact in given_up], now)
    heir = boxes.held_of(session, effect.connection_id, effect.contact_id)
    if heir is not None:
        names = ("effect", "connection_id", "contact_id", "lane", "detail", "idempotency_key")
        again = {name: getattr(effect, name) for name in names}
        rest = {"gate": heir.gate, "evaluation_id": heir.evaluation_id, "state": EffectState.OWED.value, "not_before": None}
        boxes.owe(session, [again | rest], now)


def settle_results(
    context: Context, parcel: Parcel, owner: str, row: ConnectionRow, items: Sequence[Item], results: Sequence[Result]
) -> bool:
    """Close each effect by its verdict. False when the lane has to wait."""
    now = context.now()
    by_outcome: dict[Outcome, list[tuple[Item, Result]]] = {}
    for item, result in zip(items, results, strict=True):
        by_outcome.setdefault(_outcome(parcel, item, result), []).append((item, result))
    postponed = by_outcome.pop(Outcome.POSTPONED, [])
    if by_outcome:
        hopeless = [pair for pair in postponed if pair[0].outgoing.attempt >= NO_VERDICT_LIMIT]
        postponed = [pair for pair in postponed if pair not in hopeless]
        if hopeless:
            by_outcome.setdefault(Outcome.REJECTED, []).extend(
                (item, Result(Outcome.REJECTED, reason="The platform gives no verdict on this record")) for item, _ in hopeless
            )
    wait = max((result.after for _, result in postponed), default=0.0)
    with transaction() as session:
        if postponed:
            ids = [item.id for item, _ in postponed]
            later = now + timedelta(seconds=max(wait, 0.05))
            boxes.put_back(session, ids, owner, later, postponed[0][1].reason or None, tried=True)
        for outcome, pairs in by_outcome.items():
            _settle_verdict(session, parcel, owner, outcome, pairs, now)
        if by_outcome and row.error:
            connections.set_state(session, row.id, connections.ACTIVE, None, now)
    if postponed and not by_outcome:
        context.holds.hold(parcel.lane_key, max(wait, 0.05))
        return False
    return True


def _outcome(parcel: Parcel, item: Item, result: Result) -> Outcome:
    """A start that is «unchanged» on a later attempt was made by an earlier one, whose answer we never heard."""
    repeated = parcel.effect == Effect.START_AUTOMATION and item.outgoing.attempt > 1
    return Outcome.CREATED if repeated and result.outcome is Outcome.UNCHANGED else result.outcome


def _settle_verdict(
    session: Session,
    parcel: Parcel,
    owner: str,
    outcome: Outcome,
    pairs: Sequence[tuple[Item, Result]],
    now: datetime,
) -> None:
    if outcome is Outcome.REJECTED:
        for item, result in pairs:
            boxes.settle(session, [item.id], owner, EffectState.REJECTED, now, outcome=outcome.value, reason=result.reason)
        _note_rejections(session, parcel, pairs, now)
        return
    closed = boxes.settle(session, [item.id for item, _ in pairs], owner, EffectState.DONE, now, outcome=outcome.value)
    sound = [(item, result) for item, result in pairs if item.id in closed]
    if parcel.effect == Effect.PUSH_CONTACT:
        _note_pushed(session, parcel, sound, now)
    else:
        _undo_overtaken(session, parcel, [item for item, _ in sound], now)


def _note_pushed(session: Session, parcel: Parcel, sound: Sequence[tuple[Item, Result]], now: datetime) -> None:
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
    remotes.save_remotes(session, rows)
    boxes.let_go(session, parcel.connection_id, [item.contact_id for item, _ in sound])
    quarantine.clear_entries(session, parcel.connection_id, OUT, "contacts", [item.contact_id for item, _ in sound])


def _undo_overtaken(session: Session, parcel: Parcel, items: Sequence[Item], now: datetime) -> None:
    """A withdrawal may have left while a join was on its way: whoever is no longer allowed leaves the list again."""
    list_id = parcel.detail[1:] if parcel.detail.startswith("+") else parcel.detail.removeprefix("list:")
    if not parcel.detail.startswith(("+", "list:")):
        return
    scopes: dict[tuple[str, str, str], list[Item]] = {}
    for item in items:
        if item.gate:
            scopes.setdefault(scope_of(item.gate), []).append(item)
    for (channel, topic, brand), joined in scopes.items():
        profiles = contacts.profiles(session, {item.contact_id for item in joined})
        decisions = gate(session, profiles, Channel(channel), topic, brand, now)
        gone = [item for item in joined if item.contact_id in decisions and not decisions[item.contact_id].allowed]
        rows = [leave_list(parcel.connection_id, item.contact_id, list_id, f"{item.id}:overtaken") for item in gone]
        boxes.owe(session, rows, now)


def _note_rejections(session: Session, parcel: Parcel, pairs: Sequence[tuple[Item, Result]], now: datetime) -> None:
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
            "cure": CURE,
            "value_class": "",
            "raw": None,
            "run_id": None,
        }
        for item, result in pairs
    ]
    quarantine.add_entries(session, entries, now)
    if parcel.effect == Effect.PUSH_CONTACT:
        ids = [item.contact_id for item, _ in pairs]
        given_up = boxes.cancel_held(session, parcel.connection_id, ids, "rejected", now)
        scenarios.overturn_decisions(session, [(evaluation, contact, "rejected") for evaluation, contact in given_up], now)


def settle_failure(
    context: Context,
    parcel: Parcel,
    owner: str,
    row: ConnectionRow,
    items: Sequence[Item],
    error: HubError,
    *,
    called: bool,
) -> None:
    """No verdict on any of them: put all back and say when; a target that is gone is a verdict on all.

    Where our own budget stopped the connector after it had `called` (in the middle of looking for a bad record), that was an
    attempt: the next one carries fewer.
    """
    now = context.now()
    ids = [item.id for item in items]
    local = isinstance(error, RateLimited) and error.local
    if isinstance(error, Refused) and parcel.effect != Effect.PUSH_CONTACT:
        results = [Result(Outcome.REJECTED, reason=str(error), field=parcel.detail) for _ in items]
        note_obstacle(context, row, error)
        with transaction() as session:
            _settle_verdict(session, parcel, owner, Outcome.REJECTED, list(zip(items, results, strict=True)), now)
        return
    attempts = max(item.outgoing.attempt for item in items)
    asked = error.after if isinstance(error, Unavailable) else None
    wait = (asked or 0.05) if local else back_off(attempts - 1, asked)
    with transaction() as session:
        # A refusal of our own budget holds the lane, not the rows: whichever is first in line goes first again.
        later = now if local else now + timedelta(seconds=wait)
        boxes.put_back(session, ids, owner, later, None if local else str(error), tried=called or not local)
    if not local:
        note_obstacle(context, row, error)
        log.warning("delivery stopped: %s", error, extra={"parcel": str(parcel), "code": error.code})
    if isinstance(error, Unavailable | ContractBroken):
        # What takes away has a lane of its own, and is tried at least once a minute whatever the others met.
        longest = 60.0 if parcel.lane == Lane.URGENT.value else wait
        early = DISPATCH if local else 0.0
        context.holds.hold(parcel.lane_key, max(0.001, min(wait, longest) - early))
    elif not isinstance(error, ReauthorizeNeeded):
        context.holds.hold(str(parcel), wait)


def note_obstacle(context: Context, row: ConnectionRow, error: HubError) -> None:
    """Show at the connection what stands in the way; dead credentials take it out of service until somebody connects again."""
    with transaction() as session:
        if isinstance(error, ReauthorizeNeeded):
            close_connection(session, row, error, context.now())
        else:
            connections.set_state(session, row.id, row.state, error.as_json(), context.now())


def sweep_held(context: Context) -> int:
    """Settle what waits for a push that is over; returns how many effects."""
    with transaction() as session:
        return boxes.settle_held(session, context.now())
