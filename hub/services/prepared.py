"""The part of a batch that needs no database: ids, hashes, mapping. It can be made while another batch is being stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from hub.core.connector import Declaration, StreamInfo
from hub.core.types import Raw, Target
from hub.mapping import convert
from hub.mapping.apply import Mapped, RecordInvalid, compile_reads
from hub.mapping.convert import LARGEST, Unfit
from hub.mapping.dictionary import ReadMapping
from hub.mapping.paths import Getter, Misplaced, compile_path
from hub.mapping.reading import field_error
from hub.store import records


@dataclass(frozen=True)
class Intake:
    """One stream of one connection, compiled once per job. `buyers` is the stream that orders name their customers of."""

    connection_id: str
    stream: str
    target: Target
    mapping: ReadMapping
    apply: Callable[[Raw], Mapped]
    read_id: Getter
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
            value = self.read_id(raw)
            if type(value) is int and 0 <= value <= LARGEST:
                return str(value)
            found = convert.external_id(value)
        except (Misplaced, Unfit):
            return ""
        return found if len(found) <= records.LONGEST_ID else ""

    def map(self, external_id: str, raw: Raw) -> Mapped | RecordInvalid:
        """The record in the hub's own fields, or everything that is wrong with it."""
        try:
            mapped = self.apply(raw)
        except RecordInvalid as error:
            return error
        if mapped.external_id != external_id:
            return RecordInvalid(errors=[field_error("id", "bad_id", None)])
        if len(mapped.standard.get("buyer_id", "")) > records.LONGEST_ID:
            return RecordInvalid(errors=[field_error("buyer_id", "bad_id", None)])
        return mapped


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
        read_id=compile_path(mapping.id_path),
        buyers=buyers,
        run_id=run_id,
        version=f"{mapping.version}/{country}/{currency}".encode()[:64],
    )


@dataclass(slots=True)
class Prepared:
    """A batch's records, the last of each id; those without an id stand under a name of their own.

    `mapped` holds what was mapped ahead: everything where `expected` is set, because most records of the batch are
    expected to be new or changed, else nothing.
    """

    read: int
    latest: dict[str, Raw]
    hashes: dict[str, str]
    expected: bool = False
    mapped: dict[str, Mapped | RecordInvalid] = field(default_factory=dict)


def prepare(intake: Intake, raws: Sequence[Raw], *, expected: bool = False) -> Prepared:
    identify, raw_hash = intake.identify, intake.raw_hash
    latest = {identify(raw) or f"?{raw_hash(raw)[:16]}": raw for raw in raws}
    hashes = {external_id: raw_hash(raw) for external_id, raw in latest.items()}
    mapped = {external_id: intake.map(external_id, raw) for external_id, raw in latest.items()} if expected else {}
    return Prepared(len(raws), latest, hashes, expected, mapped)
