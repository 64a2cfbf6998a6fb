"""Connections: the authorised accounts of platforms, and the platforms there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from hub import connectors
from hub.core.errors import HubError
from hub.core.roles import Permission
from hub.services import connections as verbs
from hub.services import summary, upkeep
from hub.services.dictionaries import OPTION as MAPPING
from hub.store import connections
from hub.store.connections import PAUSED, ConnectionRow
from hub.store.db import reading
from hub.web.access import require
from hub.web.api.kit import Area, Rows, hub, match
from hub.web.api.paging import read_cursor
from hub.web.api.shapes import (
    Choice,
    Code,
    Flag,
    Free,
    Id,
    Moment,
    PageQuery,
    Shape,
    StoredErrorShape,
    Text,
    Texts,
    Whole,
    about,
    page_of,
    stored_error,
)

area = Area("connections", "Connections: the authorised accounts of platforms.")
P = Permission


class LimitsShape(Shape):
    """An own cap on calls, for shops on small hosts or shared accounts; null: the vendor's own."""

    burst = Whole("Calls in each window; belongs together with window", 1, 10_000_000, allow_none=True, example=50)
    window = Whole("Seconds of a window", 1, 10_000_000, allow_none=True, example=10)
    daily = Whole("Calls a day", 1, 10_000_000, allow_none=True)
    in_flight = Whole("Simultaneous calls of one worker", 1, 10_000_000, allow_none=True)


class ConnectionShape(Shape):
    id = Id("The connection's id", required=True)
    name = Code("Its name in this hub", "shop", required=True)
    platform = Code("The platform", "woocommerce", required=True)
    account_id = Code("The vendor's id of the account", required=True)
    account_name = Code("The vendor's name of the account", "Our shop", required=True)
    state = Code("active, paused, or reauthorize while its credentials are dead", "active", required=True)
    error = fields.Nested(StoredErrorShape, required=True, allow_none=True)
    facts = Free("What the platform told of the account", {"currency": "PLN"}, required=True)
    limits = Free("Own caps on calls, where there are any", {"burst": 50, "window": 10}, required=True)
    next_sync_at = Moment("When it is read next by itself", required=True, allow_none=True)
    created_at = Moment("When it was connected", required=True)
    updated_at = Moment("When it changed last", required=True)


class NewConnectionShape(Shape):
    platform = Choice("The platform: GET /platforms lists them with their credentials", connectors.names(), required=True)
    credentials = fields.Dict(
        keys=Text("Name", 60),
        values=Text("Value", 4000, lines=True),
        required=True,
        metadata=about("What the platform's «credentials» ask for", {"url": "https://shop.example", "key": "…"}),
    )
    name = Text("A name; by default one made of the account's", 80, shortest=1)
    mapping = Text("An own dictionary, as TOML (docs/mapping.md); needs mappings:write", 100_000, lines=True)


class ConnectionChangeShape(Shape):
    name = Text("Another name", 80, shortest=1, example="shop")
    state = Choice("Pause it, or let it go on", ("active", "paused"))
    limits = fields.Nested(LimitsShape, metadata={"description": "All own caps; those that are left out end"})


class CheckShape(Shape):
    works = Flag("Whether the platform accepts the credentials now", required=True)
    account_name = Code("The account's name", required=True, allow_none=True)
    error = fields.Nested(StoredErrorShape, required=True, allow_none=True)


class CountsShape(Shape):
    counts = Free("Records by stream, and what they are", {"customers": 1200, "orders": 5400}, required=True)


class CredentialShape(Shape):
    name = Code("Its name in «credentials»", "key", required=True)
    meaning = Code("What it is", "Consumer key", required=True)
    secret = Flag("Whether it is never shown again", required=True)
    required = Flag("Whether it is needed", required=True)
    example = Code("How it looks", required=True)


class PlatformShape(Shape):
    name = Code("For «platform» of a connection", "woocommerce", required=True)
    title = Code("What the vendor calls it", "WooCommerce", required=True)
    streams = Texts("Streams that can be read", example=["customers", "orders"], required=True)
    automations = Texts("Kinds of automation that can be started", example=["list"], required=True)
    credentials = fields.List(fields.Nested(CredentialShape), required=True, metadata={"description": "What connecting needs"})


class PlatformsShape(Shape):
    items = fields.List(fields.Nested(PlatformShape), required=True, metadata={"description": "All platforms"})


def shape_connection(row: ConnectionRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in ConnectionRow.__slots__ if name != "options"}
    limits = {name: value for name, value in (row.options.get(upkeep.LIMITS) or {}).items() if value is not None}
    return {**values, "error": stored_error(row.error), "limits": limits}


def find(connection_id: str) -> ConnectionRow:
    with reading() as session:
        return connections.get_connection(session, connection_id)


