"""Waiting for an evaluation ends, also when its connection does not work."""

from __future__ import annotations

from typing import Any

import pytest

from hub.cli import scenarios as commands
from hub.cli.output import error_line, run_json
from hub.core.errors import ContractBroken, Unavailable
from hub.services import summary
from hub.store import connections
from hub.store.db import transaction


@pytest.fixture
def evaluation(connected: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(commands, "INACTIVE_SECONDS", 0.2)
    monkeypatch.setattr(commands, "ERROR_SECONDS", 0.5)
    pair = connected({"customers": 40, "rebase": True})
    pair.publish()
    pair.run_sync("woocommerce")
    return pair, pair.evaluate()


@pytest.mark.parametrize("state", [connections.ACTIVE, connections.PAUSED])
def test_a_connection_that_does_not_work_ends_the_waiting(evaluation: Any, state: str) -> None:
    pair, evaluation_id = evaluation
    stored = Unavailable("The platform took too long").as_json() if state == connections.ACTIVE else None
    with transaction() as session:
        connections.set_state(session, pair.crm_id, state, stored, pair.context.now())
    figures = commands.follow_evaluation(evaluation_id, None, quiet=True)
    assert figures["open"] > 0
    assert ("took too long" if stored else "hubspot") in error_line(figures["error"])


def test_progress_is_shown_to_the_end(evaluation: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pair, evaluation_id = evaluation
    pair.run_deliveries()
    assert summary.evaluation_figures([evaluation_id])["open"] == 0
    figures = commands.follow_evaluation(evaluation_id, None, quiet=False)
    assert (figures["state"], figures["error"]) == ("done", None)
    assert "contacts considered" in capsys.readouterr().err


def test_a_sample_is_not_in_a_runs_json() -> None:
    class Run:
        seconds = 1.0
        error = ContractBroken(sample="<html>").as_json()

        def __getattr__(self, name: str) -> None:
            return None

    told = run_json(Run())
    assert told["error"]["code"] == "contract_broken"
    assert "sample" not in told["error"]
