"""Invitations: who may become a user, once, by a link whose token is kept as a hash only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.store.db import is_sqlite, new_id
from hub.store.users import invitation, user

InvitationRow = sa.Row[Any]

_LOCK = 7_120_003
"""Of PostgreSQL: one at a time invites an address."""
SET_UP = ""
"""The address of the owner's first set-up: whoever has the link says whose it is."""


def add_invitation(session: Session, **values: Any) -> str:
    """Returns its id."""
    given = {"id": new_id(), **values}
    session.execute(sa.insert(invitation).values(**given))
    return str(given["id"])


def find_invitation(
    session: Session, *, token_hash: str = "", invitation_id: str = "", lock: bool = False
) -> InvitationRow | None:
    """One invitation in whatever state. `lock`: nobody else takes it up until the transaction ends."""
    column, value = (invitation.c.token_hash, token_hash) if token_hash else (invitation.c.id, invitation_id)
    statement = sa.select(invitation).where(column == value)
    return session.execute(statement.with_for_update() if lock else statement).first()


def list_open(session: Session, now: datetime, limit: int = 200) -> list[InvitationRow]:
    """Sent, neither taken up nor revoked (but maybe `expired`), the newest first, with who invited; not the owner's set-up."""
    statement = (
        sa.select(invitation, user.c.name.label("inviter"), (invitation.c.expires_at <= now).label("expired"))
        .join(user, user.c.id == invitation.c.invited_by, isouter=True)
        .where(invitation.c.email != SET_UP, invitation.c.accepted_at.is_(None), invitation.c.revoked_at.is_(None))
        .order_by(invitation.c.created_at.desc(), invitation.c.id.desc())
        .limit(limit)
    )
    return list(session.execute(statement).all())


def revoke_open(session: Session, email: str, now: datetime) -> int:
    """Revoke what is open for an address; how many there were. Whoever invites the same address waits for this transaction:
    else of two at once neither would see the other's."""
    if not is_sqlite(session):
        session.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK, sa.func.hashtext(email))))
    done = session.execute(
        sa.update(invitation)
        .where(invitation.c.email == email, invitation.c.accepted_at.is_(None), invitation.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return int(done.rowcount)  # type: ignore[attr-defined]


def change_invitation(session: Session, invitation_id: str, **values: Any) -> None:
    session.execute(sa.update(invitation).where(invitation.c.id == invitation_id).values(**values))


def is_expected(session: Session, email: str, now: datetime) -> InvitationRow | None:
    """An invitation for the address that can still be taken up."""
    statement = sa.select(invitation).where(
        invitation.c.email == email,
        invitation.c.accepted_at.is_(None),
        invitation.c.revoked_at.is_(None),
        invitation.c.expires_at > now,
    )
    return session.execute(statement.order_by(invitation.c.created_at.desc()).limit(1)).first()
