"""Connecting accounts, and opening a connector for one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from hub.core.connector import Account, Checked, Connector, Credential, Declaration, Limits
from hub.core.errors import Conflict, Invalid, ReauthorizeNeeded, RecordRejected
from hub.core.redact import know_secret
from hub.core.texts import N_, Say
from hub.core.types import Lane
from hub.services.audit import note
from hub.services.context import Context
from hub.services.dictionaries import OPTION as MAPPING
from hub.services.dictionaries import check_mapping
from hub.services.hooks import tell
from hub.services.preferences import interval, read_firm
from hub.services.tokens import TrialTokens, VaultTokens
from hub.store import connections, vault
from hub.store.connections import ConnectionRow
from hub.store.db import Session, new_id, reading, transaction
from hub.transport import Http, HttpSettings

LONGEST_NAME = 80


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
    expected: str | None = None,
) -> Connected:
    """Check the credentials with one cheap call, then keep them. The same account again keeps its cursors and history.

    `expected`: the id of the connection whose credentials these must be; those of another account are refused.
    """
    platform = context.platform(platform_name)
    given = _complete(platform.DECLARATION.auth, credentials)
    if name is not None:
        check_name(name)
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
        if expected is not None and (known is None or known.id != expected):
            raise Conflict(
                "These are the credentials of another account: {account}",
                cure="Give those of this connection's account, or connect the other account as a new connection",
                account=checked.account_name,
            )
        chosen = name or (known.name if known else _free_name(session, platform_name, checked))
        refuse_taken(session, chosen, known.id if known else None)
        row = _row(context, session, platform.DECLARATION, checked, known, chosen, options or {})
        connections.save_connection(session, row)
        _save_secrets(session, context, row.id, given, trial)
        action = "connection.created" if known is None else "connection.reconnected"
        note(session, action, ("connection", row.id, row.name), now, before=noted(known) if known else None, after=noted(row))
        tell(session, "connection.changed" if known else "connection.created", row.id, told(row), now)
    return Connected(row, checked, new=known is None)


def _row(
    context: Context,
    session: Session,
    declaration: Declaration,
    checked: Checked,
    known: ConnectionRow | None,
    name: str,
    options: Mapping[str, Any],
) -> ConnectionRow:
    """The connection as it is to be stored. One that was paused stays paused: nobody asked for anything else."""
    now, connection_id = context.now(), known.id if known else new_id()
    every = interval(context, read_firm(session).firm, connection_id)
    readable = any(stream.reads for stream in declaration.streams)
    return ConnectionRow(
        id=connection_id,
        name=name,
        platform=declaration.name,
        account_id=checked.account_id,
        account_name=checked.account_name,
        options={**(known.options if known else {}), **dict(options), **checked.options},
        facts=dict(checked.facts),
        state=connections.PAUSED if known and known.state == connections.PAUSED else connections.ACTIVE,
        error=None,
        next_sync_at=now + timedelta(seconds=every) if every > 0 and readable else None,
        created_at=known.created_at if known else now,
        updated_at=now,
    )


def _save_secrets(session: Session, context: Context, connection_id: str, given: Mapping[str, str], trial: TrialTokens) -> None:
    vault.save_secret(session, context.vault, connection_id, "credentials", given)
    token = trial.token
    if token.refresh:
        expires = token.expires_at.isoformat() if token.expires_at else ""
        values = {"access": token.access, "refresh": token.refresh, "expires_at": expires}
        vault.save_secret(session, context.vault, connection_id, "token", values)


def noted(row: ConnectionRow) -> dict[str, Any]:
    """What the audit trail keeps of a connection."""
    return {"name": row.name, "platform": row.platform, "account": row.account_name, "state": row.state}


def told(row: ConnectionRow) -> dict[str, Any]:
    """What webhooks hear of a connection."""
    return {"connection_id": row.id, "name": row.name, "platform": row.platform, "state": row.state}


def check_name(name: str) -> None:
    """A name that people can tell apart on one line; one that looks like an id would be taken for it."""
    looks_like_id = len(name) == 36 and name.count("-") == 4
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable() or looks_like_id:
        raise Invalid("The name cannot be used", fields={"name": "A name has 1 to 80 characters on one line, and is no id"})


def refuse_taken(session: Session, name: str, connection_id: str | None) -> None:
    """`NameTaken` if another connection has the name."""
    holder = connections.find_connection(session, name)
    if holder and holder.id != connection_id:
        raise NameTaken(name=name)


class Incomplete(Invalid):
    """Credentials are missing; `meanings` says of each what it is."""

    message = "The account cannot be connected"

    def __init__(self, meanings: Mapping[str, str]) -> None:
        super().__init__(fields={name: f"This is missing: {meaning}" for name, meaning in meanings.items()})
        self.meanings = dict(meanings)

    def fields_in(self, say: Say) -> dict[str, str]:
        return {name: say("This is missing: {meaning}", meaning=say(meaning)) for name, meaning in self.meanings.items()}


class NameTaken(Conflict):
    message = "The name «{name}» belongs to another account"
    cure = "Choose another name with --name"


def _as_input_error(error: ReauthorizeNeeded | RecordRejected) -> Invalid:
    """While an account is being connected, refused credentials are an input to correct, not a dead connection."""
    invalid = Invalid(error.message, cure=error.cure, cause=error.cause)
    invalid.params = error.params
    return invalid


def _complete(wanted: tuple[Credential, ...], given: Mapping[str, str]) -> dict[str, str]:
    names = {item.name for item in wanted}
    if wrong := {name: N_("This platform has no such setting") for name in given if name not in names}:
        raise Invalid("The account cannot be connected", fields=wrong)
    values = {name: value.strip() for name, value in given.items() if value and value.strip()}
    if missing := {item.name: item.meaning for item in wanted if item.required and item.name not in values}:
        raise Incomplete(missing)
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
            now = context.now()
            connections.set_state(session, row.id, connections.REAUTHORIZE, error.as_json(), now)
            if row.state != connections.REAUTHORIZE:
                tell(session, "connection.changed", row.id, {**told(row), "state": connections.REAUTHORIZE}, now)
        raise
    with transaction() as session:
        if row.state == connections.REAUTHORIZE:  # one that was paused by somebody stays so
            now = context.now()
            connections.set_state(session, row.id, connections.ACTIVE, None, now)
            tell(session, "connection.changed", row.id, {**told(row), "state": connections.ACTIVE}, now)
    return checked
