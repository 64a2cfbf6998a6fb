"""Simulators: platforms on this machine, for trying things out, for tests and for the demo."""

from __future__ import annotations

import importlib
import signal
import threading
from typing import Any, cast

import click

from hub import connectors
from hub.cli.output import print_json, say, tell
from hub.cli.parent import end_with_parent
from hub.cli.spoken import speak
from hub.cli.stack import choose_port
from hub.transport.simulation import Faults, Server, SimulatorFolder, parse_fault, parse_latency


def load_simulator(name: str) -> SimulatorFolder:
    return cast(SimulatorFolder, importlib.import_module(f"hub.connectors.{name}.simulator"))


class _Simulators(click.Group):
    """One sub-command per platform's folder, with the options its simulator declares."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(connectors.names())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return speak(_command(cmd_name)) if cmd_name in connectors.names() else None


def _command(name: str) -> click.Command:
    folder = load_simulator(name)
    options: list[click.Parameter] = []
    for item in folder.OPTIONS:
        flag = f"--{item.name.replace('_', '-')}"
        if item.kind is bool:
            flag = f"{flag}/--no-{flag[2:]}"
        options.append(
            click.Option([flag, item.name], type=item.kind, default=item.default, show_default=True, help=item.meaning)
        )
    options += [
        click.Option(["--port", "_port"], type=int, default=0, help="Port; 0 picks a free one."),
        click.Option(["--fault", "_faults"], multiple=True, help="A fault and its share of calls, for example 429:0.1."),
        click.Option(["--latency", "_latency"], default="0ms", help="Added to every answer, for example 50ms."),
        click.Option(["--json", "_json"], is_flag=True, help="Address and credentials as one JSON object."),
    ]

    def run(_port: int, _faults: tuple[str, ...], _latency: str, _json: bool, **chosen: Any) -> None:
        _serve(name, folder, _port, _faults, _latency, _json, chosen)

    title = connectors.load(name).DECLARATION.title
    return click.Command(
        name, callback=run, params=options, help=say("Simulate {title} on this machine until Ctrl-C.", title=title)
    )


def _serve(
    name: str, folder: SimulatorFolder, port: int, faults: tuple[str, ...], latency: str, as_json: bool, chosen: Any
) -> None:
    end_with_parent()
    app = folder.build(**chosen)
    spoiled = Faults(app.app, [parse_fault(text) for text in faults], latency=parse_latency(latency))
    server = Server(spoiled, choose_port("127.0.0.1", port), threads=16)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with server:
        given = dict(app.credentials())
        if as_json:
            print_json({"platform": name, "url": server.url, "credentials": given})
        else:
            options = " ".join(f"--{key.replace('_', '-')} {value}" for key, value in given.items())
            tell("{title} is simulated at {url}", title=connectors.load(name).DECLARATION.title, url=server.url)
            tell(
                "Connect it with: HUB_ALLOW_PRIVATE_HOSTS=127.0.0.1 hub connect {name} --url {url} {options}",
                name=name,
                url=server.url,
                options=options,
            )
        stopping.wait()


@click.command(cls=_Simulators)
def simulate() -> None:
    """Run a platform's simulator on this machine."""


COMMANDS = (simulate,)
