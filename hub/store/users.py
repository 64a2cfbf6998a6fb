"""Users of the console, their roles, invitations, sign-ins and API tokens. What Flask-Security maps is in logins.py."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.store.db import Id, JsonValue, UtcTime, is_sqlite, metadata, new_id

LONGEST_EMAIL = 254
OWNER = "owner"

UserRow = sa.Row[Any]
PasskeyRow = sa.Row[Any]


@dataclass(frozen=True, slots=True)
class Listed:
    """A user as lists show it."""

    row: UserRow
    roles: tuple[str, ...]
    passkeys: int

    @property
    def second_factor(self) -> bool:
        return bool(self.row.tf_totp_secret) or self.passkeys > 0


def _now() -> datetime:
    """Flask-Security makes users and passkeys itself and knows no clock of ours."""
    return datetime.now(UTC)


user = sa.Table(
    "hub_user",
    metadata,
    sa.Column("id", Id, primary_key=True, default=new_id),
    sa.Column("email", sa.String(LONGEST_EMAIL), nullable=False, unique=True),  # normalised
    sa.Column("name", sa.String(120), nullable=False, default=""),
    sa.Column("language", sa.String(2), nullable=False, default="en"),
    sa.Column("password", sa.String(255)),  # argon2; empty until an invitation is taken up, or with single sign-on alone
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("fs_uniquifier", sa.String(64), nullable=False, unique=True),  # a new one ends every session
    sa.Column("confirmed_at", UtcTime),
    sa.Column("last_login_at", UtcTime),
    sa.Column("current_login_at", UtcTime),
    sa.Column("last_login_ip", sa.String(64)),
    sa.Column("current_login_ip", sa.String(64)),
    sa.Column("login_count", sa.Integer),
    sa.Column("tf_primary_method", sa.String(64)),
    sa.Column("tf_totp_secret", sa.String(512)),  # encrypted
    sa.Column("mf_recovery_codes", JsonValue),  # hashed or encrypted
    sa.Column("fs_webauthn_user_handle", sa.String(64), unique=True),
    sa.Column("oidc_subject", sa.String(255), unique=True),  # «issuer|sub» once signed in through single sign-on
    sa.Column("created_at", UtcTime, nullable=False, default=_now),
    sa.Column("updated_at", UtcTime, nullable=False, default=_now, onupdate=_now),
)

role = sa.Table(
    "hub_role",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(40), nullable=False, unique=True),  # one of hub.core.roles.Role
)

user_role = sa.Table(
    "hub_user_role",
    metadata,
    sa.Column("user_id", Id, sa.ForeignKey("hub_user.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role_id", sa.Integer, sa.ForeignKey("hub_role.id"), primary_key=True),
)

passkey = sa.Table(
    "hub_passkey",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_id", Id, sa.ForeignKey("hub_user.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("credential_id", sa.LargeBinary(1024), nullable=False, unique=True),
    sa.Column("public_key", sa.LargeBinary, nullable=False),
    sa.Column("sign_count", sa.Integer),
    sa.Column("transports", JsonValue),
    sa.Column("backup_state", sa.Boolean, nullable=False),
    sa.Column("device_type", sa.String(64), nullable=False),
    sa.Column("extensions", sa.String(255)),
    sa.Column("create_datetime", UtcTime, nullable=False, default=_now),
    sa.Column("lastuse_datetime", UtcTime, nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("usage", sa.String(64), nullable=False),
)

invitation = sa.Table(
    "invitation",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("email", sa.String(LONGEST_EMAIL), nullable=False, index=True),  # empty: the owner's first set-up
    sa.Column("role", sa.String(40), nullable=False),
    sa.Column("language", sa.String(2), nullable=False),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("invited_by", Id, sa.ForeignKey("hub_user.id", ondelete="SET NULL")),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime, nullable=False),
    sa.Column("accepted_at", UtcTime),
    sa.Column("revoked_at", UtcTime),
)

sign_in = sa.Table(
    "sign_in",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("at", UtcTime, nullable=False, index=True),
    sa.Column("user_id", Id, sa.ForeignKey("hub_user.id", ondelete="CASCADE"), index=True),  # none: nobody has that address
    sa.Column("email", sa.String(LONGEST_EMAIL), nullable=False),
    sa.Column("method", sa.String(20), nullable=False),  # password, totp, passkey, recovery_code, oidc
    sa.Column("outcome", sa.String(20), nullable=False),  # ok, wrong, locked, disabled
    sa.Column("address", sa.String(64), nullable=False),
    sa.Column("agent", sa.String(200), nullable=False),
)

api_token = sa.Table(
    "api_token",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("user_id", Id, sa.ForeignKey("hub_user.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("name", sa.String(120), nullable=False),
    sa.Column("shown", sa.String(16), nullable=False),  # its first characters, to recognise it by
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("scopes", JsonValue, nullable=False),  # permissions; those the user has lost do not count
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("expires_at", UtcTime),
    sa.Column("last_used_at", UtcTime),
    sa.Column("last_used_address", sa.String(64)),
    sa.Column("revoked_at", UtcTime),
)


# Users


def find_user(
    session: Session, *, user_id: str = "", email: str = "", oidc_subject: str = "", lock: bool = False
) -> UserRow | None:
    """One user by any of the three; the e-mail address normalised. `lock`: the row is ours until the transaction ends."""
    statement = sa.select(user)
    if user_id:
        statement = statement.where(user.c.id == user_id)
    elif email:
        statement = statement.where(user.c.email == email)
    else:
        statement = statement.where(user.c.oidc_subject == oidc_subject)
    return session.execute(statement.with_for_update() if lock else statement).first()


def roles_of(session: Session, user_id: str) -> tuple[str, ...]:
    return _roles_by_user(session, user_id).get(user_id, ())


def _roles_by_user(session: Session, user_id: str = "") -> dict[str, tuple[str, ...]]:
    statement = sa.select(user_role.c.user_id, role.c.name).join(role, role.c.id == user_role.c.role_id).order_by(role.c.name)
    if user_id:
        statement = statement.where(user_role.c.user_id == user_id)
    found: dict[str, tuple[str, ...]] = {}
    for row in session.execute(statement):
        found[row.user_id] = (*found.get(row.user_id, ()), row.name)
    return found


def list_users(session: Session) -> list[Listed]:
    """All users by address; a hub has as many as a firm has people who work with it."""
    roles = _roles_by_user(session)
    keys = session.execute(sa.select(passkey.c.user_id, sa.func.count()).group_by(passkey.c.user_id)).all()
    passkeys = {row[0]: int(row[1]) for row in keys}
    rows = session.execute(sa.select(user).order_by(user.c.email)).all()
    return [Listed(row, roles.get(row.id, ()), passkeys.get(row.id, 0)) for row in rows]


def add_user(session: Session, roles: Iterable[str], **values: Any) -> str:
    """A new user with these roles; returns its id."""
    given = {"id": new_id(), "fs_uniquifier": secrets.token_hex(32), "active": True, **values}
    session.execute(sa.insert(user).values(**given))
    set_roles(session, given["id"], roles)
    return str(given["id"])


def change_user(session: Session, user_id: str, **values: Any) -> None:
    session.execute(sa.update(user).where(user.c.id == user_id).values(**values))


def end_sessions(session: Session, user_id: str) -> None:
    """Sign-ins are bound to the uniquifier: a new one ends them all."""
    change_user(session, user_id, fs_uniquifier=secrets.token_hex(32))


def set_roles(session: Session, user_id: str, names: Iterable[str]) -> None:
    """Exactly these roles from now on."""
    session.execute(sa.delete(user_role).where(user_role.c.user_id == user_id))
    for name in sorted(set(names)):
        role_id = session.scalar(sa.select(role.c.id).where(role.c.name == name))
        if role_id is None:
            role_id = session.scalar(sa.insert(role).values(name=name).returning(role.c.id))
        session.execute(sa.insert(user_role).values(user_id=user_id, role_id=role_id))


def active_with_role(session: Session, name: str, *, lock: bool = False) -> list[UserRow]:
    """The active users with a role. `lock`: nobody else asks so until the transaction ends, so that two people cannot take
    each other's role away at once. The lock comes first: what is read after it is what the other one left."""
    if lock and not is_sqlite(session):  # SQLite has one writer anyway
        session.execute(sa.select(role.c.id).where(role.c.name == name).with_for_update())
    statement = (
        sa.select(user)
        .join(user_role, user_role.c.user_id == user.c.id)
        .join(role, role.c.id == user_role.c.role_id)
        .where(role.c.name == name, user.c.active)
        .order_by(user.c.email)
    )
    return list(session.execute(statement).all())


