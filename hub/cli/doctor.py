"""`hub doctor`: what of the set-up is well, and what to mend."""

from __future__ import annotations

from typing import Any

import click
from flask import current_app

from hub.cli.output import NOT_ALL_WELL, print_json, say
from hub.cli.session import opened
from hub.services import doctor as verbs
from hub.services.doctor import State

MARKS = {State.GOOD: "✓", State.WARN: "!", State.BAD: "✗"}
COLOURS = {State.GOOD: "green", State.WARN: "yellow", State.BAD: "red"}


@click.command()
@click.option("--live", is_flag=True, help="Also ask each connected platform whether it answers.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
@click.pass_context
def doctor(ctx: click.Context, live: bool, as_json: bool) -> None:
    """Look over the whole set-up and say what to mend. Changes nothing; exit code 9 if something is bad."""
    with opened(redis=live) as context:
        parts: dict[str, Any] = current_app.extensions
        found = verbs.examine(context, parts["hub_queues"], parts["hub_redis"], live=live)
    bad = sum(finding.state is State.BAD for finding in found)
    if as_json:
        print_json({"healthy": not bad, "findings": [_as_json(finding) for finding in found]})
    else:
        for finding in found:
            click.echo(f"{click.style(MARKS[finding.state], fg=COLOURS[finding.state])} {say(finding.text, **finding.params)}")
            if finding.cure:
                click.echo(f"    → {say(finding.cure, **finding.params)}")
        click.echo("")
        click.echo(say("Nothing bad was found.") if not bad else say("To mend: {count}", count=bad))
    ctx.exit(NOT_ALL_WELL if bad else 0)


def _as_json(finding: verbs.Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "state": finding.state.value,
        "text": say(finding.text, **finding.params),
        "cure": say(finding.cure, **finding.params),
    }


COMMANDS = (doctor,)
