"""The demo: the main job from end to end on this machine, through real HTTP, a real queue and a real database."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, cast

import click
from flask import Flask

from hub.app import create_app
from hub.cli.demo_place import alone, fresh_schema
from hub.cli.output import NOT_ALL_WELL, print_json, print_table, run_json, tell
from hub.cli.parent import PARENT
from hub.cli.processes import tell_set_up_link, warn_if_exposed
from hub.cli.runs import follow, runs_table
from hub.cli.scenarios import follow_evaluation, tell_figures
from hub.cli.schema import migrate
from hub.cli.stack import Stack, await_web, choose_port
from hub.cli.working import stop_on_signals
from hub.core.errors import SetupError
from hub.core.settings import Settings, read_settings, variable
from hub.services import connections, evaluate, summary, sync
from hub.services.context import Context
from hub.store.limits import reset_usage, usage
from hub.transport.simulation import STATE_PATH

SCENARIO = "second-order"


@dataclass(frozen=True)
class Simulated:
    """A simulator in a process of its own."""

    url: str
    credentials: dict[str, str]
    process: subprocess.Popen[bytes]

    def state(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + STATE_PATH, timeout=10) as answer:  # noqa: S310 - our own loopback address
            return cast(dict[str, Any], json.load(answer))


@click.command()
@click.option("--once", is_flag=True, help="End when the job is done, without leaving the console running.")
@click.option(
    "--customers",
    type=click.IntRange(min=0),
    default=2000,
    show_default=True,
    help="Made-up customers beside the recorded shop.",
)
@click.option("--port", type=int, help="Port of the console; 0 picks a free one.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def demo(once: bool, customers: int, port: int | None, as_json: bool) -> None:
    """Run the main job against a simulated shop and CRM, in data of its own that is made anew each time."""
    chosen = read_settings(port=port)
    warn_if_exposed(chosen)
    started = time.perf_counter()
    with ExitStack() as stack:
        stack.enter_context(alone(chosen))
        settings = demo_settings(chosen)
        log = stack.enter_context((settings.data / "demo.log").open("wb"))
        shop = _simulate(stack, "woocommerce", "--customers", str(customers), "--rebase")
        crm = _simulate(stack, "hubspot")
        if not as_json:
            tell("A shop is simulated at {shop}, a CRM at {crm}.", shop=shop.url, crm=crm.url)
        processes = stack.enter_context(Stack(settings, _environ(settings), log))
        app = create_app(replace(settings, log_level="warning"))
        migrate(app)
        processes.start_workers(settings.workers)
        with app.app_context():
            context = cast(Context, app.extensions["hub"])
            result = _main_job(context, app.extensions["hub_redis"], shop, crm, processes, quiet=as_json)
        result["seconds"] = round(time.perf_counter() - started, 3)
        _report(result, as_json)
        if not once and not result["error"]:
            _stay(app, processes, settings, stop_on_signals())
    if (
        result["error"]
        or result["triggered"] != result["simulators"]["hubspot"]["triggered"]
        or any(run["state"] != "done" for run in result["runs"])
    ):
        raise click.exceptions.Exit(NOT_ALL_WELL)


def _main_job(
    context: Context, redis: Any, shop: Simulated, crm: Simulated, processes: Stack, *, quiet: bool
) -> dict[str, Any]:
    """Connect, sync, publish, evaluate, deliver: each through the same verbs as an admin's."""
    connected = [
        connections.connect(context, "woocommerce", {"url": shop.url, **shop.credentials}, name="demo-shop"),
        connections.connect(context, "hubspot", {"url": crm.url, **crm.credentials}, name="demo-crm"),
    ]
    prefix = context.settings.namespace
    for item in connected:
        reset_usage(redis, item.connection.id, prefix=prefix)
    if not quiet:
        tell("Connected both. Reading the shop …")
    group = sync.request_sync(context, "demo-shop")
    runs = follow(group, processes, quiet=quiet)
    if not quiet:
        tell("Who bought twice in 90 days and allowed offers by e-mail? For them the CRM's automation starts …")
    evaluate.publish_scenario(context, scenario(crm.state()))
    evaluation_id = evaluate.request_evaluation(context, SCENARIO)
    figures = follow_evaluation(evaluation_id, processes, quiet=quiet)
    spent = [usage(redis, item.connection.id, prefix=prefix) for item in connected]
    return {
        "runs": [run_json(run) for run in runs],
        **summary.people(),
        "decisions": figures["decisions"],
        "pushed": figures["pushed"],
        "triggered": figures["triggered"],
        "error": figures["error"],
        "api": {"calls": sum(item.calls for item in spent), "throttled": sum(item.throttled for item in spent)},
        "simulators": {"woocommerce": shop.state(), "hubspot": crm.state()},
    }


