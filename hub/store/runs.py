"""Runs, their batches and the checkpoints.

A run is leased: `lease_owner` works on it until `lease_until` and renews with every batch. Every write of a batch is
guarded by the owner, so a worker that lost its lease cannot store anything any more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from hub.core.errors import NotFound
from hub.core.types import Counts, RunState
from hub.store.connections import connection
from hub.store.db import Id, JsonValue, UtcTime, metadata, new_id

_counts = ("read", "created", "updated", "unchanged", "quarantined")

run = sa.Table(
    "run",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("group_id", Id, nullable=False, index=True),  # the streams of one sync, one after the other
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id", ondelete="CASCADE"), nullable=False),
    sa.Column("stream", sa.String(80), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    *(sa.Column(name, sa.Integer, nullable=False, server_default="0") for name in _counts),
    sa.Column("batches", sa.Integer, nullable=False, server_default="0"),
    sa.Column("total", sa.Integer),  # the platform's own count, for progress
    sa.Column("seconds", sa.Float, nullable=False, server_default="0"),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),  # in a row
    sa.Column("error", JsonValue),
    sa.Column("not_before", UtcTime),
    sa.Column("lease_owner", sa.String(64)),
    sa.Column("lease_until", UtcTime),
    sa.Column("claims", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("started_at", UtcTime),
    sa.Column("finished_at", UtcTime),
)
OPEN_STATES = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)
sa.Index(
    "uq_run_open",
    run.c.connection_id,
    run.c.stream,
    unique=True,
    sqlite_where=run.c.state.in_([state.value for state in OPEN_STATES]),
    postgresql_where=run.c.state.in_([state.value for state in OPEN_STATES]),
)
sa.Index("ix_run_created_at", run.c.created_at)
sa.Index("ix_run_state", run.c.state)

batch = sa.Table(
    "batch",
    metadata,
    sa.Column("run_id", Id, sa.ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    *(sa.Column(name, sa.Integer, nullable=False) for name in _counts),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("at", UtcTime, nullable=False),
)

checkpoint = sa.Table(
    "checkpoint",
    metadata,
    sa.Column("connection_id", Id, sa.ForeignKey("connection.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("stream", sa.String(80), primary_key=True),
    sa.Column("cursor", JsonValue),
    sa.Column("dictionary", sa.String(80), nullable=False),  # its version: what was read by another is read again
    sa.Column("updated_at", UtcTime, nullable=False),
)


def open_runs(session: Session, connection_id: str) -> Sequence[sa.Row[Any]]:
    return session.execute(
        sa.select(run)
        .where(run.c.connection_id == connection_id, run.c.state.in_(OPEN_STATES))
        .order_by(run.c.created_at, run.c.position)
    ).all()


def add_runs(session: Session, connection_id: str, streams: Sequence[str], now: datetime) -> str:
    """A group of queued runs, one per stream in this order; returns the group's id."""
    group_id = new_id()
    for position, stream in enumerate(streams):
        session.execute(
            sa.insert(run).values(
                id=new_id(),
                group_id=group_id,
                position=position,
                connection_id=connection_id,
                stream=stream,
                state=RunState.QUEUED.value,
                created_at=now,
            )
        )
    return group_id


def due_runs(session: Session, now: datetime) -> Sequence[Any]:
    """(id, claims) of runs that wait for a worker: not leased, not too early, first unfinished of their group."""
    earlier = run.alias("earlier")
    blocked = sa.exists().where(
        earlier.c.group_id == run.c.group_id,
        earlier.c.position < run.c.position,
        earlier.c.state.in_(OPEN_STATES),
    )
    return session.execute(
        sa.select(run.c.id, run.c.claims)
        .where(
            run.c.state.in_(OPEN_STATES),
            sa.or_(run.c.not_before.is_(None), run.c.not_before <= now),
            sa.or_(run.c.lease_until.is_(None), run.c.lease_until < now),
            ~blocked,
        )
        .order_by(run.c.created_at, run.c.position)
    ).all()


