"""Moving a connection's streams forward: claim → read → store, batch by batch, each with its checkpoint."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hub.core.connector import Connector, Cursor, Verb
from hub.core.errors import (
    Conflict,
    ContractBroken,
    HubError,
    PlatformError,
    RateLimited,
    ReauthorizeNeeded,
    Refused,
    Unavailable,
)
from hub.core.types import Lane, Raw, RunState
from hub.services.ahead import ahead
from hub.services.audit import HUB, actor, note
from hub.services.connections import open_connector
from hub.services.context import Context, Stop
from hub.services.dictionaries import read_mapping
from hub.services.endings import close_connection, release_run
from hub.services.intake import Intake, Prepared, make_intake, prepare, store_batch
from hub.services.preferences import interval, read_firm
from hub.store import connections, runs
from hub.store.connections import ConnectionRow
from hub.store.db import Session, reading, transaction
from hub.store.heartbeat import heartbeat

log = logging.getLogger("hub.sync")

FIRST_RETRY, LONGEST_RETRY = 5.0, 3600.0
"""Seconds to wait after the first failure in a row; doubled with each, up to the longest."""

BELIEVED = 3
"""Failures in a row up to which a vendor's Retry-After counts alone: «1» again and again must not use up the patience."""

FEWER_COLLECTIONS = 50_000
"""New objects between two looks for cycles while records are read: a batch makes many and leaves none behind in cycles."""

GIVE_UP = 12
"""Failures in a row after which a run fails for good (two and a half hours of an unreachable shop); the next sync resumes."""


def request_sync(context: Context, name: str, streams: Sequence[str] = (), *, full: bool = False) -> str:
    """Queue runs for the streams (all readable ones by default); a sync that is still open is the one asked for.

    `full`: from the beginning, not from the checkpoints. Returns the group's id.
    """
    with transaction() as session:
        row = connections.get_connection(session, name)
        declaration = context.platform(row.platform).DECLARATION
        declaration.need(Verb.READ)
        readable = [stream.name for stream in declaration.streams if stream.reads]
        for stream in streams:
            if stream not in readable:
                declaration.stream(stream)
                raise Refused("{platform} cannot read the stream «{stream}»", platform=declaration.title, stream=stream)
        if row.state == connections.REAUTHORIZE:
            raise Conflict(
                "The connection «{name}» needs new credentials first",
                cure="Connect the account again with hub connect",
                name=row.name,
            )
        if row.state == connections.PAUSED:
            raise Conflict("The connection «{name}» is paused", cure="Resume it first", name=row.name)
        connections.lock_connection(session, row.id)
        already = runs.open_runs(session, row.id)
        if already:
            return str(already[0].group_id)
        wanted = [stream for stream in readable if not streams or stream in streams]
        if full:
            runs.forget_cursors(session, row.id, wanted)
        now = context.now()
        if actor().kind != HUB.kind:  # the schedule's own would bury the rest
            note(session, "sync.requested", ("connection", row.id, row.name), now, after={"streams": wanted, "full": full})
        return runs.add_runs(session, row.id, wanted, now)


GIVE_UP_STRANGE = 4
"""The same for answers we do not understand: a firewall's page or a cut-off answer may be gone in a moment."""


@dataclass
class _Chunk:
    """Some pages' records, to be stored in one transaction with the cursor behind them."""

    records: list[Raw] = field(default_factory=list)
    cursor: Cursor | None = None
    total: int | None = None


def advance_run(context: Context, run_id: str, owner: str, stop: Stop) -> bool:
    """Work on a run until it is done, the slice is over or `stop` says so. False if it was not to be had."""
    settings = context.settings
    with transaction() as session:
        run = runs.claim_run(session, run_id, owner, context.now(), settings.lease)
        if run is None:
            return False
        row = connections.get_connection(session, run.connection_id)
    log.info("run claimed", extra={"run": run_id, "connection": row.name, "stream": run.stream})
    try:
        connector = open_connector(context, row, Lane.BULK)
        intake = _prepare(context, row, run, connector)
        with reading() as session:
            cursor = runs.load_cursor(session, run.connection_id, run.stream, intake.version.decode())
        with heartbeat(settings.lease / 3, _renewal(context, run_id, owner)):
            finished = _read_on(context, run, owner, connector, intake, cursor, stop)
    except _LeaseLost:
        log.warning("lease lost", extra={"run": run_id})
        return True
    except HubError as error:
        _settle_failure(context, run, owner, row, error)
        return True
    with transaction() as session:
        state = RunState.DONE if finished else RunState.WAITING
        release_run(session, run, owner, state, context.now())
    log.info("run released", extra={"run": run_id, "state": state.value})
    return True


def _renewal(context: Context, run_id: str, owner: str) -> Callable[[Session], None]:
    """Keeps the run ours while a slow platform is still answering."""

    def renew(session: Session) -> None:
        runs.extend_lease(session, run_id, owner, context.now() + timedelta(seconds=context.settings.lease))

    return renew


class _LeaseLost(Exception):
    """A signal between two functions of this file."""


def _prepare(context: Context, row: ConnectionRow, run: Any, connector: Connector) -> Intake:
    declaration = connector.declaration
    stream = declaration.stream(run.stream)
    mapping = read_mapping(row.platform, row.options, stream, declaration.title)
    return make_intake(
        row.id,
        row.name,
        declaration,
        stream,
        mapping,
        country=context.settings.country,
        currency=str(row.facts.get("currency") or ""),
        run_id=run.id,
    )


