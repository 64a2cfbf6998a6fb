"""The commands that run for long beside the pages: workers and the scheduler. They import little, for they are many."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click

from hub.app import create_app
from hub.cli.parent import end_with_parent
from hub.jobs.relay import Relay
from hub.jobs.schedule import Schedule
from hub.jobs.worker import work as run_worker


def stop_on_signals() -> threading.Event:
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


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


COMMANDS = (work, schedule)
