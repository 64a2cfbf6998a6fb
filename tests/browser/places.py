"""All pages of the console that can be opened, with ids of what the hub has to show: found by asking the routes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from flask import Flask

from hub.core.roles import Permission
from hub.core.types import Actor
from hub.services import api_tokens, hooks, proposals
from hub.services.audit import act_as
from hub.services.context import Context
from hub.store.db import reading, transaction
from tests.conftest import add_user

PAGES = ("/admin", "/account/", "/account/login", "/account/forgot")
FILES = (".csv", ".toml")
ELSEWHERE = ("account.kept", "account.second_factor", "account.set_up_second_factor", "account.recovery_codes")
"""Steps of a sign-in that nobody is at: they lead on. Invitations and resets need a link from a letter."""


def places(app: Flask, filled: Any) -> list[str]:
    """The path of every page of the console and of one's own account, each with an example of what it shows."""
    examples = _examples(app, filled)
    found = []
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if not rule.rule.startswith("/admin") and rule.rule not in PAGES:
                continue
            if "GET" not in (rule.methods or ()) or rule.rule.endswith(FILES) or rule.endpoint in ELSEWHERE:
                continue
            area = rule.rule.split("/")[2] if rule.rule.count("/") > 1 else ""
            values = {name: examples.get(f"{area}.{name}", examples.get(name)) for name in rule.arguments}
            assert None not in values.values(), f"no example for {rule.rule}: add one here"
            _, path = rule.build(values, append_unknown=False) or ("", "")
            found.append(path)
    return sorted(set(found) - {"/account/login", "/account/forgot"})


def _examples(app: Flask, filled: Any) -> dict[str, Any]:
    """By the name of the path's part, or by area and name where the same name means different things."""
    context: Context = app.extensions["hub"]
    owner, marketer = add_user(app, "owner"), add_user(app, "marketer", email="maria@hub.example")
    act_as(Actor("user", str(owner.id), owner.name))
    made = hooks.create_webhook(context, "https://1.1.1.1/hub", ["*"], "Data warehouse")
    with transaction() as session:
        hooks.tell(session, "run.finished", filled.run_id, {"run": filled.run_id}, context.now() - timedelta(minutes=3))
    api_tokens.create_token(context, owner.email, "Reports", [Permission.CONSOLE_READ])
    with reading() as session:
        first = {
            name: session.scalar(sa.text(f"SELECT {column} FROM {table} ORDER BY id LIMIT 1"))
            for name, column, table in (
                ("contact_id", "id", "contact"),
                ("connection_id", "id", "connection"),
                ("delivery_id", "id", "webhook_delivery"),
                ("token_id", "id", "api_token"),
                ("scenarios.key", "key", "scenario"),
                ("segments.key", "key", "segment"),
            )
        }
    return {
        **{name: None if value is None else str(value) for name, value in first.items()},
        "run_id": filled.run_id,
        "evaluation_id": filled.evaluation_id,
        "user_id": str(marketer.id),
        "webhook_id": made.id,
        "proposal_id": _propose(context, str(marketer.id), str(first["scenarios.key"])),
        "platform": "woocommerce",
    }


def _propose(context: Context, user_id: str, key: str) -> str:
    """A change of a published scenario, handed in by the marketer."""
    from hub.services.scenarios import published_definition

    with reading() as session:
        definition = published_definition(session, key)
    assert definition is not None
    changed = {**definition, "starts_per_minute": 30}
    proposal_id = proposals.save_draft(context, user_id, changed, note_text="Slower, the CRM complained")
    proposals.submit_proposal(context, user_id, proposal_id, 1)
    return proposal_id
