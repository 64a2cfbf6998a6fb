"""API tokens: one's own, and for owners everybody's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.core.errors import Invalid, NotFound
from hub.core.roles import MEANINGS, Permission, Role
from hub.core.texts import N_
from hub.services import api_tokens
from hub.services.api_tokens import DEFAULT_DAYS, LONGEST_NAME, Maker
from hub.services.context import Context
from hub.store import tokens
from hub.store.db import reading
from hub.web.access import Who, signed_in, who
from hub.web.admin import shown_once
from hub.web.forms import error_summary, tell, typed, wrong_fields
from hub.web.pages import argument, argument_id

PAGE = 50
MADE = "token"
DAYS = (30, DEFAULT_DAYS, 180, 365)
STATES = {
    "active": N_("active"),
    "revoked": N_("revoked"),
    "expired": N_("ended"),
    "sleeping": N_("its user is disabled"),
}

Answer = str | AnyResponse | tuple[str, int]


def _context() -> Context:
    found: Context = current_app.extensions["hub"]
    return found


def _who() -> Who:
    found = who()
    assert found is not None  # the guard lets nobody else in
    return found


@signed_in
def list_tokens() -> str:
    """One's own tokens and a form for a new one; a token that was just made, until it was copied."""
    return _page(form={"days": str(DEFAULT_DAYS)})


def _page(form: dict[str, Any], error: Invalid | None = None) -> str:
    asker, before = _who(), argument_id("before")
    everybody = argument("everybody") == "yes" and asker.may(Permission.USERS_WRITE)
    with reading() as session:
        rows = tokens.page_tokens(session, user_id=None if everybody else asker.user_id, before=before, limit=PAGE + 1)
    now = _context().now()
    return render_template(
        "admin/tokens.html",
        rows=[(row, api_tokens.state_of(row, now)) for row in rows[:PAGE]],
        next_page=rows[PAGE - 1].id if len(rows) > PAGE else None,
        everybody=everybody,
        states=STATES,
        meanings={one: MEANINGS[one] for one in Permission if one in asker.permissions},
        days=DAYS,
        endless=Role.OWNER in asker.roles,
        made=shown_once.kept(MADE),
        form_id=shown_once.form_id(),
        form=form,
        wrong=wrong_fields(error) if error else {},
        error=error_summary(error) if error else None,
        longest=LONGEST_NAME,
    )


@signed_in
def create_token() -> Answer:
    asker = _who()
    form: dict[str, Any] = {
        "name": request.form.get("name", "")[:200],
        "scopes": [one[:40] for one in request.form.getlist("scopes")[:50]],
        "days": request.form.get("days", "")[:4],
    }
    if shown_once.was_sent():
        return redirect(url_for("admin.list_tokens"), 303)
    maker = Maker(asker.permissions, Role.OWNER in asker.roles)
    try:
        name = typed("name", LONGEST_NAME)
        days = int(form["days"]) if form["days"].isascii() and form["days"].isdigit() else -1
        made = api_tokens.create_token(_context(), asker.user_id, name, form["scopes"], days, maker=maker)
    except Invalid as error:
        return _page(form, error), 400
    shown_once.note_sent()
    shown_once.keep(MADE, {"name": made.name, "token": made.token})
    return redirect(url_for("admin.list_tokens"), 303)


@signed_in
def hide_token() -> AnyResponse:
    """It was copied: it is not shown again."""
    shown_once.drop(MADE)
    return redirect(url_for("admin.list_tokens"), 303)


def _find(token_id: UUID) -> Any:
    asker = _who()
    with reading() as session:
        row = tokens.find_token(session, str(token_id))
    if row is None or (row.user_id != asker.user_id and not asker.may(Permission.USERS_WRITE)):
        raise NotFound("There is no such token", cure="Go on from the list of tokens")
    return row


@signed_in
def show_revoke(token_id: UUID) -> str:
    return render_template("admin/token_revoke.html", row=_find(token_id), value="", wrong={}, error=None)


@signed_in
def revoke_token(token_id: UUID) -> Answer:
    """Only with the token's name typed: what uses it stops working at once."""
    row = _find(token_id)
    if request.form.get("name", "")[:200].strip() != row.name:
        error = Invalid("Nothing was revoked", fields={"name": "This is not the token's name"})
        page = render_template(
            "admin/token_revoke.html",
            row=row,
            value=request.form.get("name", "")[:200],
            wrong=wrong_fields(error),
            error=error_summary(error),
        )
        return page, 400
    api_tokens.revoke_token(_context(), row.id)
    tell("The token «{name}» is revoked", name=row.name)
    return redirect(url_for("admin.list_tokens"), 303)


def routes(add: Callable[..., None]) -> None:
    add("/tokens", list_tokens)
    add("/tokens", create_token, methods=("POST",))
    add("/tokens/copied", hide_token, methods=("POST",))
    add("/tokens/<uuid:token_id>/revoke", show_revoke)
    add("/tokens/<uuid:token_id>/revoke", revoke_token, methods=("POST",))
