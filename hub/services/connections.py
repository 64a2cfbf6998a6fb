"""Connecting accounts, and opening a connector for one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from hub.core.connector import Account, Checked, Connector, Credential, Limits
from hub.core.errors import Conflict, Invalid, ReauthorizeNeeded, RecordRejected
from hub.core.redact import know_secret
from hub.core.types import Lane
from hub.services.context import Context
from hub.services.dictionaries import OPTION as MAPPING
from hub.services.dictionaries import check_mapping
from hub.services.tokens import TrialTokens, VaultTokens
from hub.store import connections, vault
from hub.store.connections import ConnectionRow
from hub.store.db import new_id, reading, transaction
from hub.transport import Http, HttpSettings


def http_settings(context: Context) -> HttpSettings:
    settings = context.settings
    return HttpSettings(
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        private_hosts=settings.allow_private_hosts,
        ca_bundle=settings.ca_bundle or None,
    )


@dataclass(frozen=True)
class Connected:
    """What `connect` did: `new` is False when an account was connected again."""

    connection: ConnectionRow
    checked: Checked
    new: bool


def connect(
    context: Context,
    platform_name: str,
    credentials: Mapping[str, str],
    *,
    name: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Connected:
    """Check the credentials with one cheap call, then keep them. The same account again keeps its cursors and history."""
    platform = context.platform(platform_name)
    given = _complete(platform.DECLARATION.auth, credentials)
    if options and options.get(MAPPING):
        check_mapping(platform.DECLARATION, options[MAPPING])
    know_secret(*(given[item.name] for item in platform.DECLARATION.auth if item.secret and item.name in given))
    trial = TrialTokens(given.get("refresh_token", ""))
    http = Http(name or platform_name, http_settings(context), tokens=trial)
    account = Account("", name or platform_name, given, dict(options or {}))
    try:
        checked = platform.build(account, http).check()
    except (ReauthorizeNeeded, RecordRejected) as error:
        raise _as_input_error(error) from error
    now = context.now()
    with transaction() as session:
        known = connections.find_account(session, platform_name, checked.account_id)
        chosen = name or (known.name if known else _free_name(session, platform_name, checked))
        holder = connections.find_connection(session, chosen)
        if holder and (known is None or holder.id != known.id):
            raise Conflict(
                "The name «{name}» belongs to another account",
                cure="Choose another name with --name",
                name=chosen,
            )
        every = context.settings.sync_every
        readable = any(stream.reads for stream in platform.DECLARATION.streams)
        row = ConnectionRow(
            id=known.id if known else new_id(),
            name=chosen,
            platform=platform_name,
            account_id=checked.account_id,
            account_name=checked.account_name,
            options={**(known.options if known else {}), **dict(options or {}), **checked.options},
            facts=dict(checked.facts),
            state=connections.ACTIVE,
            error=None,
            next_sync_at=now + timedelta(seconds=every) if every > 0 and readable else None,
            created_at=known.created_at if known else now,
            updated_at=now,
        )
        connections.save_connection(session, row)
        vault.save_secret(session, context.vault, row.id, "credentials", given)
        if trial.token.refresh:
            token = trial.token
            vault.save_secret(
                session,
                context.vault,
                row.id,
                "token",
                {
                    "access": token.access,
                    "refresh": token.refresh,
                    "expires_at": token.expires_at.isoformat() if token.expires_at else "",
                },
            )
    return Connected(row, checked, new=known is None)


def _as_input_error(error: ReauthorizeNeeded | RecordRejected) -> Invalid:
    """While an account is being connected, refused credentials are an input to correct, not a dead connection."""
    invalid = Invalid(error.message, cure=error.cure, cause=error.cause)
    invalid.params = error.params
    return invalid


def _complete(wanted: tuple[Credential, ...], given: Mapping[str, str]) -> dict[str, str]:
    names = {item.name for item in wanted}
    wrong = {name: "This platform has no such setting" for name in given if name not in names}
    values = {name: value.strip() for name, value in given.items() if value and value.strip()}
    for item in wanted:
        if item.required and item.name not in values:
            wrong[item.name] = f"This is missing: {item.meaning}"
    if wrong:
        raise Invalid("The account cannot be connected", fields=wrong)
    return values


def _free_name(session: Any, platform_name: str, checked: Checked) -> str:
    """A short name from the account's own, made unique with a number."""
    slug = re.sub(r"[^a-z0-9]+", "-", checked.account_name.lower()).strip("-")[:40]
    base = f"{platform_name}-{slug}" if slug and slug != platform_name else platform_name
    taken = {row.name for row in connections.list_connections(session)}
    if platform_name not in taken:
        return platform_name
    return next(name for number in range(1, 10_000) if (name := base if number == 1 else f"{base}-{number}") not in taken)


def limits_of(context: Context, row: ConnectionRow, account: Account) -> Limits:
    """The vendor's limits for this account: platforms whose limits depend on the way of signing offer `limits(account)`."""
    platform = context.platform(row.platform)
    special = getattr(platform, "limits", None)
    limits: Limits = special(account) if special else platform.DECLARATION.limits
    own = row.options.get("limits")
    if own:  # an admin's own cap, for shops on small hosts or shared accounts
        limits = replace(limits, **{name: own[name] for name in ("burst", "window", "daily", "in_flight") if name in own})
    return limits


def open_connector(context: Context, row: ConnectionRow, lane: Lane | None = None) -> Connector:
    """A connector for the account, inside its shared API budget; makes no call. No session is open when it returns."""
    with reading() as session:
        credentials, _ = vault.load_secret(session, context.vault, row.id, "credentials")
    account = Account(row.id, row.name, credentials, row.options)
    http = Http(
        row.name,
        http_settings(context),
        budget=context.budget(row.id, limits_of(context, row, account)),
        tokens=VaultTokens(context, row.id),
    )
    http.lane = lane
    return context.platform(row.platform).build(account, http)


def check(context: Context, name: str) -> Checked:
    """Ask the platform whether the connection works; a dead one is marked, a living one marked active again."""
    with reading() as session:
        row = connections.get_connection(session, name)
    try:
        checked = open_connector(context, row).check()
    except (ReauthorizeNeeded, Invalid) as error:
        with transaction() as session:
            connections.set_state(session, row.id, connections.REAUTHORIZE, error.as_json(), context.now())
        raise
    with transaction() as session:
        if row.state != connections.ACTIVE:
            connections.set_state(session, row.id, connections.ACTIVE, None, context.now())
    return checked