def scenario(crm: dict[str, Any]) -> dict[str, Any]:
    """The demo's scenario, as an admin would write it."""
    return {
        "key": SCENARIO,
        "name": "Thank you for your second order",
        "segment": {
            "key": "two-orders-90-days",
            "name": "Two paid orders in 90 days",
            "definition": {"orders": {"paid": True, "within_days": 90, "at_least": 2}},
        },
        "connection": "demo-crm",
        "channel": "email",
        "topic": "offers",
        "automation": f"list:{crm['automation']['list_id']}",
        "list": str(crm["automation"]["segment_list_id"]),
        "starts_per_minute": 3000,
    }


def demo_settings(settings: Settings) -> Settings:
    """The deployment's settings with data of the demo's own: a folder, a schema and a namespace made anew."""
    folder = settings.data / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    url = settings.database_url
    if url.startswith("postgresql"):
        url = fresh_schema(url)
    elif url:
        url = f"sqlite:///{(folder / 'hub.sqlite').resolve()}"
    return replace(
        settings,
        data=folder,
        database_url=url,
        namespace="hub-demo",
        allow_private_hosts=frozenset({"127.0.0.1"}),
        sync_every=0.0,
        log_level="info",
    )


def _environ(settings: Settings) -> dict[str, str]:
    """The demo's settings for the child processes."""
    return {
        variable("data"): str(settings.data),
        variable("database_url"): settings.database_url,
        variable("namespace"): settings.namespace,
        variable("allow_private_hosts"): ",".join(settings.allow_private_hosts),
        variable("sync_every"): "0",
        variable("log_level"): "info",
        variable("log_format"): "json",
    }


def _simulate(stack: ExitStack, platform: str, *options: str) -> Simulated:
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "hub.cli", "simulate", platform, "--json", *options],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, PARENT: str(os.getpid())},
    )
    stack.callback(_end, process)
    line = process.stdout.readline() if process.stdout else b""
    if not line:
        raise SetupError("The simulator does not start", subject=platform, cure="Run it alone: hub simulate " + platform)
    given = json.loads(line)
    return Simulated(given["url"], given["credentials"], process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(timeout=10)
    if process.stdout:
        process.stdout.close()


def _report(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    print_table(*runs_table([_Row(**run) for run in result["runs"]]))
    tell("{contacts} contacts from {identities} records.", contacts=result["contacts"], identities=result["identities"])
    tell_figures(result)
    crm = result["simulators"]["hubspot"]
    tell(
        "The CRM itself counted {triggered} automations started, {twice} of them twice.",
        triggered=crm["triggered"],
        twice=crm["triggered_twice"],
    )
    tell("{calls} API calls, {throttled} of them refused because of a limit.", **result["api"])
    tell("Done in {seconds} s.", seconds=round(result["seconds"], 1))


class _Row:
    """A run's JSON with the attributes of a row."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values, connection_name=values["connection"])


def _stay(app: Flask, processes: Stack, settings: Settings, stopping: Any) -> None:
    port = choose_port(settings.host, settings.port) if _is_free(settings) else choose_port(settings.host, 0)
    processes.environ = {**processes.environ, variable("port"): str(port)}  # links in letters lead to it
    processes.start_web(settings.host, port)
    url = f"http://{settings.host}:{port}"
    await_web(url)
    tell("The console is open at {url}. Ctrl-C ends the demo.", url=url)
    tell_set_up_link(app, url)
    while not stopping.wait(0.5):
        processes.watch()


def _is_free(settings: Settings) -> bool:
    try:
        choose_port(settings.host, settings.port)
    except SetupError:
        return False
    return True


COMMANDS = (demo,)
