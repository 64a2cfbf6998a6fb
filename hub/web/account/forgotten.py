"""A forgotten password: ask for a letter, choose a new one. What is asked for says nothing about who is a user."""

from __future__ import annotations

from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.core import normalize
from hub.core.errors import HubError, Invalid
from hub.services import accounts
from hub.services.invitations import BAD_EMAIL, LinkOver
from hub.services.sign_ins import TooManyTries
from hub.store import users
from hub.web.access import open_to_all
from hub.web.account.parts import attempts, context, origin, secret_typed, status_of
from hub.web.forms import error_summary, tell, typed, wrong_fields

Answer = str | AnyResponse | tuple[str, int]


@open_to_all
def forgot() -> Answer:
    error: HubError | None = None
    if request.method == "POST":
        try:
            return _ask()
        except HubError as refused:
            error = refused
    wrong = wrong_fields(error) if isinstance(error, Invalid) else {}
    page = render_template(
        "account/forgot.html",
        email=request.form.get("email", "")[: users.LONGEST_EMAIL],
        wrong=wrong,
        error=error_summary(error) if error and not wrong else None,
        by_letter=bool(context().settings.mail_url),
    )
    return (page, status_of(error)) if error else page


def _ask() -> AnyResponse:
    email = normalize.email(typed("email", users.LONGEST_EMAIL))
    if not email:
        raise Invalid(fields={"email": BAD_EMAIL})
    take = attempts().take(f"reset/{email}", origin().address, context().now())
    if take.wait > 0:
        raise TooManyTries(take.wait)
    accounts.request_reset(context(), email, origin().address)
    tell("If there is a user with this address, a letter with a link is on its way")
    return redirect(url_for("account.sign_in"), 303)


@open_to_all
def reset(token: str) -> Answer:
    try:
        row = accounts.look_at_reset(context(), token)
    except LinkOver as error:
        return render_template("account/link_over.html", error=error_summary(error)), 410
    wrong: dict[str, str] = {}
    if request.method == "POST":
        try:
            if secret_typed("password") != secret_typed("again"):
                raise Invalid(fields={"again": "This is not the same password"})
            changed = accounts.reset_password(context(), token, secret_typed("password"), origin().address)
        except LinkOver as error:
            return render_template("account/link_over.html", error=error_summary(error)), 410
        except Invalid as error:
            wrong = wrong_fields(error)
        else:
            attempts().clear(changed.email, origin().address, context().now())
            tell("The new password works now: sign in with it")
            return redirect(url_for("account.sign_in"), 303)
    page = render_template("account/reset.html", row=row, wrong=wrong)
    return (page, 400) if wrong else page


def routes(add: Any) -> None:
    add("/forgot", "forgot", forgot, ("GET", "POST"))
    add("/reset/<token>", "reset", reset, ("GET", "POST"))
