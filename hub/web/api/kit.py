"""What every operation of the API shares: one decorator says address, permission, shapes and errors, for code and document.

An operation is a function; its first line of documentation is the summary, the rest the description.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import orjson
from flask import Response, current_app, request
from flask_smorest import Blueprint  # type: ignore[import-untyped]
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser

from hub.core.errors import Forbidden
from hub.core.roles import Permission
from hub.core.texts import N_
from hub.services.context import Context
from hub.web.access import OPEN, Who, who
from hub.web.api.paging import page_of_rows
from hub.web.api.refusals import BadRequest, ChangedSince, MatchRequired, NotJson, WrongInput, wrong_input

PREFIX = "/api/v1"
RAISE = "raise"


class Parser(FlaskParser):
    """Reads bodies with orjson, which takes no lone surrogates, no NaN; names unknown, doubled and wrong fields."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": RAISE, "query": RAISE}  # noqa: RUF012 - webargs' own attribute

    def load_json(self, req: Any, schema: Any) -> Any:
        data = req.get_data(cache=True)
        if not data:
            return {}
        if not req.is_json:
            raise NotJson
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise BadRequest("The body is not JSON", cause=str(error), cure=N_("Correct the named place")) from None

    def load_querystring(self, req: Any, schema: Any) -> Any:
        doubled = [name for name, values in req.args.lists() if len(values) > 1]
        if doubled:
            raise WrongInput({name: (N_("This is given more than once"), {}) for name in doubled})
        return req.args.to_dict()


_parser = Parser()


@_parser.error_handler
def _refuse(error: ValidationError, *_: Any, **__: Any) -> Any:
    messages: Any = error.messages
    raise wrong_input(next(iter(messages.values())) if isinstance(messages, dict) and len(messages) == 1 else messages)


@dataclass(frozen=True)
class Rows:
    """One page of a list: `rows` may hold one more than asked for; `key` makes the next page's beginning of the last row."""

    rows: Sequence[Any]
    limit: int
    key: Callable[[Any], Any]
    shape: Callable[[Any], Any] = lambda row: row


class Area(Blueprint):  # type: ignore[misc] # flask-smorest is untyped
    """The operations of one area: a blueprint below /api/v1."""

    ARGUMENTS_PARSER = _parser

    def __init__(self, name: str, description: str) -> None:
        super().__init__(f"api_{name}", __name__, url_prefix=PREFIX, description=description)
        self.title = name
        self._prepare_doc_cbks.append(_add_operation)

    def operation(
        self,
        method: str,
        rule: str,
        access: Permission | str,
        *,
        query: type[Schema] | None = None,
        body: type[Schema] | None = None,
        answer: type[Schema] | None = None,
        status: int = 200,
        refuses: Sequence[int] = (),
        example: Any = None,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Put the function on the API. It is called with (body, query, **ids of the path), those that it has.

        It returns what `answer` dumps, a pair of that and headers, `Rows`, or nothing (204). PATCH and DELETE must call
        `match`. `refuses` names statuses beyond those that every operation has.
        """

        def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
            shape = answer() if answer is not None else None

            @wraps(view)
            def shaped(*given: Any, **path: Any) -> Response:
                if query is None and request.args:
                    raise WrongInput({name: (N_("There is no such parameter"), {}) for name in request.args})
                return _shape(view(*given, **{name: str(value) for name, value in path.items()}), shape, status, method)

            wrapped: Any = self.response(status, answer)(shaped)
            if query is not None:
                wrapped = self.arguments(query, location="query")(wrapped)
            if body is not None:
                wrapped = self.arguments(body, location="json", example=example, required=_needs_body(body))(wrapped)
            stated = _document(view, access, method, refuses, body is not None, query is not None, self.title)
            wrapped._apidoc = {**wrapped._apidoc, "operation": stated}
            wrapped.hub_access = access
            wrapped.provide_automatic_options = False
            self.add_url_rule(rule, endpoint=view.__name__, view_func=wrapped, methods=[method])
            return view

        return decorate


def _needs_body(body: type[Schema]) -> bool:
    return any(field.required for field in body().fields.values())


def _document(
    view: Callable[..., Any], access: Permission | str, method: str, refuses: Sequence[int], body: bool, query: bool, tag: str
) -> dict[str, Any]:
    open_to_all = access == OPEN
    statuses = {*refuses, 422, *(() if open_to_all else (401, 429)), *((403,) if isinstance(access, Permission) else ())}
    parameters: list[str] = []
    if body:
        statuses |= {400, 413, 415}
    if method in ("PATCH", "DELETE"):
        statuses |= {404, 409, 412, 428}
        parameters.append("IfMatch")
    if method == "POST" and not open_to_all:
        statuses.add(409)
        parameters.append("IdempotencyKey")
    if method == "GET" and not open_to_all:
        parameters.append("IfNoneMatch")
    return {
        "stated": {
            "operationId": view.__name__,
            "x-permission": access.value if isinstance(access, Permission) else access,
            "tags": [tag],
            **({"security": []} if open_to_all else {}),
        },
        "responses": {code: f"E{code}" for code in sorted(statuses)}
        | ({304: "NotModified"} if method == "GET" else {})
        | {"default": "Error"},
        "parameters": parameters,
    }


def _add_operation(doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
    """flask-smorest's way to add to the document: after arguments and responses."""
    operation = doc_info["operation"]
    doc.setdefault("parameters", []).extend(operation["parameters"])
    doc.setdefault("responses", {}).update(operation["responses"])
    doc_info.setdefault("manual_doc", {}).update(operation["stated"])
    return doc


def _shape(result: Any, schema: Schema | None, status: int, method: str) -> Response:
    if isinstance(result, Response):
        return result
    headers: Mapping[str, str] = {}
    if isinstance(result, tuple):
        result, headers = result
    if schema is None:
        return Response(status=204)
    if isinstance(result, Rows):
        result, headers = page_of_rows(result.rows, result.limit, result.key, result.shape)
    dumped = schema.dump(result)
    answer = Response(orjson.dumps(dumped), status, content_type="application/json", headers=dict(headers))
    answer.headers["Cache-Control"] = "private, no-cache" if method == "GET" else "no-store"
    if status in (200, 201):
        tag = etag_of(dumped)
        answer.set_etag(tag)
        if method == "GET" and request.if_none_match.contains_weak(tag):
            return Response(status=304, headers={"ETag": f'"{tag}"', "Cache-Control": "private, no-cache"})
    return answer


def etag_of(dumped: Any) -> str:
    return hashlib.sha256(orjson.dumps(dumped, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def match(schema: type[Schema], current: Any) -> None:
    """Before a change: the caller's If-Match must name what there is now. `MatchRequired`, `ChangedSince`."""
    if not request.headers.get("If-Match", "").strip():
        raise MatchRequired
    tag = etag_of(schema().dump(current))
    if not (request.if_match.star_tag or request.if_match.contains_weak(tag)):
        raise ChangedSince


def hub() -> Context:
    found: Context = current_app.extensions["hub"]
    return found


def caller() -> Who:
    """Who asks; there is somebody, for the guard has looked."""
    found = who()
    if found is None:
        raise Forbidden
    return found