def _read_on(
    context: Context, run: Any, owner: str, connector: Connector, intake: Intake, cursor: Cursor | None, stop: Stop
) -> bool:
    """True when the platform has no more; False when the slice is over."""
    deadline = time.monotonic() + context.settings.slice
    thresholds = gc.get_threshold()
    gc.set_threshold(FEWER_COLLECTIONS, *thresholds[1:])
    outlook = _Outlook(mostly_changed=cursor is None)
    chunks = _chunks(connector, run.stream, cursor, context.settings.batch_size)
    started = time.perf_counter()
    try:
        with ahead(_prepared(intake, chunks, outlook)) as batches:
            for chunk, prepared in batches:
                now = context.now()
                with transaction() as session:
                    counts = store_batch(session, intake, prepared, now)
                    place = dict(chunk.cursor or {})
                    runs.save_cursor(session, run.connection_id, run.stream, place, intake.version.decode(), now)
                    spent = time.perf_counter() - started
                    kept = runs.renew_run(session, run.id, owner, now, context.settings.lease, counts, spent, chunk.total)
                    if kept is None:
                        # Somebody else holds the run now: nothing of this batch may stay.
                        raise _LeaseLost
                started += spent
                outlook.mostly_changed = counts.created + counts.updated > counts.unchanged
                if time.monotonic() > deadline or stop():
                    return False
    finally:
        gc.set_threshold(*thresholds)
    return True


@dataclass
class _Outlook:
    """What the batches in the making are taken for: the same as the last one that was stored."""

    mostly_changed: bool


def _prepared(
    intake: Intake, chunks: Generator[_Chunk, None, None], outlook: _Outlook
) -> Generator[tuple[_Chunk, Prepared], None, None]:
    with closing(chunks):
        for chunk in chunks:
            prepared = prepare(intake, chunk.records, expected=outlook.mostly_changed)
            chunk.records = []  # what did not change is not needed any more
            yield chunk, prepared


def _chunks(connector: Connector, stream: str, cursor: Cursor | None, size: int) -> Generator[_Chunk, None, None]:
    """Pages gathered to chunks of about `size` records, or of two seconds where the platform is slow.

    Where reading ends with an error, what was gathered before comes first: a budget of few calls would else never get
    beyond the same first pages.
    """
    chunk = _Chunk()
    started = time.perf_counter()
    ended: HubError | None = None
    pages = connector.read(stream, cursor)
    while True:
        try:
            page = next(pages, None)
        except HubError as error:
            ended = error
            break
        if page is None:
            break
        chunk.records += page.records
        chunk.cursor = page.cursor
        chunk.total = page.total
        if len(chunk.records) >= size or time.perf_counter() - started > 2.0:
            yield chunk
            chunk = _Chunk()
            started = time.perf_counter()
    if chunk.cursor is not None:
        yield chunk
    if ended is not None:
        raise ended


def _settle_failure(context: Context, run: Any, owner: str, row: ConnectionRow, error: HubError) -> None:
    """Sort the error by what happens next: wait, pause the connection, or stop the run."""
    now = context.now()
    state, not_before, counted = RunState.FAILED, None, True
    if isinstance(error, RateLimited) and error.local:
        state, not_before, counted = RunState.WAITING, _later(now, error.after or 0.1), False
    elif isinstance(error, Unavailable) and run.failures + 1 < GIVE_UP:
        state, not_before = RunState.WAITING, _later(now, back_off(run.failures, error.after))
    elif isinstance(error, ContractBroken) and run.failures + 1 < GIVE_UP_STRANGE:
        state, not_before = RunState.WAITING, _later(now, back_off(run.failures, None))
    with transaction() as session:
        release_run(session, run, owner, state, now, error=error, not_before=not_before, failed=counted)
        if isinstance(error, ReauthorizeNeeded):
            close_connection(session, row, error, now)
    level = logging.WARNING if isinstance(error, PlatformError) else logging.ERROR
    log.log(level, "run stopped: %s", error, extra={"run": run.id, "state": state.value, "code": error.code})


def abandon_run(context: Context, run_id: str, owner: str, cause: str) -> None:
    """Stop a run that met a bug of ours: it shows as failed with what happened, its checkpoint stays."""
    error = HubError(
        "The hub itself has a fault", cure="Send the log lines of this run to whoever maintains the hub", cause=cause
    )
    with transaction() as session:
        if run := runs.find_run(session, run_id):
            release_run(session, run, owner, RunState.FAILED, context.now(), error=error, failed=True)


def back_off(failures: int, asked: float | None) -> float:
    """Seconds to wait: doubling, or what the vendor asks for; one that keeps asking for too little is not believed."""
    own = min(FIRST_RETRY * 2.0 ** min(failures, 20), LONGEST_RETRY)
    if asked is None:
        return own
    return max(asked, own if failures >= BELIEVED else 0.05)


def _later(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)


def request_due_syncs(context: Context) -> list[str]:
    """Start the scheduled syncs whose time has come; returns their groups. One that cannot start stops no other."""
    now = context.now()
    with transaction() as session:
        firm = read_firm(session).firm
        due = connections.take_due_syncs(session, now, lambda connection_id: interval(context, firm, connection_id))
    groups = []
    for connection_id in due:
        try:
            groups.append(request_sync(context, connection_id))
        except Refused as error:
            log.warning("a scheduled sync was not started: %s", error, extra={"connection": connection_id})
    return groups