@area.operation("GET", "/platforms", P.CONSOLE_READ, answer=PlatformsShape)
def list_platforms() -> dict[str, Any]:
    """The platforms that can be connected, and what connecting each needs."""
    found = [connectors.load(name).DECLARATION for name in connectors.names()]
    return {
        "items": [
            {
                "name": one.name,
                "title": one.title,
                "streams": [stream.name for stream in one.streams if stream.reads],
                "automations": list(one.automations),
                "credentials": one.auth,
            }
            for one in found
        ]
    }


@area.operation("GET", "/connections", P.CONSOLE_READ, query=PageQuery, answer=page_of(ConnectionShape))
def list_connections(query: dict[str, Any]) -> Rows:
    """List the connections by name."""
    after = read_cursor(query)
    with reading() as session:
        rows = [row for row in connections.list_connections(session) if after is None or row.name > after]
    return Rows(rows[: query["limit"] + 1], query["limit"], lambda row: row.name, shape_connection)


@area.operation("GET", "/connections/<uuid:connection_id>", P.CONSOLE_READ, answer=ConnectionShape, refuses=(404,))
def get_connection(connection_id: str) -> dict[str, Any]:
    """One connection."""
    return shape_connection(find(connection_id))


@area.operation("GET", "/connections/<uuid:connection_id>/counts", P.CONSOLE_READ, answer=CountsShape, refuses=(404,))
def count_connection(connection_id: str) -> dict[str, Any]:
    """How much was read from a connection."""
    return {"counts": summary.connection_counts(hub(), find(connection_id).id)}


@area.operation(
    "POST",
    "/connections",
    P.CONNECTIONS_WRITE,
    body=NewConnectionShape,
    answer=ConnectionShape,
    status=201,
    refuses=(404, 424),
    example={
        "platform": "woocommerce",
        "name": "shop",
        "credentials": {"url": "https://shop.example", "key": "ck_…", "secret": "cs_…"},
    },
)
def create_connection(body: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """Connect an account, or give one new credentials.

    The platform is asked once; the credentials are kept encrypted only if it accepts them. The same account again keeps its
    history.
    """
    if body.get("mapping"):
        require(P.MAPPINGS_WRITE)
    options = {MAPPING: body["mapping"]} if body.get("mapping") else None
    try:
        done = verbs.connect(hub(), body["platform"], body["credentials"], name=body.get("name"), options=options)
    except verbs.NameTaken as taken:
        taken.cure = "Choose another name"
        raise
    return shape_connection(done.connection), {"Location": f"/api/v1/connections/{done.connection.id}"}


@area.operation(
    "PATCH",
    "/connections/<uuid:connection_id>",
    P.CONNECTIONS_WRITE,
    body=ConnectionChangeShape,
    answer=ConnectionShape,
    example={"state": "paused"},
)
def change_connection(body: dict[str, Any], connection_id: str) -> dict[str, Any]:
    """Rename a connection, pause it or let it go on, set own limits."""
    row = find(connection_id)
    match(ConnectionShape, shape_connection(row))
    if "name" in body:
        try:
            upkeep.rename(hub(), row.id, body["name"], row.name)
        except verbs.NameTaken as taken:
            taken.cure = "Choose another name"
            raise
    if "limits" in body:
        upkeep.change_limits(hub(), row.id, _as_typed(body["limits"]), upkeep.shown_limits(row))
    if "state" in body:
        (upkeep.pause if body["state"] == PAUSED else upkeep.resume)(hub(), row.id)
    return shape_connection(find(connection_id))


def _as_typed(limits: Mapping[str, Any]) -> dict[str, str]:
    return {name: "" if limits.get(name) is None else str(limits[name]) for name in upkeep.LIMIT_NAMES}


@area.operation("DELETE", "/connections/<uuid:connection_id>", P.CONNECTIONS_WRITE, status=204)
def remove_connection(connection_id: str) -> None:
    """Remove a connection with its keys, records, runs and scenarios.

    Contacts, their consents and the audit trail stay.
    """
    row = find(connection_id)
    match(ConnectionShape, shape_connection(row))
    upkeep.disconnect(hub(), row.id, row.name)


@area.operation("POST", "/connections/<uuid:connection_id>/check", P.CONNECTIONS_WRITE, answer=CheckShape, refuses=(404,))
def check_connection(connection_id: str) -> dict[str, Any]:
    """Ask the platform now whether the connection works.

    That it does not is an answer too: `works` is false, and `error` says why.
    """
    row = find(connection_id)
    try:
        checked = verbs.check(hub(), row.id)
    except HubError as error:
        return {"works": False, "account_name": None, "error": stored_error(error.as_json())}
    return {"works": True, "account_name": checked.account_name, "error": None}
