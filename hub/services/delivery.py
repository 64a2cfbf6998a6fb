"""Delivering effects: claim (decide again, load) → call (no transaction) → settle (outcome, what is next)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hub.core.connector import Connector, Limits, Outgoing, Result
from hub.core.errors import HubError
from hub.core.http import Answer, Budget
from hub.core.types import Channel, Lane
from hub.services.connections import open_connector
from hub.services.consent import gate
from hub.services.context import Context, Stop
from hub.services.dictionaries import outgoing
from hub.services.evaluate import values_hash
from hub.services.settling import Item, cancel, note_obstacle, scope_of, settle_failure, settle_results
from hub.store import boxes, connections, contacts, dues, remotes, scenarios
from hub.store.boxes import Effect, Parcel
from hub.store.connections import ConnectionRow
from hub.store.db import Session, reading, transaction
from hub.store.heartbeat import heartbeat

log = logging.getLogger("hub.delivery")

THROTTLE_SECONDS = 60.0
OBSTACLE_SECONDS = 60.0
"""How long a parcel rests that cannot be sent for a reason on our side."""

Translate = Callable[[dict[str, Any]], Mapping[str, str]]


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
    with reading() as session:
        row = connections.get_connection(session, parcel.connection_id)
    try:
        # Before anything is claimed: a dictionary that cannot be read must not make claims run out.
        translate = outgoing(row.platform, row.options)
    except HubError as error:
        note_obstacle(context, row, error)
        context.holds.hold(str(parcel), OBSTACLE_SECONDS)
        return 0
    line: _Line | None = None
    while True:
        with transaction() as session:
            row = connections.get_connection(session, parcel.connection_id)
            if row.state != connections.ACTIVE:
                return settled
            items = _claim(session, context, parcel, owner, row, translate)
        if items is None:
            return settled
        if items:
            try:
                line = line or _line(context, row, Lane(parcel.lane))
            except HubError as error:
                settle_failure(context, parcel, owner, row, items, error, called=False)
                return settled
            if not _send(context, parcel, owner, row, line, items):
                return settled
            settled += len(items)
        if time.monotonic() > deadline or stop():
            return settled


def _line(context: Context, row: ConnectionRow, lane: Lane) -> _Line:
    """The line of this process to the account, kept from job to job with its open connections; a new one when the account was
    connected anew."""
    key = (row.id, lane.value)
    kept = context.lines.get(key)
    if kept is None or kept[0] != (row.updated_at, id(context.budget)):
        kept = context.lines[key] = ((row.updated_at, id(context.budget)), _open_line(context, row, lane))
    line: _Line = kept[1]
    return line


def _claim(
    session: Session, context: Context, parcel: Parcel, owner: str, row: ConnectionRow, translate: Translate
) -> list[Item] | None:
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
    passing, refused = _pass_gate(session, claimed, profiles, now)
    known = remotes.remotes(session, parcel.connection_id, {effect.contact_id for effect in passing})
    if parcel.effect != Effect.PUSH_CONTACT:
        refused += [(effect, "not_on_platform") for effect in passing if effect.contact_id not in known]
        passing = [effect for effect in passing if effect.contact_id in known]
    for effect, reason in refused:
        cancel(session, effect, owner, reason, now)
    return [_item(parcel, effect, profiles[effect.contact_id], known, translate) for effect in passing]


def _batch_size(context: Context, parcel: Parcel, row: ConnectionRow) -> int:
    declaration = context.platform(row.platform).DECLARATION
    stream = "contacts" if parcel.effect == Effect.PUSH_CONTACT else "list_members"
    size = declaration.stream(stream).write_batch
    # Where each start is a call of its own, each is settled by itself: a crash leaves at most one to be looked up.
    return 1 if parcel.effect == Effect.START_AUTOMATION and not parcel.detail.startswith("list:") else size


def _throttled(session: Session, parcel: Parcel, now: datetime, limit: int) -> tuple[int, datetime]:
    """How many automations may start now, and when the next may: at most so many in each rolling minute."""
    pace = scenarios.lock_pace(session, parcel.connection_id, parcel.detail)
    if pace is None:
        return limit, now
    since = now - timedelta(seconds=THROTTLE_SECONDS)
    recent = dues.starts_since(session, parcel.detail, parcel.connection_id, since, now)
    free = pace - len(recent)
    if free > 0:
        return min(limit, free), now
    return 0, recent[0] + timedelta(seconds=THROTTLE_SECONDS)


def _pass_gate(
    session: Session, claimed: Sequence[Any], profiles: Mapping[str, Any], now: datetime
) -> tuple[list[Any], list[tuple[Any, str]]]:
    """(effects that may leave, the others with the reason)."""
    passing: list[Any] = []
    refused: list[tuple[Any, str]] = []
    scopes: dict[tuple[str, str, str], list[Any]] = {}
    for effect in claimed:
        if effect.contact_id not in profiles:
            refused.append((effect, "contact_gone"))
        elif not effect.gate:
            passing.append(effect)
        else:
            scopes.setdefault(scope_of(effect.gate), []).append(effect)
    for (channel, topic, brand), effects in scopes.items():
        asked = {effect.contact_id: profiles[effect.contact_id] for effect in effects}
        decisions = gate(session, asked, Channel(channel), topic, brand, now)
        for effect in effects:
            decision = decisions[effect.contact_id]
            if decision.allowed:
                passing.append(effect)
            else:
                refused.append((effect, decision.reason))
    return passing, refused


def _item(parcel: Parcel, effect: Any, profile: dict[str, Any], known: Mapping[str, Any], translate: Translate) -> Item:
    values: dict[str, Any] = dict(translate(profile))
    remote_id = known.get(effect.contact_id, (None,))[0]
    digest = values_hash(values)
    if parcel.effect == Effect.SET_MEMBER:
        values = {"list_id": parcel.detail[1:], "member": parcel.detail.startswith("+"), "remote_id": remote_id}
    record = Outgoing(effect.contact_id, values, remote_id, effect.idempotency_key, effect.attempts)
    return Item(effect.id, effect.contact_id, record, digest, effect.gate)


def _send(context: Context, parcel: Parcel, owner: str, row: ConnectionRow, line: _Line, items: Sequence[Item]) -> bool:
    """Call and settle. False when the parcel cannot go on now."""
    before = line.calls
    try:
        with heartbeat(context.settings.lease / 3, _renewal(context, owner, items)):
            results = _call(line.connector, parcel, [item.outgoing for item in items])
    except HubError as error:
        settle_failure(context, parcel, owner, row, items, error, called=line.calls > before)
        return False
    return settle_results(context, parcel, owner, row, items, results)


def _call(connector: Connector, parcel: Parcel, records: Sequence[Outgoing]) -> list[Result]:
    match Effect(parcel.effect):
        case Effect.PUSH_CONTACT:
            return connector.write("contacts", records)
        case Effect.SET_MEMBER:
            return connector.write("list_members", records)
        case Effect.START_AUTOMATION:
            return connector.trigger(parcel.detail, records)


def _renewal(context: Context, owner: str, items: Sequence[Item]) -> Callable[[Session], None]:
    """Keeps the effects ours while a slow platform is still answering: nobody else may send them meanwhile."""
    ids = [item.id for item in items]

    def renew(session: Session) -> None:
        boxes.renew_claim(session, ids, owner, context.now() + timedelta(seconds=context.settings.lease))

    return renew
