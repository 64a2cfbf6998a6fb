"""Single sign-on: whom a provider's claims stand for. The provider is trusted with identities, not with who may enter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.core import normalize
from hub.core.errors import Refused
from hub.core.texts import N_
from hub.services import audit, invitations, sign_ins
from hub.services.context import Context
from hub.services.second_factors import subject
from hub.services.sign_ins import Origin
from hub.store import users
from hub.store.db import reading, transaction

STRONG = frozenset({"mfa", "otp", "hwk", "swk", "fpt", "face"})
"""Of RFC 8176's authentication methods: more than a password. Then the hub asks for no second factor of its own."""
LONGEST = 255


class SignOnRefused(Refused):
    code = "sign_on_refused"
    message = "Single sign-on did not work"
    cure = "Start again on the sign-in page; if it stays so, sign in with your password and tell whoever maintains the hub"


def sign_on(context: Context, claims: Mapping[str, Any], origin: Origin) -> tuple[users.UserRow, bool]:
    """(user, whether the provider asked for a second factor). The first time the provider's subject is pinned to the user:
    from then on it counts, and the same address under another subject is refused.

    `claims` are those of a checked ID token (OpenID Connect Core 1.0 §2 and §5.1).
    """
    pinned = f"{claims.get('iss', '')}|{claims.get('sub', '')}"
    email = normalize.email(str(claims.get("email") or "")) or ""
    if not claims.get("iss") or not claims.get("sub") or len(pinned) > LONGEST:
        raise _refuse(context, None, email, N_("The provider names nobody"), origin)
    with reading() as session:
        row = users.find_user(session, oidc_subject=pinned)
    if row is None:
        row = _first_time(context, claims, email, pinned, origin)
    if not row.active:
        sign_ins.note_refusal(context, row, row.email, "oidc", "disabled", origin)
        raise SignOnRefused("This user is disabled", cure="Ask an owner of this hub")
    methods = claims.get("amr")
    strong = isinstance(methods, list) and bool(STRONG & {str(one) for one in methods})
    return row, strong


def _first_time(context: Context, claims: Mapping[str, Any], email: str, pinned: str, origin: Origin) -> users.UserRow:
    if not email or claims.get("email_verified") is not True:
        raise _refuse(context, None, email, N_("The provider does not vouch for the e-mail address"), origin)
    with transaction() as session:
        row = users.find_user(session, email=email, lock=True)
        if row is not None and row.oidc_subject is None:
            users.change_user(session, row.id, oidc_subject=pinned)
            audit.note(session, "user.sign_on_pinned", subject(row), context.now(), after={"issuer": str(claims["iss"])})
            return row
    if row is not None:
        raise _refuse(context, row, email, N_("Another account of the provider is known for this address"), origin)
    try:
        created = invitations.accept_by_sign_on(context, email, str(claims.get("name") or "").strip(), origin.address, pinned)
    except invitations.LinkOver:
        sign_ins.note_refusal(context, None, email, "oidc", "wrong", origin)
        raise
    return created


def _refuse(context: Context, row: users.UserRow | None, email: str, message: str, origin: Origin) -> SignOnRefused:
    sign_ins.note_refusal(context, row, email, "oidc", "wrong", origin)
    return SignOnRefused(message)
