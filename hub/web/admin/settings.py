"""Settings: what the firm sets here, and what the deployment has set, to look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from flask import current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.core.errors import HubError, Invalid
from hub.core.redact import redact
from hub.core.roles import Permission
from hub.core.settings import Settings, variable
from hub.core.texts import say
from hub.services import preferences
from hub.services.context import Context
from hub.services.preferences import ChangedMeanwhile, Firm, Kept
from hub.store import connections
from hub.store.db import reading
from hub.web import formats
from hub.web.forms import error_summary, tell, typed_number, wrong_fields
from hub.web.pages import LANGUAGE_NAMES, language

Answer = str | AnyResponse | tuple[str, int]
INTERVALS = (0, 300, 900, 1800, 3600, 6 * 3600, 24 * 3600)
COMMON_ZONES = ("Europe/Warsaw", "Europe/Berlin", "Europe/London", "Europe/Kyiv", "America/New_York", "UTC")
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Deployed:
    """One setting of the deployment. A secret one says only whether it is set."""

    variable: str
    meaning: str
    value: str
    changed: bool


def _context() -> Context:
    found: Context = current_app.extensions["hub"]
    return found


def show_settings() -> str:
    with reading() as session:
        kept = preferences.read_firm(session)
    return _page(kept.firm, kept)


def change_settings() -> Answer:
    """Save what was typed, if nobody saved since the page was loaded."""
    wished, seen = _typed_firm(), typed_number("version")
    try:
        preferences.change_firm(_context(), wished, seen)
    except ChangedMeanwhile as error:
        return _conflict(wished, error.theirs)
    except Invalid as error:
        with reading() as session:
            kept = preferences.read_firm(session)
        return _page(wished, kept, seen=seen, error=error), 400
    tell("The settings are saved")
    return redirect(url_for("admin.show_settings"), 303)


def undo_settings() -> Answer:
    """Back to what was before the last change."""
    try:
        preferences.undo_firm(_context(), typed_number("version"))
    except ChangedMeanwhile as error:
        kept: Kept = error.theirs
        return _page(kept.firm, kept, error=error), 409
    tell("The last change is undone")
    return redirect(url_for("admin.show_settings"), 303)


def _typed_firm() -> Firm:
    own = {}
    for name, value in request.form.items():
        if name.startswith("sync_every.") and value != DEFAULT:
            own[name.removeprefix("sync_every.")[:40]] = (
                float(value) if value.isascii() and value.isdigit() and len(value) < 9 else -1.0
            )
    return Firm(
        name=request.form.get("name", "")[:1000].strip(),
        letters_language=request.form.get("letters_language", "")[:20],
        time_zone=request.form.get("time_zone", "")[:100].strip(),
        sync_every=own,
    )


def _page(firm: Firm, kept: Kept, *, seen: int | None = None, error: HubError | None = None) -> str:
    context, lang = _context(), language()
    with reading() as session:
        rows = connections.list_connections(session)
    readable = [row for row in rows if any(stream.reads for stream in context.platform(row.platform).DECLARATION.streams)]
    return render_template(
        "admin/settings.html",
        firm=firm,
        version=kept.version if seen is None else seen,
        undoable=kept.before is not None,
        changes=_differences(kept.firm, kept.before, rows) if kept.before else [],
        rows=readable,
        chosen={row.id: _choice(firm, row.id) for row in readable},
        intervals=[(DEFAULT, _default_text(context, lang)), *((str(one), _interval_text(one, lang)) for one in INTERVALS)],
        languages_known=list(LANGUAGE_NAMES.items()),
        zones=COMMON_ZONES,
        wrong=wrong_fields(error) if isinstance(error, Invalid) else {},
        error=error_summary(error) if error else None,
        deployed=_deployed(context.settings),
    )


def _choice(firm: Firm, connection_id: str) -> str:
    return f"{firm.sync_every[connection_id]:g}" if connection_id in firm.sync_every else DEFAULT


def _interval_text(seconds: float, lang: str) -> str:
    if not seconds:
        return say("never by itself", lang)
    return say("every {time}", lang, time=formats.duration(seconds, lang))


def _default_text(context: Context, lang: str) -> str:
    return say("as HUB_SYNC_EVERY says: {interval}", lang, interval=_interval_text(context.settings.sync_every, lang))


def _differences(mine: Firm, theirs: Firm, rows: Sequence[Any]) -> list[tuple[str, str, str]]:
    """(what, mine, theirs) of what is not the same."""
    return [row for row in _sides(mine, theirs, rows) if row[1] != row[2]]


def _sides(mine: Firm, theirs: Firm, rows: Sequence[Any]) -> list[tuple[str, str, str]]:
    lang = language()
    letters = [LANGUAGE_NAMES.get(one.letters_language, "") for one in (mine, theirs)]
    listed = [
        (say("The firm's name", lang), mine.name, theirs.name),
        (say("Language of letters", lang), letters[0], letters[1]),
        (say("Time zone", lang), mine.time_zone, theirs.time_zone),
    ]
    for row in rows:
        sides = [
            _interval_text(firm.sync_every[row.id], lang) if row.id in firm.sync_every else _default_text(_context(), lang)
            for firm in (mine, theirs)
        ]
        listed.append((say("How often {name} is read", lang, name=row.name), sides[0], sides[1]))
    return listed


def _conflict(wished: Firm, theirs: Kept) -> tuple[str, int]:
    with reading() as session:
        rows = connections.list_connections(session)
    carried = {
        "version": str(theirs.version),
        "name": wished.name,
        "letters_language": wished.letters_language,
        "time_zone": wished.time_zone,
        **{f"sync_every.{key}": f"{seconds:g}" for key, seconds in wished.sync_every.items()},
    }
    page = render_template(
        "conflict.html",
        rows=_sides(wished, theirs.firm, rows),
        carried=carried,
        action=url_for("admin.change_settings"),
        back=url_for("admin.show_settings"),
    )
    return page, 409


def _deployed(settings: Settings) -> list[Deployed]:
    lang, listed = language(), []
    for item in fields(Settings):
        value = getattr(settings, item.name)
        shown = ", ".join(sorted(value)) if isinstance(value, frozenset) else redact(str(value))
        if not item.repr:
            shown = say("set, and secret", lang) if value else ""
        elif isinstance(value, Path):
            shown = str(value)
        listed.append(Deployed(variable(item.name), say(item.metadata["meaning"], lang), shown, value != item.default))
    return listed


def routes(add: Callable[..., None]) -> None:
    add("/settings", show_settings)
    add("/settings", change_settings, Permission.SETTINGS_WRITE, methods=("POST",))
    add("/settings/undo", undo_settings, Permission.SETTINGS_WRITE, methods=("POST",))
