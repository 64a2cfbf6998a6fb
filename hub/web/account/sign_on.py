"""Single sign-on with OpenID Connect: out to the provider and back. Only addresses that are users or were invited."""

from __future__ import annotations

from typing import Any

from flask import abort, current_app, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.core.errors import HubError
from hub.services import single_sign_on
from hub.services.links import console_url
from hub.web.access import open_to_all
from hub.web.account import entry
from hub.web.account.doors import SINGLE_SIGN_ON
from hub.web.account.parts import context, local_path, origin
from hub.web.forms import error_summary

STATE = "hub_sign_on"
PATIENCE = 600.0

Answer = str | AnyResponse | tuple[str, int]


def _provider() -> Any:
    return current_app.extensions.get(SINGLE_SIGN_ON) or abort(404)


def _return_address() -> str:
    return (
        console_url(context()) + url_for("account.sign_on_answer")
        if context().settings.public_url
        else url_for("account.sign_on_answer", _external=True)
    )


@open_to_all
def start() -> Answer:
    """On to the provider. What the answer must match stays in the session."""
    try:
        address, kept = _provider().begin(_return_address())
    except HubError as error:
        return _refused(error), 503
    session[STATE] = {**kept, "at": context().now().timestamp(), "next": local_path(request.args.get("next", ""))}
    return redirect(address)


@open_to_all
def answer() -> Answer:
    """Back from the provider: who it says this is, if the answer fits what was asked."""
    provider = _provider()
    kept = session.pop(STATE, None)
    try:
        if not isinstance(kept, dict) or context().now().timestamp() - float(kept["at"]) > PATIENCE:
            raise single_sign_on.SignOnRefused(cause="state")
        claims = provider.finish(dict(request.args), kept, _return_address())
        row, strong = single_sign_on.sign_on(context(), claims, origin())
    except HubError as error:
        return _refused(error), 400
    if strong:
        return entry.complete(str(row.id), "oidc", str(kept["next"]))
    return entry.begin(row, "oidc", str(kept["next"]))


def _refused(error: HubError) -> str:
    return render_template("account/link_over.html", error=error_summary(error))


def routes(add: Any) -> None:
    add("/single-sign-on", "sign_on_start", start, ("GET",))
    add("/single-sign-on/answer", "sign_on_answer", answer, ("GET",))
