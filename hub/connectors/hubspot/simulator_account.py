"""The simulated account's contacts and their properties: one e-mail, one contact; unknown properties are an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from hub.connectors.hubspot.simulator_gate import Refuse, invalid, not_found

DEFAULT_PROPERTIES = (
    "address city company country createdate date_of_birth email firstname gender hs_additional_emails hs_object_id "
    "hs_language industry jobtitle lastmodifieddate lastname lifecyclestage mobilephone phone salutation state website zip"
).split()
READ_ONLY = frozenset({"createdate", "hs_object_id", "lastmodifieddate"})
EMAIL = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
LARGEST_BATCH = 100
SEARCH_WINDOW = 10_000


def property_error(name: str, code: str, message: str) -> str:
    """HubSpot's older services put the detail as JSON text into the message."""
    detail = [{"isValid": False, "message": message, "error": code, "name": name, "localizedErrorMessage": message}]
    return f"Property values were not valid: {orjson.dumps(detail).decode()}"


class Contacts:
    """Contacts by id, with an index of each unique property. `poison` holds addresses that are refused for another reason."""

    def __init__(self, clock: Callable[[], float], *, strict_batches: bool, poison: Iterable[str] = ()) -> None:
        self.clock = clock
        self.strict_batches = strict_batches
        self.poison = {email.lower() for email in poison}
        self.properties: dict[str, dict[str, Any]] = {name: _definition(name) for name in DEFAULT_PROPERTIES}
        self.by_id: dict[str, dict[str, Any]] = {}
        self.index: dict[str, dict[str, str]] = {"email": {}}
        self.gone: set[str] = set()
        self.blocked: set[str] = set()
        self.changes = self.upserted = 0
        self.reverse_results = False
        self.repeat_traces = True
        self._next = 2001

    def add_property(self, body: dict[str, Any]) -> dict[str, Any]:
        name = str(body.get("name") or "")
        missing = [field for field in ("name", "label", "type", "fieldType", "groupName") if not body.get(field)]
        if missing or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise invalid(f"Invalid input JSON on line 1, column 1: some required fields were not set: {missing or ['name']}")
        if name in self.properties:
            raise Refuse(
                409,
                {
                    "message": f"A property named '{name}' already exists.",
                    "category": "OBJECT_ALREADY_EXISTS",
                    "subCategory": "Properties.PROPERTY_WITH_NAME_EXISTS",
                },
            )
        self.properties[name] = {**_definition(name), **body, "hubspotDefined": False}
        if body.get("hasUniqueValue"):
            self.index[name] = {}
        self.changes += 1
        return self.properties[name]

    def find(self, key: str, id_property: str = "") -> dict[str, Any]:
        """A contact by id, or by the value of a unique property."""
        if id_property:
            key = self._unique(id_property).get(key.lower(), "")
        if key not in self.by_id:
            raise not_found()
        return self.by_id[key]

    def _unique(self, name: str) -> dict[str, str]:
        if name not in self.index:
            raise invalid(f"Unable to perform update/upsert by non-unique 0-1 property: {name}")
        return self.index[name]

    def check(self, properties: dict[str, Any], own_id: str = "") -> None:
        """Raise for what HubSpot would refuse in one contact."""
        for name, value in properties.items():
            if name not in self.properties:
                raise invalid(property_error(name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'))
            if name in READ_ONLY:
                raise invalid(property_error(name, "READ_ONLY_VALUE", f"{name} is a read only property"))
            if not isinstance(value, str):
                raise invalid(f"Invalid input JSON on line 1, column 1: Cannot deserialize the value of {name}")
        email = properties.get("email", "").lower()
        if not email:
            return
        if not EMAIL.match(email):
            raise invalid(property_error("email", "INVALID_EMAIL", f"Email address {email} is invalid"))
        if email in self.poison or email in self.blocked:
            words = "was not one of the allowed options"
            raise invalid(property_error("lifecyclestage", "INVALID_OPTION", words))
        taken = self.index["email"].get(email)
        if taken and taken != own_id:
            raise Refuse(409, {"message": f"Contact already exists. Existing ID: {taken}", "category": "CONFLICT"})

    def create(self, properties: dict[str, Any]) -> dict[str, Any]:
        self.check(properties)
        contact_id, self._next = str(self._next), self._next + 1
        stamp = self._stamp()
        contact = {"id": contact_id, "properties": {}, "createdAt": stamp, "updatedAt": stamp, "archived": False}
        contact["properties"] = {"createdate": stamp, "hs_object_id": contact_id, "lastmodifieddate": stamp}
        self.by_id[contact_id] = contact
        self._put(contact, properties)
        self.changes += 1
        return contact

    def update(self, contact: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
        self.check(properties, contact["id"])
        held = contact["properties"]
        if any(held.get(name, "") != value for name, value in properties.items()):
            contact["updatedAt"] = held["lastmodifieddate"] = self._stamp()
            self._put(contact, properties)
            self.changes += 1
        return contact

    def _put(self, contact: dict[str, Any], properties: dict[str, Any]) -> None:
        held = contact["properties"]
        for name, entries in self.index.items():
            if name in properties:
                if held.get(name):
                    entries.pop(held[name].lower(), None)
                if properties[name]:
                    entries[properties[name].lower()] = contact["id"]
        held.update(properties)
        if "email" in properties:
            held["email"] = properties["email"].lower()
        if "hs_additional_emails" in properties:
            self.index["email"].update({one.lower(): contact["id"] for one in held["hs_additional_emails"].split(";") if one})

    def _stamp(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def delete(self, contact: dict[str, Any]) -> None:
        del self.by_id[contact["id"]]
        self.gone.add(contact["id"])
        for entries in self.index.values():
            for value in [value for value, owner in entries.items() if owner == contact["id"]]:
                del entries[value]
        self.changes += 1

    def gdpr_delete(self, body: dict[str, Any]) -> None:
        """By e-mail, an unknown address is put on a blocklist and can never be created again."""
        key, id_property = str(body.get("objectId") or ""), str(body.get("idProperty") or "")
        if id_property == "email":
            self.blocked.add(key.lower())
        try:
            self.delete(self.find(key, id_property))
        except Refuse:
            if id_property != "email":
                raise

    def upsert(self, one: dict[str, Any], id_property: str) -> dict[str, Any]:
        key, properties = str(one["id"]), dict(one.get("properties") or {})
        properties.setdefault(id_property, key)
        owner = self._unique(id_property).get(key.lower())
        contact = self.by_id.get(owner or "")
        if contact is not None and id_property == "email" and contact["properties"].get("email") != key.lower():
            properties.pop("email")  # found by a further address: the main one stays
        result = self.create(properties) if contact is None else self.update(contact, properties)
        self.upserted += 1
        return {**result, "new": contact is None}

    def batch(self, kind: str, body: Any) -> tuple[int, dict[str, Any]]:
        """batch/upsert, create and update: all or nothing, or partial by trace id where that is supported."""
        inputs = self._inputs(body)
        named = {one.get("idProperty") or "" for one in inputs}
        if len(named) > 1:
            raise invalid("All inputs of a batch must have the same idProperty")
        id_property = next(iter(named)) or ("email" if kind == "upsert" else "")
        keys = [str(one.get("id", place)).lower() for place, one in enumerate(inputs)]
        if len(set(keys)) < len(keys):
            raise invalid("Duplicate IDs found in batch input")
        if kind == "upsert":
            self._unique(id_property)
        traced = all(one.get("objectWriteTraceId") for one in inputs)
        partial = traced and (kind != "upsert" or id_property != "email" or not self.strict_batches)
        if not partial:
            self._check_all(kind, inputs, id_property)
        return self._answer([self._one(kind, one, id_property, partial) for one in inputs])

    @staticmethod
    def _inputs(body: Any) -> list[dict[str, Any]]:
        inputs = body.get("inputs") if isinstance(body, dict) else None
        if not isinstance(inputs, list) or not inputs:
            raise invalid("Invalid input JSON on line 1, column 1: required attributes are not set [inputs]")
        if len(inputs) > LARGEST_BATCH:
            raise invalid(f"The maximum number of inputs supported in a batch request is {LARGEST_BATCH}")
        return inputs

    def _check_all(self, kind: str, inputs: list[dict[str, Any]], id_property: str) -> None:
        for one in inputs:
            key = str(one.get("id") or "")
            owner = self.index[id_property].get(key.lower(), "") if id_property else key
            named = {id_property: key} if kind == "upsert" else {}
            self.check({**named, **(one.get("properties") or {})}, "" if kind == "create" else owner)

    def _one(self, kind: str, one: dict[str, Any], id_property: str, partial: bool) -> dict[str, Any]:
        trace = one.get("objectWriteTraceId")
        try:
            if kind == "upsert":
                done = self.upsert(one, id_property)
            elif kind == "create":
                done = self.create(one.get("properties") or {})
            else:
                done = self.update(self.find(str(one.get("id")), id_property), one.get("properties") or {})
        except Refuse as refused:
            if not partial:
                raise
            body = refused.body
            context = {"objectWriteTraceId": [trace]}
            return {"status": "error", "category": body["category"], "message": body["message"], "context": context}
        return {**done, "objectWriteTraceId": trace} if trace and self.repeat_traces else done

    def _answer(self, outcomes: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
        results = [outcome for outcome in outcomes if "id" in outcome]
        errors = [outcome for outcome in outcomes if "id" not in outcome]
        stamp = self._stamp()
        answer: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": stamp, "completedAt": stamp}
        if self.reverse_results:
            results.reverse()
        if errors:
            answer |= {"numErrors": len(errors), "errors": errors}
        return (207 if errors else 200), answer

    def read_batch(self, body: Any) -> tuple[int, dict[str, Any]]:
        id_property = str(body.get("idProperty") or "") if isinstance(body, dict) else ""
        outcomes: list[dict[str, Any]] = []
        for one in self._inputs(body):
            try:
                outcomes.append(self.find(str(one["id"]), id_property))
            except Refuse as refused:
                context = {"ids": [str(one["id"])]}
                outcomes.append({**refused.body, "message": "Could not get some CONTACT objects", "context": context})
        return self._answer(outcomes)

    def page(self, after: str, limit: int) -> dict[str, Any]:
        ids = [contact_id for contact_id in self.by_id if int(contact_id) > int(after or 0)][: limit + 1]
        answer: dict[str, Any] = {"results": [self.by_id[one] for one in ids[:limit]]}
        if len(ids) > limit:
            answer["paging"] = {"next": {"after": ids[limit - 1]}}
        return answer

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        limit, start = int(body.get("limit") or 10), int(body.get("after") or 0)
        if limit > 200 or start + limit > SEARCH_WINDOW:
            raise invalid("The search ends at 10000 results" if limit <= 200 else "The limit is at most 200")
        groups = body.get("filterGroups") or []
        found = [
            contact
            for contact in self.by_id.values()
            if not groups or any(all(_fits(contact, one) for one in group.get("filters") or []) for group in groups)
        ]
        answer: dict[str, Any] = {"total": len(found), "results": found[start : start + limit]}
        if start + limit < len(found):
            answer["paging"] = {"next": {"after": str(start + limit)}}
        return answer


def _fits(contact: dict[str, Any], one: dict[str, Any]) -> bool:
    value = str(contact["properties"].get(one.get("propertyName")) or "")
    wanted = str(one.get("value") or "")
    match one.get("operator"):
        case "EQ":
            return value.lower() == wanted.lower()
        case "NEQ":
            return value.lower() != wanted.lower()
        case "IN":
            return value.lower() in {str(item).lower() for item in one.get("values") or []}
        case "HAS_PROPERTY":
            return value != ""
        case "NOT_HAS_PROPERTY":
            return value == ""
        case "GT" if value.isdigit() and wanted.isdigit():
            return int(value) > int(wanted)
        case "GT":
            return value > wanted
        case other:
            raise invalid(f"This simulator does not know the operator {other}")


def _definition(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name,
        "type": "string",
        "fieldType": "text",
        "groupName": "contactinformation",
        "description": "",
        "options": [],
        "hasUniqueValue": name == "email",
        "hubspotDefined": True,
        "modificationMetadata": {"archivable": False, "readOnlyDefinition": True, "readOnlyValue": name in READ_ONLY},
    }
