"""Second factors as the hub keeps them: the app's secret (sealed by the door), recovery codes as hashes, passkeys."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

from hub.core.errors import Conflict, NotFound
from hub.services import audit
from hub.services.context import Context
from hub.store import users
from hub.store.db import Session, transaction

RECOVERY_CODES = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without those that are mistaken for one another."""
_GROUPS, _GROUP = 3, 4
"""Twelve of 31 letters: 59 bits, far beyond guessing at five tries."""


class PasskeyTaken(Conflict):
    code = "passkey_taken"
    message = "This passkey is set up already"
    cure = "Use another device or security key"


def subject(row: Any) -> tuple[str, str, str]:
    """A user in the audit trail."""
    return ("user", str(row.id), str(row.email))


def new_codes() -> list[str]:
    return [
        "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
        for _ in range(RECOVERY_CODES)
    ]


def _digests(context: Context, user_id: str, code: str) -> list[str]:
    """The code's hash under each of our keys, the newest first."""
    plain = "".join(char for char in code.lower() if char in _LETTERS)
    keys = context.vault.derive("recovery-codes").values()
    return [hmac.new(key.encode(), f"{user_id}/{plain}".encode(), hashlib.sha256).hexdigest() for key in keys]


def _user(session: Session, user_id: str) -> users.UserRow:
    row = users.find_user(session, user_id=user_id)
    if row is None:
        raise NotFound("This user does not exist")
    return row


def set_totp(context: Context, user_id: str, sealed_secret: str) -> list[str]:
    """Keep an app's secret whose first code was right, and make recovery codes, which are returned to be shown once."""
    codes = new_codes()
    with transaction() as session:
        row = _user(session, user_id)
        users.change_user(
            session,
            user_id,
            tf_primary_method="authenticator",
            tf_totp_secret=sealed_secret,
            mf_recovery_codes=[_digests(context, user_id, code)[0] for code in codes],
        )
        audit.note(
            session,
            "user.second_factor_set",
            subject(row),
            context.now(),
            before={"app": bool(row.tf_totp_secret)},
            after={"app": True, "recovery_codes": len(codes)},
        )
    return codes


def new_recovery_codes(context: Context, user_id: str) -> list[str]:
    """The old ones stop working."""
    codes = new_codes()
    with transaction() as session:
        row = _user(session, user_id)
        users.change_user(session, user_id, mf_recovery_codes=[_digests(context, user_id, code)[0] for code in codes])
        audit.note(
            session,
            "user.recovery_codes_made",
            subject(row),
            context.now(),
            before={"left": len(row.mf_recovery_codes or ())},
            after={"left": len(codes)},
        )
    return codes


def use_recovery_code(context: Context, user_id: str, code: str) -> bool:
    """Whether it is one of the user's codes; it does not work again."""
    wanted = _digests(context, user_id, code)
    with transaction() as session:
        row = users.find_user(session, user_id=user_id, lock=True)
        kept = list(row.mf_recovery_codes or ()) if row else []
        used = next((one for one in kept if any(hmac.compare_digest(one, digest) for digest in wanted)), None)
        if row is None or used is None:
            return False
        kept.remove(used)
        users.change_user(session, user_id, mf_recovery_codes=kept)
        audit.note(
            session,
            "user.recovery_code_used",
            subject(row),
            context.now(),
            before={"left": len(kept) + 1},
            after={"left": len(kept)},
        )
    return True


def add_passkey(context: Context, user_id: str, handle: str, name: str, **values: Any) -> list[str]:
    """Keep a passkey that was proven. Recovery codes are made, and returned, if the user had no second factor yet."""
    with transaction() as session:
        row = _user(session, user_id)
        if users.find_passkey(session, values["credential_id"]) is not None:
            raise PasskeyTaken
        codes = [] if row.mf_recovery_codes else new_codes()
        users.add_passkey(session, user_id=user_id, name=name, lastuse_datetime=context.now(), **values)
        changes: dict[str, Any] = {"fs_webauthn_user_handle": handle}
        if codes:
            changes["mf_recovery_codes"] = [_digests(context, user_id, code)[0] for code in codes]
        users.change_user(session, user_id, **changes)
        audit.note(session, "user.passkey_added", subject(row), context.now(), after={"passkey": name})
    return codes


def remove_passkey(context: Context, user_id: str, passkey_id: int) -> str:
    """Returns its name. The last second factor stays: without one nobody gets in."""
    with transaction() as session:
        row = _user(session, user_id)
        keys = users.list_passkeys(session, user_id)
        found = next((key for key in keys if key.id == passkey_id), None)
        if found is None:
            raise NotFound("This passkey does not exist (any more)")
        if len(keys) == 1 and not row.tf_totp_secret:
            raise Conflict(
                "This passkey is your only second factor, so it cannot be removed",
                cure="Set up an authenticator app or another passkey first",
            )
        users.remove_passkeys(session, user_id, passkey_id)
        audit.note(session, "user.passkey_removed", subject(row), context.now(), before={"passkey": found.name})
    return str(found.name)


def note_passkey_use(context: Context, credential_id: bytes, sign_count: int) -> None:
    """Its counter, by which a copied passkey is noticed, and when it was used."""
    with transaction() as session:
        users.use_passkey(session, credential_id, sign_count, context.now())
