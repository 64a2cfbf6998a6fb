"""Structured logs on standard error: one line per event, secrets hidden, with the ids of what was worked on."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import orjson

from hub.core.redact import redact, redact_value

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    extras = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    hidden: dict[str, Any] = redact_value(extras)
    return hidden


class JsonFormatter(logging.Formatter):
    """`at` (UTC), `level`, `logger`, `message`, then whatever the event names: run, connection, stream, parcel …"""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
            **_extras(record),
        }
        if record.exc_info:
            line["traceback"] = redact(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


class TextFormatter(logging.Formatter):
    """The same for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        extras = " ".join(f"{name}={value}" for name, value in _extras(record).items())
        text = f"{at} {record.levelname.lower():7} {record.name}: {redact(record.getMessage())} {extras}".rstrip()
        if record.exc_info:
            text += "\n" + redact(self.formatException(record.exc_info))
        return text


def configure_logs(level: str, style: str) -> None:
    """Log to standard error; `style` json, text, or empty for text on a terminal and json elsewhere."""
    handler = logging.StreamHandler(sys.stderr)
    text = style == "text" or (not style and sys.stderr.isatty())
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("hub").setLevel(level.upper())
