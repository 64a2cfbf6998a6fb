"""Connections: the list, one from near, connecting a new account, and everything that looks after one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from flask import current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub import connectors
from hub.core.connector import Declaration
from hub.core.errors import HubError, Invalid, NotFound, PlatformError, Refused
from hub.core.roles import Permission
from hub.services import connections as verbs
from hub.services import overview, sync, upkeep
from hub.services.context import Context
from hub.services.dictionaries import OPTION as MAPPING
from hub.services.preferences import interval, read_firm
from hub.store import connections, glance, runs
from hub.store.db import reading
from hub.web.faults import read_fault
from hub.web.forms import error_summary, tell, tell_error, typed, wrong_fields
from hub.web.pages import language, zone

LAST_RUNS = 10
LONGEST_CREDENTIAL = 2000
MOST_FACTS = 20
Answer = str | AnyResponse | tuple[str, int]


def _context() -> Context:
    found: Context = current_app.extensions["hub"]
    return found


def _to(connection_id: object) -> AnyResponse:
    return redirect(url_for("admin.show_connection", connection_id=connection_id), 303)


def list_connections() -> str:
    """Every connection with its state, its last results and how much was read from it."""
    context = _context()
    with reading() as session:
        rows = connections.list_connections(session)
        totals = overview.count_totals(context, session, context.now(), zone())
        firm = read_firm(session).firm
    counts = {row.id: [(stream, n) for (key, stream), n in totals.records.items() if key == row.id] for row in rows}
    return render_template(
        "admin/connections.html",
        rows=rows,
        titles={row.id: context.platform(row.platform).DECLARATION.title for row in rows},
        faults={row.id: read_fault(row.error, language()) for row in rows},
        counts=counts,
        intervals={row.id: interval(context, firm, row.id) for row in rows},
    )


def show_connection(connection_id: UUID) -> str:
    """Account, facts, streams, last runs, limits with today's use, what is wrong and how to mend it."""
    context = _context()
    facts = upkeep.describe(context, current_app.extensions["hub_redis"], str(connection_id))
    with reading() as session:
        last = {run.stream: run for run in glance.newest_finished(session, [(facts.row.id, name) for name in facts.readable])}
        recent = runs.list_runs(session, connection_id=facts.row.id, limit=LAST_RUNS)
        moving = runs.open_runs(session, facts.row.id)
        totals = overview.count_totals(context, session, context.now(), zone())
        every = interval(context, read_firm(session).firm, facts.row.id)
    streams = [*facts.readable, *(name for name in facts.writable if name not in facts.readable)]
    return render_template(
        "admin/connection.html",
        facts=facts,
        row=facts.row,
        known=[
            (str(name), str(value))
            for name, value in list(facts.row.facts.items())[:MOST_FACTS]
            if not isinstance(value, dict | list)
        ],
        fault=read_fault(facts.row.error, language()),
        streams=[(name, last.get(name), totals.records.get((facts.row.id, name), 0)) for name in streams],
        recent=recent,
        moving=moving,
        every=every,
        own_dictionary=bool(facts.row.options.get(MAPPING)),
        own_limits=upkeep.shown_limits(facts.row),
    )


def choose_platform() -> str:
    declarations = [connectors.load(name).DECLARATION for name in connectors.names()]
    return render_template("admin/connect_platform.html", declarations=declarations)


def show_connect(platform: str) -> str:
    return _form(_declaration(platform), {})


def connect_account(platform: str) -> Answer:
    """Check what was typed with one call to the platform; what is wrong is told at its field."""
    declaration = _declaration(platform)
    values = _values()
    try:
        credentials = _typed_credentials(declaration)
        done = verbs.connect(_context(), declaration.name, credentials, name=typed("name", verbs.LONGEST_NAME) or None)
    except (Refused, PlatformError) as error:
        return _form(declaration, values, error=error), 400 if isinstance(error, Refused) else 502
    text = (
        "«{name}» is connected: {account}"
        if done.new
        else "«{name}» was connected before; it has the new credentials now: {account}"
    )
    tell(text, name=done.connection.name, account=done.connection.account_name)
    return _to(done.connection.id)


