"""Commands about connections."""

from __future__ import annotations

from typing import IO, Any

import click

from hub import connectors
from hub.cli.output import error_line, exit_code, explain, headings, print_json, print_table, say, tell
from hub.cli.session import opened
from hub.cli.spoken import speak
from hub.core.connector import Declaration
from hub.core.errors import HubError, Invalid
from hub.services import connections as verbs
from hub.services import summary
from hub.services.dictionaries import OPTION as MAPPING
from hub.store import connections as rows
from hub.store.db import reading


class _Platforms(click.Group):
    """One sub-command per platform's folder, with an option per credential it declares."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(connectors.names())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in connectors.names():
            return None
        return speak(_connect_command(connectors.load(cmd_name).DECLARATION))


def _connect_command(declaration: Declaration) -> click.Command:
    options: list[click.Parameter] = [
        click.Option(
            [f"--{item.name.replace('_', '-')}", item.name],
            help=say(item.meaning) + (say(", for example {example}", example=item.example) if item.example else ""),
            metavar="TEXT",
        )
        for item in declaration.auth
    ]
    options += [
        click.Option(["--name", "_name"], help="A name for the connection; the platform's own by default."),
        click.Option(
            ["--mapping", "_mapping"],
            type=click.File("r", encoding="utf-8"),
            help="A dictionary of your own for this connection (docs/mapping.md).",
        ),
        click.Option(["--json", "_json"], is_flag=True, help="One JSON object on standard output."),
    ]

    def run(_name: str | None, _mapping: IO[str] | None, _json: bool, **given: str | None) -> None:
        options = {MAPPING: _mapping.read()} if _mapping else {}
        _connect(declaration, _name, _json, {name: value for name, value in given.items() if value}, options)

    return click.Command(
        declaration.name,
        callback=run,
        params=options,
        help=say(
            "Connect an account of {title}. A secret given as «-» is asked for, without showing it.", title=declaration.title
        ),
    )


def _connect(declaration: Declaration, name: str | None, as_json: bool, given: dict[str, str], options: dict[str, str]) -> None:
    for item in declaration.auth:
        if item.secret and given.get(item.name) == "-":
            given[item.name] = click.prompt(item.meaning, hide_input=True, err=True)
    with opened() as context:
        done = verbs.connect(context, declaration.name, given, name=name, options=options)
    row = done.connection
    if as_json:
        print_json({**_as_json(row, {}), "new": done.new})
        return
    text = "Connected {title} «{account}» as «{name}»" if done.new else "Connected {title} «{account}» again as «{name}»"
    tell(text, title=declaration.title, account=row.account_name, name=row.name)
    if any(stream.reads for stream in declaration.streams):
        tell("Next: hub sync {name}", name=row.name)


@click.command(cls=_Platforms)
def connect() -> None:
    """Connect an account of a platform: checks the keys with one call, then keeps them encrypted."""


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def connections(as_json: bool) -> None:
    """List the connections with their state and what has been read from each."""
    with opened() as context, reading() as session:
        listed = rows.list_connections(session)
        counts = {row.id: summary.connection_counts(context, row.id) for row in listed}
    if as_json:
        print_json({"connections": [_as_json(row, counts[row.id]) for row in listed]})
        return
    if not listed:
        tell("No connection yet. Make one with: hub connect woocommerce --url https://shop.example --key … --secret …")
        return
    titles = headings("Name", "Platform", "Account", "State", "Records")
    table = [
        [row.name, row.platform, row.account_name, row.state, ", ".join(f"{k} {v}" for k, v in counts[row.id].items())]
        for row in listed
    ]
    print_table(titles, table)
    for row in listed:
        if row.error:
            tell("{name}: {error}", name=row.name, error=error_line(row.error))


def _as_json(row: rows.ConnectionRow, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "name": row.name,
        "id": row.id,
        "platform": row.platform,
        "account": row.account_name,
        "account_id": row.account_id,
        "state": row.state,
        "error": row.error,
        "next_sync_at": row.next_sync_at,
        "facts": dict(row.facts),
        "counts": counts,
    }


@click.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def check(names: tuple[str, ...], as_json: bool) -> None:
    """Ask the platforms whether the connections work (all of them by default)."""
    results: list[dict[str, Any]] = []
    worst: HubError | None = None
    with opened(redis=True) as context:
        with reading() as session:
            wanted = names or tuple(row.name for row in rows.list_connections(session))
        if not wanted:
            raise Invalid("There is nothing to check", cure="Make a connection with hub connect first")
        for name in wanted:
            try:
                found = verbs.check(context, name)
            except HubError as error:
                worst = worst or error
                results.append({"connection": name, "ok": False, "error": error.as_json()})
                if not as_json:
                    tell("{name}: does not work", name=name)
                    explain(error)
                continue
            results.append({"connection": name, "ok": True, "account": found.account_name, "facts": dict(found.facts)})
            if not as_json:
                tell("{name}: works ({account})", name=name, account=found.account_name)
    if as_json:
        print_json({"checks": results})
    if worst is not None:
        raise click.exceptions.Exit(exit_code(worst))


COMMANDS = (connect, connections, check)
