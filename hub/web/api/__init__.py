"""The machine's door: API v1. Each module of this folder that has an `area` puts its operations on; none is named here."""

from __future__ import annotations

import importlib
import pkgutil
from http import HTTPStatus
from typing import Any

import orjson
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask, Response
from flask_smorest import Api  # type: ignore[import-untyped]
from werkzeug.routing import BaseConverter

from hub import __version__
from hub.services.idempotency import LONGEST_KEY
from hub.web.access import API_ERRORS, open_to_all
from hub.web.api import door, refusals
from hub.web.api.kit import PREFIX
from hub.web.api.shapes import ErrorShape

DESCRIPTION = """Everything that the console of the hub can do, for machines.

Send an API token as `Authorization: Bearer hub_…`. Lists come in pages: follow `next`. Send `Idempotency-Key` with a POST
that you may have to repeat. Send `If-Match` with the ETag that you read when you change or delete something.
Errors have one shape and speak the language of `Accept-Language` (en, pl)."""

MEANINGS = {
    400: "The body cannot be read",
    401: "No token, or one that is not valid",
    403: "The token's scopes, or its user's roles, do not allow it",
    404: "There is no such thing",
    409: "It does not fit the state of things, or the first request with this Idempotency-Key is not answered yet",
    412: "It was changed since you read it",
    413: "The body is larger than 1 MB",
    415: "The body is not JSON",
    422: "Some of the input is wrong; each field is named",
    424: "The platform did not do its part",
    428: "If-Match is missing",
    429: "Too many requests; Retry-After says how many seconds to wait",
}


class KeyConverter(BaseConverter):
    """A segment's or scenario's key."""

    regex = "[a-z0-9][a-z0-9-]{0,79}"


class _Api(Api):  # type: ignore[misc] # flask-smorest is untyped
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """hub.web.errors tells all errors, and asks `refusals` for those below /api/."""


def register(app: Flask) -> None:
    """Put the API on the application; after `access.register`."""
    app.extensions[API_ERRORS] = refusals.tell
    app.url_map.converters["key"] = KeyConverter
    door.register(app)
    api = _Api(app, spec_kwargs=_spec_options())
    api.register_converter(KeyConverter, lambda _: {"type": "string", "pattern": f"^{KeyConverter.regex}$"})
    _describe(api.spec)
    for module in sorted(found.name for found in pkgutil.iter_modules(__path__)):
        area = getattr(importlib.import_module(f"{__name__}.{module}"), "area", None)
        if area is not None:
            api.register_blueprint(area)
    api.spec._tags = [{**tag, "name": tag["name"].removeprefix("api_")} for tag in api.spec._tags]
    document = orjson.dumps(api.spec.to_dict())

    @open_to_all
    def openapi() -> Response:
        """The document holds no data: whoever reaches the hub may read it."""
        return Response(document, content_type="application/json", headers={"Cache-Control": "no-cache"})

    app.add_url_rule(f"{PREFIX}/openapi.json", "api_openapi", openapi, provide_automatic_options=False)


def _spec_options() -> dict[str, Any]:
    return {
        "title": "Consent hub",
        "version": f"1.0 ({__version__})",
        "openapi_version": "3.1.0",
        "marshmallow_plugin": MarshmallowPlugin(schema_name_resolver=_name_of),
        "info": {"description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
    }


def _name_of(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Shape")


def _describe(spec: Any) -> None:
    """What operations refer to: the way to sign in, headers, errors."""
    spec.components.security_scheme(
        "bearer", {"type": "http", "scheme": "bearer", "description": "An API token: page «API tokens», or hub token create"}
    )
    text = {"type": "string"}
    for name, header, required, meaning in (
        ("IfMatch", "If-Match", True, "The ETag of the version that you change"),
        ("IfNoneMatch", "If-None-Match", False, "The ETag you have: 304 while nothing has changed"),
        ("IdempotencyKey", "Idempotency-Key", False, "Yours, new for each request; a repeated one gets the first answer"),
    ):
        schema = text | ({"pattern": rf"^[\x21-\x7e]{{1,{LONGEST_KEY}}}$"} if name == "IdempotencyKey" else {})
        spec.components.parameter(
            name, "header", {"name": header, "required": required, "schema": schema, "description": meaning}
        )
    spec.components.header("ETag", {"description": "Names this version, for If-Match and If-None-Match", "schema": text})
    for status, meaning in MEANINGS.items():
        spec.components.response(f"E{status}", {"description": meaning, **_json(ErrorShape, _example(status))})
    spec.components.response("Error", {"description": "Another error, in the same shape", **_json(ErrorShape, None)})
    spec.components.response("NotModified", {"description": "Nothing has changed since"})


def _json(schema: Any, example: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema, **({"example": example} if example else {})}}}


def _example(status: int) -> dict[str, Any]:
    phrase = HTTPStatus(status).phrase.lower().replace(" ", "_")
    error = {"code": phrase, "message": MEANINGS[status], "cure": "What can be done about it", "request_id": "3f0c9c1d2e4b5a69"}
    return {"error": error | ({"fields": {"name": "This field is missing"}} if status == 422 else {})}
