"""Syncs, their runs, and what could not be used."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from hub.core.errors import NotFound
from hub.core.roles import Permission
from hub.core.types import RunState
from hub.services import summary, sync
from hub.store import quarantine, runs
from hub.store.db import reading
from hub.web.api.connections import find
from hub.web.api.kit import Area, Rows, hub
from hub.web.api.paging import read_cursor
from hub.web.api.shapes import (
    Choice,
    Code,
    Flag,
    Id,
    Moment,
    PageQuery,
    Shape,
    StoredErrorShape,
    Text,
    Whole,
    about,
    page_of,
    stored_error,
)
from hub.web.privacy import veil

area = Area("runs", "Syncs, their runs, and the quarantine.")
P = Permission
STATES = tuple(state.value for state in RunState)


class RunShape(Shape):
    id = Id("The run's id", required=True)
    group_id = Id("The sync it belongs to", required=True)
    connection_id = Id("The connection it reads", required=True)
    connection_name = Code("That connection's name", "shop", required=True)
    stream = Code("The stream", "customers", required=True)
    state = Code("queued, running, waiting, done, failed", "done", required=True)
    read = Whole("Records read: the sum of the next four", required=True)
    created = Whole("Records that are new", required=True)
    updated = Whole("Records that had changed", required=True)
    unchanged = Whole("Records as they were", required=True)
    quarantined = Whole("Records that could not be used", required=True)
    total = Whole("The platform's own count, for progress", required=True, allow_none=True)
    error = fields.Nested(StoredErrorShape, required=True, allow_none=True)
    created_at = Moment("When it was asked for", required=True)
    started_at = Moment("When it began", required=True, allow_none=True)
    finished_at = Moment("When it ended", required=True, allow_none=True)


class RunsQuery(PageQuery):
    connection = Text("Only of this connection: its name or id", 80)
    state = Choice("Only in this state", STATES)


class SyncShape(Shape):
    group_id = Id("The sync's id", required=True)
    runs = fields.List(fields.Nested(RunShape), required=True, metadata={"description": "One run per stream, in their order"})


class NewSyncShape(Shape):
    streams = fields.List(
        Text("A stream", 80), metadata=about("Only these; all that can be read by default", ["customers"]), load_default=list
    )
    full = Flag("From the beginning, not from where the last sync ended", load_default=False)


class EntryShape(Shape):
    id = Id("The entry's id", required=True)
    connection_id = Id("The connection", required=True)
    connection_name = Code("Its name", "shop", required=True)
    direction = Code("in: read from the platform; out: refused by it", "in", required=True)
    stream = Code("The stream", "customers", required=True)
    external_id = Code("The platform's id of the record", "77", required=True)
    field = Code("The field that is wrong", "email", required=True)
    whole = Flag("Whether the whole record was left out, or only this field", required=True)
    code = Code("Why, for machines: docs/errors.md", "bad_email", required=True)
    reason = Code("Why, for people", "This is not an e-mail address", required=True)
    cure = Code("What can be done", "Correct the address on the platform", required=True)
    value_class = Code("What kind of value stood there; never the value", "text of 12 characters", required=True)
    first_at = Moment("When it was first seen", required=True)
    last_at = Moment("When it was last seen", required=True)


class EntriesQuery(PageQuery):
    connection = Text("Only of this connection: its name or id", 80)
    direction = Choice("Only read (in) or sent (out)", ("in", "out"))
    stream = Text("Only of this stream", 80)
    code = Text("Only with this code", 60)


def shape_run(row: Any) -> dict[str, Any]:
    return {**row._mapping, "error": stored_error(row.error)}


@area.operation("GET", "/runs", P.CONSOLE_READ, query=RunsQuery, answer=page_of(RunShape), refuses=(404,))
def list_runs(query: dict[str, Any]) -> Rows:
    """List runs, the newest first."""
    place = find(query["connection"]).id if query.get("connection") else None
    states = (query["state"],) if query.get("state") else ()
    with reading() as session:
        rows = runs.page_runs(session, connection_id=place, states=states, before=read_cursor(query), limit=query["limit"] + 1)
    return Rows(rows, query["limit"], lambda row: row.id, shape_run)


@area.operation("GET", "/runs/<uuid:run_id>", P.CONSOLE_READ, answer=RunShape, refuses=(404,))
def get_run(run_id: str) -> dict[str, Any]:
    """One run."""
    with reading() as session:
        row = runs.find_run(session, run_id)
    if row is None:
        raise NotFound("There is no run with this id", cure="Go on from the list of runs")
    return {**shape_run(row), "connection_name": find(row.connection_id).name}


@area.operation("GET", "/syncs/<uuid:group_id>", P.CONSOLE_READ, answer=SyncShape, refuses=(404,))
def get_sync(group_id: str) -> dict[str, Any]:
    """One sync with its runs."""
    rows = summary.group_runs(group_id)
    if not rows:
        raise NotFound("There is no sync with this id", cure="Go on from the list of runs")
    return {"group_id": group_id, "runs": [shape_run(row) for row in rows]}


@area.operation(
    "POST",
    "/connections/<uuid:connection_id>/syncs",
    P.RUNS_START,
    body=NewSyncShape,
    answer=SyncShape,
    status=202,
    refuses=(404,),
    example={"streams": ["customers"], "full": False},
)
def start_sync(body: dict[str, Any], connection_id: str) -> tuple[Any, dict[str, str]]:
    """Queue a sync; one that is still open is the one asked for."""
    group_id = sync.request_sync(hub(), find(connection_id).id, tuple(body["streams"]), full=body["full"])
    rows = [shape_run(row) for row in summary.group_runs(group_id)]
    return {"group_id": group_id, "runs": rows}, {"Location": f"/api/v1/syncs/{group_id}"}


@area.operation("GET", "/quarantine", P.CONSOLE_READ, query=EntriesQuery, answer=page_of(EntryShape), refuses=(404,))
def list_quarantine(query: dict[str, Any]) -> Rows:
    """List what could not be used, last seen first; without the records themselves."""
    place = find(query["connection"]).id if query.get("connection") else None
    chosen = {name: query.get(name) or None for name in ("direction", "stream", "code")}
    with reading() as session:
        rows = quarantine.page_entries(
            session, connection_id=place, **chosen, before=read_cursor(query), limit=query["limit"] + 1
        )
    return Rows(rows, query["limit"], lambda row: row.id, _shape_entry)


def _shape_entry(row: Any) -> dict[str, Any]:
    """As in the console: nothing personal in clear."""
    return {**row._mapping, **{name: veil(getattr(row, name)) for name in ("external_id", "reason", "cure")}}
