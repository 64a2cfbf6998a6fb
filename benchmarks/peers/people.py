"""The made-up contacts that are pushed, the same for the hub and its peers; and how the peers write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

UPSERT = "/crm/objects/2026-03/contacts/batch/upsert"
BATCH = 100
Row = dict[str, Any]


def people(start: int, stop: int) -> Iterator[Row]:
    """Contacts in the CRM's own properties, numbered from `start` to before `stop`."""
    for number in range(start, stop):
        yield {
            "email": f"person{number}@example.com",
            "firstname": f"Anna{number % 97}",
            "lastname": f"Nowak{number % 991}",
            "phone": f"+48{500_000_000 + number}",
            "city": "Warszawa",
            "zip": f"{number % 100:02}-{number % 1000:03}",
            "country": "PL",
        }


def inputs(rows: list[Row]) -> Row:
    """The body of one upsert."""
    return {
        "inputs": [
            {
                "id": row["email"],
                "idProperty": "email",
                "properties": {name: value for name, value in row.items() if not name.startswith("_")},
            }
            for row in rows
        ]
    }
