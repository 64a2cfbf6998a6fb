"""Lists in pages: an opaque, signed cursor says where the next page begins, and belongs to one list with its filters."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import current_app, request

from hub.core.texts import N_
from hub.web.api.refusals import WrongInput

DEFAULT_LIMIT, LARGEST_LIMIT = 50, 200
_MAC = 12


def _keys() -> list[bytes]:
    return [key.encode() for key in current_app.extensions["hub"].vault.derive("api cursors").values()]


def _list_name() -> bytes:
    """The list and its filters: a cursor of another one would lead nowhere sensible."""
    filters = sorted((name, value) for name, value in request.args.items() if name not in ("cursor", "limit"))
    return orjson.dumps([request.path, filters])


def _mac(key: bytes, content: bytes) -> bytes:
    return hmac.new(key, _list_name() + content, hashlib.sha256).digest()[:_MAC]


def write_cursor(start: Any) -> str:
    content = orjson.dumps(start)
    return base64.urlsafe_b64encode(_mac(_keys()[0], content) + content).decode().rstrip("=")


def read_cursor(given: Mapping[str, Any]) -> Any:
    """Where the page begins that the query asks for; None: at the beginning."""
    text = given.get("cursor")
    if not text:
        return None
    try:
        whole = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        whole = b""
    mac, content = whole[:_MAC], whole[_MAC:]
    if not content or not any(hmac.compare_digest(mac, _mac(key, content)) for key in _keys()):
        raise WrongInput(
            {"cursor": (N_("This cursor is not one of this list: take it from «next», with the same filters"), {})}
        )
    return orjson.loads(content)


def page_of_rows(
    rows: Sequence[Any], limit: int, key: Callable[[Any], Any], shape: Callable[[Any], Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The page as it is answered, and its headers; `rows` holds one more than `limit` where there is a next page."""
    kept = rows[:limit]
    following = None
    if len(rows) > limit:
        filters = {name: value for name, value in request.args.items() if name != "cursor"}
        following = f"{request.path}?{urlencode({**filters, 'cursor': write_cursor(key(kept[-1]))})}"
    headers = {"Link": f'<{following}>; rel="next"'} if following else {}
    return {"items": [shape(row) for row in kept], "next": following}, headers
