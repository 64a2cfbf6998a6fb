"""`/metrics` in Prometheus' text format: what the database and Redis say at the moment of asking, and our own answers.

Names follow https://prometheus.io/docs/practices/naming/: base units, `_total` for what only grows, no personal data in labels.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, current_app, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from hub import __version__
from hub.core.roles import Permission
from hub.services import health
from hub.web.access import BEARER, NotAllowed, Who, open_to_all, who

metrics = Blueprint("metrics", __name__)
PROXY_HEADERS = ("forwarded", "via", "x-real-ip")
SECONDS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 10.0)


class _Answers:
    """What this process has answered. With several web processes each tells its own; add them up by `instance`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("endpoint", "method", "status")
        self.count = Counter("hub_http_requests", "Requests answered", labels, registry=self.registry)
        self.seconds = Histogram(
            "hub_http_request_seconds", "Time to answer", ("endpoint",), buckets=SECONDS, registry=self.registry
        )


def register(app: Flask) -> None:
    answers = _Answers()
    app.extensions["hub_answers"] = answers

    @app.before_request
    def _start() -> None:
        g.hub_started = time.perf_counter()

    @app.after_request
    def _count(answer: Response) -> Response:
        endpoint = request.endpoint or "none"  # never the path: anybody could make a new series with each request
        answers.count.labels(endpoint, _method(request.method), str(answer.status_code)).inc()
        if (started := g.get("hub_started")) is not None:
            answers.seconds.labels(endpoint).observe(time.perf_counter() - started)
        return answer

    app.register_blueprint(metrics)


def _method(name: str) -> str:
    return name if name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS") else "other"


@metrics.get("/metrics", provide_automatic_options=False)
@open_to_all
def show_metrics() -> Response:
    """For a scraper on this machine, or with a token (or a session) that may see health."""
    if not _is_local():
        _require_health()
    parts = current_app.extensions
    found = health.take_figures(parts["hub"], parts["hub_queues"], parts["hub_redis"])
    registry = CollectorRegistry()
    registry.register(_Families(found))
    body = generate_latest(registry) + generate_latest(current_app.extensions["hub_answers"].registry)
    return Response(body, content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def _is_local() -> bool:
    """Asked from this machine itself, by one of its own names, and not through a proxy that stands on it.

    The name counts too: another site can make a browser on this machine ask for it under a name of its own (DNS rebinding),
    and a proxy may tell nothing but the name it was asked by.
    """
    try:
        local = ip_address(request.environ.get("REMOTE_ADDR") or "").is_loopback
        name = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
        local = local and (name == "localhost" or ip_address(name).is_loopback)
    except ValueError:
        return False
    names = [name.lower() for name in request.headers.keys()]  # noqa: SIM118 - headers iterate as pairs
    return local and not any(name.startswith("x-forwarded") or name in PROXY_HEADERS for name in names)


def _require_health() -> None:
    reader: Any = current_app.extensions.get(BEARER)
    found: Who | None = reader(request) if reader and "Authorization" in request.headers else who()
    if found is None or not found.may(Permission.HEALTH_READ):
        raise NotAllowed("Metrics are told to this machine, or to who may see health")


class _Families:
    """One scrape's figures as Prometheus' metric families."""

    def __init__(self, found: health.Health) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        yield _gauge("hub_info", "The hub's version", ("version",), {(__version__,): 1})
        yield _gauge("hub_up", "Whether what the hub stands on answers", ("part",), self._parts())
        figures = self._found.figures
        if figures is not None:
            yield from self._stored(figures)
        pulse = self._found.pulse
        if pulse is not None:
            jobs = {(name,): number for name, number in pulse.jobs.items()}
            yield _gauge("hub_queue_jobs", "Jobs that wait in Redis", ("queue",), jobs)
            yield _gauge("hub_workers", "Worker processes that gave a sign of life", (), {(): pulse.workers})
            yield _gauge("hub_scheduler_up", "Whether a scheduler gave a sign of life", (), {(): int(pulse.scheduler)})
        calls = {(name,): used.calls for name, used in self._found.usage.items()}
        throttled = {(name,): used.throttled for name, used in self._found.usage.items()}
        yield _gauge("hub_api_calls_today", "Calls to platforms since midnight UTC", ("connection",), calls)
        yield _gauge("hub_api_throttled_today", "Calls answered 429 since midnight UTC", ("connection",), throttled)

    def _parts(self) -> dict[tuple[str, ...], float]:
        return {("database",): float(self._found.figures is not None), ("redis",): float(self._found.pulse is not None)}

    @staticmethod
    def _stored(figures: health.Figures) -> Iterator[Metric]:
        yield _gauge("hub_contacts", "Contacts known", (), {(): figures.contacts})
        yield _gauge("hub_connections", "Connections", ("state",), {(key,): one for key, one in figures.connections.items()})
        yield _gauge("hub_runs_open", "Runs not finished", ("state",), {(key,): one for key, one in figures.open_runs.items()})
        labels = ("connection", "lane", "state")
        yield _gauge("hub_outbox_effects", "Effects owed to platforms", labels, figures.outbox)
        oldest = {(lane,): age for lane, age in figures.oldest_owed.items()}
        yield _gauge("hub_outbox_oldest_seconds", "Age of the oldest effect that could go", ("lane",), oldest)
        yield _gauge("hub_quarantine_entries", "Entries in quarantine", ("connection", "direction"), figures.quarantine)
        letters = {(key,): one for key, one in figures.letters.items()}
        yield _gauge("hub_letters", "Own letters not sent", ("state",), letters)
        hooks = {(key,): one for key, one in figures.webhook_deliveries.items()}
        yield _gauge("hub_webhook_deliveries", "Webhook deliveries not sent", ("state",), hooks)
        names = ("connection", "stream")
        last = {(one.connection, one.stream): one.finished_at.timestamp() for one in figures.streams}
        yield _gauge("hub_run_last_finished_timestamp_seconds", "When a stream's last run ended", names, last)
        good = {(one.connection, one.stream): float(one.state == "done") for one in figures.streams}
        yield _gauge("hub_run_last_succeeded", "Whether a stream's last run went well", names, good)


def _gauge(name: str, meaning: str, labels: tuple[str, ...], values: dict[Any, Any]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(list(key), float(value))
    return family
