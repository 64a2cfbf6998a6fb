"""For supervisors and load balancers. Public: the answers name no host, no version and nothing personal."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify

from hub.core.errors import HubError
from hub.store import readiness
from hub.web.access import open_to_all
from hub.web.errors import as_json

health = Blueprint("health", __name__)


class NotReady(HubError):
    """Something that the hub stands on is missing; `details` names it."""

    code = "not_ready"
    message = "The hub is not ready to work"
    cure = "Start what is missing; for the migrations run hub init"


@health.after_request
def _fresh(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer


@health.get("/healthz", provide_automatic_options=False)
@open_to_all
def healthz() -> Response:
    """The process is up; nothing else is asked, so that an outage elsewhere does not restart it."""
    return jsonify({"healthy": True})


@health.get("/readyz", provide_automatic_options=False)
@open_to_all
def readyz() -> Response:
    """Everything is there to work: database, newest migration, Redis. Else 503, naming what is missing."""
    database = readiness.database_answers()
    checks = {
        "database": database,
        "migrations": database and readiness.schema_revision() == readiness.newest_revision(),
        "redis": readiness.redis_answers(current_app.extensions["hub_redis"]),
    }
    if all(checks.values()):
        return jsonify({"ready": True, "checks": checks})
    missing = [name for name, there in checks.items() if not there]
    return as_json(NotReady(subject=", ".join(missing), details={"checks": checks, "missing": missing}), 503)
