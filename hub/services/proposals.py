"""Scenarios on their way to being published: one person writes and hands in, another one publishes or sends back.

Whoever wrote any part of a proposal may not publish it, whatever their roles and through whichever door: the list of its
writers holds the ids of users, also where a token of theirs was used, and a name or a role changes nothing about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hub.core.errors import Conflict, Forbidden, Invalid, NotFound
from hub.core.texts import N_
from hub.services.audit import actor, note
from hub.services.context import Context
from hub.services.hooks import tell
from hub.services.preferences import ChangedMeanwhile
from hub.services.scenarios import check_scenario, published_definition, save_published
from hub.store import proposals, stopping
from hub.store.db import Session, new_id, transaction
from hub.store.proposals import DISCARDED, DRAFT, PUBLISHED, REJECTED, UNDECIDED, WAITING

LONGEST_NOTE = 2000
NOTE_TOO_LONG = N_("At most {most} characters fit here")
NOTE_MISSING = N_("Say what is to be changed, so that the author knows")
UNPRINTABLE = N_("This holds characters that cannot be shown; type it again")
KEY_FIXED = N_("The key of a draft does not change; write a new scenario instead")


class OwnProposal(Forbidden):
    """Whoever wrote it wants to publish it."""

    code = "own_proposal"
    message = "You wrote this scenario or changed it, so somebody else has to publish it"
    cure = "Ask another person whose role may publish; being an owner does not change this"


class PublishedMeanwhile(Conflict):
    """The scenario was published anew since the draft was begun."""

    code = "published_meanwhile"
    message = "The scenario was published by other means since this draft was begun"
    cure = "Open the draft, compare it with what is published now, and save it again"


def read_proposal(session: Session, proposal_id: str, *, lock: bool = False) -> Any:
    """The proposal's row (hub/store/proposals.py); NotFound if there is none."""
    row = proposals.find_proposal(session, proposal_id, lock=lock)
    if row is None:
        raise NotFound("There is no such draft", cure="Go on from the list of scenarios", subject=proposal_id)
    return row


def save_draft(
    context: Context,
    user_id: str,
    definition: Mapping[str, Any],
    *,
    proposal_id: str | None = None,
    seen_version: int | None = None,
    note_text: str = "",
) -> str:
    """Keep a scenario that is not to be published yet; returns the proposal's id.

    Without `proposal_id` a new draft is begun; the same person sending the same once more gets the same draft, and where
    somebody works on this scenario already it is a Conflict. With it the draft is changed: also one that waits, was sent
    back or discarded, which then is a draft again. `ChangedMeanwhile` (its `theirs` is the row now) unless `seen_version`
    is the newest. Invalid names the wrong fields as `publish_scenario` does.
    """
    now, text = context.now(), _note(note_text)
    with transaction() as session:
        if proposal_id is None:
            checked = check_scenario(context, session, definition).definition
            return _begin(session, user_id, checked, text, now)
        row = read_proposal(session, proposal_id, lock=True)
        _need_seen(row, seen_version)
        checked = check_scenario(context, session, definition).definition
        if checked["key"] != row.scenario_key:
            raise Invalid("The scenario cannot be read", fields={"key": KEY_FIXED})
        if row.state == PUBLISHED:
            raise Conflict("This draft was published; begin a new one")
        if row.state not in UNDECIDED:
            _need_alone(session, row.scenario_key)
        values = {
            "definition": checked,
            "state": DRAFT,
            "note": text,
            "based_on": _current_version(session, row.scenario_key),
            "editors": sorted({*row.editors, user_id}),
            "updated_at": now,
        }
        proposals.change_proposal(session, row.id, values)
        _trail(session, "changed", row, now, before=row.definition, after=checked)
    return proposal_id


def _begin(session: Session, user_id: str, checked: Mapping[str, Any], text: str, now: datetime) -> str:
    known = proposals.open_proposal(session, checked["key"])
    if known is not None and (known.author_id, known.state, known.definition) == (user_id, DRAFT, checked):
        return str(known.id)
    _need_alone(session, checked["key"])
    row = {
        "id": new_id(),
        "scenario_key": checked["key"],
        "definition": dict(checked),
        "state": DRAFT,
        "based_on": _current_version(session, checked["key"]),
        "version": 1,
        "author_id": user_id,
        "author_name": actor().name,
        "editors": [user_id],
        "note": text,
        "created_at": now,
        "updated_at": now,
    }
    proposals.add_proposal(session, row)
    note(session, "proposal.created", ("proposal", row["id"], checked["key"]), now, after=checked)
    return str(row["id"])


def submit_proposal(context: Context, user_id: str, proposal_id: str, seen_version: int | None) -> None:
    """Hand a draft in; sent twice it stays handed in. Whoever hands it in may still publish it if they wrote nothing of it."""
    now = context.now()
    with transaction() as session:
        row = read_proposal(session, proposal_id, lock=True)
        if row.state == WAITING:
            return
        _need_seen(row, seen_version)
        _need_state(row, DRAFT)
        check_scenario(context, session, row.definition)
        proposals.change_proposal(session, row.id, {"state": WAITING, "submitted_at": now, "updated_at": now})
        _trail(session, "submitted", row, now)
        tell(session, "scenario.submitted", row.id, {"proposal_id": row.id, "key": row.scenario_key}, now)


