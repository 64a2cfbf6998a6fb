"""Between the password and being in: who has shown what, and the session that begins when it is enough."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import current_app, make_response, redirect, session, url_for
from flask_security.utils import login_user
from werkzeug.wrappers import Response as AnyResponse

from hub.core.errors import NotFound
from hub.services import accounts, sign_ins
from hub.store import users
from hub.store.db import reading
from hub.store.logins import let_go, load_user
from hub.web.access import SIGN_IN
from hub.web.account.parts import attempts, context, local_path, origin
from hub.web.pages import LANGUAGE_COOKIE, YEAR

PENDING = "hub_pending"
NEXT = "hub_next"
CODES = "hub_codes"
PATIENCE = timedelta(minutes=15)
"""How long somebody may look for the phone after the password."""


def begin(row: users.UserRow, via: str, wished: str) -> AnyResponse:
    """The first factor was right: on to the second one, or to setting it up. What the session held before is gone."""
    session.clear()
    session.permanent = True
    session[PENDING] = {"user": row.fs_uniquifier, "id": str(row.id), "via": via, "at": context().now().timestamp()}
    session[NEXT] = local_path(wished)
    return redirect(url_for("account.second_factor" if has_second_factor(row) else "account.set_up_second_factor"), 303)


def has_second_factor(row: users.UserRow) -> bool:
    if row.tf_totp_secret:
        return True
    with reading() as found:
        return bool(users.list_passkeys(found, str(row.id)))


def pending() -> tuple[users.UserRow, str] | None:
    """Who has shown the first factor not long ago, and which one it was."""
    kept = session.get(PENDING)
    if not isinstance(kept, dict):
        return None
    if context().now().timestamp() - float(kept["at"]) > PATIENCE.total_seconds():
        return None
    try:
        row = accounts.find(user_id=str(kept["id"]))
    except NotFound:
        return None
    return (row, str(kept["via"])) if row.active and row.fs_uniquifier == kept["user"] else None


def complete(user_id: str, method: str, wished: str = "", *, codes_key: str = "") -> AnyResponse:
    """Everything was right: a new session, and on to where the person wanted to go (or first to their recovery codes)."""
    goal = local_path(wished or str(session.get(NEXT) or ""))
    session.clear()
    user: Any = load_user(user_id)
    login_user(user, remember=False, authn_via=[method])
    session.permanent = True
    session["fs_paa"] = context().now().timestamp()
    row = accounts.find(user_id=user_id)
    let_go()
    session[SIGN_IN] = sign_ins.note_sign_in(context(), attempts(), row, method, origin())
    if codes_key:
        session[CODES], session[NEXT] = codes_key, goal
        goal = url_for("account.recovery_codes")
    answer = make_response(redirect(goal, 303))
    secure = current_app.config["SESSION_COOKIE_SECURE"]
    answer.set_cookie(LANGUAGE_COOKIE, row.language, max_age=YEAR, httponly=True, samesite="Lax", secure=secure)
    return answer


def renew(user_id: str) -> None:
    """Keep this browser signed in after every sign-in was ended."""
    at, sign_in = session.get("fs_paa"), session.get(SIGN_IN)
    session.clear()
    user: Any = load_user(user_id)
    login_user(user, remember=False)
    session.permanent = True
    session["fs_paa"], session[SIGN_IN] = at or context().now().timestamp(), sign_in
    let_go()
