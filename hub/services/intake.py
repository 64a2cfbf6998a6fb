"""Raw records into the hub: map, resolve, store, note consents. One call is one batch inside the caller's transaction."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from hub.core.redact import redact_value
from hub.core.types import Counts, Raw, Target
from hub.mapping.apply import FieldError, Mapped, RecordInvalid
from hub.rules.events import is_paid
from hub.services.evidence import note_acts
from hub.services.people import Changes, claimant_of, find_changes, names_somebody, resolve
from hub.services.prepared import Intake, Prepared, make_intake, prepare
from hub.store import bulk, orders, quarantine, records
from hub.store.db import Session, lock_identities

__all__ = ["Intake", "Prepared", "make_intake", "prepare", "store_batch"]

IN = "in"


@dataclass
class _Batch:
    """What becomes of the changed records of one batch."""

    intake: Intake
    now: datetime
    counts: Counts = field(default_factory=Counts)
    known: dict[str, records.Known] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    mapped: list[Mapped] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    contact_of: dict[str, str | None] = field(default_factory=dict)


def store_batch(session: Session, intake: Intake, raws: Sequence[Raw] | Prepared, now: datetime) -> Counts:
    """Store one batch; reading the same batch again changes nothing. Returns what happened to its records."""
    given = raws if isinstance(raws, Prepared) else prepare(intake, raws)
    batch = _Batch(intake, now, Counts(read=given.read), hashes=given.hashes)
    # A batch that probably changes nothing is not worth the lock; one that probably does is looked up once, behind it.
    locked = given.expected and lock_identities(session)
    batch.known = records.known_records(session, intake.connection_id, intake.stream, given.latest)
    changed = _find_changed(batch, given)
    _map_changed(batch, changed, given.mapped)
    if batch.mapped:
        if not locked and lock_identities(session):
            # Whoever had the lock before us may have stored some of these records.
            ids = [item.external_id for item in batch.mapped]
            batch.known |= records.known_records(session, intake.connection_id, intake.stream, ids)
        changes = None
        if intake.target is Target.CONTACT:
            changes = _find_contacts(session, batch)
        elif intake.target is Target.ORDER:
            _store_orders(session, batch)
        with bulk.together(session):
            if changes:
                changes.save(session, now)
            _store_records(session, batch)
        _note_consents(session, batch)
    _note_quarantine(session, batch, list(changed))
    return batch.counts


def _find_changed(batch: _Batch, given: Prepared) -> dict[str, Raw]:
    """Records that differ from what is stored."""
    known, hashes = batch.known, given.hashes
    changed = {
        external_id: raw
        for external_id, raw in given.latest.items()
        if (stored := known.get(external_id)) is None or stored.raw_hash != hashes[external_id]
    }
    batch.counts.unchanged += given.read - len(changed)
    return changed


def _map_changed(batch: _Batch, changed: Mapping[str, Raw], ahead: Mapping[str, Mapped | RecordInvalid]) -> None:
    intake, counts = batch.intake, batch.counts
    for external_id, raw in changed.items():
        mapped = ahead.get(external_id) or intake.map(external_id, raw)
        if isinstance(mapped, RecordInvalid):
            counts.quarantined += 1
            batch.refused += [_entry(intake, external_id, problem, raw, whole=True) for problem in mapped.errors]
            continue
        batch.mapped.append(mapped)
        if mapped.dropped:
            batch.refused += [_entry(intake, external_id, problem, None, whole=False) for problem in mapped.dropped]
        known = batch.known.get(external_id)
        if known and known.raw_hash:
            counts.updated += 1
        else:
            counts.created += 1


def _entry(intake: Intake, external_id: str, problem: FieldError, raw: Raw | None, *, whole: bool) -> dict[str, Any]:
    return {
        "connection_id": intake.connection_id,
        "direction": IN,
        "stream": intake.stream,
        "external_id": external_id[:120],
        "whole": whole,
        "raw": redact_value(_without_nul(raw if isinstance(raw, dict) else [raw])) if whole else None,
        "run_id": intake.run_id,
        **problem.as_json(),
    }


def _without_nul(raw: Any) -> Any:
    """The record without the one character that PostgreSQL keeps in no text."""
    text = orjson.dumps(raw).decode()
    return orjson.loads(_NUL.sub(r"\1", text)) if "\\u0000" in text else raw


_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def _note_quarantine(session: Session, batch: _Batch, changed: Sequence[str]) -> None:
    intake = batch.intake
    place = (intake.connection_id, IN, intake.stream)
    quarantine.clear_entries(session, *place, changed)
    # Back to what is stored: a refusal of what it was meanwhile is over, left-out fields still are.
    quarantine.clear_entries(session, *place, batch.known.keys() - set(changed), whole=True)
    if batch.refused:
        quarantine.add_entries(session, batch.refused, batch.now)


def _find_contacts(session: Session, batch: _Batch) -> Changes:
    """Whose the records are, and what that makes of the contacts; to be saved by the caller."""
    claimants = []
    for item in batch.mapped:
        known = batch.known.get(item.external_id)
        claimants.append(claimant_of(item.external_id, item.standard, known.contact_id if known else None))
    claims = resolve(session, claimants)
    claimed = [(claim, item.standard) for claim, item in zip(claims, batch.mapped, strict=True)]
    for claim, item in zip(claims, batch.mapped, strict=True):
        batch.contact_of[item.external_id] = claim.contact_id
    return find_changes(session, claimed, overwrite=True)


def _store_orders(session: Session, batch: _Batch) -> None:
    """Orders belong to the customer they name, else to whom their e-mail or phone names; some to nobody."""
    intake = batch.intake
    buyer_ids = {str(item.standard["buyer_id"]) for item in batch.mapped if "buyer_id" in item.standard}
    links = records.known_records(session, intake.connection_id, intake.buyers, buyer_ids) if intake.buyers else {}
    claimants = []
    for item in batch.mapped:
        buyer = links.get(item.standard.get("buyer_id", ""))
        known = batch.known.get(item.external_id)
        linked = (buyer.contact_id if buyer else None) or (known.contact_id if known else None)
        # What somebody typed into an order of a registered customer may be another person's: no identifier of theirs.
        claimants.append(claimant_of(item.external_id, item.standard, linked, bare=buyer is not None))
        claimants[-1].buyer = item.standard.get("buyer_id")
    nameable = [
        (claimant, item)
        for claimant, item in zip(claimants, batch.mapped, strict=True)
        if claimant.linked or names_somebody(claimant) or "buyer_id" in item.standard
    ]
    claims = resolve(session, [claimant for claimant, _ in nameable])
    named = [(claim, item.standard) for claim, (_, item) in zip(claims, nameable, strict=True)]
    find_changes(session, named, overwrite=False).save(session, batch.now)
    for claim, (claimant, item) in zip(claims, nameable, strict=True):
        batch.contact_of[claimant.external_id] = claim.contact_id
        buyer_id = item.standard.get("buyer_id")
        if buyer_id and buyer_id not in links:
            links[buyer_id] = records.Known(None, claim.contact_id)
            _link_buyer(session, intake, buyer_id, claim.contact_id, batch.now)
    orders.save_orders(session, [_order_row(batch, item) for item in batch.mapped])


def _link_buyer(session: Session, intake: Intake, buyer_id: str, contact_id: str, now: datetime) -> None:
    """The order names a customer who has not been read yet: when they come, they are this contact."""
    row = {"connection_id": intake.connection_id, "stream": intake.buyers, "external_id": buyer_id}
    records.save_links(session, [{**row, "contact_id": contact_id, "changed_at": now}])


def _order_row(batch: _Batch, item: Mapped) -> dict[str, Any]:
    standard = item.standard
    total, refunded = standard["total"], standard.get("refunded", 0)
    paid_at = standard.get("paid_at")
    return {
        "connection_id": batch.intake.connection_id,
        "external_id": item.external_id,
        "contact_id": batch.contact_of.get(item.external_id),
        "number": standard["number"][:120],
        "status": standard["status"][:60],
        "paid": is_paid(standard["status"], paid_at, total, refunded),
        "guest": "buyer_id" not in standard,
        "email": standard.get("email"),
        "placed_at": datetime.fromisoformat(standard["placed_at"]),
        "paid_at": datetime.fromisoformat(paid_at) if paid_at else None,
        "currency": standard["currency"],
        "total": total,
        "refunded": refunded,
    }


def _store_records(session: Session, batch: _Batch) -> None:
    intake, contact_of, hashes = batch.intake, batch.contact_of, batch.hashes
    read = [
        records.Read(item.external_id, contact_of.get(item.external_id), hashes[item.external_id], item.standard)
        for item in batch.mapped
    ]
    records.save_records(session, intake.connection_id, intake.stream, read, batch.now)


def _note_consents(session: Session, batch: _Batch) -> None:
    found = [
        (contact_id, act)
        for item in batch.mapped
        if item.consents and (contact_id := batch.contact_of.get(item.external_id))
        for act in item.consents
    ]
    for act, problem in note_acts(session, batch.intake.connection_id, found, batch.now):
        batch.refused.append(_entry(batch.intake, str(act.evidence["record"]), problem, None, whole=False))
