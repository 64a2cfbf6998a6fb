"""Becoming a user: the owner's first set-up, and invitations by letter. A link works once, and says so when it does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hub.core import normalize
from hub.core.errors import Conflict, Invalid, NotFound, Refused
from hub.core.roles import Role
from hub.core.texts import LANGUAGES, N_
from hub.core.types import Actor
from hub.services import audit, letters, passwords
from hub.services.context import Context
from hub.services.links import console_url, hash_token, new_token
from hub.store import invitations, users
from hub.store.db import Session, reading, transaction

SET_UP_LIFE = timedelta(hours=24)
INVITATION_LIFE = timedelta(days=7)
LONGEST_NAME = 120

BAD_EMAIL = N_("This is not an e-mail address")
NO_NAME = N_("Type a name that colleagues know you by")
LONG_NAME = N_("A name has at most {n} characters")
NO_ROLE = N_("Choose one of the roles")
NO_LANGUAGE = N_("Choose one of the languages")


class LinkOver(Refused):
    """A one-time link that does not work (any more)."""

    code = "link_over"
    message = "This link does not work any more"
    cure = "Ask for a new one"


class UserExists(Conflict):
    code = "user_exists"
    message = "Somebody with this address is a user already"
    cure = "Change their roles in the list of users"


@dataclass(frozen=True, slots=True)
class Invited:
    """`link` holds the token, which is known only now; `by_letter`: it goes out through the mail server."""

    id: str
    link: str
    by_letter: bool
    expires_at: datetime


def set_up_link(context: Context, base: str = "") -> str | None:
    """A new link for the owner's first set-up (the one before stops working); None once there is an owner.

    `base`: where the console answers, if that is not what the settings say.
    """
    now, token = context.now(), new_token()
    with transaction() as session:
        if users.has_owner(session):
            return None
        invitations.revoke_open(session, invitations.SET_UP, now)
        invitation_id = invitations.add_invitation(
            session,
            email=invitations.SET_UP,
            role=Role.OWNER.value,
            language=LANGUAGES[0],
            token_hash=hash_token(token),
            created_at=now,
            expires_at=now + SET_UP_LIFE,
        )
        audit.note(session, "user.set_up_link_made", ("invitation", invitation_id, ""), now)
    return f"{base or console_url(context)}/account/set-up/{token}"


def invite(context: Context, email: str, role: str, language: str, invited_by: str | None, inviter: str) -> Invited:
    """Invite by letter; what was open for the address before stops working. `invited_by` is a user's id."""
    address = check_email(email)
    wrong = {}
    if role not in set(Role):
        wrong["role"] = NO_ROLE
    if language not in LANGUAGES:
        wrong["language"] = NO_LANGUAGE
    if wrong:
        raise Invalid(fields=wrong)
    now, token = context.now(), new_token()
    link = f"{console_url(context)}/account/invitation/{token}"
    expires_at = now + INVITATION_LIFE
    with transaction() as session:
        if users.find_user(session, email=address) is not None:
            raise UserExists
        invitations.revoke_open(session, address, now)
        invitation_id = invitations.add_invitation(
            session,
            email=address,
            role=role,
            language=language,
            token_hash=hash_token(token),
            invited_by=invited_by,
            created_at=now,
            expires_at=expires_at,
        )
        values = {"inviter": inviter, "link": link, "until": f"{expires_at:%Y-%m-%d %H:%M} UTC", "hub": console_url(context)}
        letters.owe_letter(session, context, "invitation", address, language, values)
        audit.note(session, "user.invited", ("invitation", invitation_id, address), now, after={"role": role})
    return Invited(invitation_id, link, bool(context.settings.mail_url), expires_at)


def revoke(context: Context, invitation_id: str) -> str:
    """Take an invitation back; returns its address. One that is taken up or revoked already: `NotFound`."""
    now = context.now()
    with transaction() as session:
        row = invitations.find_invitation(session, invitation_id=invitation_id, lock=True)
        if row is None or row.accepted_at or row.revoked_at or row.email == invitations.SET_UP:
            raise NotFound("This invitation is not open any more", cure="Load the list of users again")
        invitations.change_invitation(session, invitation_id, revoked_at=now)
        audit.note(session, "user.invitation_revoked", ("invitation", row.id, row.email), now, before={"role": row.role})
    return str(row.email)


