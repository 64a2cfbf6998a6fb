"""Becoming a user: the owner's first set-up, taking up an invitation, setting up the second factor, recovery codes."""

from __future__ import annotations

from typing import Any

import qrcode  # type: ignore[import-untyped]
from flask import redirect, render_template, request, session, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from hub.core.errors import HubError, Invalid
from hub.core.roles import ROLE_MEANINGS, Role
from hub.services import accounts, invitations, second_factors
from hub.services.invitations import LONGEST_NAME
from hub.store import users
from hub.store.db import reading
from hub.web.access import open_to_all, signed_in, who
from hub.web.account import confirming, entry, keys
from hub.web.account.parts import codes, context, local_path, origin, right_code, secret_typed, shelf, status_of
from hub.web.forms import error_summary, typed, wrong_fields
from hub.web.pages import language

NEW = "hub_new_totp"
SHOWN = "recovery"
SHOWN_SECONDS = 900

Answer = str | AnyResponse | tuple[str, int]


@open_to_all
def set_up(token: str) -> Answer:
    return _take_up(token, first=True)


@open_to_all
def accept_invitation(token: str) -> Answer:
    return _take_up(token, first=False)


def _take_up(token: str, *, first: bool) -> Answer:
    """GET shows the form, POST makes the user; a link that does not work says what to do."""
    try:
        invited = invitations.look_at(context(), token)
        if (invited.email == "") is not first:
            raise invitations.LinkOver("This link is not one of ours, or it was cut off", cure="Copy the whole link")
    except invitations.LinkOver as error:
        return _link_over(error), 410
    wrong: dict[str, str] = {}
    if request.method == "POST":
        try:
            return _create(token)
        except invitations.LinkOver as error:
            return _link_over(error), 410
        except Invalid as error:
            wrong = wrong_fields(error)
    page = render_template(
        "account/joining.html",
        first=first,
        email=request.form.get("email", "")[: users.LONGEST_EMAIL] if first else invited.email,
        name=request.form.get("name", "")[:LONGEST_NAME],
        role=ROLE_MEANINGS[Role(invited.role)] if not first else "",
        wrong=wrong,
    )
    return (page, 400) if wrong else page


def _create(token: str) -> AnyResponse:
    password = secret_typed("password")
    if password != secret_typed("again"):
        raise Invalid(fields={"again": "This is not the same password"})
    name, email = typed("name"), typed("email", users.LONGEST_EMAIL)
    given = {"email": email, "language": language(), "address": origin().address}
    row = invitations.accept(context(), token, name, password, **given)
    return entry.begin(row, "password", url_for("home"))


def _link_over(error: HubError) -> str:
    return render_template("account/link_over.html", error=error_summary(error))


@open_to_all
def set_up_second_factor() -> Answer:
    """An authenticator app or a passkey: after the password for those who have none, or later from one's own account."""
    found = entry.pending()
    row = found[0] if found else _signed_in_row()
    if row is None:
        return redirect(url_for("account.sign_in"))
    joining = found is not None
    if joining and entry.has_second_factor(row):
        return redirect(url_for("account.second_factor"))
    error: HubError | None = None
    if request.method == "POST":
        try:
            return _keep_factor(row, joining=joining)
        except HubError as refused:
            error = refused
    page = _factor_page(row, joining=joining, error=error)
    return (page, status_of(error)) if error else page


def _signed_in_row() -> users.UserRow | None:
    found = who()
    return accounts.find(user_id=found.user_id) if found else None


def _keep_factor(row: users.UserRow, *, joining: bool) -> AnyResponse:
    if not joining:
        confirming.check(row)
    if "credential" in request.form:
        made, method = keys.add_from_form(row), "passkey"
    else:
        secret = str(session.get(NEW) or "")
        if not secret or not right_code(str(row.id), secret, typed("code", 100)):
            raise Invalid(fields={"code": "This code does not fit. Check the time on your phone, and type the newest code"})
        made, method = second_factors.set_totp(context(), str(row.id), secret), "totp"
    session.pop(NEW, None)
    key = shelf().put(SHOWN, made, SHOWN_SECONDS) if made else ""
    if joining:
        return entry.complete(str(row.id), method, codes_key=key)
    if key:
        session[entry.CODES], session[entry.NEXT] = key, url_for("account.show")
    return redirect(url_for("account.recovery_codes") if key else url_for("account.show"), 303)


def _factor_page(row: users.UserRow, *, joining: bool, error: HubError | None) -> str:
    if NEW not in session:
        session[NEW] = codes().generate_totp_secret()
    secret = str(session[NEW])
    with reading() as found:
        passkeys = users.list_passkeys(found, str(row.id))
    wrong = wrong_fields(error) if isinstance(error, Invalid) else {}
    return render_template(
        "account/set_up_second_factor.html",
        row=row,
        joining=joining,
        confirm_by=confirming.method(row),
        drawing=draw(codes().get_totp_uri(row.email, secret)),
        secret=codes().get_totp_pretty_key(secret),
        options=keys.new_options(row, passkeys),
        passkey_name=request.form.get("passkey_name", "")[: keys.LONGEST_NAME],
        error=error_summary(error) if error and not wrong else None,
        wrong=wrong,
    )


def draw(text: str) -> Markup:
    """A QR code as one SVG path, dark on light in every colour scheme: cameras read it so."""
    code = qrcode.QRCode(border=4, error_correction=qrcode.constants.ERROR_CORRECT_M)
    code.add_data(text)
    rows = code.get_matrix()
    path = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark)
    return Markup(
        '<svg class="qr" viewBox="0 0 {size} {size}" width="240" height="240" aria-hidden="true" focusable="false">'
        '<rect width="{size}" height="{size}" fill="#fff"/><path fill="#000" d="{path}"/></svg>'
    ).format(size=len(rows), path=path)


@signed_in
def recovery_codes() -> Answer:
    """Shown until the person says that they are kept, for a quarter of an hour at most; the hub itself keeps only hashes."""
    key = str(session.get(entry.CODES) or "")
    if request.method == "POST":
        shelf().drop(SHOWN, key)
        session.pop(entry.CODES, None)
        return redirect(local_path(str(session.pop(entry.NEXT, ""))), 303)
    made = shelf().get(SHOWN, key)
    if not made:
        return redirect(url_for("account.show"))
    return render_template("account/recovery_codes.html", codes=made)


def routes(add: Any) -> None:
    add("/set-up/<token>", "set_up", set_up, ("GET", "POST"))
    add("/invitation/<token>", "accept_invitation", accept_invitation, ("GET", "POST"))
    add("/second-factor/set-up", "set_up_second_factor", set_up_second_factor, ("GET", "POST"))
    add("/recovery-codes", "recovery_codes", recovery_codes, ("GET", "POST"))
