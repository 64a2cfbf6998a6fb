"""`hub user …`: the same verbs as the console's users page, with exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hub.cli import hub
from hub.cli.output import exit_code
from hub.services.passwords import verify_password
from hub.store import audit
from hub.store.db import db

PASSWORD = "seven green lanterns under water"

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("HUB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HUB_LANGUAGE", "en")
    monkeypatch.delenv("HUB_DATABASE_URL", raising=False)

    def call(*words: str, given: str = "") -> Result:
        return CliRunner().invoke(hub, ["user", *words], input=given)

    return call


def code(result: Result) -> int:
    """As `main` would end."""
    return exit_code(result.exception) if isinstance(result.exception, Exception) else result.exit_code


def listed(run: Run) -> dict[str, dict[str, Any]]:
    return {one["email"]: one for one in json.loads(run("list", "--json").stdout)["users"]}


def test_a_user_with_a_password(run: Run) -> None:
    made = run(
        "create",
        "Ewa@Shop.example",
        "--role",
        "owner",
        "--name",
        "Ewa Lis",
        "--password-stdin",
        "--json",
        given=f"{PASSWORD}\n",
    )
    assert code(made) == 0, made.output
    assert json.loads(made.stdout)["email"] == "ewa@shop.example"
    found = listed(run)["ewa@shop.example"]
    assert (found["roles"], found["active"], found["second_factor"], found["last_sign_in"]) == (["owner"], True, False, None)
    assert PASSWORD not in made.output
    again = run("create", "ewa@shop.example", "--role", "ops", "--password-stdin", given=PASSWORD)
    assert code(again) == 3


@pytest.mark.parametrize(
    ("words", "given", "status"),
    [
        (("create", "nobody", "--role", "ops", "--password-stdin"), PASSWORD, 3),
        (("create", "a@shop.example", "--role", "ops", "--password-stdin"), "short", 3),
        (("create", "a@shop.example", "--role", "ops", "--password-stdin"), "", 3),
        (("create", "a@shop.example", "--role", "god"), "", 2),
        (("create", "a@shop.example"), "", 2),
        (("disable", "a@shop.example"), "", 3),
        (("roles", "a@shop.example", "--role", "ops"), "", 3),
        (("reset-second-factor", ""), "", 3),
    ],
)
def test_what_cannot_be_done(run: Run, words: tuple[str, ...], given: str, status: int) -> None:
    assert code(run(*words, given=given)) == status
    assert listed(run) == {}


def test_an_invitation_prints_its_link(run: Run) -> None:
    made = run("create", "ewa@shop.example", "--role", "auditor")
    assert code(made) == 0, made.output
    assert "/account/invitation/" in made.stdout
    assert listed(run) == {}


def test_disable_enable_roles(run: Run) -> None:
    for email in ("ola@shop.example", "ewa@shop.example"):
        run("create", email, "--role", "owner", "--password-stdin", given=PASSWORD)
    assert code(run("disable", "ewa@shop.example")) == 0
    assert json.loads(run("disable", "ewa@shop.example", "--json").stdout)["changed"] is False
    last = run("disable", "ola@shop.example")
    assert code(last) == 3
    assert code(run("roles", "ola@shop.example", "--role", "ops")) == 3
    assert code(run("enable", "ewa@shop.example")) == 0
    assert code(run("roles", "ola@shop.example", "--role", "ops", "--role", "auditor")) == 0
    assert listed(run)["ola@shop.example"]["roles"] == ["auditor", "ops"]
    assert code(run("reset-second-factor", "ola@shop.example")) == 0
    text = run("list").stdout
    assert "ola@shop.example" in text
    assert "auditor, ops" in text


def test_the_set_up_link_until_there_is_an_owner(run: Run) -> None:
    first, second = run("set-up-link"), run("set-up-link", "--json")
    assert "/account/set-up/" in first.stdout
    assert json.loads(second.stdout)["link"] != first.stdout.strip()
    run("create", "ola@shop.example", "--role", "owner", "--password-stdin", given=PASSWORD)
    refused = run("set-up-link")
    assert code(refused) == 3
    assert "has an owner already" in str(refused.exception)


def test_the_terminal_stands_in_the_audit_trail(run: Run, tmp_path: Path) -> None:
    run("create", "ola@shop.example", "--role", "owner", "--password-stdin", given=PASSWORD)
    from hub.app import create_app
    from hub.store import users
    from hub.store.db import reading

    app = create_app()
    with app.app_context():
        with reading() as session:
            entry = audit.page_entries(session, limit=1)[0]
            row = users.find_user(session, email="ola@shop.example")
        assert (entry.action, entry.actor_kind) == ("user.created", "terminal")
        assert row is not None
        assert verify_password(row.password, PASSWORD)
        assert not verify_password(row.password, PASSWORD + "x")
        db.engine.dispose()
