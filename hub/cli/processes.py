"""Commands that set up and run the hub's processes."""

from __future__ import annotations

import os

import click
from flask import Flask

from hub.app import create_app
from hub.cli.output import TERMINAL, print_json, tell
from hub.cli.schema import migrate
from hub.cli.stack import Stack, await_web, choose_port, is_exposed, web_command
from hub.cli.working import stop_on_signals
from hub.core.settings import Settings, read_settings, variable
from hub.services import invitations
from hub.services.audit import acting


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def init(as_json: bool) -> None:
    """Make the data folder, the encryption key and the database; safe to repeat after every upgrade."""
    app = create_app()
    settings = app.config["HUB_SETTINGS"]
    database = migrate(app)
    facts = {"data": str(settings.data.resolve()), "database": database}
    if as_json:
        print_json(facts)
    else:
        tell("Ready: data in {data}, {database}", **facts)


@click.command()
@click.option("--port", type=int, help="Port of the console; 0 picks a free one.")
@click.option("--workers", type=click.IntRange(1, 64), help="Number of worker processes.")
def up(port: int | None, workers: int | None) -> None:
    """Run everything on this machine: Redis, scheduler, workers and the console. Ctrl-C stops it cleanly."""
    settings = read_settings(port=port, workers=workers)
    warn_if_exposed(settings)
    chosen = choose_port(settings.host, settings.port)
    stopping = stop_on_signals()
    with Stack(settings, {variable("port"): str(chosen)}) as stack:
        app = create_app(settings)
        database = migrate(app)
        stack.start_workers(settings.workers)
        stack.start_web(settings.host, chosen)
        url = f"http://{settings.host}:{chosen}"
        await_web(url)
        tell(
            "The hub is up: {url} ({database}, {workers} workers). Ctrl-C stops it.",
            url=settings.public_url or url,
            database=database,
            workers=settings.workers,
        )
        tell_set_up_link(app, settings.public_url or url)
        while not stopping.wait(0.5):
            for child in stack.watch():
                tell("Started again: {name}", name=child.name)
        tell("Stopping: workers finish their batch …")


def tell_set_up_link(app: Flask, url: str) -> None:
    """While there is no owner, each start prints a new link by which the first one is made."""
    with app.app_context(), acting(TERMINAL):
        link = invitations.set_up_link(app.extensions["hub"], url.rstrip("/"))
    if link:
        tell("Nobody owns this hub yet. Whoever opens this link within 24 hours becomes its owner:\n\n  {link}\n", link=link)


def warn_if_exposed(settings: Settings) -> None:
    if is_exposed(settings):
        tell(
            "Warning: the console answers on {host} without https, so passwords pass in clear. Put a reverse proxy with https "
            "before it and set HUB_PUBLIC_URL (docs/operations.md).",
            host=settings.host,
        )


@click.command()
@click.option("--port", type=int, help="Port of the console; 0 picks a free one.")
def serve(port: int | None) -> None:
    """Run the console alone (gunicorn)."""
    settings = read_settings(port=port)
    warn_if_exposed(settings)
    chosen = choose_port(settings.host, settings.port)
    url = settings.public_url or f"http://{settings.host}:{chosen}"
    app = create_app(settings)
    migrate(app)
    tell("The console: {url}", url=url)
    tell_set_up_link(app, url)
    os.environ[variable("port")] = str(chosen)
    command = web_command(settings, settings.host, chosen)
    os.execv(command[0], command)  # noqa: S606 - signals reach the server itself


COMMANDS = (init, up, serve)
