"""Figures about what the hub holds and did: for the command line, the demo and the console."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hub.services.context import Context
from hub.store import contacts, dues, orders, records, runs, scenarios
from hub.store.boxes import Effect, EffectState
from hub.store.db import reading


def connection_counts(context: Context, connection_id: str) -> dict[str, int]:
    """Records by stream, and of the orders how many are guests' and how many different guests there are."""
    with reading() as session:
        counts = records.count_records(session, connection_id)
        guest_orders, guest_buyers = orders.count_guests(session, connection_id)
        roles = records.count_roles(session, connection_id)
    if roles:
        counts |= {f"customers_{role}": count for role, count in roles.items()}
    if guest_orders:
        counts |= {"guest_orders": guest_orders, "guest_buyers": guest_buyers}
    return counts


def group_runs(group_id: str) -> Sequence[Any]:
    """The runs of one sync, in their order."""
    with reading() as session:
        return runs.list_runs(session, group_id=group_id)


def evaluation_figures(evaluation_ids: Sequence[str]) -> dict[str, Any]:
    """Decisions by reason, and what was pushed and started for them."""
    with reading() as session:
        decisions = scenarios.count_decisions(session, evaluation_ids)
        effects = dues.count_effects(session, evaluation_ids)
    done = EffectState.DONE.value
    return {
        "decisions": {
            "allowed": sum(count for (allowed, _), count in decisions.items() if allowed),
            "refused": {reason: count for (allowed, reason), count in sorted(decisions.items()) if not allowed},
        },
        "pushed": sum(
            count
            for (effect, state, outcome), count in effects.items()
            if effect == Effect.PUSH_CONTACT and state == done and outcome != "unchanged"
        ),
        "triggered": sum(
            count
            for (effect, state, outcome), count in effects.items()
            if effect == Effect.START_AUTOMATION and state == done and outcome != "unchanged"
        ),
        "open": sum(
            count
            for (_, state, _), count in effects.items()
            if state in (EffectState.HELD.value, EffectState.OWED.value, EffectState.CLAIMED.value)
        ),
        "rejected": sum(count for (_, state, _), count in effects.items() if state == EffectState.REJECTED.value),
    }


def people() -> dict[str, int]:
    """How many contacts there are, and how many records are claimed to be theirs."""
    with reading() as session:
        return {"contacts": contacts.count_contacts(session), "identities": records.count_identities(session)}
