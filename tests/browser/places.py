"""All pages of the console that can be opened, with ids of what the hub has to show: found by asking the routes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import Flask

from hub.store.db import db
from tests.conftest import add_user

SKIPPED = ("csv", "download", "log-out", "logout")
"""Files and endings of sessions are no pages."""


def places(app: Flask, filled: Any) -> list[str]:
    """The path of every page below /admin and of one's own account, each with an example of what it shows."""
    examples = _examples(app, filled)
    found = []
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if not rule.rule.startswith(("/admin", "/account/me")) or "GET" not in (rule.methods or ()):
                continue
            if any(word in rule.rule for word in SKIPPED):
                continue
            values = {name: examples.get((rule.endpoint, name), examples.get(name)) for name in rule.arguments}
            assert None not in values.values(), f"no example for {rule.rule}: add one here"
            _, path = rule.build(values, append_unknown=False) or ("", "")
            found.append(path)
    return sorted(set(found))


def _examples(app: Flask, filled: Any) -> dict[Any, Any]:
    with db.engine.connect() as connection:
        contact = connection.execute(sa.text("SELECT id FROM contact ORDER BY id LIMIT 1")).scalar()
        user = add_user(app, "owner").id
    return {
        "run_id": filled.run_id,
        "evaluation_id": filled.evaluation_id,
        "contact_id": str(contact),
        "name": "woocommerce",
        "user_id": str(user),
        "platform": "woocommerce",
        "stream": "customers",
    }
