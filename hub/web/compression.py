"""Answers made small: style sheets and scripts once, pages when it is safe; and files that browsers may keep for a year.

A compressed page that holds a secret and repeats what the address says lets a listener guess the secret by its length
(BREACH). So a page is compressed only when the browser says that its own user or one of our own pages asked for it
(Sec-Fetch-Site); what another site makes it ask for travels as it is. Files hold no secrets.
"""

from __future__ import annotations

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

SMALLEST = 1000
"""Bytes below which compressing saves nothing worth having."""
FILES = ("static", "bootstrap.static")
COMPRESSIBLE = ("text/", "application/json", "application/javascript", "image/svg+xml", "application/problem+json")
TRUSTED_SITES = ("same-origin", "none")
FOREVER = "public, max-age=31536000, immutable"
_PAGE_EFFORT, _FILE_EFFORT = 5, 9


def register(app: Flask) -> None:
    app.url_defaults(lambda endpoint, values: _add_version(app, endpoint, values))
    app.after_request(lambda answer: _compress(app, answer))


def _folder(app: Flask, endpoint: str) -> str:
    return str(app.static_folder if endpoint == "static" else app.blueprints["bootstrap"].static_folder)


def _add_version(app: Flask, endpoint: str, values: dict[str, Any]) -> None:
    """A file's address changes with its content, so that it may be kept for ever."""
    if endpoint in FILES and values.get("filename"):
        path = Path(_folder(app, endpoint)) / values["filename"]
        if path.is_file():
            values.setdefault("v", _digest(str(path), path.stat().st_mtime_ns))


@lru_cache(maxsize=256)
def _digest(path: str, _changed: int) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]


@lru_cache(maxsize=256)
def _smaller(path: str, _changed: int) -> bytes:
    return gzip.compress(Path(path).read_bytes(), _FILE_EFFORT, mtime=0)


def _compress(app: Flask, answer: Response) -> Response:
    kept = request.endpoint in FILES and answer.status_code == 200
    if kept and request.args.get("v"):
        answer.headers["Cache-Control"] = FOREVER
    if _is_text(answer):
        answer.vary.update(("Accept-Encoding", "Sec-Fetch-Site"))
    if not _worth_it(answer):
        return answer
    if kept:
        path = Path(_folder(app, str(request.endpoint))) / str((request.view_args or {})["filename"])
        answer.direct_passthrough = False
        answer.close()  # the file itself; what is sent is kept here
        body = _smaller(str(path), path.stat().st_mtime_ns)
        etag, _ = answer.get_etag()
        if etag:
            answer.set_etag(f"{etag}-gzip")
    elif request.headers.get("Sec-Fetch-Site") in TRUSTED_SITES and not answer.is_streamed:
        body = gzip.compress(answer.get_data(), _PAGE_EFFORT)
    else:
        return answer
    answer.set_data(body)
    answer.headers["Content-Encoding"] = "gzip"
    return answer


def _worth_it(answer: Response) -> bool:
    return (
        answer.status_code < 300
        and "Content-Encoding" not in answer.headers
        and "Content-Range" not in answer.headers
        and _is_text(answer)
        and (answer.content_length or 0) >= SMALLEST
        and request.accept_encodings.quality("gzip") > 0
        and request.method in ("GET", "HEAD")
    )


def _is_text(answer: Response) -> bool:
    return (answer.mimetype or "").startswith(COMPRESSIBLE)