def has_owner(session: Session) -> bool:
    found = session.scalar(
        sa.select(user_role.c.user_id).join(role, role.c.id == user_role.c.role_id).where(role.c.name == OWNER).limit(1)
    )
    return found is not None


# Passkeys


def list_passkeys(session: Session, user_id: str) -> list[PasskeyRow]:
    return list(session.execute(sa.select(passkey).where(passkey.c.user_id == user_id).order_by(passkey.c.id)).all())


def find_passkey(session: Session, credential_id: bytes) -> PasskeyRow | None:
    return session.execute(sa.select(passkey).where(passkey.c.credential_id == credential_id)).first()


def add_passkey(session: Session, **values: Any) -> None:
    session.execute(sa.insert(passkey).values(**values))


def use_passkey(session: Session, credential_id: bytes, sign_count: int, now: datetime) -> None:
    session.execute(
        sa.update(passkey).where(passkey.c.credential_id == credential_id).values(sign_count=sign_count, lastuse_datetime=now)
    )


def remove_passkeys(session: Session, user_id: str, passkey_id: int | None = None) -> int:
    """One passkey of the user, or all; how many there were."""
    statement = sa.delete(passkey).where(passkey.c.user_id == user_id)
    if passkey_id is not None:
        statement = statement.where(passkey.c.id == passkey_id)
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined]
