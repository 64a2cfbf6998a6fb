"""Signing in: passwords are tried under a limit, every try is written down, and the answer is the same for everybody."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta

from hub.core import normalize
from hub.core.errors import Refused
from hub.core.roles import Role
from hub.core.types import Actor
from hub.services import audit, letters, passwords
from hub.services.context import Context
from hub.services.links import console_url
from hub.services.second_factors import subject
from hub.store import sign_ins, users
from hub.store.attempts import Attempts, Take
from hub.store.db import Session, reading, transaction

KEPT = timedelta(days=400)
"""How long tries are kept: a year and the time to look back at it."""


class WrongPassword(Refused):
    """Nobody has this address and password: which of the two is wrong is not said."""

    code = "wrong_password"
    message = "The e-mail address or the password is wrong"
    cure = "Try again, or ask for a new password"


class WrongCode(Refused):
    code = "wrong_code"
    message = "This code is wrong, or it was used before"
    cure = "Wait for the next code in your app and type that one, or use a recovery code"


class TooManyTries(Refused):
    """Locked for a while; `after` seconds."""

    code = "too_many_tries"
    message = "Too many wrong tries: wait {minutes} min"
    cure = "Try again then, sign in with a passkey, or ask for a new password"

    def __init__(self, after: float) -> None:
        super().__init__(minutes=max(1, math.ceil(after / 60)))
        self.after = after


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a try comes from: the network address and what the browser calls itself."""

    address: str
    agent: str = ""


def spelled(email: str) -> str:
    """The address as the hub keeps it; one that is none stays as it was typed, so that it is counted and refused."""
    return normalize.email(email) or email.strip().lower()[: users.LONGEST_EMAIL]


def try_password(context: Context, attempts: Attempts, email: str, password: str, origin: Origin) -> users.UserRow:
    """The user whose address and password these are; else `WrongPassword` or `TooManyTries`, after the same time."""
    email = spelled(email)
    with reading() as session:
        row = users.find_user(session, email=email)
    take = _take(context, attempts, row, email, "password", origin)
    right = passwords.verify_password(row.password if row else None, password[: passwords.LONGEST + 1])
    if row is None or not right or not row.active:
        outcome = sign_ins.DISABLED if row is not None and right else sign_ins.WRONG
        _wrong(context, attempts, row, email, "password", outcome, origin, take)
        raise WrongPassword
    attempts.give_back(email, origin.address, context.now())
    if passwords.is_outdated(row.password):
        with transaction() as session:
            users.change_user(session, row.id, password=passwords.hash_password(password))
    return row


def _take(context: Context, attempts: Attempts, row: users.UserRow | None, email: str, method: str, origin: Origin) -> Take:
    take = attempts.take(email, origin.address, context.now())
    if take.wait > 0:
        if take.noted:
            with transaction() as session:
                _note(session, context, row, email, method, sign_ins.LOCKED, origin)
        raise TooManyTries(take.wait)
    return take


class CodeTry:
    """One try of a second factor: counted before it is looked at, settled with `right()` or `wrong()`."""

    def __init__(self, context: Context, attempts: Attempts, row: users.UserRow, method: str, origin: Origin) -> None:
        self._context, self._attempts, self._row, self._method, self._origin = context, attempts, row, method, origin
        self._taken = _take(context, attempts, row, row.email, method, origin)

    def right(self) -> None:
        self._attempts.give_back(self._row.email, self._origin.address, self._context.now())

    def wrong(self) -> WrongCode:
        """Written down; returns the error to raise."""
        _wrong(
            *(self._context, self._attempts, self._row, self._row.email, self._method),
            *(sign_ins.WRONG, self._origin, self._taken),
        )
        return WrongCode()


def _wrong(
    context: Context,
    attempts: Attempts,
    row: users.UserRow | None,
    email: str,
    method: str,
    outcome: str,
    origin: Origin,
    take: Take,
) -> None:
    """Write a wrong try down; if it locked something, the owners are told, whether somebody has the address or not."""
    with transaction() as session:
        _note(session, context, row, email, method, outcome, origin)
        if not take.locks:
            return
        _note(session, context, row, email, method, sign_ins.LOCKED, origin)
        with audit.acting(Actor("hub", "hub", "hub", origin.address)):
            audit.note(
                session,
                "sign_in.locked",
                ("user", str(row.id) if row else "", email),
                context.now(),
                after={"method": method, "address": origin.address},
            )
        if attempts.first_today(email):
            _tell_owners(session, context, email, origin)


def _tell_owners(session: Session, context: Context, email: str, origin: Origin) -> None:
    for owner in users.active_with_role(session, Role.OWNER):
        values = {
            "email": email,
            "address": origin.address,
            "at": f"{context.now():%Y-%m-%d %H:%M} UTC",
            "link": f"{console_url(context)}/admin/users",
            "hub": console_url(context),
        }
        letters.owe_letter(session, context, "sign_in_locked", owner.email, owner.language, values)


def _note(
    session: Session,
    context: Context,
    row: users.UserRow | None,
    email: str,
    method: str,
    outcome: str,
    origin: Origin,
) -> str:
    user_id = row.id if row else None
    return sign_ins.add_sign_in(session, user_id, email, method, outcome, origin.address, origin.agent, context.now())


def note_sign_in(context: Context, attempts: Attempts, row: users.UserRow, method: str, origin: Origin) -> str:
    """Somebody is in: written down, and wrong tries before are forgotten. Returns the sign-in's id, for `sign_out`."""
    now = context.now()
    with transaction() as session:
        sign_in_id = _note(session, context, row, row.email, method, sign_ins.OK, origin)
        users.change_user(
            session,
            row.id,
            last_login_at=row.current_login_at or now,
            current_login_at=now,
            last_login_ip=row.current_login_ip,
            current_login_ip=origin.address[:64],
            login_count=(row.login_count or 0) + 1,
        )
        with audit.acting(Actor("user", str(row.id), row.name or row.email, origin.address)):
            audit.note(session, "user.signed_in", subject(row), now, after={"method": method})
    attempts.clear(row.email, origin.address, now)
    return sign_in_id


def sign_out(sign_in_id: str) -> None:
    """This sign-in is over, also for a copy of its session that somebody kept."""
    with transaction() as session:
        sign_ins.end_sign_in(session, sign_in_id)


def is_over(sign_in_id: str) -> bool:
    """Whether its person has signed out."""
    with reading() as session:
        return sign_ins.is_ended(session, sign_in_id)


def note_refusal(context: Context, row: users.UserRow | None, email: str, method: str, outcome: str, origin: Origin) -> None:
    """A try that needs no limit, for it cannot be guessed (passkey, single sign-on)."""
    with transaction() as session:
        _note(session, context, row, spelled(email), method, outcome, origin)


def forget_old(context: Context) -> int:
    """Take away tries that are older than `KEPT`."""
    with transaction() as session:
        return sign_ins.forget_old(session, context.now() - KEPT)
