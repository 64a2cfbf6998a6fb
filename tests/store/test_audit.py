"""The audit trail's chain: written side by side, never forked; what was changed, taken out or cut off is found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError

from hub.core.types import Actor
from hub.store import audit
from hub.store.db import db, reading, transaction

pytestmark = pytest.mark.usefixtures("app")
WHO = Actor("user", "u1", "Ewa", "203.0.113.9")


def append(count: int) -> None:
    for number in range(count):
        with transaction() as session:
            values = {"name": f"łódź {number} «ź»", "deep": [1, {"x": 1.5}], "none": None}
            audit.append_entry(session, WHO, "thing.changed", ("thing", str(number), ""), {}, values, datetime.now(UTC))


def verified() -> tuple[int, int | None]:
    with reading() as session:
        return audit.verify(session)


def unguarded(statement: str) -> None:
    """What somebody does who is not held by the triggers."""
    with db.engine.begin() as raw:
        if db.engine.dialect.name == "sqlite":
            raw.execute(sa.text("DROP TRIGGER IF EXISTS audit_entry_no_update"))
            raw.execute(sa.text("DROP TRIGGER IF EXISTS audit_entry_no_delete"))
        else:
            raw.execute(sa.text("SET LOCAL session_replication_role = replica"))
        raw.execute(sa.text(statement))


def test_an_empty_trail_is_whole() -> None:
    assert verified() == (0, None)


def test_writers_side_by_side_make_one_chain(in_threads: Callable[..., Any]) -> None:
    assert in_threads(*[lambda: append(5)] * 6) == [None] * 6
    assert verified() == (30, None)


@pytest.mark.parametrize("statement", ["UPDATE audit_entry SET action = 'x.y'", "DELETE FROM audit_entry"])
def test_the_database_refuses_changes(statement: str) -> None:
    append(2)
    with pytest.raises(DatabaseError, match="append-only"), db.engine.begin() as raw:
        raw.execute(sa.text(statement))
    assert verified() == (2, None)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE audit_entry SET actor_name = 'Nobody' WHERE seq = 2", (1, 2)),
        ("UPDATE audit_entry SET hash = hash_before WHERE seq = 3", (2, 3)),
        ("DELETE FROM audit_entry WHERE seq = 2", (1, 2)),
        ("DELETE FROM audit_entry WHERE seq >= 3", (2, 3)),
        ("DELETE FROM audit_entry", (0, 1)),
        ("DELETE FROM audit_head", (4, 5)),
    ],
)
def test_what_was_done_past_the_triggers_is_found(statement: str, found: tuple[int, int]) -> None:
    append(4)
    unguarded(statement)
    assert verified() == found


def test_what_is_rolled_back_leaves_no_gap() -> None:
    append(1)
    with db.engine.connect() as connection, audit.Session(connection) as session:
        audit.append_entry(session, WHO, "thing.changed", ("thing", "1", ""), {}, {}, datetime.now(UTC))
        session.rollback()
    append(1)
    assert verified() == (2, None)
