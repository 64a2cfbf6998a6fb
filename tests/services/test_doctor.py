"""`hub doctor` sees what is wrong, says what to mend, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from hub.services.audit import note
from hub.services.context import Context
from hub.services.doctor import Finding, State, examine
from hub.store import connections, runs, users
from hub.store.db import db, reading, transaction
from tests.conftest import add_user

Look = Callable[..., dict[str, Finding]]


@pytest.fixture
def look(app: Flask, context: Context) -> Look:
    def examined(live: bool = False, **settings: Any) -> dict[str, Finding]:
        given = replace(context, settings=replace(context.settings, **settings))
        found = examine(given, app.extensions["hub_queues"], app.extensions["hub_redis"], live=live)
        worst_last = sorted(found, key=lambda finding: list(State).index(finding.state))
        return {finding.check: finding for finding in worst_last}

    return examined


def bad(found: dict[str, Finding]) -> set[str]:
    return {name for name, finding in found.items() if finding.state is State.BAD}


def test_whatever_is_not_well_says_the_cure(look: Look) -> None:
    found = look()
    assert all(finding.cure for finding in found.values() if finding.state is not State.GOOD)
    assert bad(found) == {"owner", "workers", "scheduler"}


def test_a_reachable_hub_without_https_is_bad(look: Look) -> None:
    assert "address" in bad(look(host="0.0.0.0"))
    assert "address" in bad(look(host="0.0.0.0", public_url="http://hub.example"))
    assert "address" not in bad(look(host="0.0.0.0", public_url="https://hub.example"))


def test_a_key_that_others_can_read(look: Look, context: Context) -> None:
    key = context.settings.data / "secret.key"
    key.write_text("x")
    key.chmod(0o644)
    assert "secret_key" in bad(look())
    key.chmod(0o600)
    assert "secret_key" not in bad(look())


def test_people(look: Look, app: Flask) -> None:
    owner = add_user(app, "owner")
    found = look()
    assert found["second_factor"].state is State.WARN
    assert found["second_person"].state is State.WARN
    add_user(app, "marketer")
    with transaction() as session:
        session.execute(sa.update(users.user).values(tf_primary_method="authenticator"))
    found = look()
    assert "second_person" not in found
    assert found["users"].params == {"count": 2}
    with transaction() as session:
        session.execute(sa.update(users.user).where(users.user.c.id == owner.id).values(active=False))
    assert "owner" in bad(look()), "who is disabled owns nothing"


def test_an_audit_trail_that_was_changed_is_found(look: Look, context: Context) -> None:
    with transaction() as session:
        for number in range(3):
            note(session, "thing.changed", ("thing", str(number), "x"), context.now(), before={"a": 1}, after={"a": 2})
    assert look()["audit_trail"].params == {"count": 3}
    with db.engine.begin() as raw:
        if db.engine.dialect.name == "sqlite":
            raw.execute(sa.text("DROP TRIGGER audit_entry_no_update"))
        else:
            raw.execute(sa.text("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_append_only"))
        raw.execute(sa.text("UPDATE audit_entry SET action = 'thing.forged' WHERE seq = 2"))
    try:
        found = look()
        assert bad(found) >= {"audit_trail", "append_only"}
        assert found["audit_trail"].params == {"number": 2}
    finally:
        if db.engine.dialect.name == "postgresql":
            with db.engine.begin() as raw:
                raw.execute(sa.text("ALTER TABLE audit_entry ENABLE TRIGGER audit_entry_append_only"))


def test_connections_and_runs(look: Look, context: Context, connected: Callable[..., Any]) -> None:
    pair = connected({"customers": 20})
    pair.run_sync("woocommerce", "customers")
    assert look(live=True)["connection"].state is State.GOOD
    with transaction() as session:
        session.execute(sa.update(runs.run).values(state="done", finished_at=context.now() - timedelta(hours=5)))
    assert look()["runs"].params["hours"] == 5
    with transaction() as session:
        session.execute(sa.update(runs.run).values(state="failed"))
        connections.set_state(session, pair.shop_id, connections.REAUTHORIZE, None, context.now())
    assert bad(look()) >= {"runs", "connection"}


def test_a_platform_that_is_away_is_told_and_stops_nothing(look: Look, connected: Callable[..., Any]) -> None:
    pair = connected({"customers": 5})
    pair.shop.faults.faults = [("500", 1.0)]
    found = look(live=True)
    assert found["connection"].state is State.BAD
    assert found["disk"].state is State.GOOD


def test_it_changes_nothing(look: Look, app: Flask) -> None:
    with reading() as session:
        before = session.execute(sa.select(sa.func.count()).select_from(users.user)).scalar()
    look()
    with reading() as session:
        assert session.execute(sa.select(sa.func.count()).select_from(users.user)).scalar() == before


def test_a_hub_without_database_and_redis(app: Flask, context: Context) -> None:
    class Away:
        def ping(self) -> None:
            raise OSError

    found = {finding.check: finding for finding in examine(context, app.extensions["hub_queues"], Away())}
    assert found["redis"].state is State.BAD
    assert "workers" not in found, "nobody knows"
