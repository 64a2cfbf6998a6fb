"""Users and invitations: who may do what, and help for those who cannot get in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import current_app, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.core import normalize
from hub.core.errors import HubError, Invalid
from hub.core.roles import ROLE_MEANINGS, Permission, Role
from hub.core.texts import N_
from hub.services import accounts
from hub.services import invitations as verbs
from hub.services.context import Context
from hub.services.preferences import ChangedMeanwhile
from hub.store import invitations, sign_ins, users
from hub.store.db import reading
from hub.store.shelf import Shelf
from hub.web.access import Who, who
from hub.web.account.own import METHODS, OUTCOMES
from hub.web.forms import error_summary, tell, typed, wrong_fields
from hub.web.pages import firm

LINK, LINK_SECONDS = "invitation", 900
SHOWN = "hub_invitation"
LOCKS = timedelta(days=1)

Answer = str | AnyResponse | tuple[str, int]


def _context() -> Context:
    found: Context = current_app.extensions["hub"]
    return found


def _who() -> Who:
    found = who()
    assert found is not None  # the guard lets nobody else in
    return found


def _shelf() -> Shelf:
    keys = list(_context().vault.derive("shelf").values())
    return Shelf(current_app.extensions["hub_redis"], _context().settings.namespace, keys)


def list_users() -> str:
    """Users, open invitations and locked sign-ins; a link that was just made, until it was seen."""
    return _list()


def _list(error: HubError | None = None) -> str:
    wrong = wrong_fields(error) if isinstance(error, Invalid) else {}
    now = _context().now()
    with reading() as found:
        listed = users.list_users(found)
        open_ones = invitations.list_open(found, now)
        locks = sign_ins.locked_since(found, now - LOCKS)
    return render_template(
        "admin/users.html",
        listed=listed,
        invitations=open_ones,
        locks=locks,
        roles=ROLE_MEANINGS,
        made=_shelf().get(LINK, str(session.get(SHOWN) or "")),
        by_letter=bool(_context().settings.mail_url),
        email=request.form.get("email", "")[: users.LONGEST_EMAIL],
        role=request.form.get("role", Role.MARKETER.value),
        spoken=request.form.get("language", "") or firm().letters_language,
        error=error_summary(error) if error and not wrong else None,
        wrong=wrong,
    )


def invite_user() -> Answer:
    try:
        asked = (typed("email", users.LONGEST_EMAIL), typed("role", 40), typed("language", 2))
        invited = verbs.invite(_context(), *asked, _who().user_id, _who().actor.name)
    except HubError as error:
        return _list(error), 409 if isinstance(error, verbs.UserExists) else 400
    if invited.by_letter:
        tell("The invitation to {email} is on its way", email=asked[0])
    else:
        session[SHOWN] = _shelf().put(LINK, {"email": asked[0], "link": invited.link}, LINK_SECONDS)
    return redirect(url_for("admin.list_users"), 303)


def hide_invitation_link() -> AnyResponse:
    """The link was copied: it is not shown again."""
    _shelf().drop(LINK, str(session.pop(SHOWN, "")))
    return redirect(url_for("admin.list_users"), 303)


def revoke_invitation(invitation_id: UUID) -> AnyResponse:
    email = verbs.revoke(_context(), str(invitation_id))
    tell("The invitation to {email} is taken back", email=email)
    return redirect(url_for("admin.list_users"), 303)


def show_user(user_id: UUID) -> str:
    return _show(str(user_id))


def _show(user_id: str, error: HubError | None = None, form: str = "") -> str:
    row = accounts.find(user_id=user_id)
    with reading() as found:
        roles = users.roles_of(found, user_id)
        passkeys = len(users.list_passkeys(found, user_id))
        tries = sign_ins.recent_of(found, user_id, 10)
    wrong = wrong_fields(error) if isinstance(error, Invalid) else {}

    return render_template(
        "admin/user.html",
        row=row,
        chosen=request.form.getlist("roles") if form == "roles" else roles,
        stands=roles,
        overtaken=isinstance(error, ChangedMeanwhile),
        roles=ROLE_MEANINGS,
        passkeys=passkeys,
        left=len(row.mf_recovery_codes or ()),
        tries=tries,
        methods=METHODS,
        outcomes=OUTCOMES,
        oneself=_who().user_id == user_id,
        form=form,
        error=error_summary(error) if error and not wrong else None,
        wrong=wrong,
    )


def _try(user_id: UUID, form: str, verb: Callable[[], Any], done: str) -> Answer:
    """Do it and say so, or show the user's page with what stands in the way."""
    try:
        verb()
    except HubError as error:
        return _show(str(user_id), error, form), 400 if isinstance(error, Invalid) else 409
    row = accounts.find(user_id=str(user_id))
    tell(done, email=row.email)
    return redirect(url_for("admin.show_user", user_id=user_id), 303)


def change_roles(user_id: UUID) -> Answer:
    accounts.find(user_id=str(user_id))
    chosen = [name[:40] for name in request.form.getlist("roles")][:20]
    seen = request.form["seen"][:200].split(",") if "seen" in request.form else None
    return _try(
        user_id,
        "roles",
        lambda: accounts.change_roles(_context(), str(user_id), chosen, seen=seen),
        N_("The roles of {email} are as you chose"),
    )


def disable_user(user_id: UUID) -> Answer:
    """The address is typed in, so that nobody is shut out by a slip."""
    row = accounts.find(user_id=str(user_id))

    def disable() -> None:
        if normalize.email(request.form.get("address", "")[: users.LONGEST_EMAIL]) != row.email:
            raise Invalid(fields={"address": "Type the address exactly as it stands above"})
        accounts.disable(_context(), str(user_id))

    return _try(user_id, "disable", disable, N_("{email} cannot sign in any more, and every open sign-in ended"))


def enable_user(user_id: UUID) -> Answer:
    accounts.find(user_id=str(user_id))
    return _try(user_id, "enable", lambda: accounts.enable(_context(), str(user_id)), N_("{email} can sign in again"))


def reset_second_factor(user_id: UUID) -> Answer:
    accounts.find(user_id=str(user_id))
    return _try(
        user_id,
        "reset",
        lambda: accounts.reset_second_factor(_context(), str(user_id)),
        N_("The next sign-in of {email} begins with setting up a second factor"),
    )


def routes(add: Callable[..., None]) -> None:
    needed, post = Permission.USERS_WRITE, ("POST",)
    add("/users", list_users, needed)
    add("/users/invite", invite_user, needed, post)
    add("/users/invitation/seen", hide_invitation_link, needed, post)
    add("/users/invitations/<uuid:invitation_id>/revoke", revoke_invitation, needed, post)
    add("/users/<uuid:user_id>", show_user, needed)
    add("/users/<uuid:user_id>/roles", change_roles, needed, post)
    add("/users/<uuid:user_id>/disable", disable_user, needed, post)
    add("/users/<uuid:user_id>/enable", enable_user, needed, post)
    add("/users/<uuid:user_id>/reset-second-factor", reset_second_factor, needed, post)
