"""Writes contacts: one upsert for up to 100, and the search for the one that spoils the call when HubSpot refuses it whole."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from hub.connectors.hubspot.judge import MAPPING_CODES, Refusal, read_refusal
from hub.connectors.hubspot.paths import path
from hub.connectors.hubspot.schema import UpsertSchema, load
from hub.core.connector import Outcome, Outgoing, Result
from hub.core.errors import ContractBroken, HubError, Invalid, RecordRejected, Unavailable
from hub.core.http import Call
from hub.core.types import Lane
from hub.transport import Http

LARGEST_BATCH = 100
MOST_CALLS = 40
"""Calls that one write may cost: many bad records in one batch are found over several attempts, not in one burst."""
PAUSE = 10.0
"""Seconds until what got no verdict is tried again, where nobody says another time."""


@dataclass(frozen=True, slots=True)
class Input:
    """One contact of a call. `trace` is ours, unique within the write: HubSpot repeats it in its answer."""

    trace: str
    key: str
    properties: dict[str, str]


def as_text(value: Any) -> str:
    """A value the way HubSpot wants every property: as text; "" clears it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, list | tuple | set | frozenset):
        return ";".join(as_text(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value))
    return str(value)


def make_input(record: Outgoing, id_property: str, trace: str) -> Input:
    """What is sent for a record; its `key` is "" if the record cannot be told apart on the platform."""
    properties = {name: as_text(value) for name, value in record.values.items()}
    if "email" in properties:
        properties["email"] = properties["email"].strip().lower()
    if id_property != "email" and not properties.get(id_property):
        properties[id_property] = record.key
    return Input(trace, properties.get(id_property, ""), properties)


def write_contacts(http: Http, records: Sequence[Outgoing], id_property: str) -> list[Result]:
    """One verdict per record, same order. Of two records with one key the later is sent, and both get its verdict."""
    inputs = [make_input(record, id_property, f"hub-{place}") for place, record in enumerate(records)]
    latest = {item.key: item for item in inputs if item.key}
    search = Upsert(http, id_property)
    search.settle(list(latest.values()))
    no_key = Result(Outcome.REJECTED, reason=f"The record has no value for {id_property}", field=id_property)
    return [search.verdict(latest[item.key]) if item.key else no_key for item in inputs]


