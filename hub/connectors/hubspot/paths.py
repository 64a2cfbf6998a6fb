"""The one table of operation → path. HubSpot's dates do not sit in one place: never build a path by swapping a date.

`{place}` stands for an id that `path()` quotes. 2026-03 is pinned for what it covers; enrolment exists in v2 only.
"""

from __future__ import annotations

from urllib.parse import quote

PINNED = "2026-03"
UNSUPPORTED_FROM = "2027-09-30"
"""A version becomes Unsupported 18 months after its release: 2026-03 in September 2027."""

TABLES: dict[str, dict[str, str]] = {
    "2026-03": {
        "token": "/oauth/2026-03/token",
        "introspect": "/oauth/2026-03/token/introspect",
        "account": "/account-info/2026-03/details",
        "contact": "/crm/objects/2026-03/contacts/{contact}",
        "contacts.upsert": "/crm/objects/2026-03/contacts/batch/upsert",
        "list.add": "/crm/lists/2026-03/{list}/memberships/add",
        "list.change": "/crm/lists/2026-03/{list}/memberships/add-and-remove",
        "workflow.enrol": "/automation/v2/workflows/{workflow}/enrollments/contacts/{email}",
        "workflow.enrolments": "/automation/v2/workflows/enrollments/contacts/{contact}",
    },
}


def path(operation: str, **places: str) -> str:
    """The path of an operation in the pinned version, its places filled and quoted."""
    text = TABLES[PINNED][operation]
    for name, value in places.items():
        text = text.replace("{" + name + "}", quote(value, safe=""))
    return text
