"""The command line: thin over services. `hub --help` lists the commands; docs/cli.md has the exit codes."""

from __future__ import annotations

import signal
import sys
from typing import Any

import click

from hub import __version__
from hub.cli import accounts, processes, runs, scenarios, tokens
from hub.cli import demo as demonstration
from hub.cli import doctor as examination
from hub.cli import simulate as simulators
from hub.cli.output import TERMINATED, exit_code, explain
from hub.cli.spoken import SpokenGroup


@click.group(cls=SpokenGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="hub")
def hub() -> None:
    """Connects shops and CRMs, keeps what each contact allowed, and starts the CRM's own automations."""


for module in (accounts, demonstration, examination, processes, runs, scenarios, simulators, tokens):
    for command in module.COMMANDS:
        hub.add_command(command)


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