class Upsert:
    """The calls of one write. `known` has the verdicts so far, by trace id."""

    def __init__(self, http: Http, id_property: str) -> None:
        self.http = http
        self.id_property = id_property
        self.known: dict[str, Result] = {}
        self.after = PAUSE
        self._calls = 0

    def verdict(self, item: Input) -> Result:
        """The verdict on one input; without one it is postponed, never assumed."""
        return self.known.get(item.trace) or Result(
            Outcome.POSTPONED, reason="HubSpot gave no verdict on this record yet", after=self.after
        )

    def settle(self, inputs: list[Input]) -> None:
        """Send everything. Raises only while no verdict at all is known; later the rest stays without one."""
        try:
            for start in range(0, len(inputs), LARGEST_BATCH):
                self._send(inputs[start : start + LARGEST_BATCH])
        except HubError as error:
            if not self.known:
                raise
            self.after = (error.after if isinstance(error, Unavailable) else None) or PAUSE

    def _call(self, call: Call) -> Any:
        if self._calls >= MOST_CALLS:
            raise Unavailable("Too many records of this batch are refused", after=PAUSE)
        self._calls += 1
        return self.http.call(call)

    def _send(self, inputs: list[Input]) -> bool:
        """One call for all of them, and whatever is needed after it. True if HubSpot took the call as a whole."""
        try:
            answer = self._call(
                Call("POST", path("contacts.upsert"), json={"inputs": [self._as_json(item) for item in inputs]}, lane=Lane.BULK)
            )
        except RecordRejected as error:
            self._blame(inputs, _refusal(error))
            return False
        self._read(load(UpsertSchema(), answer, self.http.connection), inputs)
        return True

    def _as_json(self, item: Input) -> dict[str, Any]:
        return {
            "id": item.key,
            "idProperty": self.id_property,
            "objectWriteTraceId": item.trace,
            "properties": item.properties,
        }

    def _blame(self, inputs: list[Input], refusal: Refusal) -> None:
        """The whole call was refused: take out whom HubSpot names, else halve until the bad one is alone."""
        self._stop_if_setup_is_wrong(refusal)
        named = named_inputs(refusal, inputs)
        if len(inputs) == 1:
            named = inputs
        if not named:
            self._halve(inputs)
            return
        for item in named:
            self._refuse(item, refusal)
        rest = [item for item in inputs if item.trace not in self.known]
        if rest:
            self._send(rest)

    def _halve(self, inputs: list[Input]) -> None:
        """`inputs` (two or more) hold a bad one. If the left half passes, it is in the right, which need not be sent whole."""
        middle = len(inputs) // 2
        left, right = inputs[:middle], inputs[middle:]
        if self._send(left) and len(right) > 1:
            self._halve(right)
        else:
            self._send(right)

    def _refuse(self, item: Input, refusal: Refusal) -> None:
        """The last word on one input: adopt the contact that stands in its way, or reject it with HubSpot's words."""
        if refusal.existing_id:
            place = path("contact", contact=refusal.existing_id)
            try:
                self._call(Call("PATCH", place, json={"properties": item.properties}, lane=Lane.BULK))
            except RecordRejected as error:
                refusal = _refusal(error)
                self._stop_if_setup_is_wrong(refusal)
            else:
                self.known[item.trace] = Result(Outcome.UPDATED, remote_id=refusal.existing_id)
                return
        self.known[item.trace] = Result(Outcome.REJECTED, reason=refusal.words, field=refusal.field)

    def _read(self, body: Mapping[str, Any], inputs: list[Input]) -> None:
        """Match results by trace id, else by key (their order is not promised); then the errors of a partial answer."""
        by_trace = {item.trace: item for item in inputs}
        by_key = {item.key.lower(): item for item in inputs}
        for result in body["results"]:
            item = by_trace.get(result["trace"] or "") or by_key.get(self._key_of(result["properties"] or {}, by_key))
            if item is not None:
                outcome = Outcome.CREATED if result["new"] else Outcome.UPDATED
                self.known[item.trace] = Result(outcome, remote_id=result["id"])
        refusals = [read_refusal(error) for error in body["errors"] or []]
        for refusal in refusals:
            self._read_error(refusal, by_trace)
        left = [item for item in inputs if item.trace not in self.known]
        if left and len(left) == len(inputs) and not refusals:
            raise ContractBroken(
                "HubSpot's answer says nothing about the contacts that were sent", connection=self.http.connection
            )
        self._read_unnamed(left, [refusal for refusal in refusals if not refusal.traces], bool(body["num_errors"]))

    def _key_of(self, properties: Mapping[str, Any], keys: Mapping[str, Input]) -> str:
        """The key that an answered contact goes by: an upsert may have found it by one of its further addresses."""
        candidates = [str(properties.get(self.id_property) or "").lower()]
        if self.id_property == "email":
            candidates += str(properties.get("hs_additional_emails") or "").lower().split(";")
        return next((key for key in candidates if key in keys), "")

    def _read_error(self, refusal: Refusal, by_trace: Mapping[str, Input]) -> None:
        named = [by_trace[trace] for trace in refusal.traces if trace in by_trace]
        if refusal.code in MAPPING_CODES:
            if not self.known:
                self._stop_if_setup_is_wrong(refusal)
            return  # without a verdict they come again alone, and then it is said
        for item in named:
            self._refuse(item, refusal)

    def _read_unnamed(self, left: list[Input], refusals: list[Refusal], partial: bool) -> None:
        """Errors that name nobody: the only one left is meant, or each half is asked again."""
        refusals = [refusal for refusal in refusals if refusal.code not in MAPPING_CODES]
        if not left or not refusals or not partial:
            return
        if len(left) == 1:
            self._refuse(left[0], refusals[0])
        else:
            self._halve(left)

    def _stop_if_setup_is_wrong(self, refusal: Refusal) -> None:
        if refusal.code in MAPPING_CODES:
            wrong = (
                "HubSpot does not have this property: create it for contacts, or take it out of the dictionary"
                if refusal.code == "PROPERTY_DOESNT_EXIST"
                else "HubSpot does not let this property be written: take it out of the dictionary"
            )
            raise Invalid(
                "The dictionary does not fit the HubSpot account: {property}",
                fields={refusal.field or "mapping": wrong},
                cause=refusal.words,
                property=refusal.field or "?",
            )
        if "non-unique" in refusal.words:
            raise Invalid(
                "HubSpot cannot find contacts by {property}",
                fields={"id_property": "Name a property with unique values, or leave it out for «email»"},
                cause=refusal.words,
                property=self.id_property,
            )


def _refusal(error: RecordRejected) -> Refusal:
    return Refusal(
        error.cause,
        error.vendor_code,
        error.field,
        tuple(error.details.get("traces", ())),
        str(error.details.get("existing_id", "")),
    )


def named_inputs(refusal: Refusal, inputs: list[Input]) -> list[Input]:
    """Whom a refusal of a whole call names: by trace id, else by the named property's value standing in its words."""
    traced = [item for item in inputs if item.trace in refusal.traces]
    if traced:
        return traced
    return [item for item in inputs if _stands_in(item.properties.get(refusal.field or "email", ""), refusal.words)]


def _stands_in(value: str, words: str) -> bool:
    """Whether `value` stands in `words` by itself. Very short values and truth values stand in many sentences by chance."""
    if len(value) < 3 or value in ("true", "false"):
        return False
    return re.search(rf"(?<![\w@.+-]){re.escape(value)}(?![\w@+-]|\.\w)", words, re.I) is not None
