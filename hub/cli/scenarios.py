"""Commands about scenarios."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path
from typing import Any

import click

from hub.cli.bars import progress
from hub.cli.output import (
    NOT_ALL_WELL,
    error_line,
    headings,
    language,
    print_json,
    print_table,
    say,
    tell,
    without_sample,
)
from hub.cli.session import opened, with_workers
from hub.cli.stack import Stack
from hub.cli.tokens import TERMINAL
from hub.core.errors import HubError, Invalid
from hub.core.texts import N_
from hub.core.types import RunState
from hub.services import evaluate, summary
from hub.services.audit import acting
from hub.store import connections
from hub.store import scenarios as rows
from hub.store.db import reading
from hub.web.words import REASONS, word


@click.group()
def scenario() -> None:
    """Publish, list and run scenarios (docs/scenarios.md)."""


@scenario.command("publish")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def publish(file: Path) -> None:
    """Check a scenario written as TOML and keep it; the same key again makes a new version."""
    try:
        definition = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid("The file is not TOML", subject=str(file), cause=str(error), cure="Correct the named line") from error
    with opened() as context, acting(TERMINAL):
        evaluate.publish_scenario(context, definition)
    tell("Published: {key}. Run it with: hub scenario run {key}", key=definition["key"])


@scenario.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def list_scenarios(as_json: bool) -> None:
    """List the scenarios."""
    with opened(), reading() as session:
        listed = rows.list_scenarios(session)
    if as_json:
        print_json({"scenarios": [{str(k): v for k, v in row._mapping.items() if k != "id"} for row in listed]})
    elif listed:
        titles = headings("Key", "Name", "Channel", "Topic", "Automation", "State", "Version")
        print_table(titles, [[r.key, r.name, r.channel, r.topic, r.automation, r.state, r.version] for r in listed])
    else:
        tell("No scenario yet. Publish one with: hub scenario publish FILE.toml")


@scenario.command("run")
@click.argument("key")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def run(key: str, as_json: bool) -> None:
    """Evaluate a scenario now, and wait until everything it owes has left."""
    with with_workers() as (context, stack), acting(TERMINAL):
        evaluation_id = evaluate.request_evaluation(context, key)
        figures = follow_evaluation(evaluation_id, stack, quiet=as_json)
    if as_json:
        print_json({"scenario": key, **figures})
    else:
        tell_figures(figures)
    if figures["rejected"] or figures["error"] or figures["state"] == RunState.FAILED:
        raise click.exceptions.Exit(NOT_ALL_WELL)


def follow_evaluation(evaluation_id: str, stack: Stack | None, *, quiet: bool) -> dict[str, Any]:
    """Show an evaluation's progress until it and its effects are done; returns its figures.

    `error` is why it ended early: the connection does not work, and nothing has moved for a while.
    """
    moved, seen = time.monotonic(), None
    with progress(quiet=quiet) as bars:
        considering = bars.add_task(say("contacts considered"), total=None)
        leaving, most = bars.add_task(say("effects left"), total=None, visible=False), 0
        while True:
            with reading() as session:
                row = rows.find_evaluation(session, evaluation_id)
            figures = summary.evaluation_figures([evaluation_id])
            state = row.state if row else RunState.FAILED.value
            finished = state in (RunState.DONE, RunState.FAILED)
            considered = row.considered if row else 0
            most = max(most, figures["open"])
            bars.update(considering, completed=considered, total=considered if finished else None)
            bars.update(leaving, completed=most - figures["open"], total=most, visible=most > 0)
            if finished and not figures["open"]:
                return {**figures, "state": state, "error": without_sample(row.error) if row else None}
            if (considered, state, figures) != seen:
                moved, seen = time.monotonic(), (considered, state, figures)
            broken = _broken_connection(row.scenario_id, time.monotonic() - moved) if row else None
            if broken is not None:
                return {**figures, "state": state, "error": broken}
            if stack is not None:
                stack.watch()
            time.sleep(0.1)


INACTIVE_SECONDS, ERROR_SECONDS = 2.0, 20.0
"""How long nothing must have moved before a connection that is not active, or has an error, ends the waiting."""


def _broken_connection(scenario_id: str, still: float) -> dict[str, Any] | None:
    """Why the scenario's connection lets nothing leave, or None while it may still do so."""
    if still < INACTIVE_SECONDS:
        return None
    with reading() as session:
        row = connections.get_connection(session, rows.load_plan(session, scenario_id).connection_id)
    if row.state == connections.ACTIVE and (not row.error or still < ERROR_SECONDS):
        return None
    if row.error:
        return {**(without_sample(row.error) or {}), "connection": row.name}
    return HubError(N_("The connection «{name}» is not active"), name=row.name).as_json()


def tell_figures(figures: dict[str, Any]) -> None:
    refused = figures["decisions"]["refused"]
    tell("Allowed: {allowed}. Refused: {refused}", allowed=figures["decisions"]["allowed"], refused=sum(refused.values()))
    for reason, count in refused.items():
        click.echo(f"  {count}  {word(REASONS, reason, language())}", err=True)
    tell("Written to the CRM: {pushed}. Automations started: {triggered}", **{k: figures[k] for k in ("pushed", "triggered")})
    if figures["error"]:
        tell("It did not go to the end: {error}", error=error_line(figures["error"]))


COMMANDS = (scenario,)
