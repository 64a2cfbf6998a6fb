"""Raw records into the hub: map, resolve, store, note consents. One call is one batch inside the caller's transaction."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from hub.core.connector import Declaration, StreamInfo
from hub.core.redact import redact_value
from hub.core.types import Counts, Raw, Target
from hub.mapping import convert
from hub.mapping.apply import FieldError, Mapped, RecordInvalid, compile_reads
from hub.mapping.convert import Unfit
from hub.mapping.dictionary import ReadMapping
from hub.mapping.paths import Misplaced, compile_path
from hub.mapping.reading import field_error
from hub.rules.events import is_paid
from hub.services.evidence import note_acts
from hub.services.people import claimant_of, names_somebody, resolve, save_profiles
from hub.store import orders, quarantine, records
from hub.store.db import Session, lock_identities

IN = "in"


@dataclass(frozen=True)
class Intake:
    """One stream of one connection, compiled once per job. `buyers` is the stream that orders name their customers of."""

    connection_id: str
    stream: str
    target: Target
    mapping: ReadMapping
    apply: Callable[[Raw], Mapped]
    buyers: str | None
    run_id: str
    version: bytes
    """Of everything beside the record that decides what the hub makes of it; at most 64 bytes."""

    def raw_hash(self, raw: Raw) -> str:
        """Of the raw record and of everything that decides what the hub makes of it."""
        try:
            plain = orjson.dumps(raw)
        except TypeError:  # nested deeper than orjson writes, though it reads it
            plain = repr(raw).encode()
        return hashlib.blake2b(plain, digest_size=16, key=self.version).hexdigest()

    def identify(self, raw: Any) -> str:
        """The external id as the mapping reads it; empty if it is none, or the record is not even a record."""
        if not isinstance(raw, dict):
            return ""
        try:
            value = raw.get("id") if self.mapping.id_path == "id" else compile_path(self.mapping.id_path)(raw)
            found = convert.external_id(value)
        except (Misplaced, Unfit):
            return ""
        return found if len(found) <= records.LONGEST_ID else ""


def make_intake(
    connection_id: str,
    connection_name: str,
    declaration: Declaration,
    stream: StreamInfo,
    mapping: ReadMapping,
    *,
    country: str,
    currency: str,
    run_id: str,
) -> Intake:
    """`country` is home for phone numbers, `currency` the shop's own for records that name none."""
    buyers = next((item.name for item in declaration.streams if item.reads and item.target is Target.CONTACT), None)
    return Intake(
        connection_id=connection_id,
        stream=stream.name,
        target=mapping.target,
        mapping=mapping,
        apply=compile_reads(mapping, source=connection_name, country=country, currency=currency),
        buyers=buyers,
        run_id=run_id,
        version=f"{mapping.version}/{country}/{currency}".encode()[:64],
    )


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


def store_batch(session: Session, intake: Intake, raws: Sequence[Raw], now: datetime) -> Counts:
    """Store one batch; reading the same batch again changes nothing. Returns what happened to its records."""
    batch = _Batch(intake, now, Counts(read=len(raws)))
    changed = _find_changed(session, batch, raws)
    _map_changed(batch, changed)
    if batch.mapped:
        if lock_identities(session):
            # Whoever had the lock before us may have stored some of these records.
            ids = [item.external_id for item in batch.mapped]
            batch.known |= records.known_records(session, intake.connection_id, intake.stream, ids)
        if intake.target is Target.CONTACT:
            _store_contacts(session, batch)
        elif intake.target is Target.ORDER:
            _store_orders(session, batch)
        _store_records(session, batch)
        _note_consents(session, batch)
    _note_quarantine(session, batch, list(changed))
    return batch.counts


def _find_changed(session: Session, batch: _Batch, raws: Sequence[Raw]) -> dict[str, Raw]:
    """Records that differ from what is stored, the last of each id; those without an id under a name of their own."""
    intake = batch.intake
    latest: dict[str, Raw] = {}
    for raw in raws:
        latest[intake.identify(raw) or f"?{intake.raw_hash(raw)[:16]}"] = raw
    batch.counts.unchanged += len(raws) - len(latest)
    batch.known = records.known_records(session, intake.connection_id, intake.stream, latest)
    changed: dict[str, Raw] = {}
    for external_id, raw in latest.items():
        digest = intake.raw_hash(raw)
        known = batch.known.get(external_id)
        if known and known.raw_hash == digest:
            batch.counts.unchanged += 1
        else:
            changed[external_id] = raw
            batch.hashes[external_id] = digest
    return changed


def _map_changed(batch: _Batch, changed: Mapping[str, Raw]) -> None:
    for external_id, raw in changed.items():
        try:
            mapped = batch.intake.apply(raw)
            if mapped.external_id != external_id or len(mapped.standard.get("buyer_id", "")) > records.LONGEST_ID:
                name = "id" if mapped.external_id != external_id else "buyer_id"
                raise RecordInvalid(errors=[field_error(name, "bad_id", None)])
        except RecordInvalid as error:
            batch.counts.quarantined += 1
            batch.refused += [_entry(batch.intake, external_id, problem, raw, whole=True) for problem in error.errors]
            continue
        batch.mapped.append(mapped)
        batch.refused += [_entry(batch.intake, external_id, problem, None, whole=False) for problem in mapped.dropped]
        known = batch.known.get(external_id)
        if known and known.raw_hash:
            batch.counts.updated += 1
        else:
            batch.counts.created += 1


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
    if changed:
        quarantine.clear_entries(session, intake.connection_id, IN, intake.stream, changed)
    if same := list(batch.known.keys() - set(changed)):
        # Back to what is stored: a refusal of what it was meanwhile is over, left-out fields still are.
        quarantine.clear_entries(session, intake.connection_id, IN, intake.stream, same, whole=True)
    if batch.refused:
        quarantine.add_entries(session, batch.refused, batch.now)


def _store_contacts(session: Session, batch: _Batch) -> None:
    claimants = []
    for item in batch.mapped:
        known = batch.known.get(item.external_id)
        claimants.append(claimant_of(item.external_id, item.standard, known.contact_id if known else None))
    claims = resolve(session, claimants)
    claimed = list(zip(claims, batch.mapped, strict=True))
    save_profiles(session, [(claim, item.standard) for claim, item in claimed], batch.now, overwrite=True)
    for claim, item in claimed:
        batch.contact_of[item.external_id] = claim.contact_id


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
    save_profiles(session, named, batch.now, overwrite=False)
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
    intake = batch.intake
    rows = [
        {
            "connection_id": intake.connection_id,
            "stream": intake.stream,
            "external_id": item.external_id,
            "contact_id": batch.contact_of.get(item.external_id),
            "raw_hash": batch.hashes[item.external_id],
            "standard": item.standard,
            "changed_at": batch.now,
        }
        for item in batch.mapped
    ]
    records.save_records(session, rows)


def _note_consents(session: Session, batch: _Batch) -> None:
    found = [
        (contact_id, act)
        for item in batch.mapped
        if item.consents and (contact_id := batch.contact_of.get(item.external_id))
        for act in item.consents
    ]
    for act, problem in note_acts(session, batch.intake.connection_id, found, batch.now):
        batch.refused.append(_entry(batch.intake, str(act.evidence["record"]), problem, None, whole=False))