def _declaration(platform: str) -> Declaration:
    if platform not in connectors.names():
        raise NotFound("There is no such platform", cure="Choose one of the list")
    return connectors.load(platform).DECLARATION


def _typed_credentials(declaration: Declaration) -> dict[str, str]:
    return {item.name: typed(item.name, LONGEST_CREDENTIAL) for item in declaration.auth}


def _values() -> dict[str, str]:
    """What was typed, to be shown again; each at most as long as a field may be."""
    return {name: value[:LONGEST_CREDENTIAL] for name, value in request.form.items()}


def _form(declaration: Declaration, values: Mapping[str, str], *, error: HubError | None = None, row: Any = None) -> str:
    wrong = wrong_fields(error) if isinstance(error, Invalid) else {}
    if isinstance(error, verbs.NameTaken):
        wrong = {"name": error_summary(error)["message"]}
    return render_template(
        "admin/connect.html",
        declaration=declaration,
        values=values,
        wrong=wrong,
        error=error_summary(error) if error else None,
        row=row,
    )


def show_credentials(connection_id: UUID) -> str:
    facts = upkeep.describe(_context(), current_app.extensions["hub_redis"], str(connection_id))
    return _form(_declaration(facts.row.platform), facts.credentials, row=facts.row)


def change_credentials(connection_id: UUID) -> Answer:
    """New keys for the same account; its history, cursors and scenarios stay."""
    with reading() as session:
        row = connections.get_connection(session, str(connection_id))
    declaration = _declaration(row.platform)
    try:
        credentials = _typed_credentials(declaration)
        verbs.connect(_context(), row.platform, credentials, name=row.name, expected=row.id)
    except (Refused, PlatformError) as error:
        return _form(declaration, _values(), error=error, row=row), 400 if isinstance(error, Refused) else 502
    tell("«{name}» has new credentials, and they work", name=row.name)
    return _to(row.id)


def check_connection(connection_id: UUID) -> AnyResponse:
    """Ask the platform now whether the connection works."""
    try:
        checked = verbs.check(_context(), str(connection_id))
    except NotFound:
        raise
    except (Refused, PlatformError) as error:
        tell_error(error)
        return _to(connection_id)
    tell("The platform answers: {account}", account=checked.account_name)
    return _to(connection_id)


def sync_connection(connection_id: UUID) -> AnyResponse:
    """Start a sync of all streams or of those chosen, from the checkpoints or from the beginning."""
    streams = [name for name in request.form.getlist("stream") if name][:MOST_FACTS]
    try:
        sync.request_sync(_context(), str(connection_id), streams, full=request.form.get("full") == "yes")
    except NotFound:
        raise
    except Refused as error:
        tell_error(error)
        return _to(connection_id)
    tell("The sync is queued; it starts as soon as a worker is free")
    return _to(connection_id)


def pause_connection(connection_id: UUID) -> AnyResponse:
    row = upkeep.pause(_context(), str(connection_id))
    tell("«{name}» is paused: nothing is read on schedule and nothing is sent", name=row.name)
    return _to(row.id)


def resume_connection(connection_id: UUID) -> AnyResponse:
    row = upkeep.resume(_context(), str(connection_id))
    tell("«{name}» goes on", name=row.name)
    return _to(row.id)


def routes(add: Callable[..., None]) -> None:
    write = Permission.CONNECTIONS_WRITE
    one = "/connections/<uuid:connection_id>"
    add("/connections", list_connections)
    add("/connections/new", choose_platform, write)
    add("/connections/new/<platform>", show_connect, write)
    add("/connections/new/<platform>", connect_account, write, methods=("POST",))
    add(one, show_connection)
    add(f"{one}/credentials", show_credentials, write)
    add(f"{one}/credentials", change_credentials, write, methods=("POST",))
    add(f"{one}/check", check_connection, write, methods=("POST",))
    add(f"{one}/sync", sync_connection, Permission.RUNS_START, methods=("POST",))
    add(f"{one}/pause", pause_connection, write, methods=("POST",))
    add(f"{one}/resume", resume_connection, write, methods=("POST",))
