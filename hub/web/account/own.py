"""One's own account: name, language, password, second factors, sign-ins."""

from __future__ import annotations

from typing import Any

from flask import current_app, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.core.errors import HubError, Invalid
from hub.core.texts import LANGUAGES, N_
from hub.services import accounts, second_factors
from hub.services.invitations import LONGEST_NAME
from hub.store import sign_ins, users
from hub.store.db import reading
from hub.web.access import Who, signed_in, who
from hub.web.account import confirming, entry
from hub.web.account.joining import SHOWN, SHOWN_SECONDS
from hub.web.account.parts import context, secret_typed, shelf, status_of
from hub.web.forms import error_summary, tell, typed, wrong_fields
from hub.web.pages import LANGUAGE_COOKIE, YEAR

METHODS = {
    "password": N_("Password"),
    "totp": N_("Code from the app"),
    "passkey": N_("Passkey"),
    "recovery_code": N_("Recovery code"),
    "oidc": N_("Single sign-on"),
}
OUTCOMES = {
    sign_ins.OK: N_("signed in"),
    sign_ins.ENDED: N_("signed in, later signed out"),
    sign_ins.WRONG: N_("wrong password or code"),
    sign_ins.LOCKED: N_("refused, locked"),
    sign_ins.DISABLED: N_("refused, disabled"),
}

Answer = str | AnyResponse | tuple[str, int]


def _who() -> Who:
    found = who()
    assert found is not None  # the guard lets nobody else in
    return found


@signed_in
def show() -> Answer:
    return _page()


def _page(error: HubError | None = None, form: str = "") -> str:
    user_id = _who().user_id
    wrong = wrong_fields(error) if isinstance(error, Invalid) else {}
    with reading() as found:
        row = users.find_user(found, user_id=user_id)
        passkeys = users.list_passkeys(found, user_id)
        tries = sign_ins.recent_of(found, user_id)
    assert row is not None
    typed_here = form == "profile"
    return render_template(
        "account/own.html",
        row=row,
        roles=_who().roles,
        passkeys=passkeys,
        tries=tries,
        left=len(row.mf_recovery_codes or ()),
        confirm_by=confirming.method(row),
        name=request.form.get("name", "")[:LONGEST_NAME] if typed_here else row.name,
        spoken=request.form.get("language", "") if typed_here else row.language,
        methods=METHODS,
        outcomes=OUTCOMES,
        form=form,
        error=error_summary(error) if error and not wrong else None,
        wrong=wrong,
    )


def _own_row() -> users.UserRow:
    return accounts.find(user_id=_who().user_id)


@signed_in
def change_profile() -> Answer:
    try:
        chosen = typed("language", 2)
        accounts.change_profile(context(), _who().user_id, typed("name"), chosen)
    except Invalid as error:
        return _page(error, "profile"), 400
    answer = redirect(url_for("account.show"), 303)
    if chosen in LANGUAGES:
        secure = current_app.config["SESSION_COOKIE_SECURE"]
        answer.set_cookie(LANGUAGE_COOKIE, chosen, max_age=YEAR, httponly=True, samesite="Lax", secure=secure)
    tell("Saved")
    return answer


@signed_in
def change_password() -> Answer:
    """Every other sign-in ends; this one goes on."""
    row = _own_row()
    try:
        if secret_typed("password") != secret_typed("again"):
            raise Invalid(fields={"again": "This is not the same password"})
        confirming.check(row)
        accounts.change_password(context(), str(row.id), secret_typed("password"))
    except HubError as error:
        return _page(error, "password"), status_of(error)
    entry.renew(str(row.id))
    tell("The password is changed, and every other sign-in was ended")
    return redirect(url_for("account.show"), 303)


@signed_in
def new_recovery_codes() -> Answer:
    row = _own_row()
    try:
        confirming.check(row)
    except HubError as error:
        return _page(error, "codes"), status_of(error)
    made = second_factors.new_recovery_codes(context(), str(row.id))
    session[entry.CODES] = shelf().put(SHOWN, made, SHOWN_SECONDS)
    session[entry.NEXT] = url_for("account.show")
    return redirect(url_for("account.recovery_codes"), 303)


@signed_in
def remove_passkey(passkey_id: int) -> Answer:
    row = _own_row()
    try:
        confirming.check(row)
        name = second_factors.remove_passkey(context(), str(row.id), passkey_id)
    except HubError as error:
        return _page(error, f"passkey-{passkey_id}"), status_of(error)
    tell("The passkey «{name}» is removed", name=name)
    return redirect(url_for("account.show"), 303)


@signed_in
def sign_out_everywhere() -> Answer:
    accounts.sign_out_everywhere(context(), _who().user_id)
    session.clear()
    tell("You are signed out in every browser")
    return redirect(url_for("account.sign_in"), 303)


def routes(add: Any) -> None:
    add("/", "show", show, ("GET",))
    add("/profile", "change_profile", change_profile, ("POST",))
    add("/password", "change_password", change_password, ("POST",))
    add("/recovery-codes/new", "new_recovery_codes", new_recovery_codes, ("POST",))
    add("/passkeys/<int:passkey_id>/remove", "remove_passkey", remove_passkey, ("POST",))
    add("/sign-out-everywhere", "sign_out_everywhere", sign_out_everywhere, ("POST",))
