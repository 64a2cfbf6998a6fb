"""Health for supervisors and load balancers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from hub.store import readiness
from tests.conftest import make_settings, open_app
from tests.web.conftest import Browser


def _missing(answer: Any) -> list[str]:
    assert answer.status_code == 503
    error = answer.json["error"]
    assert error["code"] == "not_ready"
    assert {"code", "message", "cure", "params", "subject", "cause", "details"} <= set(error)
    found: list[str] = error["details"]["missing"]
    return found


def test_ready(browser: Browser) -> None:
    answer = browser.ask("/readyz")
    assert answer.status_code == 200
    assert answer.json == {"ready": True, "checks": {"database": True, "migrations": True, "redis": True}}


def test_anybody_may_ask(browser: Browser) -> None:
    for path in ("/healthz", "/readyz"):
        assert browser.ask(path, address="10.0.0.9", headers={"Host": "hub.internal"}).status_code == 200


@pytest.fixture
def bare(tmp_path: Path) -> Any:
    """A hub whose database is new and whose Redis is away."""
    with open_app(make_settings(tmp_path / "bare", f"sqlite:///{tmp_path / 'new.sqlite'}")) as app:
        yield app


def test_what_is_missing_is_named(bare: Flask) -> None:
    assert _missing(bare.test_client().get("/readyz")) == ["migrations", "redis"]
    assert bare.test_client().get("/healthz").json == {"healthy": True}


def test_a_database_that_is_away(tmp_path: Path) -> None:
    with open_app(make_settings(tmp_path, "postgresql+psycopg://nobody:hidden@127.0.0.1:1/none")) as app:
        answer = app.test_client().get("/readyz")
        assert _missing(answer) == ["database", "migrations", "redis"]
        assert "nobody" not in answer.text
        assert app.test_client().get("/healthz").status_code == 200


def test_code_that_is_newer_than_the_database(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "newest_revision", lambda: "9999")
    assert _missing(browser.ask("/readyz")) == ["migrations"]


def test_errors_have_the_same_shape(browser: Browser) -> None:
    error = browser.ask("/healthz", method="POST").json["error"]
    assert error["code"] == "refused"
    assert error["message"] == "This address does not take such a request"
