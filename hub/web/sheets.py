"""Lists as CSV for spreadsheets: written row by row while they are sent, and nothing in them is taken for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from flask import Response, stream_with_context

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
LATER_FORMULA = re.compile(r"[;\t](?=[\s\"]{0,9}[=+\-@])")
"""Where the comma is a decimal point, as in Polish, spreadsheets end a cell at a semicolon: what follows it begins one."""
BOM = "\ufeff"
"""Spreadsheets take a file without it for one in the machine's old code page."""
ROWS_AT_ONCE = 200


def cell(value: Any) -> str:
    """A value as it stands in the file: times in ISO 8601, text that a spreadsheet would compute behind an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = LATER_FORMULA.sub(r"\g<0>'", str(value))
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def stream_csv(name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """An answer that the browser saves as `name`.csv; `rows` is read while it is sent."""
    answer = Response(stream_with_context(_lines(header, rows)), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return answer


def _lines(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\r\n")
    held.write(BOM)
    writer.writerow([cell(value) for value in header])
    for number, row in enumerate(rows, start=1):
        writer.writerow([cell(value) for value in row])
        if number % ROWS_AT_ONCE == 0:
            yield held.getvalue()
            held.seek(0)
            held.truncate()
    yield held.getvalue()
