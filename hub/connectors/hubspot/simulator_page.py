"""The page at `/` of the simulated HubSpot: what the CRM received, for people who look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hub.connectors.hubspot.simulator_lists import ContactList

WORDS = {
    "en": {
        "title": "HubSpot (simulator)",
        "note": "This page is not HubSpot. It shows what the hub has sent to the simulated account.",
        "contacts": "Contacts",
        "lists": "Lists",
        "enrolments": "Started automations",
        "name": "Name",
        "email": "E-mail",
        "members": "Members",
        "automation": "Automation",
        "at": "Time (UTC)",
        "latest": "The latest 50 are shown.",
        "nothing": "Nothing yet.",
        "other": "Polski",
        "number": "Number",
        "kind": "Kind",
    },
    "pl": {
        "title": "HubSpot (symulator)",
        "note": "Ta strona to nie HubSpot. Pokazuje, co hub wysłał na symulowane konto.",
        "contacts": "Kontakty",
        "lists": "Listy",
        "enrolments": "Uruchomione automatyzacje",
        "name": "Imię i nazwisko lub nazwa",
        "email": "E-mail",
        "members": "Członkowie",
        "automation": "Automatyzacja",
        "at": "Czas (UTC)",
        "latest": "Widać 50 ostatnich.",
        "nothing": "Jeszcze nic.",
        "other": "English",
        "number": "Numer",
        "kind": "Rodzaj",
    },
}

TEMPLATE = """<!doctype html>
<html lang="{{ lang }}">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ words.title }}</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
body { color: #1a1a1a; background: #fff }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #767676; padding: .3rem .6rem; text-align: left }
.wide { overflow-x: auto } caption { text-align: left; color: #4a4a4a } a { color: #004a99 }
</style>
</head>
<body>
<main>
<p><a href="?lang={{ other }}" lang="{{ other }}" hreflang="{{ other }}">{{ words.other }}</a></p>
<h1>{{ words.title }}</h1>
<p>{{ words.note }}</p>
{% for part in parts %}
<h2>{{ words[part.name] }}: {{ part.count }}</h2>
{% if part.rows %}
<div class="wide" tabindex="0" role="region" aria-label="{{ words[part.name] }}"><table>
<caption>{{ words.latest }}</caption>
<thead><tr>{% for column in part.columns %}<th scope="col">{{ words[column] }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in part.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}</tbody>
</table></div>
{% else %}<p>{{ words.nothing }}</p>{% endif %}
{% endfor %}
</main>
</body>
</html>
"""


def parts(
    contacts: Sequence[dict[str, Any]], lists: Sequence[ContactList], enrolments: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The page's three tables, latest first."""
    people = [one["properties"] for one in contacts[:-51:-1]]
    names = [[f"{one.get('firstname', '')} {one.get('lastname', '')}", one.get("email", "")] for one in people]
    rows = [[one.id, one.name, one.processing, len(one.members)] for one in lists]
    log = [
        [one["email"], one["automation"], datetime.fromtimestamp(one["at"], UTC).strftime("%Y-%m-%d %H:%M:%S")]
        for one in enrolments[:-51:-1]
    ]
    return [
        {"name": "contacts", "count": len(contacts), "columns": ["name", "email"], "rows": names},
        {"name": "lists", "count": len(lists), "columns": ["number", "name", "kind", "members"], "rows": rows},
        {"name": "enrolments", "count": len(enrolments), "columns": ["email", "automation", "at"], "rows": log},
    ]
