"""Commands that set up and run the hub's processes."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import click
from alembic.util import CommandError
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy.exc import OperationalError

import hub
from hub.app import create_app
from hub.cli.output import print_json, tell
from hub.cli.stack import Stack, await_web, check_loopback, choose_port, end_with_parent, web_command
from hub.core.errors import SetupError
from hub.core.settings import read_settings
from hub.jobs.relay import Relay
from hub.jobs.schedule import Schedule
from hub.jobs.worker import work as run_worker
from hub.store import db

MIGRATIONS = Path(hub.__file__).parent.parent / "migrations"


def migrate(app: Flask) -> str:
    """Bring the database to the newest schema; returns the database's name and version."""
    with app.app_context():
        try:
            upgrade(directory=str(MIGRATIONS))
            return db.ping()
        except OperationalError as error:
            cause = str(error.orig).strip().splitlines()[0] if error.orig else type(error).__name__
            raise SetupError(
                "The database does not answer",
                subject="HUB_DATABASE_URL",
                cause=cause,
                cure="Check the address and that the server runs",
            ) from error
        except CommandError as error:
            raise SetupError(
                "The database was made by a newer version of the hub",
                subject="HUB_DATABASE_URL",
                cause=str(error),
                cure="Install that version, or restore the backup from before",
            ) from error


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
    check_loopback(settings.host)
    chosen = choose_port(settings.host, settings.port)
    stopping = stop_on_signals()
    with Stack(settings) as stack:
        database = migrate(create_app(settings))
        stack.start_workers(settings.workers)
        stack.start_web(settings.host, chosen)
        url = f"http://{settings.host}:{chosen}"
        await_web(url)
        tell(
            "The hub is up: {url}/admin/runs ({database}, {workers} workers)",
            url=url,
            database=database,
            workers=settings.workers,
        )
        tell("No login yet: the console answers on this machine only. Ctrl-C stops the hub.")
        while not stopping.wait(0.5):
            for child in stack.watch():
                tell("Started again: {name}", name=child.name)
        tell("Stopping: workers finish their batch …")


def stop_on_signals() -> threading.Event:
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


@click.command()
@click.option("--port", type=int, help="Port of the console; 0 picks a free one.")
def serve(port: int | None) -> None:
    """Run the console alone (gunicorn). It has no login yet and binds to this machine only."""
    settings = read_settings(port=port)
    check_loopback(settings.host)
    chosen = choose_port(settings.host, settings.port)
    tell("The console: http://{host}:{port}/admin/runs (this machine only)", host=settings.host, port=chosen)
    command = web_command(settings, settings.host, chosen)
    os.execv(command[0], command)  # noqa: S606 - signals reach the server itself


@click.command()
@click.option("--burst", is_flag=True, help="End when the queues are empty.")
def work(burst: bool) -> None:
    """Run one worker; start as many as the machines have processors, on any number of machines."""
    end_with_parent()
    app = create_app()
    run_worker(app, app.extensions["hub_queues"], burst=burst)


@click.command()
def schedule() -> None:
    """Run the scheduler: hands due work to the workers and starts what is periodic. One is enough, two do no harm."""
    end_with_parent()
    app = create_app()
    stopping = stop_on_signals()
    with app.app_context():
        context: Any = app.extensions["hub"]
        queues = app.extensions["hub_queues"]
        Relay(queues, context.holds).run(stopping, Schedule(app, context).tick)


COMMANDS = (init, up, serve, work, schedule)
