"""Who may do what: roles of users and the permissions each holds. The matrix in docs/roles.md is made from here."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from hub.core.texts import N_


class Permission(StrEnum):
    """What a page, an endpoint or a command asks for; also the scopes of API tokens."""

    CONSOLE_READ = "console:read"
    CONTACTS_READ = "contacts:read"
    CONTACTS_WRITE = "contacts:write"
    CONTACTS_EXPORT = "contacts:export"
    CONSENTS_WRITE = "consents:write"
    CONNECTIONS_WRITE = "connections:write"
    MAPPINGS_WRITE = "mappings:write"
    RUNS_START = "runs:start"
    SCENARIOS_WRITE = "scenarios:write"
    SCENARIOS_APPROVE = "scenarios:approve"
    WEBHOOKS_WRITE = "webhooks:write"
    HEALTH_READ = "health:read"
    AUDIT_READ = "audit:read"
    USERS_WRITE = "users:write"
    SETTINGS_WRITE = "settings:write"


MEANINGS = {
    Permission.CONSOLE_READ: N_("See runs, connections, the dictionary, segments, scenarios and counts; no personal data"),
    Permission.CONTACTS_READ: N_("See contacts, their consents and what was decided about them"),
    Permission.CONTACTS_WRITE: N_("Create and correct contacts"),
    Permission.CONTACTS_EXPORT: N_("Take lists with personal data out of the hub"),
    Permission.CONSENTS_WRITE: N_("Record a consent or a withdrawal that a person gave elsewhere"),
    Permission.CONNECTIONS_WRITE: N_("Connect, change, pause and remove accounts of platforms"),
    Permission.MAPPINGS_WRITE: N_("Change how a connection's fields are read"),
    Permission.RUNS_START: N_("Start a sync"),
    Permission.SCENARIOS_WRITE: N_("Write segments and scenarios and hand them in for publishing"),
    Permission.SCENARIOS_APPROVE: N_("Publish what somebody else handed in"),
    Permission.WEBHOOKS_WRITE: N_("Set up outgoing webhooks and send deliveries again"),
    Permission.HEALTH_READ: N_("See health, queues, deliveries and the state of the set-up"),
    Permission.AUDIT_READ: N_("Read the audit trail"),
    Permission.USERS_WRITE: N_("Invite, disable and give roles to users"),
    Permission.SETTINGS_WRITE: N_("Change the settings of the hub"),
}


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    MARKETER = "marketer"
    CONSENT_OFFICER = "consent_officer"
    OPS = "ops"
    AUDITOR = "auditor"


ROLE_MEANINGS = {
    Role.OWNER: N_("Everything, also users; publishing needs a second person even so"),
    Role.ADMIN: N_("Connections, mappings, webhooks and settings"),
    Role.MARKETER: N_("Segments and scenarios; publishing needs a second person"),
    Role.CONSENT_OFFICER: N_("Contacts, the ledger of consents, people's rights"),
    Role.OPS: N_("Health, deliverability, runbooks, syncs; no personal data"),
    Role.AUDITOR: N_("Reads all, changes nothing"),
}

_P = Permission
_GRANTS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.ADMIN: frozenset(
        (
            *(_P.CONSOLE_READ, _P.CONTACTS_READ, _P.CONNECTIONS_WRITE, _P.MAPPINGS_WRITE, _P.RUNS_START),
            *(_P.WEBHOOKS_WRITE, _P.HEALTH_READ, _P.SETTINGS_WRITE),
        )
    ),
    Role.MARKETER: frozenset((_P.CONSOLE_READ, _P.CONTACTS_READ, _P.SCENARIOS_WRITE, _P.SCENARIOS_APPROVE)),
    Role.CONSENT_OFFICER: frozenset(
        (
            *(_P.CONSOLE_READ, _P.CONTACTS_READ, _P.CONTACTS_WRITE, _P.CONTACTS_EXPORT, _P.CONSENTS_WRITE),
            _P.AUDIT_READ,
        )
    ),
    Role.OPS: frozenset((_P.CONSOLE_READ, _P.RUNS_START, _P.HEALTH_READ)),
    Role.AUDITOR: frozenset((_P.CONSOLE_READ, _P.CONTACTS_READ, _P.HEALTH_READ, _P.AUDIT_READ)),
}

READING = frozenset((_P.CONSOLE_READ, _P.CONTACTS_READ, _P.HEALTH_READ, _P.AUDIT_READ))
"""Permissions that change nothing and take nothing out."""


def permissions_of(roles: Iterable[str]) -> frozenset[Permission]:
    """What these roles may do together; a name that is no role gives nothing."""
    known = set(Role)
    return frozenset(one for name in roles if name in known for one in _GRANTS[Role(name)])
