"""API tokens: made, shown once, checked at every use, revoked.

A token is random (192 bits); only its SHA-256 is kept. That is enough: what cannot be guessed needs no slow hash.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hub.core.errors import Forbidden, Invalid, NotFound
from hub.core.redact import know_secret
from hub.core.roles import Permission, Role, permissions_of
from hub.core.texts import N_
from hub.core.types import Actor
from hub.services.audit import note
from hub.services.context import Context
from hub.store import tokens
from hub.store.db import new_id, reading, transaction

PREFIX = "hub_"
RANDOM_BYTES = 24
SHOWN = 10
"""Characters of a token that lists show, to recognise it by: the prefix and 36 bits of it."""
DEFAULT_DAYS, LONGEST_DAYS = 90, 365
LONGEST_NAME = 120
NOTE_USE_EVERY = 60.0
"""Seconds between two notes of a token's last use."""
NO_END = 0
"""Days that stand for «without an end»; only owners may."""


@dataclass(frozen=True)
class Made:
    """A new token. `token` is shown now and never again."""

    id: str
    token: str
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None


@dataclass(frozen=True)
class Maker:
    """Who makes a token: what it may at most be given, and until when (a token's own end, if a token makes it)."""

    permissions: frozenset[Permission]
    owner: bool
    until: datetime | None = None
    by_token: bool = False


@dataclass(frozen=True)
class Holder:
    """Whose token was shown, and what it may do now: its scopes, as far as the user still has them."""

    token_id: str
    user_id: str
    actor: Actor
    permissions: frozenset[Permission]
    roles: tuple[str, ...]


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def create_token(
    context: Context, user: str, name: str, scopes: Iterable[str], days: int = DEFAULT_DAYS, *, maker: Maker | None = None
) -> Made:
    """Make a token for `user` (e-mail or id). `days` 0: without an end, for owners only.

    `maker`: who makes it, where that is not the terminal; Invalid names what is too much, NotFound an unknown user.
    """
    now = context.now()
    wanted = tuple(sorted(set(scopes)))
    with transaction() as session:
        holder = tokens.find_holder(session, user.strip().lower())
        if holder is None:
            raise NotFound("There is no user «{user}»", cure="Use an e-mail address that somebody signs in with", user=user)
        if not holder.active:
            raise Invalid(
                "The token cannot be made",
                fields={"user": "This user is disabled: the token would not work"},
            )
        roles = tokens.roles_of(session, holder.id)
        maker = maker or Maker(permissions_of(roles), Role.OWNER in roles)
        wrong = _check_name(name) | _check_scopes(wanted, permissions_of(roles) & maker.permissions) | _check_days(days, maker)
        if wrong:
            allowed = ", ".join(sorted(permissions_of(roles) & maker.permissions)) or "—"
            raise Invalid("The token cannot be made", fields=wrong, allowed=allowed, longest=LONGEST_DAYS)
        token = PREFIX + secrets.token_urlsafe(RANDOM_BYTES)
        know_secret(token)
        expires_at = now + timedelta(days=days) if days != NO_END else None
        if maker.until is not None:  # a token must not outlive itself through its children
            expires_at = min(expires_at, maker.until) if expires_at else maker.until
        made = Made(new_id(), token, name.strip(), wanted, expires_at)
        tokens.add_token(
            session,
            {
                "id": made.id,
                "user_id": holder.id,
                "name": made.name,
                "shown": token[:SHOWN],
                "token_hash": hash_token(token),
                "scopes": list(wanted),
                "created_at": now,
                "expires_at": expires_at,
            },
        )
        after = {"user": holder.email, "scopes": list(wanted), "expires_at": expires_at.isoformat() if expires_at else None}
        note(session, "token.created", ("token", made.id, made.name), now, after=after)
    return made


def _check_name(name: str) -> dict[str, str]:
    if not name.strip() or len(name.strip()) > LONGEST_NAME or not name.isprintable():
        return {"name": N_("Give the token a name of at most 120 characters that says what uses it")}
    return {}


def _check_scopes(scopes: tuple[str, ...], allowed: frozenset[Permission]) -> dict[str, str]:
    if not scopes:
        return {"scopes": N_("Choose at least one permission; these may be given: {allowed}")}
    if any(scope not in allowed for scope in scopes):
        return {"scopes": N_("A token may do no more than its user and its maker; these may be given: {allowed}")}
    return {}


def _check_days(days: int, maker: Maker) -> dict[str, str]:
    if days == NO_END and not (maker.owner and not maker.by_token):
        return {"days": N_("Only an owner may make a token without an end")}
    if not NO_END <= days <= LONGEST_DAYS:
        return {"days": N_("A token lasts between 1 and {longest} days")}
    return {}


def recognise(context: Context, token: str, address: str) -> Holder | None:
    """Whose token this is; None if it is unknown, revoked, past its end, or its user is disabled. Notes its use."""
    if not token.startswith(PREFIX) or len(token) > 100:
        return None
    now = context.now()
    with reading() as session:
        found = tokens.find_bearer(session, hash_token(token))
    if found is None or found.revoked_at is not None or not found.user_active:
        return None
    if found.expires_at is not None and found.expires_at <= now:
        return None
    if found.last_used_at is None or (now - found.last_used_at).total_seconds() >= NOTE_USE_EVERY:
        with transaction() as session:
            tokens.note_use(session, found.id, address, now, NOTE_USE_EVERY)
    known = set(Permission)
    scopes = frozenset(Permission(scope) for scope in found.scopes if scope in known)
    actor = Actor("token", found.id, f"{found.name} ({found.user_name})", address)
    return Holder(found.id, found.user_id, actor, scopes & permissions_of(found.roles), found.roles)


def revoke_token(context: Context, token_id: str, *, own: str | None = None) -> bool:
    """Revoke it at once; False if it was before. `own`: only if it is this user's, else Forbidden."""
    now = context.now()
    with transaction() as session:
        found = tokens.find_token(session, token_id) if _is_id(token_id) else None
        if found is None:
            raise NotFound("There is no such token", cure="Go on from the list of tokens")
        if own is not None and found.user_id != own:
            raise Forbidden("This token belongs to somebody else", cure="Ask an owner of this hub to revoke it")
        done = tokens.revoke_token(session, token_id, now)
        if done:
            before = {"user": found.user_email, "scopes": list(found.scopes)}
            note(session, "token.revoked", ("token", found.id, found.name), now, before=before)
    return done


def _is_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def state_of(row: Any, now: datetime) -> str:
    """«active», «revoked», «expired», or «sleeping» while its user is disabled."""
    if row.revoked_at is not None:
        return "revoked"
    if row.expires_at is not None and row.expires_at <= now:
        return "expired"
    return "active" if row.user_active else "sleeping"