def claim_run(session: Session, run_id: str, owner: str, now: datetime, lease: float) -> sa.Row[Any] | None:
    """Take the run for `lease` seconds, or None if it is not to be had (finished, too early, somebody else's)."""
    return session.execute(
        sa.update(run)
        .where(
            run.c.id == run_id,
            run.c.state.in_(OPEN_STATES),
            sa.or_(run.c.not_before.is_(None), run.c.not_before <= now),
            sa.or_(run.c.lease_until.is_(None), run.c.lease_until < now),
        )
        .values(
            state=RunState.RUNNING.value,
            lease_owner=owner,
            lease_until=now + timedelta(seconds=lease),
            claims=run.c.claims + 1,
            started_at=sa.func.coalesce(run.c.started_at, sa.bindparam("first_start", now, UtcTime)),
        )
        .returning(run)
    ).first()


def renew_run(
    session: Session, run_id: str, owner: str, now: datetime, lease: float, counts: Counts, seconds: float, total: int | None
) -> int | None:
    """Add a batch's counts and renew the lease, if it is still ours: the batch's number, else None."""
    given = {f"more_{name}": getattr(counts, name) for name in _counts}
    given |= {
        "run": run_id,
        "owner": owner,
        "until": now + timedelta(seconds=lease),
        "more_seconds": seconds,
        "new_total": total,
    }
    number = session.execute(_RENEW, given).scalar()
    if number is None:
        return None
    session.execute(sa.insert(batch), {"run_id": run_id, "number": number, "seconds": seconds, "at": now, **counts.as_json()})
    return int(number)


# Built once: each batch needs them, and SQLAlchemy takes longer to build such a statement than the database to execute it.
_RENEW = (
    sa.update(run)
    .where(run.c.id == sa.bindparam("run"), run.c.lease_owner == sa.bindparam("owner"))
    .where(run.c.state == RunState.RUNNING.value)
    .values(
        **{name: run.c[name] + sa.bindparam(f"more_{name}") for name in _counts},
        total=sa.func.coalesce(sa.bindparam("new_total", type_=sa.Integer), run.c.total),
        batches=run.c.batches + 1,
        seconds=run.c.seconds + sa.bindparam("more_seconds"),
        failures=0,
        error=sa.null(),
        lease_until=sa.bindparam("until", type_=UtcTime),
    )
    .returning(run.c.batches)
)


def extend_lease(session: Session, run_id: str, owner: str, until: datetime) -> None:
    """The platform is slow: the run stays ours a while longer, if it still is."""
    session.execute(sa.update(run).where(run.c.id == run_id, run.c.lease_owner == owner).values(lease_until=until))


def release_run(
    session: Session,
    run_id: str,
    owner: str,
    state: RunState,
    now: datetime,
    *,
    error: Mapping[str, Any] | None = None,
    not_before: datetime | None = None,
    failed: bool = False,
) -> bool:
    """Give the lease back with a new state; False if it was no longer ours."""
    finished = state in (RunState.DONE, RunState.FAILED)
    done = session.execute(
        sa.update(run)
        .where(run.c.id == run_id, run.c.lease_owner == owner)
        .values(
            state=state.value,
            lease_owner=None,
            lease_until=None,
            not_before=not_before,
            error=sa.null() if error is None else dict(error),
            failures=run.c.failures + 1 if failed else 0,
            finished_at=now if finished else None,
        )
    )
    return bool(done.rowcount)  # type: ignore[attr-defined]


def load_cursor(session: Session, connection_id: str, stream: str, dictionary: str | None = None) -> Any:
    """Where to go on; None (from the beginning) also when another version of the dictionary was read by."""
    statement = sa.select(checkpoint.c.cursor).where(checkpoint.c.connection_id == connection_id, checkpoint.c.stream == stream)
    if dictionary is not None:
        statement = statement.where(checkpoint.c.dictionary == dictionary)
    return session.scalar(statement)


