"""Runs: what moves now, what moved before, and one run from near."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import render_template

from hub.core.errors import NotFound
from hub.core.texts import say, say_many
from hub.core.types import RunState
from hub.store import connections, quarantine, runs
from hub.store.db import Session, reading
from hub.web import charts, formats
from hub.web.admin.quarantine import Entry
from hub.web.faults import Fault, read_fault
from hub.web.pages import argument, argument_id, language

PAGE = 25
MOST_OPEN = 50
RATE_OVER = 8
"""Batches that the rate is told from: recent enough to follow a slowing shop, enough not to jump."""
STATES = tuple(state.value for state in RunState)
OPEN = tuple(state.value for state in runs.OPEN_STATES)


@dataclass(frozen=True, slots=True)
class Progress:
    """A run that is not finished. `rate` is records a second, `left` seconds; None where nothing can be said yet.

    `lost`: the worker's lease ran out; `resumes_at`: a wait that is not over.
    """

    run: Any
    rate: float | None
    share: float | None
    left: float | None
    lost: bool
    resumes_at: datetime | None
    fault: Fault | None


def list_runs() -> str:
    """What runs now, and the recent runs, newest first."""
    name, state, before = argument("connection"), argument("state"), argument_id("before")
    if state and state not in STATES:
        raise NotFound("The filter «{name}» cannot be read", cure="Start again from the first page", name="state")
    with reading() as session:
        connection = connections.get_connection(session, name) if name else None
        chosen = connection.id if connection else None
        states = (state,) if state else ()
        page = runs.page_runs(session, connection_id=chosen, states=states, before=before, limit=PAGE + 1)
        moving = _progress_of(session, chosen)
        known = connections.list_connections(session)
    return render_template(
        "admin/runs.html",
        page=page[:PAGE],
        faults={run.id: read_fault(run.error, language()) for run in page},
        next_page=page[PAGE - 1].id if len(page) > PAGE else None,
        moving=moving,
        news=_news(moving),
        running=bool(moving),
        connections=known,
        connection=connection.name if connection else "",
        states=STATES,
        state=state,
    )


def _progress_of(session: Session, connection_id: str | None) -> list[Progress]:
    listed = runs.page_runs(session, connection_id=connection_id, states=OPEN, limit=MOST_OPEN)
    oldest_first = sorted(listed, key=lambda run: (run.created_at, run.position))
    return [measure(run, runs.last_batches(session, run.id, RATE_OVER)) for run in oldest_first]


def measure(run: Any, recent: Sequence[Any]) -> Progress:
    """How fast a run is, how far, and how long it still takes at this rate."""
    seconds = sum(batch.seconds for batch in recent)
    rate = sum(batch.read for batch in recent) / seconds if seconds > 0 else None
    share = min(run.read / run.total, 1.0) if run.total else None
    # After more records than announced nothing is known about the end.
    left = (run.total - run.read) / rate if rate and run.total and run.total > run.read else None
    now = datetime.now(UTC)
    lost = run.state == RunState.RUNNING and run.lease_until is not None and run.lease_until < now
    resumes_at = run.not_before if run.not_before is not None and run.not_before > now else None
    return Progress(run, rate, share, left, lost, resumes_at, read_fault(run.error, language()))


def _news(moving: Sequence[Progress]) -> str:
    """One sentence for those who hear the page: said now and then while something runs."""
    lang = language()
    if not moving:
        return say("Nothing runs now", lang)
    read = sum(progress.run.read for progress in moving)
    text = say_many("{n} run is not finished", "{n} runs are not finished", len(moving), lang)
    return f"{text}. " + say("Records read so far: {count}", lang, count=formats.number(read, lang))


def show_run(run_id: UUID) -> str:
    """One run: counts, its error, how fast its batches went, and what of its stream is in quarantine."""
    lang = language()
    with reading() as session:
        run = runs.find_run(session, str(run_id))
        if run is None:
            raise NotFound("There is no run with this id", cure="Go on from the list of runs")
        connection = connections.get_connection(session, run.connection_id)
        batches = runs.list_batches(session, run.id)
        rows = quarantine.page_entries(session, connection_id=run.connection_id, direction="in", stream=run.stream, limit=PAGE)
    bars = charts.gather((batch.number, batch.read, batch.seconds) for batch in batches)
    top = charts.round_up(max((bar.rate for bar in bars), default=0.0))
    progress = measure(run, batches[: -RATE_OVER - 1 : -1])
    running = run.state in OPEN
    return render_template(
        "admin/run.html",
        run=run,
        connection=connection,
        progress=progress,
        running=running,
        news=_news([progress] if running else []),
        fault=progress.fault,
        bars=bars,
        top=top,
        chart=charts.columns(bars, top, _chart_title(bars, lang), lambda bar: describe(bar, lang)),
        average=run.read / run.seconds if run.seconds else None,
        entries=[Entry.read(row, lang) for row in rows],
    )


def _chart_title(bars: Sequence[charts.Bar], lang: str) -> str:
    """What the drawing shows, for those who do not see it; the numbers stand in the table beneath."""
    rates = [bar.rate for bar in bars] or [0.0]
    return say(
        "Bar chart of records a second per batch: from {low} to {high}",
        lang,
        low=formats.number(round(min(rates)), lang),
        high=formats.number(round(max(rates)), lang),
    )


def describe(bar: charts.Bar, lang: str) -> str:
    return say("Batch {number}: {rate} records/s", lang, number=numbers(bar), rate=formats.number(round(bar.rate), lang))


def numbers(bar: charts.Bar) -> str:
    """«7», or «7–12» for batches taken together."""
    return str(bar.first) if bar.first == bar.last else f"{bar.first}–{bar.last}"


def routes(add: Callable[..., None]) -> None:
    add("/runs", list_runs)
    add("/runs/<uuid:run_id>", show_run)