def publish_proposal(context: Context, user_id: str, proposal_id: str, seen_version: int | None, note_text: str = "") -> str:
    """Publish what somebody else handed in; returns the scenario's id. Sent twice by the same person it is done once.

    `OwnProposal` for everybody who wrote any of it, `PublishedMeanwhile` if the scenario is not what the draft began from.
    """
    now, text = context.now(), _note(note_text)
    with transaction() as session:
        row = read_proposal(session, proposal_id, lock=True)
        if row.state == PUBLISHED and row.decided_by == user_id:
            known = stopping.scenario_with_segment(session, row.scenario_key)
            return str(known.id) if known else ""
        if not user_id or user_id in {*row.editors, row.author_id}:
            raise OwnProposal
        _need_seen(row, seen_version)
        _need_state(row, WAITING)
        if _current_version(session, row.scenario_key) != row.based_on:
            raise PublishedMeanwhile
        scenario_id = save_published(session, check_scenario(context, session, row.definition), now)
        _decide(session, row, PUBLISHED, user_id, text, now)
        _trail(session, "published", row, now, after={"note": text})
    return scenario_id


def reject_proposal(context: Context, user_id: str, proposal_id: str, seen_version: int | None, note_text: str) -> None:
    """Send it back with a note for its author, who may change it and hand it in again."""
    now, text = context.now(), _note(note_text)
    if not text:
        raise Invalid("The draft cannot be sent back", fields={"note": NOTE_MISSING})
    with transaction() as session:
        row = read_proposal(session, proposal_id, lock=True)
        if row.state == REJECTED and row.decided_by == user_id:
            return
        _need_seen(row, seen_version)
        _need_state(row, WAITING)
        _decide(session, row, REJECTED, user_id, text, now)
        _trail(session, "rejected", row, now, after={"note": text})
        tell(session, "scenario.rejected", row.id, {"proposal_id": row.id, "key": row.scenario_key}, now)


def discard_proposal(context: Context, user_id: str, proposal_id: str, seen_version: int | None) -> None:
    """Put a draft away; saving it again brings it back."""
    now = context.now()
    with transaction() as session:
        row = read_proposal(session, proposal_id, lock=True)
        if row.state == DISCARDED:
            return
        _need_seen(row, seen_version)
        if row.state == PUBLISHED:
            raise Conflict("This draft was published; begin a new one")
        _decide(session, row, DISCARDED, user_id, "", now)
        _trail(session, "discarded", row, now)


def shared_with(session: Session, definition: Mapping[str, Any]) -> list[str]:
    """Keys of other published scenarios whose segment publishing this would change."""
    segment = definition["segment"]
    return [
        row.key
        for row in stopping.scenarios_with_segments(session)
        if row.segment_key == segment["key"] and row.key != definition["key"] and row.definition != segment["definition"]
    ]


def compare(session: Session, row: Any) -> list[tuple[str, Any, Any]]:
    """(field, what is published, what is proposed) for every field that differs; everything, if nothing is published."""
    before, after = published_definition(session, row.scenario_key) or {}, row.definition
    found = [(name, before.get(name), after.get(name)) for name in after if name not in ("key", "segment")]
    old, new = before.get("segment", {}), after["segment"]
    found += [(f"segment.{name}", old.get(name), new.get(name)) for name in ("key", "name", "definition")]
    return [(name, one, other) for name, one, other in found if (one or None) != (other or None)]


def _decide(session: Session, row: Any, state: str, user_id: str, text: str, now: datetime) -> None:
    decided = {"decided_by": user_id, "decided_by_name": actor().name, "decision_note": text, "decided_at": now}
    proposals.change_proposal(session, row.id, {"state": state, "updated_at": now, **decided})


def _trail(session: Session, verb: str, row: Any, now: datetime, **values: Any) -> None:
    note(session, f"proposal.{verb}", ("proposal", row.id, row.scenario_key), now, **values)


def _need_seen(row: Any, seen_version: int | None) -> None:
    if seen_version is not None and seen_version != row.version:
        error = ChangedMeanwhile()
        error.theirs = row
        raise error


def _need_state(row: Any, state: str) -> None:
    if row.state != state:
        raise Conflict("The draft is not in the state for this any more", cure="Open it again and look at it")


def _need_alone(session: Session, key: str) -> None:
    known = proposals.open_proposal(session, key)
    if known is not None:
        raise Conflict(
            "{author} works on a draft of this scenario already",
            cure="Open that draft from the list of scenarios and change it there",
            author=known.author_name,
            details={"proposal_id": known.id},
        )


def _current_version(session: Session, key: str) -> int | None:
    row = stopping.scenario_with_segment(session, key)
    return row.version if row else None


def _note(text: str) -> str:
    text = text.replace("\r\n", "\n").strip()
    if len(text) > LONGEST_NOTE:
        raise Invalid("The note cannot be kept", fields={"note": NOTE_TOO_LONG}, most=LONGEST_NOTE)
    if not text.replace("\n", " ").replace("\t", " ").isprintable():
        raise Invalid("The note cannot be kept", fields={"note": UNPRINTABLE})
    return text