def look_at(context: Context, token: str) -> Any:
    """The invitation of a link that still works; else `LinkOver` with what to do."""
    with reading() as session:
        row = invitations.find_invitation(session, token_hash=hash_token(token))
        return _check(session, row, context.now())


def _check(session: Session, row: Any, now: datetime) -> Any:
    if row is None:
        raise LinkOver("This link is not one of ours, or it was cut off", cure="Copy the whole link from the letter")
    first = row.email == invitations.SET_UP
    if row.accepted_at is not None:
        raise LinkOver("This link was used already", cure="Sign in with the password that was chosen then")
    if first and users.has_owner(session):
        raise LinkOver("This hub is set up already", cure="Sign in, or ask an owner for an invitation")
    if row.revoked_at is not None or row.expires_at <= now:
        message = "This link was replaced or taken back" if row.revoked_at is not None else "This link is too old"
        again = "On the hub's machine run hub user set-up-link for a new one"
        raise LinkOver(message, cure=again if first else "Ask whoever invited you for a new one")
    return row


def accept(
    context: Context, token: str, name: str, password: str, *, email: str = "", language: str = "", address: str = ""
) -> users.UserRow:
    """Become a user; errors at the fields. `email` and `language` are only asked for the owner's set-up, `address` is
    the network address."""
    invited = look_at(context, token)
    first = invited.email == invitations.SET_UP
    wrong: dict[str, str] = {}
    params: dict[str, Any] = {}
    given: str = (normalize.email(email) or "") if first else invited.email
    if not given:
        wrong["email"] = BAD_EMAIL
    for check in (lambda: check_name(name), lambda: passwords.check_strength(password, (given, name))):
        try:
            check()
        except Invalid as error:
            wrong |= error.fields
            params |= error.params
    if wrong:
        raise Invalid(fields=wrong, **params)
    name, hashed, now = check_name(name), passwords.hash_password(password), context.now()
    with transaction() as session:
        row = _check(session, invitations.find_invitation(session, token_hash=hash_token(token), lock=True), now)
        if users.find_user(session, email=given) is not None:
            raise LinkOver("Somebody with this address is a user already", cure="Sign in, or ask for a new password")
        spoken = language if first and language in LANGUAGES else row.language
        user_id = _create(session, now, given, name, (row.role,), spoken, hashed, address)
        invitations.change_invitation(session, row.id, accepted_at=now)
        created = users.find_user(session, user_id=user_id)
    assert created is not None
    return created


def _create(
    session: Session,
    now: datetime,
    email: str,
    name: str,
    roles: Iterable[str],
    language: str,
    hashed: str | None,
    address: str,
) -> str:
    user_id = users.add_user(
        session,
        roles,
        email=email,
        name=name,
        language=language,
        password=hashed,
        confirmed_at=now,
        created_at=now,
        updated_at=now,
    )
    with audit.acting(Actor("user", user_id, name or email, address)):
        audit.note(
            session,
            "user.created",
            ("user", user_id, email),
            now,
            after={"name": name, "roles": sorted(roles), "language": language},
        )
    return user_id


def accept_by_sign_on(context: Context, email: str, name: str, address: str, pinned: str) -> users.UserRow:
    """Become a user by single sign-on: the provider says that the invited address is theirs. Without an open
    invitation: `LinkOver`."""
    now = context.now()
    with transaction() as session:
        row = invitations.is_expected(session, email, now)
        if row is None:
            raise LinkOver("Nobody invited this address", cure="Ask an owner of this hub for an invitation")
        user_id = _create(session, now, email, name[:LONGEST_NAME], (row.role,), row.language, None, address)
        users.change_user(session, user_id, oidc_subject=pinned)
        invitations.change_invitation(session, row.id, accepted_at=now)
        created = users.find_user(session, user_id=user_id)
    assert created is not None
    return created


def check_email(email: str) -> str:
    """The address normalised, or `Invalid` at its field."""
    address = normalize.email(email)
    if not address:
        raise Invalid(fields={"email": BAD_EMAIL})
    return address


def check_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or not name.isprintable():
        raise Invalid(fields={"name": NO_NAME})
    if len(name) > LONGEST_NAME:
        raise Invalid(fields={"name": LONG_NAME}, n=LONGEST_NAME)
    return name
