"""The simulated account's lists and workflows, with a log of every enrolment so that «twice» can be seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hub.connectors.hubspot.simulator_account import Contacts
from hub.connectors.hubspot.simulator_gate import invalid, not_found

LIST_ID, SEGMENT_LIST_ID, DYNAMIC_LIST_ID = "61", "62", "63"
WORKFLOW_ID, FLOW_ID = "4411", "991004411"


@dataclass
class ContactList:
    id: str
    name: str
    processing: str
    workflow: str = ""
    members: dict[str, float] = field(default_factory=dict)


class Lists:
    """Three lists to begin with: one that starts the workflow, one for a segment, one DYNAMIC."""

    def __init__(self, contacts: Contacts, clock: Callable[[], float]) -> None:
        self.contacts = contacts
        self.clock = clock
        self.changes = 0
        self.enabled = True
        self.by_id: dict[str, ContactList] = {}
        self.enrolments: list[dict[str, Any]] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        self.current: dict[str, set[str]] = {}
        for list_id, name, processing, workflow in (
            (LIST_ID, "Welcome", "MANUAL", WORKFLOW_ID),
            (SEGMENT_LIST_ID, "Segment", "MANUAL", ""),
            (DYNAMIC_LIST_ID, "Dynamic", "DYNAMIC", ""),
        ):
            self.by_id[list_id] = ContactList(list_id, name, processing, workflow)

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        name, processing = str(body.get("name") or ""), str(body.get("processingType") or "")
        if not name or body.get("objectTypeId") != "0-1" or processing not in ("MANUAL", "DYNAMIC", "SNAPSHOT"):
            raise invalid("Invalid input JSON on line 1, column 1: name, objectTypeId or processingType is not set")
        if any(one.name.lower() == name.lower() for one in self.by_id.values()):
            raise invalid(f"A list named {name} exists already.", subCategory="ILS.DUPLICATE_LIST_NAMES")
        list_id = str(max(int(one) for one in self.by_id) + 1)
        self.by_id[list_id] = ContactList(list_id, name, processing)
        self.changes += 1
        return {"list": self.show(list_id)}

    def find(self, list_id: str) -> ContactList:
        if list_id not in self.by_id:
            raise not_found(f"List does not exist with ID {list_id}.")
        return self.by_id[list_id]

    def show(self, list_id: str) -> dict[str, Any]:
        one = self.find(list_id)
        size = {"hs_list_size": str(len(one.members))}
        return {
            "listId": one.id,
            "name": one.name,
            "processingType": one.processing,
            "objectTypeId": "0-1",
            "processingStatus": "COMPLETE",
            "additionalProperties": size,
        }

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        wanted, kinds = str(body.get("query") or "").lower(), body.get("processingTypes") or []
        offset, count = int(body.get("offset") or 0), min(int(body.get("count") or 20), 500)
        found = [one.id for one in self.by_id.values() if wanted in one.name.lower() and (not kinds or one.processing in kinds)]
        page = [self.show(list_id) for list_id in found[offset : offset + count]]
        more = offset + count < len(found)
        return {"lists": page, "total": len(found), "hasMore": more, "offset": offset + len(page)}

    def members(self, list_id: str, after: str, limit: int) -> dict[str, Any]:
        ids = sorted(int(one) for one in self.find(list_id).members if int(one) > int(after or 0))
        answer: dict[str, Any] = {"results": [{"recordId": str(one)} for one in ids[:limit]]}
        if len(ids) > limit:
            answer["paging"] = {"next": {"after": str(ids[limit - 1])}}
        return answer

    def change(self, list_id: str, add: list[Any], remove: list[Any]) -> dict[str, Any]:
        """Present members and strangers to take off are skipped silently; empty lists are left out of the answer."""
        one = self.find(list_id)
        if one.processing == "DYNAMIC":
            raise invalid(f"List {list_id} has processing type DYNAMIC: its members cannot be changed.")
        if not all(isinstance(item, str) for item in (*add, *remove)):
            raise invalid("Invalid input JSON on line 1, column 1: record ids are texts")
        missing = [item for item in dict.fromkeys((*add, *remove)) if item not in self.contacts.by_id]
        added = [item for item in dict.fromkeys(add) if item not in one.members and item in self.contacts.by_id]
        removed = [item for item in dict.fromkeys(remove) if item in one.members]
        for item in removed:
            del one.members[item]
        for item in added:
            one.members[item] = self.clock()
            if one.workflow and self.enabled:
                self.log(item, one.workflow, f"list:{list_id}")
        self.changes += bool(added or removed)
        answer = {"recordsIdsAdded": added, "recordIdsRemoved": removed, "recordIdsMissing": missing}
        return {name: ids for name, ids in answer.items() if ids}

    def log(self, contact_id: str, workflow: str, automation: str) -> None:
        email = str(self.contacts.by_id[contact_id]["properties"].get("email") or contact_id)
        self.enrolments.append({"email": email, "automation": automation, "at": self.clock()})
        self.counts[email, automation] += 1
        self.current.setdefault(contact_id, set()).add(workflow)

    def enrol(self, workflow: str, email: str) -> None:
        """v2: every call enrols, so that a caller who forgets to look is found out."""
        contact = self.contacts.find(email, "email")
        if workflow != WORKFLOW_ID:
            raise not_found()
        if not self.enabled:
            raise invalid(f"Workflow {workflow} is turned off.")
        self.log(contact["id"], workflow, f"workflow:{workflow}")
        self.changes += 1

    def leave(self, workflow: str, email: str) -> None:
        contact = self.contacts.find(email, "email")
        if workflow not in self.current.get(contact["id"], set()):
            raise not_found()
        self.current[contact["id"]].discard(workflow)
        self.changes += 1

    def enrolled(self, contact_id: str) -> list[dict[str, Any]]:
        self.contacts.find(contact_id)
        return [
            {"id": int(one), "name": "Welcome", "enabled": self.enabled} for one in sorted(self.current.get(contact_id, ()))
        ]

    def flows(self) -> dict[str, Any]:
        flow = {"id": FLOW_ID, "name": "Welcome", "isEnabled": self.enabled, "flowType": "WORKFLOW", "objectTypeId": "0-1"}
        return {"results": [{**flow, "revisionId": "1"}]}
