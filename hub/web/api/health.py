"""How the hub is: what monitoring and the overview ask for."""

from __future__ import annotations

from typing import Any

from flask import current_app
from marshmallow import fields

from hub.core.roles import Permission
from hub.services import health, hooks
from hub.web.api.kit import Area, hub
from hub.web.api.shapes import Code, Flag, Free, Id, Moment, Shape, Whole

area = Area("health", "Health and overview.")
P = Permission


class StreamHealthShape(Shape):
    connection = Code("The connection", "shop", required=True)
    stream = Code("The stream", "customers", required=True)
    state = Code("How its last run ended", "done", required=True)
    finished_at = Moment("When", required=True)
    read = Whole("Records it read", required=True)


class TroubleShape(Shape):
    id = Id("The webhook's id", required=True)
    url = Code("Where it calls", "https://example.com/hook", required=True)
    active = Flag("False: the hub switched it off", required=True)
    failures = Whole("Failures in a row", required=True)


class HealthShape(Shape):
    database = Flag("Whether the database answers", required=True)
    redis = Flag("Whether Redis answers", required=True)
    scheduler = Flag("Whether a scheduler was heard of lately", required=True)
    workers = Whole("Workers that live", required=True)
    jobs = Free("Messages waiting, by queue", {"urgent": 0, "event": 0, "bulk": 2}, required=True)
    contacts = Whole("Contacts, about", required=True)
    connections = Free("Connections by state", {"active": 2}, required=True)
    open_runs = Free("Runs that are not finished, by state", {"running": 1}, required=True)
    oldest_owed = Free("By lane: seconds that the oldest owed effect waits", {"bulk": 1.5}, required=True)
    webhook_deliveries = Free("Deliveries that are not sent, by state", {"owed": 1}, required=True)
    letters = Free("Letters that are not sent, by state", {"owed": 0}, required=True)
    streams = fields.List(
        fields.Nested(StreamHealthShape), required=True, metadata={"description": "The last finished run of each stream"}
    )
    webhooks = fields.List(fields.Nested(TroubleShape), required=True, metadata={"description": "Webhooks that need somebody"})


@area.operation("GET", "/health", P.HEALTH_READ, answer=HealthShape)
def get_health() -> dict[str, Any]:
    """Health in figures; what does not answer is false or empty."""
    parts = current_app.extensions
    found = health.take_figures(hub(), parts["hub_queues"], parts["hub_redis"])
    figures, pulse = found.figures or health.Figures(), found.pulse
    names = ("contacts", "connections", "open_runs", "oldest_owed", "webhook_deliveries", "letters", "streams")
    return {
        "database": found.figures is not None,
        "redis": pulse is not None,
        "scheduler": pulse.scheduler if pulse else False,
        "workers": pulse.workers if pulse else 0,
        "jobs": pulse.jobs if pulse else {},
        **{name: getattr(figures, name) for name in names},
        "webhooks": [
            {"id": row.id, "url": hooks.shown_url(row.url), "active": row.active, "failures": row.failures}
            for row in hooks.troubled()
        ],
    }
