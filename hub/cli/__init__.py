"""The command line: thin over services. `hub --help` lists the commands; docs/cli.md has the exit codes."""

from __future__ import annotations

import signal
import sys
from importlib import import_module
from typing import Any

import click

from hub import __version__
from hub.cli.output import TERMINATED, exit_code, explain
from hub.cli.spoken import SpokenGroup

PLACES = {
    **dict.fromkeys(("connect", "connections", "check"), "accounts"),
    **dict.fromkeys(("init", "up", "serve"), "processes"),
    **dict.fromkeys(("work", "schedule"), "working"),
    **dict.fromkeys(("sync", "runs"), "runs"),
    "demo": "demo",
    "doctor": "doctor",
    "scenario": "scenarios",
    "simulate": "simulate",
    "token": "tokens",
    "user": "users",
}
"""Each command's file. It is imported when the command is called: a worker need not carry what the others stand on."""


class Commands(SpokenGroup):
    """Finds its commands in the files of this folder."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in PLACES and cmd_name not in self.commands:
            for command in import_module(f"hub.cli.{PLACES[cmd_name]}").COMMANDS:
                self.add_command(command)
        return super().get_command(ctx, cmd_name)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="hub")
def hub() -> None:
    """Connects shops and CRMs, keeps what each contact allowed, and starts the CRM's own automations."""


def _terminate(number: int, frame: Any) -> None:
    """SIGTERM ends a command as an error would: what it has started is stopped. Once; the stopping is not disturbed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(TERMINATED)


def main() -> None:
    """Run a command; errors are told in the reader's language and become exit codes."""
    signal.signal(signal.SIGTERM, _terminate)  # those that run for long install their own
    try:
        code = hub.main(standalone_mode=False)  # click returns the code of an Exit here, it does not raise it
        if isinstance(code, int):
            sys.exit(code)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        explain(error)
        sys.exit(exit_code(error))
