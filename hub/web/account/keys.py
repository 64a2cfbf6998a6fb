"""Passkeys (WebAuthn): what the browser is asked, and whether its answer is right. One open question per session."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import webauthn
from flask import request, session
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from hub.core.errors import Invalid, Refused
from hub.core.texts import N_
from hub.services import second_factors, sign_ins
from hub.services.links import console_url
from hub.services.sign_ins import Origin
from hub.store import users
from hub.store.db import reading
from hub.web.account.parts import ISSUER, attempts, context

QUESTION = "hub_question"
LIFE = 600.0
"""Seconds that a page with a question may stand open."""
LONGEST_ANSWER = 20_000
LONGEST_NAME = 60
NO_KEY_NAME = N_("Give the passkey a name, for example «phone»")
LONG_KEY_NAME = N_("A name has at most {n} characters")


class PasskeyRefused(Refused):
    code = "passkey_refused"
    message = "The passkey was not accepted"
    cure = "Load the page again and repeat it, or sign in with your password"


def _place() -> tuple[str, str]:
    """(relying party, origin): what the browser itself says in its answer."""
    asked = request.host_url if request.host else ""  # nothing of it is left where it cannot be a host's name
    url = urlsplit(context().settings.public_url or asked or console_url(context()))
    return url.hostname or "", f"{url.scheme}://{url.netloc}"


def _ask(purpose: str) -> bytes:
    challenge = secrets.token_bytes(32)
    session[QUESTION] = {"for": purpose, "is": bytes_to_base64url(challenge), "at": context().now().timestamp()}
    return challenge


def _asked(purpose: str) -> bytes:
    """The open question, which is closed by being answered."""
    kept = session.pop(QUESTION, None)
    if not isinstance(kept, dict) or kept["for"] != purpose or context().now().timestamp() - float(kept["at"]) > LIFE:
        raise PasskeyRefused
    if not attempts().once(f"question/{kept['is']}", int(LIFE)):  # a browser could send the old session once more
        raise PasskeyRefused
    return base64url_to_bytes(str(kept["is"]))


def sign_in_options() -> str:
    """For the sign-in page: any passkey of this hub, with the person's PIN, finger or face."""
    party, _ = _place()
    options = webauthn.generate_authentication_options(
        rp_id=party, challenge=_ask("first"), user_verification=UserVerificationRequirement.REQUIRED
    )
    return webauthn.options_to_json(options)


def second_options(passkeys: Sequence[users.PasskeyRow]) -> str:
    party, _ = _place()
    options = webauthn.generate_authentication_options(
        rp_id=party,
        challenge=_ask("second"),
        allow_credentials=_described(passkeys),
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    return webauthn.options_to_json(options)


def new_options(row: users.UserRow, passkeys: Sequence[users.PasskeyRow]) -> str:
    """For setting one up; the user's other ones cannot be set up twice."""
    party, _ = _place()
    handle = row.fs_webauthn_user_handle or bytes_to_base64url(secrets.token_bytes(32))
    options = webauthn.generate_registration_options(
        rp_id=party,
        rp_name=ISSUER,
        user_id=base64url_to_bytes(handle),
        user_name=row.email,
        user_display_name=row.name or row.email,
        challenge=_ask(f"new {handle}"),
        exclude_credentials=_described(passkeys),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.PREFERRED
        ),
    )
    return webauthn.options_to_json(options)


def _described(passkeys: Sequence[users.PasskeyRow]) -> list[PublicKeyCredentialDescriptor]:
    known = {item.value for item in AuthenticatorTransport}
    return [
        PublicKeyCredentialDescriptor(
            id=row.credential_id,
            transports=[AuthenticatorTransport(name) for name in row.transports or () if name in known] or None,
        )
        for row in passkeys
    ]


def add_from_form(row: users.UserRow) -> list[str]:
    """Keep the passkey that the form brings; returns recovery codes if it is the user's first second factor."""
    name = " ".join(request.form.get("passkey_name", "").split())
    if not name or not name.isprintable():
        raise Invalid(fields={"passkey_name": NO_KEY_NAME})
    if len(name) > LONGEST_NAME:
        raise Invalid(fields={"passkey_name": LONG_KEY_NAME}, n=LONGEST_NAME)
    kept = session.get(QUESTION)
    handle = str(kept["for"]).partition(" ")[2] if isinstance(kept, dict) else ""
    challenge = _asked(f"new {handle}")
    party, origin = _place()
    answer = _answer(request.form.get("credential", ""))
    try:
        proven = webauthn.verify_registration_response(
            credential=answer, expected_challenge=challenge, expected_rp_id=party, expected_origin=origin
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise PasskeyRefused(cause=type(error).__name__) from error
    told = answer["response"].get("transports")
    transports = {str(one) for one in told[:20]} if isinstance(told, list) else set()
    return second_factors.add_passkey(
        context(),
        str(row.id),
        handle,
        name,
        credential_id=proven.credential_id,
        public_key=proven.credential_public_key,
        sign_count=proven.sign_count,
        transports=[item.value for item in AuthenticatorTransport if item.value in transports],
        backup_state=proven.credential_backed_up,
        device_type=proven.credential_device_type.value,
        usage="first",
    )


def _answer(text: str) -> dict[str, Any]:
    """The browser's answer as JSON."""
    parsed: Any = None
    if text and len(text) <= LONGEST_ANSWER:
        try:
            parsed = json.loads(text)
        except (ValueError, RecursionError):
            parsed = None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("response"), dict) or not isinstance(parsed.get("rawId"), str):
        raise PasskeyRefused
    return parsed


def check_first(text: str, origin: Origin) -> users.UserRow:
    """The user whose passkey signed the question, with their PIN, finger or face."""
    return _check(_asked("first"), text, origin, None)


def check_second(row: users.UserRow, text: str, origin: Origin) -> None:
    _check(_asked("second"), text, origin, row)


def _check(challenge: bytes, text: str, origin: Origin, expected: users.UserRow | None) -> users.UserRow:
    answer = _answer(text)
    try:
        credential_id = base64url_to_bytes(answer["rawId"])
    except ValueError:
        raise PasskeyRefused from None
    with reading() as found:
        key = users.find_passkey(found, credential_id)
        row = users.find_user(found, user_id=key.user_id) if key is not None else None
    if key is None or row is None or (expected is not None and row.id != expected.id):
        sign_ins.note_refusal(context(), expected, expected.email if expected else "", "passkey", "wrong", origin)
        raise PasskeyRefused
    party, place = _place()
    try:
        proven = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=party,
            expected_origin=place,
            credential_public_key=key.public_key,
            credential_current_sign_count=key.sign_count or 0,
            require_user_verification=expected is None,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        sign_ins.note_refusal(context(), row, row.email, "passkey", "wrong", origin)
        raise PasskeyRefused(cause=type(error).__name__) from error
    if not row.active:
        sign_ins.note_refusal(context(), row, row.email, "passkey", "disabled", origin)
        raise PasskeyRefused
    second_factors.note_passkey_use(context(), credential_id, proven.new_sign_count)
    return row
