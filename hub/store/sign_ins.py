"""Sign-ins: every try, with what came of it. Kept for a year (see `forget_old`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.store.db import new_id
from hub.store.users import LONGEST_EMAIL, sign_in

SignInRow = sa.Row[Any]

OK, WRONG, LOCKED, DISABLED, ENDED = "ok", "wrong", "locked", "disabled", "ended"


def add_sign_in(
    session: Session, user_id: str | None, email: str, method: str, outcome: str, address: str, agent: str, now: datetime
) -> str:
    """Returns its id, by which a sign-in's browser names it."""
    sign_in_id = new_id()
    session.execute(
        sa.insert(sign_in).values(
            id=sign_in_id,
            at=now,
            user_id=user_id,
            email=email[:LONGEST_EMAIL],
            method=method,
            outcome=outcome,
            address=address[:64],
            agent=agent[:200],
        )
    )
    return sign_in_id


def end_sign_in(session: Session, sign_in_id: str) -> None:
    """The person has signed out of it."""
    session.execute(sa.update(sign_in).where(sign_in.c.id == sign_in_id, sign_in.c.outcome == OK).values(outcome=ENDED))


def is_ended(session: Session, sign_in_id: str) -> bool:
    return session.scalar(sa.select(sign_in.c.outcome).where(sign_in.c.id == sign_in_id)) == ENDED


def recent_of(session: Session, user_id: str, limit: int = 20) -> list[SignInRow]:
    """A user's own, newest first."""
    statement = sa.select(sign_in).where(sign_in.c.user_id == user_id).order_by(sign_in.c.at.desc(), sign_in.c.id.desc())
    return list(session.execute(statement.limit(limit)).all())


def locked_since(session: Session, since: datetime, limit: int = 20) -> list[SignInRow]:
    """Addresses whose sign-in was locked: `email`, `tries` (while locked), `last`, `known` (a user has it)."""
    statement = (
        sa.select(
            sign_in.c.email,
            sa.func.count().label("tries"),
            sa.func.max(sign_in.c.at).label("last"),
            (sa.func.count(sign_in.c.user_id) > 0).label("known"),
        )
        .where(sign_in.c.at >= since, sign_in.c.outcome == LOCKED)
        .group_by(sign_in.c.email)
        .order_by(sa.func.max(sign_in.c.at).desc())
        .limit(limit)
    )
    return list(session.execute(statement).all())


def forget_old(session: Session, before: datetime) -> int:
    done = session.execute(sa.delete(sign_in).where(sign_in.c.at < before))
    return int(done.rowcount)  # type: ignore[attr-defined]
