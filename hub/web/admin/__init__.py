"""The console's pages and what each asks for."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.core.roles import Permission
from hub.web.access import needs, signed_in
from hub.web.admin import decisions, quarantine, runs
from hub.web.pages import remember_language

PREFIX = "/admin"

admin = Blueprint("admin", __name__, url_prefix=PREFIX)


@admin.after_request
def _private(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return remember_language(answer)


def _home() -> AnyResponse:
    return redirect(url_for("admin.list_runs"))


def _add(rule: str, view: Any, permission: Permission = Permission.CONSOLE_READ) -> None:
    """Only GET (with HEAD): everything else, OPTIONS too, is 405."""
    admin.add_url_rule(rule, view_func=needs(permission)(view), methods=["GET"], provide_automatic_options=False)


admin.add_url_rule("/", view_func=signed_in(_home), methods=["GET"], provide_automatic_options=False)
_add("/runs", runs.list_runs)
_add("/runs/<uuid:run_id>", runs.show_run)
_add("/quarantine", quarantine.list_quarantine)
_add("/decisions", decisions.list_decisions)
_add("/decisions/<uuid:evaluation_id>", decisions.show_evaluation)
