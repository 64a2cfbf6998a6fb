"""The console. Until it has accounts it answers to this machine only; it reads and changes nothing."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.web.admin import decisions, quarantine, runs
from hub.web.guard import require_local
from hub.web.pages import remember_language

PREFIX = "/admin"

admin = Blueprint("admin", __name__, url_prefix=PREFIX)


@admin.before_app_request
def _require_local() -> None:
    """Also for addresses below the console that do not exist: the router's 404 knows no blueprint."""
    if request.path == PREFIX or request.path.startswith(f"{PREFIX}/"):
        require_local(request)


@admin.after_request
def _private(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return remember_language(answer)


def _home() -> AnyResponse:
    return redirect(url_for("admin.list_runs"))


def _add(rule: str, view: Any) -> None:
    """Only GET (with HEAD): everything else, OPTIONS too, is 405."""
    admin.add_url_rule(rule, view_func=view, methods=["GET"], provide_automatic_options=False)


_add("/", _home)
_add("/runs", runs.list_runs)
_add("/runs/<uuid:run_id>", runs.show_run)
_add("/quarantine", quarantine.list_quarantine)
_add("/decisions", decisions.list_decisions)
_add("/decisions/<uuid:evaluation_id>", decisions.show_evaluation)
