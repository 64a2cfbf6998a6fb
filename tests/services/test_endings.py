"""Who hears how runs and connections end: webhooks, in the transaction of the end itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from hub.core.errors import ReauthorizeNeeded
from hub.services import hooks as verbs
from hub.services import sync
from hub.services.context import Context
from hub.services.endings import close_connection
from hub.store import connections, hooks, runs
from hub.store.db import reading, transaction

pytestmark = pytest.mark.usefixtures("app")


def told() -> list[tuple[str, dict[str, Any]]]:
    with reading() as session:
        rows = session.execute(
            sa.select(hooks.webhook_event.c.kind, hooks.webhook_event.c.payload).order_by(hooks.webhook_event.c.id)
        )
        return [(row.kind, row.payload) for row in rows]


def test_runs_tell_how_they_ended(context: Context, connected: Callable[..., Any]) -> None:
    pair = connected({"customers": 5})
    verbs.create_webhook(context, "https://1.1.1.1/hub", ["run.finished", "run.failed"])
    (done,) = pair.run_sync("woocommerce", "customers")
    assert told() == [("run.finished", {"run_id": done.id, "connection_id": pair.shop_id, "stream": "customers"})]
    sync.request_sync(context, "woocommerce", ["customers"])
    with transaction() as session:
        (run_id,) = [run_id for run_id, _ in runs.due_runs(session, context.now())]
        runs.claim_run(session, run_id, "test", context.now(), 60)
    sync.abandon_run(context, run_id, "somebody else", "KeyError")
    assert len(told()) == 1, "the run is not theirs to end"
    sync.abandon_run(context, run_id, "test", "KeyError")
    assert told()[1][0] == "run.failed"
    assert told()[1][1]["code"] == "error"


def test_dead_credentials_are_told_once(context: Context, connected: Callable[..., Any]) -> None:
    pair = connected({"customers": 5})
    verbs.create_webhook(context, "https://1.1.1.1/hub", ["connection.changed"])
    for _ in range(2):
        with transaction() as session:
            row = connections.get_connection(session, pair.shop_id)
            close_connection(session, row, ReauthorizeNeeded("gone", connection="woocommerce"), context.now())
    ((kind, payload),) = told()
    assert (kind, payload["state"]) == ("connection.changed", "reauthorize")


def test_nobody_listening_costs_nothing(connected: Callable[..., Any]) -> None:
    connected({"customers": 5}).run_sync("woocommerce")
    assert told() == []
