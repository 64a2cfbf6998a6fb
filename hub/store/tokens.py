"""Queries on API tokens. The table stands in users.py, beside the users the tokens act for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from hub.store.db import Session
from hub.store.users import api_token, role, user, user_role


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token as it is looked up at each use, with the user it acts for and the roles that user has now."""

    id: str
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    user_id: str
    user_name: str
    user_active: bool
    roles: tuple[str, ...]


def add_token(session: Session, values: dict[str, Any]) -> None:
    session.execute(sa.insert(api_token).values(**values))


def find_bearer(session: Session, token_hash: str) -> Bearer | None:
    """Whose token has this hash, dead or alive."""
    columns = [api_token.c[name] for name in ("id", "name", "scopes", "expires_at", "revoked_at", "last_used_at", "user_id")]
    row = session.execute(
        sa.select(*columns, user.c.name.label("user_name"), user.c.email, user.c.active)
        .join(user, user.c.id == api_token.c.user_id)
        .where(api_token.c.token_hash == token_hash)
    ).first()
    if row is None:
        return None
    return Bearer(
        id=row.id,
        name=row.name,
        scopes=tuple(row.scopes),
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
        user_id=row.user_id,
        user_name=row.user_name or row.email,
        user_active=bool(row.active),
        roles=roles_of(session, row.user_id),
    )


def roles_of(session: Session, user_id: str) -> tuple[str, ...]:
    """The names of a user's roles."""
    names = (
        sa.select(role.c.name)
        .join(user_role, user_role.c.role_id == role.c.id)
        .where(user_role.c.user_id == user_id)
        .order_by(role.c.name)
    )
    return tuple(session.scalars(names))


def note_use(session: Session, token_id: str, address: str, now: datetime, pause: float) -> None:
    """Last use, unless somebody noted one within the last `pause` seconds."""
    session.execute(
        sa.update(api_token)
        .where(
            api_token.c.id == token_id,
            sa.or_(api_token.c.last_used_at.is_(None), api_token.c.last_used_at <= now - timedelta(seconds=pause)),
        )
        .values(last_used_at=now, last_used_address=address[:64])
    )


def page_tokens(session: Session, *, user_id: str | None = None, before: str | None = None, limit: int = 50) -> Sequence[Any]:
    """Tokens with their user's e-mail, name and whether that one is active, newest first, older than the id `before`."""
    statement = (
        sa.select(
            *(column for column in api_token.c if column.name != "token_hash"),
            user.c.email.label("user_email"),
            user.c.name.label("user_name"),
            user.c.active.label("user_active"),
        )
        .join(user, user.c.id == api_token.c.user_id)
        .order_by(api_token.c.id.desc())
    )
    if user_id is not None:
        statement = statement.where(api_token.c.user_id == user_id)
    if before is not None:
        statement = statement.where(api_token.c.id < before)
    return session.execute(statement.limit(limit)).all()


def find_token(session: Session, token_id: str) -> Any:
    """The same for one token."""
    return session.execute(
        sa.select(
            *(column for column in api_token.c if column.name != "token_hash"),
            user.c.email.label("user_email"),
            user.c.name.label("user_name"),
            user.c.active.label("user_active"),
        )
        .join(user, user.c.id == api_token.c.user_id)
        .where(api_token.c.id == token_id)
    ).first()


def revoke_token(session: Session, token_id: str, now: datetime) -> bool:
    """False if it was revoked before."""
    done = session.execute(
        sa.update(api_token).where(api_token.c.id == token_id, api_token.c.revoked_at.is_(None)).values(revoked_at=now)
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def find_holder(session: Session, name_or_id: str) -> Any:
    """(id, email, name, active) of the user with this e-mail (normalised) or id."""
    condition = user.c.email == name_or_id
    if len(name_or_id) == 36 and name_or_id.count("-") == 4:
        condition = condition | (sa.cast(user.c.id, sa.String) == name_or_id)
    return session.execute(sa.select(user.c.id, user.c.email, user.c.name, user.c.active).where(condition)).first()
