"""Who asks, and whether they may: every route states a permission, or says that it is open. What says nothing is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from flask import Flask, current_app, g, redirect, request, session
from flask_login import current_user
from flask_wtf.csrf import CSRFProtect  # type: ignore[import-untyped]
from werkzeug.wrappers import Response as AnyResponse

from hub.core.errors import Forbidden
from hub.core.roles import MEANINGS, Permission
from hub.core.texts import say
from hub.core.types import Actor
from hub.services import sign_ins
from hub.services.audit import HUB, act_as
from hub.store.logins import let_go
from hub.web import keeping
from hub.web.pages import language

API = "/api/"
OPEN = "open"
"""Anybody may ask: what a route answers is public, or it checks for itself (sign-in pages, health)."""
SIGNED_IN = "signed in"
"""Every user may ask, whatever their role: one's own account."""
OPEN_ENDPOINTS = ("static", "bootstrap.static")
"""Style sheets and scripts."""
SIGN_IN = "hub_sign_in"
"""In the session: the id of its sign-in."""
BEARER = "hub_bearer"
"""Where the API's door leaves its reader of tokens: (request) → Who, or an error."""
API_ERRORS = "hub_api_errors"
"""Where the API leaves what tells its errors: (exception) → answer."""

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Who:
    """Who asks: a signed-in user, or an API token with what it may do (never more than its user)."""

    actor: Actor
    user_id: str
    permissions: frozenset[Permission]
    roles: tuple[str, ...] = ()
    token_id: str | None = None

    def may(self, permission: Permission | str) -> bool:
        return permission in self.permissions


class SignInFirst(Forbidden):
    """Nobody is signed in, or the token is not valid."""

    code = "sign_in_first"
    message = "Sign in first"
    cure = "Open the sign-in page, or send a valid API token"


class NotAllowed(Forbidden):
    """Signed in, but the roles do not allow it."""

    code = "not_allowed"
    message = "Your roles do not allow this: {meaning}"
    cure = "Ask an owner of this hub for the role, or for doing it"


def needs(permission: Permission) -> Callable[[View], View]:
    """Only users (and tokens) with this permission."""

    def mark(view: View) -> View:
        view.hub_access = permission  # type: ignore[attr-defined]
        return view

    return mark


def open_to_all(view: View) -> View:
    view.hub_access = OPEN  # type: ignore[attr-defined]
    return view


def signed_in(view: View) -> View:
    view.hub_access = SIGNED_IN  # type: ignore[attr-defined]
    return view


def access_of(app: Flask, endpoint: str, method: str) -> Permission | str | None:
    """What a route asks for; None if it says nothing. Class-based views say it at each method."""
    if endpoint.startswith(OPEN_ENDPOINTS):
        return OPEN
    view: Any = app.view_functions.get(endpoint)
    if view is not None and hasattr(view, "view_class"):
        verb = "get" if method == "HEAD" else method.lower()
        view = getattr(view.view_class, verb, None)
    found: Permission | str | None = getattr(view, "hub_access", None)
    return found


def register(app: Flask) -> None:
    """The guard before every request, then the token that keeps other sites' forms out."""
    app.before_request(_guard)
    tokens = CSRFProtect(app)
    app.before_request(lambda: None if request.endpoint is None or request.path.startswith(API) else tokens.protect())
    keeping.register(app)
    app.jinja_env.globals.update(who=who, may=may)


def _guard() -> AnyResponse | None:
    act_as(HUB)  # a thread serves many requests: whoever asked before is gone
    if request.endpoint is None:  # no such page, or not with this method: the router's own answer
        return None
    access = access_of(current_app, request.endpoint, request.method)
    if access == OPEN:
        if (found := _session_who() if not request.path.startswith(API) else None) is not None:
            act_as(found.actor)
        return None
    found = who()
    if found is None:
        if not request.path.startswith(API) and request.method not in ("GET", "HEAD"):
            keeping.keep_form()
            raise SignInFirst
        if request.path.startswith(API):
            raise SignInFirst
        return redirect(f"/account/login?next={quote(request.full_path.rstrip('?'), safe='')}")
    act_as(found.actor)
    if access == SIGNED_IN:
        return None
    require(access)
    return None


def require(permission: Permission | str | None) -> None:
    """`NotAllowed` unless whoever asks has the permission. For what depends on the input, not on the route."""
    found = who()
    if found is None:
        raise SignInFirst
    if permission is None or not found.may(permission):
        meaning = MEANINGS.get(Permission(permission), "") if permission else "?"
        raise NotAllowed(meaning=say(meaning, language()) if meaning else "?")


def who() -> Who | None:
    """Who asks; None if nobody is signed in. A token that is not valid is an error, not nobody."""
    if "hub_who" not in g:
        reader = current_app.extensions.get(BEARER)
        g.hub_who = reader(request) if reader and request.path.startswith(API) else _session_who()
    found: Who | None = g.hub_who
    return found


def may(permission: str) -> bool:
    """For templates: whether to offer something. The route itself is guarded all the same."""
    found = who()
    return found is not None and found.may(permission)


def _session_who() -> Who | None:
    """The user of the session, unless it is over: by its age or by signing out, whatever the browser keeps."""
    user: Any = current_user
    if not user or not user.is_authenticated or _is_over():
        return None
    actor = Actor("user", str(user.id), user.name or user.email, request.remote_addr or "")
    found = Who(actor, str(user.id), user.permissions, tuple(sorted(role.name for role in user.roles)))
    let_go()
    return found


def _is_over() -> bool:
    context = current_app.extensions["hub"]
    try:
        began = float(session.get("fs_paa") or 0)
    except (TypeError, ValueError):
        return True
    if context.now().timestamp() - began > context.settings.session_hours * 3600:
        return True
    return SIGN_IN in session and sign_ins.is_over(str(session[SIGN_IN]))
