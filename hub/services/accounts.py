"""Users after they exist: roles, disabling, passwords, and what each changes at their own account."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from hub.core.errors import Conflict, Invalid, NotFound
from hub.core.redact import know_secret
from hub.core.roles import Role
from hub.core.texts import LANGUAGES
from hub.core.types import Actor
from hub.services import audit, letters, passwords
from hub.services.context import Context
from hub.services.invitations import NO_LANGUAGE, NO_ROLE, LinkOver, UserExists, check_email, check_name
from hub.services.links import console_url
from hub.services.preferences import ChangedMeanwhile
from hub.services.second_factors import subject
from hub.services.sign_ins import spelled
from hub.store import letters as outbox
from hub.store import users
from hub.store.db import Session, reading, transaction

RESET_LIFE = timedelta(hours=1)


class LastOwner(Conflict):
    code = "last_owner"
    message = "This is the only active owner: without one nobody could let people in"
    cure = "Make somebody else an owner first"


def find(user_id: str = "", email: str = "") -> users.UserRow:
    """One user by id or address, or `NotFound`."""
    with reading() as session:
        return _get(session, user_id=user_id, email=spelled(email) if email else "")


def _get(session: Session, *, lock: bool = False, **by: str) -> users.UserRow:
    row = users.find_user(session, lock=lock, **by) if any(by.values()) else None
    if row is None:
        raise NotFound("This user does not exist", cure="Load the list of users again")
    return row


def create(
    context: Context, email: str, roles: Iterable[str], *, name: str = "", password: str = "", language: str = "en"
) -> str:
    """A user without an invitation (from the terminal); returns the id. Without a password they choose one by letter."""
    address = check_email(email)
    chosen = _check_roles(roles)
    if language not in LANGUAGES:
        raise Invalid(fields={"language": NO_LANGUAGE})
    name = check_name(name) if name.strip() else ""
    if password:
        passwords.check_strength(password, (address, name))
    hashed, now = passwords.hash_password(password) if password else None, context.now()
    with transaction() as session:
        if users.find_user(session, email=address) is not None:
            raise UserExists
        user_id = users.add_user(
            session,
            chosen,
            email=address,
            name=name,
            language=language,
            password=hashed,
            created_at=now,
            updated_at=now,
        )
        audit.note(
            session,
            "user.created",
            ("user", user_id, address),
            now,
            after={"name": name, "roles": chosen, "language": language},
        )
    return user_id


def _check_roles(roles: Iterable[str]) -> list[str]:
    chosen = sorted(set(roles))
    if not chosen or set(chosen) - set(Role):
        raise Invalid(fields={"roles": NO_ROLE})
    return chosen


def _keep_an_owner(session: Session, user_id: str) -> None:
    if {row.id for row in users.active_with_role(session, Role.OWNER, lock=True)} == {user_id}:
        raise LastOwner


def change_roles(context: Context, user_id: str, roles: Iterable[str], *, seen: Iterable[str] | None = None) -> bool:
    """Exactly these roles from now on, also in open sign-ins and for API tokens. False if they were so already.

    `seen`: the roles that the change is based on; `ChangedMeanwhile` if they are not what the user has.
    """
    chosen = _check_roles(roles)
    with transaction() as session:
        row = _get(session, user_id=user_id, lock=True)
        if Role.OWNER not in chosen:
            _keep_an_owner(session, user_id)
        before = list(users.roles_of(session, user_id))
        if before == chosen:
            return False
        if seen is not None and before != sorted(seen):
            raise ChangedMeanwhile
        users.set_roles(session, user_id, chosen)
        audit.note(
            session, "user.roles_changed", subject(row), context.now(), before={"roles": before}, after={"roles": chosen}
        )
    return True


def disable(context: Context, user_id: str) -> bool:
    """Nobody gets in as this user any more, and open sign-ins end now. False if it was so already."""
    with transaction() as session:
        row = _get(session, user_id=user_id, lock=True)
        if not row.active:
            return False
        _keep_an_owner(session, user_id)
        users.change_user(session, user_id, active=False)
        users.end_sessions(session, user_id)
        audit.note(session, "user.disabled", subject(row), context.now(), before={"active": True}, after={"active": False})
    return True


def enable(context: Context, user_id: str) -> bool:
    with transaction() as session:
        row = _get(session, user_id=user_id)
        if row.active:
            return False
        users.change_user(session, user_id, active=True)
        audit.note(session, "user.enabled", subject(row), context.now(), before={"active": False}, after={"active": True})
    return True


def reset_second_factor(context: Context, user_id: str) -> None:
    """For somebody who lost the phone: app, passkeys and recovery codes go; the next sign-in begins with a new one."""
    with transaction() as session:
        row = _get(session, user_id=user_id)
        passkeys = users.remove_passkeys(session, user_id)
        users.change_user(session, user_id, tf_primary_method=None, tf_totp_secret=None, mf_recovery_codes=None)
        users.end_sessions(session, user_id)
        audit.note(
            session,
            "user.second_factor_reset",
            subject(row),
            context.now(),
            before={"app": bool(row.tf_totp_secret), "passkeys": passkeys},
            after={"app": False, "passkeys": 0},
        )


# One's own account


def change_profile(context: Context, user_id: str, name: str, language: str) -> None:
    name = check_name(name)
    if language not in LANGUAGES:
        raise Invalid(fields={"language": NO_LANGUAGE})
    with transaction() as session:
        row = _get(session, user_id=user_id)
        before, after = {"name": row.name, "language": row.language}, {"name": name, "language": language}
        if before == after:
            return
        users.change_user(session, user_id, **after)
        audit.note(session, "user.changed", subject(row), context.now(), before=before, after=after)


def change_password(context: Context, user_id: str, password: str, *, field: str = "password") -> None:
    """A new password ends every sign-in; the user is told by letter."""
    with reading() as session:
        row = _get(session, user_id=user_id)
    passwords.check_strength(password, (row.email, row.name), field)
    hashed = passwords.hash_password(password)
    with transaction() as session:
        _set_password(session, context, _get(session, user_id=user_id, lock=True), hashed, "user.password_changed")


def _set_password(session: Session, context: Context, row: Any, hashed: str, action: str) -> None:
    now = context.now()
    users.change_user(session, row.id, password=hashed)
    users.end_sessions(session, row.id)
    audit.note(session, action, subject(row), now)
    values = {"at": f"{now:%Y-%m-%d %H:%M} UTC", "hub": console_url(context)}
    letters.owe_letter(session, context, "password_changed", row.email, row.language, values)


def sign_out_everywhere(context: Context, user_id: str) -> None:
    with transaction() as session:
        row = _get(session, user_id=user_id)
        users.end_sessions(session, user_id)
        audit.note(session, "user.signed_out_everywhere", subject(row), context.now())


# A forgotten password: the link carries who, until when, and which state of the password it may replace.


def request_reset(context: Context, email: str, origin: str) -> None:
    """Owe the letter if there is such an active user. Says nothing either way; a letter is written for everybody, so that
    both take the same time."""
    now = context.now()
    with transaction() as session:
        row = users.find_user(session, email=spelled(email))
        known = row is not None and row.active
        token = _seals(context).encrypt_at_time(
            orjson.dumps([str(row.id), _state(row)] if row is not None else ["", ""]), int(now.timestamp())
        )
        know_secret(token.decode())
        values = {
            "link": f"{console_url(context)}/account/reset/{token.decode()}",
            "minutes": str(int(RESET_LIFE.total_seconds() // 60)),
            "hub": console_url(context),
        }
        letter = letters.owe_letter(
            session,
            context,
            "password_reset",
            row.email if row is not None else email[:254],
            row.language if row else "en",
            values,
        )
        with audit.acting(Actor("hub", "hub", "hub", origin)):
            name = ("user", str(row.id) if row is not None else "", row.email if row is not None else spelled(email))
            audit.note(session, "user.reset_requested", name, now)
        if not known:
            outbox.withdraw_letter(session, letter)


def look_at_reset(context: Context, token: str) -> users.UserRow:
    """Whose password the link may set, or `LinkOver`."""
    try:
        plain = _seals(context).decrypt_at_time(token.encode(), int(RESET_LIFE.total_seconds()), int(context.now().timestamp()))
        user_id, state = orjson.loads(plain)
    except (InvalidToken, ValueError):
        raise LinkOver(
            "This link is too old, or it was cut off", cure="Ask for a new password again on the sign-in page"
        ) from None
    with reading() as session:
        row = users.find_user(session, user_id=user_id) if user_id else None
    if row is None or not row.active or _state(row) != state:
        raise LinkOver("This link was used already", cure="Sign in, or ask for a new password again")
    return row


def reset_password(context: Context, token: str, password: str, address: str) -> users.UserRow:
    """Set the password that a reset's link stands for; it works once."""
    found = look_at_reset(context, token)
    passwords.check_strength(password, (found.email, found.name))
    hashed = passwords.hash_password(password)
    with transaction() as session:
        row = _get(session, user_id=found.id, lock=True)
        if _state(row) != _state(found):
            raise LinkOver("This link was used already", cure="Sign in, or ask for a new password again")
        with audit.acting(Actor("user", str(row.id), row.name or row.email, address)):
            _set_password(session, context, row, hashed, "user.password_reset")
        return row


def _state(row: Any) -> str:
    """Changes with the password and with every end of the sign-ins."""
    return hashlib.sha256(f"{row.password or ''}/{row.fs_uniquifier}".encode()).hexdigest()[:32]


def _seals(context: Context) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in context.vault.derive("password-reset").values()])


def shown(at: datetime | None) -> str | None:
    """A time for machines."""
    return at.astimezone(UTC).isoformat(timespec="seconds") if at else None
