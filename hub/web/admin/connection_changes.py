"""Changing a connection's name and limits, and taking it away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.core.errors import HubError, Invalid
from hub.core.roles import Permission
from hub.core.texts import say
from hub.services import connections as verbs
from hub.services import upkeep
from hub.services.context import Context
from hub.services.preferences import ChangedMeanwhile
from hub.store import connections
from hub.store.db import reading
from hub.web.forms import error_summary, tell, typed, wrong_fields
from hub.web.pages import language
from hub.web.words import LIMITS

Answer = str | AnyResponse | tuple[str, int]


def _context() -> Context:
    found: Context = current_app.extensions["hub"]
    return found


def _find(connection_id: UUID) -> connections.ConnectionRow:
    with reading() as session:
        return connections.get_connection(session, str(connection_id))


def _to(connection_id: object) -> AnyResponse:
    return redirect(url_for("admin.show_connection", connection_id=connection_id), 303)


def show_rename(connection_id: UUID) -> str:
    row = _find(connection_id)
    return render_template("admin/connection_name.html", row=row, value=row.name, seen=row.name, wrong={}, error=None)


def rename_connection(connection_id: UUID) -> Answer:
    row, seen, name = _find(connection_id), request.form.get("seen", "")[:200], request.form.get("name", "")[:200].strip()
    try:
        upkeep.rename(_context(), row.id, typed("name", verbs.LONGEST_NAME), seen)
    except ChangedMeanwhile as error:
        rows = [(say("Name", language()), name, str(error.theirs))]
        return _conflict(row, rows, {"name": name, "seen": str(error.theirs)}, "admin.rename_connection")
    except (Invalid, verbs.NameTaken) as error:
        wrong = wrong_fields(error) if isinstance(error, Invalid) else {"name": error_summary(error)["message"]}
        page = render_template(
            "admin/connection_name.html", row=row, value=name, seen=seen, wrong=wrong, error=error_summary(error)
        )
        return page, 409 if isinstance(error, verbs.NameTaken) else 400
    tell("The connection is called «{name}» now", name=name)
    return _to(row.id)


def show_limits(connection_id: UUID) -> str:
    row = _find(connection_id)
    return _limits_page(row, upkeep.shown_limits(row), upkeep.shown_limits(row))


def _limits_page(row: Any, values: dict[str, str], seen: dict[str, str], error: HubError | None = None) -> str:
    wrong = wrong_fields(error) if isinstance(error, Invalid) else {}
    summary = error_summary(error) if error else None
    return render_template("admin/connection_limits.html", row=row, values=values, seen=seen, wrong=wrong, error=summary)


def change_limits(connection_id: UUID) -> Answer:
    row = _find(connection_id)
    values = {name: request.form.get(name, "")[:40].strip() for name in upkeep.LIMIT_NAMES}
    seen = {name: request.form.get(f"seen_{name}", "")[:40] for name in upkeep.LIMIT_NAMES}
    try:
        upkeep.change_limits(_context(), row.id, values, seen)
    except ChangedMeanwhile as error:
        lang, theirs = language(), error.theirs
        rows = [(say(LIMITS[name], lang), values[name], theirs[name]) for name in upkeep.LIMIT_NAMES]
        carried = {**values, **{f"seen_{name}": theirs[name] for name in upkeep.LIMIT_NAMES}}
        return _conflict(row, rows, carried, "admin.change_limits")
    except Invalid as error:
        return _limits_page(row, values, seen, error), 400
    tell("The limits are saved; they count from the next call on")
    return _to(row.id)


def _conflict(row: Any, rows: list[tuple[str, str, str]], carried: dict[str, str], endpoint: str) -> tuple[str, int]:
    """Somebody else saved first: both versions side by side."""
    action = url_for(endpoint, connection_id=row.id)
    back = url_for("admin.show_connection", connection_id=row.id)
    return render_template("conflict.html", rows=rows, carried=carried, action=action, back=back), 409


def show_disconnect(connection_id: UUID) -> str:
    row = _find(connection_id)
    return render_template("admin/disconnect.html", row=row, gone=upkeep.attached(row.id), value="", wrong={}, error=None)


def disconnect(connection_id: UUID) -> Answer:
    """Only with the connection's name typed: what goes with it cannot be brought back."""
    row = _find(connection_id)
    try:
        upkeep.disconnect(_context(), row.id, request.form.get("name", "")[:200])
    except Invalid as error:
        page = render_template(
            "admin/disconnect.html",
            row=row,
            gone=upkeep.attached(row.id),
            value=request.form.get("name", "")[:200],
            wrong=wrong_fields(error),
            error=error_summary(error),
        )
        return page, 400
    tell("«{name}» is disconnected", name=row.name)
    return redirect(url_for("admin.list_connections"), 303)


def routes(add: Callable[..., None]) -> None:
    write = Permission.CONNECTIONS_WRITE
    one = "/connections/<uuid:connection_id>"
    add(f"{one}/name", show_rename, write)
    add(f"{one}/name", rename_connection, write, methods=("POST",))
    add(f"{one}/limits", show_limits, write)
    add(f"{one}/limits", change_limits, write, methods=("POST",))
    add(f"{one}/disconnect", show_disconnect, write)
    add(f"{one}/disconnect", disconnect, write, methods=("POST",))
