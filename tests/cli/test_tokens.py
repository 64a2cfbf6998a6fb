"""`hub token`: made and printed once, listed without itself, revoked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask

from hub.cli import tokens as commands
from hub.core.errors import Invalid, NotFound
from hub.services import api_tokens
from hub.services.context import Context
from hub.store import audit
from hub.store.db import reading
from tests.conftest import add_user
from tests.web.conftest import NOBODY


@pytest.fixture
def run(app: Flask, context: Context, monkeypatch: pytest.MonkeyPatch) -> Any:
    @contextmanager
    def opened() -> Iterator[Context]:
        yield context

    monkeypatch.setattr(commands, "opened", opened)
    add_user(app, "admin", email="anna@hub.example")

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(commands.token, list(words), catch_exceptions=False)

    return invoke


def test_a_token_is_printed_once_and_works(run: Any, context: Context) -> None:
    done = run("create", "--user", "Anna@hub.example", "--scope", "contacts:read", "--scope", "runs:start", "--days", "7")
    assert done.exit_code == 0
    token = done.stdout.strip()
    holder = api_tokens.recognise(context, token, "10.0.0.1")
    assert holder is not None
    assert sorted(holder.permissions) == ["contacts:read", "runs:start"]
    listed = json.loads(run("list", "--json").stdout)["tokens"]
    assert [(one["name"], one["state"], one["shown"]) for one in listed] == [("terminal", "active", token[:10])]
    assert token not in run("list").output
    with reading() as session:
        (entry,) = audit.page_entries(session, action="token.created")
    assert (entry.actor_kind, token in str(entry)) == ("terminal", False)
    assert run("revoke", listed[0]["id"]).exit_code == 0
    assert run("revoke", listed[0]["id"]).exit_code == 0
    assert api_tokens.recognise(context, token, "10.0.0.1") is None
    assert json.loads(run("list", "--user", "anna@hub.example", "--json").stdout)["tokens"][0]["state"] == "revoked"


def test_json_holds_the_token_once(run: Any) -> None:
    made = json.loads(run("create", "--user", "anna@hub.example", "--scope", "contacts:read", "--json").stdout)
    assert made["token"].startswith("hub_")
    assert made["scopes"] == ["contacts:read"]


def test_what_cannot_be_made_is_refused(run: Any) -> None:
    with pytest.raises(NotFound):
        run("create", "--user", "nobody@hub.example", "--scope", "contacts:read")
    for words in (
        ("--scope", "users:write"),
        ("--scope", "contacts:read", "--days", "0"),
        ("--scope", "contacts:read", "--name", " "),
    ):
        with pytest.raises(Invalid):
            run("create", "--user", "anna@hub.example", *words)
    assert run("create", "--user", "anna@hub.example", "--scope", "everything").exit_code == 2
    assert run("create", "--user", "anna@hub.example", "--scope", "contacts:read", "--days", "366").exit_code == 2
    for wrong in (NOBODY, "not-an-id"):
        with pytest.raises(NotFound):
            run("revoke", wrong)
    with pytest.raises(Invalid):
        run("list", "--user", "nobody@hub.example")
