"""A form that was sent when the sign-in was over: what was typed comes back after signing in again (see keeping.py)."""

from __future__ import annotations

from typing import Any

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.web.access import signed_in
from hub.web.keeping import COOKIE, drop_kept, kept_form

Answer = str | AnyResponse | tuple[str, int]


@signed_in
def kept() -> Answer:
    """The form as it was typed, with one button that sends it and one that throws it away."""
    form = kept_form()
    if form is None:
        return redirect(url_for("home"))
    if request.method == "POST":
        drop_kept()
        answer = redirect(url_for("home"), 303)
        answer.delete_cookie(COOKIE)
        return answer
    path, fields = form
    return render_template("account/kept.html", path=path, fields=fields)


def routes(add: Any) -> None:
    add("/kept", "kept", kept, ("GET", "POST"))