def save_cursor(session: Session, connection_id: str, stream: str, cursor: Any, dictionary: str, now: datetime) -> None:
    given = {"connection": connection_id, "of": stream, "place": cursor, "version": dictionary, "now": now}
    if session.execute(_MOVE_CURSOR, given).rowcount == 0:  # type: ignore[attr-defined]
        values = {"cursor": cursor, "dictionary": dictionary, "updated_at": now}
        session.execute(sa.insert(checkpoint).values(connection_id=connection_id, stream=stream, **values))


_MOVE_CURSOR = (
    sa.update(checkpoint)
    .where(checkpoint.c.connection_id == sa.bindparam("connection"), checkpoint.c.stream == sa.bindparam("of"))
    .values(cursor=sa.bindparam("place", type_=JsonValue), dictionary=sa.bindparam("version"))
    .values(updated_at=sa.bindparam("now", type_=UtcTime))
)


def forget_cursors(session: Session, connection_id: str, streams: Sequence[str]) -> None:
    """Read these streams from the beginning next time."""
    session.execute(sa.delete(checkpoint).where(checkpoint.c.connection_id == connection_id, checkpoint.c.stream.in_(streams)))


def find_run(session: Session, run_id: str) -> sa.Row[Any] | None:
    return session.execute(sa.select(run).where(run.c.id == run_id)).first()


def list_runs(
    session: Session, *, limit: int = 50, group_id: str | None = None, connection_id: str | None = None
) -> Sequence[sa.Row[Any]]:
    """Runs with their connection's name and platform, newest first; of one group: in order."""
    statement = sa.select(run, connection.c.name.label("connection_name"), connection.c.platform).join(
        connection, connection.c.id == run.c.connection_id
    )
    if connection_id is not None:
        statement = statement.where(run.c.connection_id == connection_id)
    if group_id is not None:
        statement = statement.where(run.c.group_id == group_id).order_by(run.c.position)
    else:
        statement = statement.order_by(run.c.created_at.desc(), run.c.position.desc())
    return session.execute(statement.limit(limit)).all()


def list_batches(session: Session, run_id: str) -> Sequence[sa.Row[Any]]:
    return session.execute(sa.select(batch).where(batch.c.run_id == run_id).order_by(batch.c.number)).all()


def page_runs(
    session: Session,
    *,
    connection_id: str | None = None,
    states: Sequence[str] = (),
    before: str | None = None,
    limit: int = 25,
) -> Sequence[sa.Row[Any]]:
    """Runs with their connection's name, newest first, those after the run `before` in that order."""
    statement = sa.select(run, connection.c.name.label("connection_name"), connection.c.platform).join(
        connection, connection.c.id == run.c.connection_id
    )
    if connection_id is not None:
        statement = statement.where(run.c.connection_id == connection_id)
    if states:
        statement = statement.where(run.c.state.in_(states))
    if before is not None:
        order = (run.c.created_at, run.c.position, run.c.id)
        last = session.execute(sa.select(*order).where(run.c.id == before)).first()
        if last is None:
            raise NotFound("The page that this link leads to is gone", cure="Start again from the first page")
        statement = statement.where(sa.tuple_(*order) < sa.tuple_(*map(sa.literal, last, [column.type for column in order])))
    ordered = statement.order_by(run.c.created_at.desc(), run.c.position.desc(), run.c.id.desc())
    return session.execute(ordered.limit(limit)).all()


def last_batches(session: Session, run_id: str, limit: int) -> Sequence[sa.Row[Any]]:
    """The newest batches of a run, newest first: what its rate is told from."""
    return session.execute(sa.select(batch).where(batch.c.run_id == run_id).order_by(batch.c.number.desc()).limit(limit)).all()
