"""The console's menu: only what exists and what whoever asks may see."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app, request

from hub.core.texts import N_
from hub.web.access import OPEN, SIGNED_IN, Who, access_of, who

MENU: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    ("", (("/admin/", N_("Overview")),)),
    (
        N_("Data"),
        (
            ("/admin/connections", N_("Connections")),
            ("/admin/runs", N_("Runs")),
            ("/admin/quarantine", N_("Quarantine")),
            ("/admin/dictionary", N_("Data dictionary")),
        ),
    ),
    (
        N_("People"),
        (
            ("/admin/contacts", N_("Contacts")),
            ("/admin/segments", N_("Segments")),
            ("/admin/scenarios", N_("Scenarios")),
            ("/admin/proposals", N_("Proposals")),
            ("/admin/decisions", N_("Decisions")),
        ),
    ),
    (
        N_("Administration"),
        (
            ("/admin/users", N_("Users")),
            ("/admin/tokens", N_("API tokens")),
            ("/admin/webhooks", N_("Webhooks")),
            ("/admin/audit", N_("Audit trail")),
            ("/admin/settings", N_("Settings")),
        ),
    ),
)
"""Groups of (path, name)."""
PLACES = "hub_places"
ACCOUNT = "hub_account_page"


@dataclass(frozen=True, slots=True)
class Place:
    """One line of the menu."""

    path: str
    text: str
    here: bool


def register(app: Flask) -> None:
    """After every blueprint is on: which of the menu's paths there are, by endpoint."""
    rules = {rule.rule: rule.endpoint for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ())}
    app.extensions[PLACES] = {path: rules[path] for _, entries in MENU for path, _ in entries if path in rules}
    app.extensions[ACCOUNT] = "/account/" if "/account/" in rules else "/account" if "/account" in rules else ""
    app.jinja_env.globals.update(menu=menu, account_page=lambda: app.extensions[ACCOUNT])


def menu() -> list[tuple[str, list[Place]]]:
    """Groups with what is in them; nothing for those who are not signed in."""
    asker = who()
    if asker is None:
        return []
    there = current_app.extensions[PLACES]
    groups = [
        (title, [Place(path, text, _is_here(path)) for path, text in entries if path in there and _open_to(asker, there[path])])
        for title, entries in MENU
    ]
    return [(title, places) for title, places in groups if places]


def _open_to(asker: Who, endpoint: str) -> bool:
    access = access_of(current_app, endpoint, "GET")
    return access in (OPEN, SIGNED_IN) or (access is not None and asker.may(access))


def _is_here(path: str) -> bool:
    return request.path == path or (path != "/admin/" and request.path.startswith(f"{path}/"))
