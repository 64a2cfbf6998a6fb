"""How runs and connections come to an end of their work, and who is told of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hub.core.errors import HubError
from hub.core.types import RunState
from hub.services.connections import told
from hub.services.hooks import tell
from hub.store import connections, runs
from hub.store.connections import ConnectionRow
from hub.store.db import Session


def release_run(
    session: Session,
    run: Any,
    owner: str,
    state: RunState,
    now: datetime,
    *,
    error: HubError | None = None,
    not_before: datetime | None = None,
    failed: bool = False,
) -> None:
    """Give the run's lease back with a new state; webhooks hear of a run that is over."""
    stored = None if error is None else error.as_json()
    ours = runs.release_run(session, run.id, owner, state, now, error=stored, not_before=not_before, failed=failed)
    if not ours or state not in (RunState.DONE, RunState.FAILED):
        return
    facts = {"run_id": run.id, "connection_id": run.connection_id, "stream": run.stream}
    if state is RunState.DONE:
        tell(session, "run.finished", run.id, facts, now)
    else:
        tell(session, "run.failed", run.id, {**facts, "code": error.code if error else ""}, now)


def close_connection(session: Session, row: ConnectionRow, error: HubError, now: datetime) -> None:
    """The platform no longer takes the credentials: nothing more is asked of it until somebody connects again."""
    connections.set_state(session, row.id, connections.REAUTHORIZE, error.as_json(), now)
    if row.state != connections.REAUTHORIZE:
        tell(session, "connection.changed", row.id, {**told(row), "state": connections.REAUTHORIZE}, now)
