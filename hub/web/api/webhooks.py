"""Outgoing webhooks, their deliveries, and sending again."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from hub.core.errors import NotFound
from hub.core.roles import Permission
from hub.services import hooks
from hub.store import hooks as store
from hub.store.db import reading
from hub.web.api.kit import Area, Rows, hub, match
from hub.web.api.paging import read_cursor
from hub.web.api.shapes import (
    Choice,
    Code,
    EmptyShape,
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

area = Area("webhooks", "Outgoing webhooks: docs/webhooks.md says how to verify them.")
P = Permission
KINDS = (store.EVERY_KIND, *hooks.KINDS)
STATES = (store.OWED, store.SENT, store.FAILED)


class WebhookShape(Shape):
    id = Id("The webhook's id", required=True)
    url = Code("Where it calls", "https://example.com/hook", required=True)
    description = Code("What it is for", "Stock system", required=True)
    kinds = Texts("What it is told; *: everything", example=["run.finished"], required=True)
    active = Flag("Whether it is told anything", required=True)
    failures = Whole("Failed attempts in a row", required=True, example=0)
    version = Whole("Grows with every change", required=True, example=1)
    created_at = Moment("When it was made", required=True)
    updated_at = Moment("When it changed last", required=True)


class NewWebhookShape(Shape):
    url = Text("Where to call, with https", hooks.LONGEST_URL, shortest=1, example="https://example.com/hook", required=True)
    kinds = Texts("What to tell; *: everything", len(KINDS), choices=KINDS, example=["run.finished"], required=True)
    description = Text("What it is for", hooks.LONGEST_DESCRIPTION, load_default="")
    active = Flag("Whether to begin at once", load_default=True)


class WebhookChangeShape(Shape):
    url = Text("Where to call", hooks.LONGEST_URL, shortest=1, example="https://example.com/hook")
    kinds = Texts("What to tell", len(KINDS), choices=KINDS, example=["run.finished"])
    description = Text("What it is for", hooks.LONGEST_DESCRIPTION)
    active = Flag("Switch it on or off; both begin to count failures anew")


class MadeWebhookShape(WebhookShape):
    secret = fields.String(required=True, metadata=about("The signing secret: shown now and never again", "whsec_…"))


class SecretShape(Shape):
    secret = fields.String(required=True, metadata=about("The new signing secret: shown now and never again", "whsec_…"))


class DeliveryShape(Shape):
    id = Id("The delivery's id", required=True)
    webhook_id = Id("The webhook", required=True)
    event_id = Id("The event: the header webhook-id", required=True)
    kind = Code("What happened", "run.finished", required=True)
    subject_id = Code("To what", required=True)
    event_at = Moment("When it happened", required=True)
    replay_of = Id("The delivery that this one repeats", required=True, allow_none=True)
    state = Code("owed, sent, failed", "sent", required=True)
    attempts = Whole("Attempts so far", required=True, example=1)
    not_before = Moment("Not tried before", required=True)
    status = Whole("HTTP status of the last answer", required=True, allow_none=True, example=204)
    answer = Code("Its beginning", required=True, allow_none=True)
    error = fields.Nested(StoredErrorShape, required=True, allow_none=True)
    seconds = fields.Float(required=True, allow_none=True, metadata=about("How long the last attempt took", 0.12))
    created_at = Moment("Since when it is owed", required=True)
    settled_at = Moment("When it was sent or given up", required=True, allow_none=True)


class DeliveryWithPayloadShape(DeliveryShape):
    payload = Free("The event's data as it is sent", {"run_id": "…"}, required=True)


class DeliveriesQuery(PageQuery):
    state = Choice("Only in this state", STATES)


class SinceShape(Shape):
    since = Moment("Everything that failed since then and was not delivered later", required=True)


class ReplayedShape(Shape):
    deliveries = Whole("How many are owed again; at most 1000 at once", required=True, example=12)


def _find(webhook_id: str) -> Any:
    with reading() as session:
        return hooks.get_webhook(session, webhook_id)


def _shape_delivery(row: Any) -> dict[str, Any]:
    return {**row._mapping, "error": stored_error(row.error)}


def _find_delivery(webhook_id: str, delivery_id: str) -> Any:
    with reading() as session:
        row = store.find_delivery(session, delivery_id)
    if row is None or row.webhook_id != webhook_id:
        raise NotFound("There is no such delivery", cure="Go on from the webhook's delivery log")
    return row


@area.operation("GET", "/webhooks", P.WEBHOOKS_WRITE, query=PageQuery, answer=page_of(WebhookShape))
def list_webhooks(query: dict[str, Any]) -> Rows:
    """List the webhooks, the oldest first."""
    with reading() as session:
        rows = store.page_webhooks(session, after=read_cursor(query), limit=query["limit"] + 1)
    return Rows(rows, query["limit"], lambda row: row.id)


@area.operation("GET", "/webhooks/<uuid:webhook_id>", P.WEBHOOKS_WRITE, answer=WebhookShape, refuses=(404,))
def get_webhook(webhook_id: str) -> Any:
    """One webhook; never its secret."""
    return _find(webhook_id)


@area.operation(
    "POST",
    "/webhooks",
    P.WEBHOOKS_WRITE,
    body=NewWebhookShape,
    answer=MadeWebhookShape,
    status=201,
    example={"url": "https://example.com/hook", "kinds": ["run.finished", "run.failed"], "description": "Stock system"},
)
def create_webhook(body: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    """Set up a webhook. The answer holds its secret, this once."""
    made = hooks.create_webhook(hub(), body["url"], body["kinds"], body["description"], active=body["active"])
    return {**_find(made.id)._mapping, "secret": made.secret}, {"Location": f"/api/v1/webhooks/{made.id}"}


@area.operation(
    "PATCH",
    "/webhooks/<uuid:webhook_id>",
    P.WEBHOOKS_WRITE,
    body=WebhookChangeShape,
    answer=WebhookShape,
    example={"active": True},
)
def change_webhook(body: dict[str, Any], webhook_id: str) -> Any:
    """Change a webhook, switch it on or off."""
    row = _find(webhook_id)
    match(WebhookShape, row)
    hooks.change_webhook(hub(), webhook_id, body, version=row.version)
    return _find(webhook_id)


@area.operation("DELETE", "/webhooks/<uuid:webhook_id>", P.WEBHOOKS_WRITE, status=204)
def remove_webhook(webhook_id: str) -> None:
    """Remove a webhook with its delivery log."""
    match(WebhookShape, _find(webhook_id))
    hooks.remove_webhook(hub(), webhook_id)


@area.operation(
    "POST", "/webhooks/<uuid:webhook_id>/secret", P.WEBHOOKS_WRITE, body=EmptyShape, answer=SecretShape, refuses=(404,)
)
def rotate_secret(_: dict[str, Any], webhook_id: str) -> dict[str, str]:
    """Make a new secret; for 24 hours deliveries carry signatures by both."""
    return {"secret": hooks.rotate_secret(hub(), webhook_id)}


@area.operation(
    "POST",
    "/webhooks/<uuid:webhook_id>/ping",
    P.WEBHOOKS_WRITE,
    body=EmptyShape,
    answer=DeliveryShape,
    status=202,
    refuses=(404,),
)
def ping_webhook(_: dict[str, Any], webhook_id: str) -> Any:
    """Send a test event to this webhook alone."""
    return _shape_delivery(_find_delivery(webhook_id, hooks.ping(hub(), webhook_id)))


@area.operation(
    "GET",
    "/webhooks/<uuid:webhook_id>/deliveries",
    P.WEBHOOKS_WRITE,
    query=DeliveriesQuery,
    answer=page_of(DeliveryShape),
    refuses=(404,),
)
def list_deliveries(query: dict[str, Any], webhook_id: str) -> Rows:
    """The delivery log, the newest first; it keeps 30 days."""
    _find(webhook_id)
    with reading() as session:
        rows = store.page_deliveries(
            session, webhook_id=webhook_id, state=query.get("state"), before=read_cursor(query), limit=query["limit"] + 1
        )
    return Rows(rows, query["limit"], lambda row: row.id, _shape_delivery)


@area.operation(
    "GET",
    "/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>",
    P.WEBHOOKS_WRITE,
    answer=DeliveryWithPayloadShape,
    refuses=(404,),
)
def get_delivery(webhook_id: str, delivery_id: str) -> dict[str, Any]:
    """One delivery with what is sent."""
    return _shape_delivery(_find_delivery(webhook_id, delivery_id))


@area.operation(
    "POST",
    "/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/replay",
    P.WEBHOOKS_WRITE,
    body=EmptyShape,
    answer=DeliveryShape,
    status=202,
    refuses=(404,),
)
def replay_delivery(_: dict[str, Any], webhook_id: str, delivery_id: str) -> Any:
    """Send a settled delivery once more."""
    return _shape_delivery(_find_delivery(webhook_id, hooks.replay_delivery(hub(), webhook_id, delivery_id)))


@area.operation(
    "POST",
    "/webhooks/<uuid:webhook_id>/replay",
    P.WEBHOOKS_WRITE,
    body=SinceShape,
    answer=ReplayedShape,
    status=202,
    refuses=(404,),
    example={"since": "2026-11-22T00:00:00Z"},
)
def replay_failed(body: dict[str, Any], webhook_id: str) -> dict[str, int]:
    """Send everything again that has failed since a moment."""
    return {"deliveries": hooks.replay_failed(hub(), webhook_id, body["since"])}
