"""What every command says and how: language, JSON for machines, exit codes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

import click
import orjson

from hub.core import texts
from hub.core.errors import (
    ContractBroken,
    HubError,
    PlatformError,
    ReauthorizeNeeded,
    RecordRejected,
    Refused,
    SetupError,
    Unavailable,
)
from hub.core.settings import read_settings
from hub.core.types import Actor

log = logging.getLogger("hub.cli")

EXIT_CODES: tuple[tuple[type[Exception], int], ...] = (
    (Refused, 3),
    (Unavailable, 4),
    (ReauthorizeNeeded, 5),
    (RecordRejected, 6),
    (ContractBroken, 7),
    (PlatformError, 7),
    (SetupError, 8),
)
"""First match wins; 0 done, 1 a fault of the hub, 2 wrong usage, 9 done but not everything went well, 130 interrupted."""

NOT_ALL_WELL = 9
TERMINAL = Actor("terminal", "terminal", "terminal")
"""Who acts in the audit trail: whoever sits at the hub's own machine."""
TERMINATED = 143
"""Ended by SIGTERM, with everything that the command had started."""


def exit_code(error: Exception) -> int:
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 1)


def language() -> str:
    try:
        return read_settings().language
    except SetupError:
        return "en"


def say(text: str, /, **params: object) -> str:
    """A text in the language of the command line."""
    return texts.say(text, language(), **params)


def tell(text: str, /, **params: object) -> None:
    """Say something to the person at the terminal, on standard error: standard output is for results."""
    click.echo(say(text, **params), err=True)


def print_json(value: Any) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(orjson.dumps(value, default=str).decode() + "\n")
    sys.stdout.flush()


def explain(error: Exception) -> None:
    """An error for the person: message, cause, cure and fields; a bug of ours with its traceback in the log."""
    if isinstance(error, HubError):
        click.echo(texts.error_text(error, language()), err=True)
        return
    log.exception("a fault of the hub")
    tell("The hub itself has a fault: {kind}. The log above says where.", kind=type(error).__name__)


def headings(*texts: str) -> list[str]:
    """The headings of a table, in the language of the command line."""
    return [say(text) for text in texts]


def print_table(titles: list[str], rows: list[list[Any]]) -> None:
    """A plain table on standard output, numbers to the right."""
    cells = [[str("" if value is None else value) for value in row] for row in rows]
    widths = [max(len(line[index]) for line in [titles, *cells]) for index in range(len(titles))]
    numeric = [bool(rows) and all(isinstance(row[index], int | float) for row in rows) for index in range(len(titles))]
    for line in [titles, *cells]:
        parts = [
            text.rjust(width) if right else text.ljust(width) for text, width, right in zip(line, widths, numeric, strict=True)
        ]
        click.echo("  ".join(parts).rstrip())


def run_json(run: Any) -> dict[str, Any]:
    """A run as machines read it."""
    return {
        "connection": run.connection_name,
        "stream": run.stream,
        "state": run.state,
        "read": run.read,
        "created": run.created,
        "updated": run.updated,
        "unchanged": run.unchanged,
        "quarantined": run.quarantined,
        "seconds": round(run.seconds, 3),
        "error": without_sample(run.error),
    }


def without_sample(stored: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A stored error without the start of the platform's answer: the console shows that one."""
    return None if stored is None else {name: value for name, value in stored.items() if name != "sample"}


def error_line(stored: Mapping[str, Any] | None) -> str:
    """A stored error in one line, in the language of the command line."""
    if not stored:
        return ""
    params = stored.get("params", {})
    parts = (say(stored["message"], **params), stored.get("cause", ""), say(stored.get("cure", ""), **params))
    return ": ".join(part for part in parts if part)
