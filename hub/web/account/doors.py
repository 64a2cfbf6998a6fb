"""The sign-in page, the second factor, signing out."""

from __future__ import annotations

from typing import Any

from flask import current_app, redirect, render_template, request, session, url_for
from flask_security.utils import logout_user
from werkzeug.wrappers import Response as AnyResponse

from hub.core.errors import HubError, Invalid
from hub.services import second_factors, sign_ins
from hub.services.sign_ins import CodeTry, WrongCode
from hub.store import users
from hub.store.db import reading
from hub.web.access import SIGN_IN, open_to_all, who
from hub.web.account import entry, keys
from hub.web.account.parts import attempts, context, local_path, origin, right_code, secret_typed, status_of
from hub.web.forms import error_summary, typed, wrong_fields

SINGLE_SIGN_ON = "hub_oidc"

Answer = str | AnyResponse | tuple[str, int]


@open_to_all
def sign_in() -> Answer:
    """E-mail address and password; or a passkey, which is both factors; or single sign-on."""
    wished = local_path(request.values.get("next", ""))
    if request.method != "POST":  # a HEAD is no try
        return redirect(wished) if who() is not None else _sign_in_page(wished)
    try:
        email = typed("email", users.LONGEST_EMAIL)
        row = sign_ins.try_password(context(), attempts(), email, secret_typed("password"), origin())
    except HubError as error:
        return _refused(error, wished)
    return entry.begin(row, "password", wished)


def _refused(error: HubError, wished: str) -> tuple[str, int]:
    wrong = wrong_fields(error) if isinstance(error, Invalid) else {}
    return _sign_in_page(wished, error=None if wrong else error, wrong=wrong), status_of(error)


def _sign_in_page(wished: str, *, error: HubError | None = None, wrong: dict[str, str] | None = None) -> str:
    return render_template(
        "account/sign_in.html",
        next=wished,
        email=request.form.get("email", "")[: users.LONGEST_EMAIL],
        error=error_summary(error) if error else None,
        wrong=wrong or {},
        options=keys.sign_in_options(),
        single_sign_on=SINGLE_SIGN_ON in current_app.extensions,
    )


@open_to_all
def sign_in_with_passkey() -> Answer:
    wished = local_path(request.values.get("next", ""))
    try:
        row = keys.check_first(request.form.get("credential", ""), origin())
    except HubError as error:
        return _refused(error, wished)
    return entry.complete(str(row.id), "passkey", wished)


@open_to_all
def second_factor() -> Answer:
    """The app's code, a recovery code or a passkey, after the password."""
    found = entry.pending()
    if found is None:
        return redirect(url_for("account.sign_in"))
    row, _ = found
    if not entry.has_second_factor(row):
        return redirect(url_for("account.set_up_second_factor"))
    if request.method != "POST":
        return _second_page(row)
    try:
        method = _try_code(row, typed("code", 100))
    except HubError as error:
        wrong = wrong_fields(error) if isinstance(error, Invalid) else {}
        return _second_page(row, error=None if wrong else error, wrong=wrong), status_of(error)
    return entry.complete(str(row.id), method)


def _try_code(row: users.UserRow, code: str) -> str:
    """Which of the two kinds of code it was; else `WrongCode` or `TooManyTries`."""
    digits = "".join(code.split())
    method = "totp" if len(digits) == 6 and digits.isdigit() else "recovery_code"
    attempt = CodeTry(context(), attempts(), row, method, origin())
    if method == "totp":
        right = bool(row.tf_totp_secret) and right_code(str(row.id), row.tf_totp_secret, digits)
    else:
        right = second_factors.use_recovery_code(context(), str(row.id), digits)
    if not right:
        raise attempt.wrong()
    attempt.right()
    return method


@open_to_all
def second_factor_passkey() -> Answer:
    found = entry.pending()
    if found is None:
        return redirect(url_for("account.sign_in"))
    row, _ = found
    try:
        keys.check_second(row, request.form.get("credential", ""), origin())
    except HubError as error:
        return _second_page(row, error=error), 400
    return entry.complete(str(row.id), "passkey")


def _second_page(row: users.UserRow, *, error: HubError | None = None, wrong: dict[str, str] | None = None) -> str:
    with reading() as session_:
        passkeys = users.list_passkeys(session_, str(row.id))
    return render_template(
        "account/second_factor.html",
        row=row,
        app=bool(row.tf_totp_secret),
        options=keys.second_options(passkeys) if passkeys else "",
        error=error_summary(error) if error else None,
        wrong=wrong or {},
        used=isinstance(error, WrongCode),
    )


@open_to_all
def sign_out() -> Answer:
    """Also for those whose sign-in is over: there is nothing to refuse. The browser's session is signed, not kept here: a copy
    of it would go on if the sign-in were not ended, too."""
    if sign_in_id := str(session.get(SIGN_IN) or ""):
        sign_ins.sign_out(sign_in_id)
    logout_user()
    session.clear()
    return redirect(url_for("account.sign_in"), 303)


def routes(add: Any) -> None:
    add("/login", "sign_in", sign_in, ("GET", "POST"))
    add("/login/passkey", "sign_in_with_passkey", sign_in_with_passkey, ("POST",))
    add("/second-factor", "second_factor", second_factor, ("GET", "POST"))
    add("/second-factor/passkey", "second_factor_passkey", second_factor_passkey, ("POST",))
    add("/logout", "sign_out", sign_out, ("POST",))
