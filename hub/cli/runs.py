"""Commands about runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click

from hub.cli.bars import progress
from hub.cli.output import NOT_ALL_WELL, error_line, exit_code, headings, print_json, print_table, run_json, say, tell
from hub.cli.session import opened, with_workers
from hub.cli.stack import Stack
from hub.core.errors import Unavailable
from hub.core.types import RunState
from hub.services import summary
from hub.services import sync as verbs
from hub.store import connections, quarantine
from hub.store import runs as rows
from hub.store.db import reading

FINISHED = (RunState.DONE.value, RunState.FAILED.value)


@click.command()
@click.argument("connection")
@click.option("--stream", "streams", multiple=True, help="Only this stream; may be repeated.")
@click.option("--full", is_flag=True, help="From the beginning, not from where the last sync ended.")
@click.option("--no-wait", is_flag=True, help="Only queue the runs; the workers of «hub up» do the rest.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up waiting when an error has let nothing be read for so long; 0: wait as long as it takes.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def sync(connection: str, streams: tuple[str, ...], full: bool, no_wait: bool, wait: float, as_json: bool) -> None:
    """Read what is new on a connection: customers, orders, products."""
    if no_wait:
        with opened() as context:
            group = verbs.request_sync(context, connection, streams, full=full)
            queued = summary.group_runs(group)
        if as_json:
            print_json({"group": group, "runs": [run_json(run) for run in queued]})
        else:
            tell("Queued: {streams}", streams=", ".join(run.stream for run in queued))
        return
    with with_workers() as (context, stack):
        group = verbs.request_sync(context, connection, streams, full=full)
        done = follow(group, stack, quiet=as_json, wait=wait)
        with reading() as session:
            row = connections.get_connection(session, connection)
        counts = summary.connection_counts(context, row.id)
    if as_json:
        print_json({"connection": row.name, "runs": [run_json(run) for run in done], "counts": counts})
    else:
        _tell_result(done, counts)
    if any(run.state not in FINISHED for run in done):
        if not as_json:
            tell("It goes on by itself under «hub up», or with the next hub sync {name}", name=row.name)
        raise click.exceptions.Exit(exit_code(Unavailable()))
    if any(run.state == RunState.FAILED for run in done):
        raise click.exceptions.Exit(NOT_ALL_WELL)


def _tell_result(done: Sequence[Any], counts: dict[str, int]) -> None:
    print_table(*runs_table(done))
    for run in done:
        if run.error and run.state == RunState.WAITING and run.not_before:
            at = f"{run.not_before.astimezone():%Y-%m-%d %H:%M:%S %Z}"
            tell("{stream} waits until {time}: {error}", stream=run.stream, time=at, error=error_line(run.error))
        elif run.error:
            tell("{stream}: {error}", stream=run.stream, error=error_line(run.error))
    tell("Now stored: {counts}", counts=", ".join(f"{name} {count}" for name, count in counts.items()))
    if any(run.quarantined for run in done):
        tell("Some records are in quarantine, each with its reason: hub runs --quarantine")


def runs_table(listed: Sequence[Any]) -> tuple[list[str], list[list[Any]]]:
    """Headings and rows of a table of runs."""
    names = ("connection_name", "stream", "state", "read", "created", "updated", "unchanged", "quarantined")
    titles = headings("Connection", "Stream", "State", "Read", "Created", "Updated", "Unchanged", "Quarantined", "Seconds")
    return titles, [[*(getattr(run, name) for name in names), round(run.seconds, 1)] for run in listed]


def follow(group: str, stack: Stack | None, *, quiet: bool, wait: float = 120.0) -> Sequence[Any]:
    """Show a sync's progress until its last run has finished; keeps our own workers alive meanwhile.

    When an error has let nothing be read for `wait` seconds (0: never), the runs are returned as they are.
    """
    told: set[str] = set()
    moved, seen = time.monotonic(), None
    with progress(quiet=quiet) as bars:
        tasks: dict[str, Any] = {}
        while True:
            listed = summary.group_runs(group)
            for run in listed:
                if run.id not in tasks and run.state != RunState.QUEUED:
                    tasks[run.id] = bars.add_task(f"{run.connection_name} {run.stream}", total=run.total)
                if run.id in tasks:
                    finished = run.state in FINISHED
                    bars.update(tasks[run.id], completed=run.read, total=run.read if finished else run.total)
                if run.state == RunState.WAITING and run.error and run.not_before and not quiet and run.id not in told:
                    told.add(run.id)
                    tell("{stream} waits: {error}", stream=run.stream, error=error_line(run.error))
            if all(run.state in FINISHED for run in listed):
                return listed
            now = [(run.id, run.read, run.state in FINISHED) for run in listed]
            if now != seen:
                moved, seen = time.monotonic(), now
            if wait and time.monotonic() - moved > wait and _is_stuck(listed):
                return listed
            if stack is not None:
                stack.watch()
            time.sleep(0.1)


def _is_stuck(listed: Sequence[Any]) -> bool:
    """Nothing is being read, and what is to be read waits because of an error."""
    waiting = [run for run in listed if run.state == RunState.WAITING and run.error]
    return bool(waiting) and not any(run.state == RunState.RUNNING for run in listed)


@click.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many.")
@click.option("--quarantine", "show_quarantine", is_flag=True, help="Show what is in quarantine instead, with reasons.")
@click.option("--connection", help="Only this connection.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def runs(limit: int, show_quarantine: bool, connection: str | None, as_json: bool) -> None:
    """List the newest runs, or the records in quarantine with field, reason and cure."""
    with opened(), reading() as session:
        chosen = connections.get_connection(session, connection).id if connection else None
        if show_quarantine:
            _print_quarantine(quarantine.list_entries(session, connection_id=chosen, limit=limit), as_json)
            return
        listed = rows.list_runs(session, limit=limit, connection_id=chosen)
    if as_json:
        print_json({"runs": [{"id": run.id, "created_at": run.created_at, **run_json(run)} for run in listed]})
    elif listed:
        print_table(*runs_table(listed))
        for run in listed:
            if run.error:
                tell("{stream}: {error}", stream=run.stream, error=error_line(run.error))
    else:
        tell("No run yet. Start one with: hub sync CONNECTION")


def _print_quarantine(entries: Sequence[Any], as_json: bool) -> None:
    if as_json:
        names = ("connection_name", "direction", "stream", "external_id", "field", "whole", "code", "reason", "cure")
        listed = [{name: getattr(entry, name) for name in (*names, "value_class", "first_at", "last_at")} for entry in entries]
        print_json({"quarantine": listed})
        return
    if not entries:
        tell("Nothing is in quarantine.")
        return
    titles = headings("Connection", "Stream", "Record", "Field", "Left out", "Reason", "What to do")
    print_table(
        titles,
        [
            [
                entry.connection_name,
                entry.stream,
                entry.external_id,
                entry.field,
                say("the whole record") if entry.whole else say("only this field"),
                say(entry.reason),
                say(entry.cure),
            ]
            for entry in entries
        ],
    )


COMMANDS = (sync, runs)
