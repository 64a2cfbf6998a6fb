"""Fields and schemas that the areas of the API share: what is unknown is refused by name, nothing is taken for another type."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from hub.core.errors import fill
from hub.core.texts import N_
from hub.web.api.paging import DEFAULT_LIMIT, LARGEST_LIMIT

EXAMPLE_ID = "019a5b7c-0000-7000-8000-000000000000"
EXAMPLE_TIME = "2026-11-22T10:00:00+00:00"
NO_CONTROLS = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*")
NO_CONTROLS_OR_LINES = re.compile(r"(?:[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff])*")
UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)")
WHOLE = re.compile(r"-?\d{1,18}")


class Shape(Schema):
    class Meta:
        unknown = RAISE


def about(description: str, example: Any = None, **more: Any) -> dict[str, Any]:
    """A field's line in the document."""
    return {"description": description, **({"examples": [example]} if example is not None else {}), **more}


class Text(fields.String):
    """A text without control characters and lone surrogates; `lines`: may hold line breaks and tabs."""

    def __init__(
        self,
        description: str,
        longest: int = 200,
        *,
        shortest: int = 0,
        example: str | None = None,
        pattern: str | None = None,
        lines: bool = False,
        **rest: Any,
    ) -> None:
        self._allowed = NO_CONTROLS_OR_LINES if lines else NO_CONTROLS
        self._pattern = re.compile(pattern) if pattern else None
        documented = f"^{pattern}$" if pattern else None
        more = {"pattern": documented or r"^[^\u0000-\u001f\u007f]*$"} if not lines else {}
        super().__init__(validate=validate.Length(shortest, longest), metadata=about(description, example, **more), **rest)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> Any:
        text = super()._deserialize(value, attr, data, **rest)
        if not self._allowed.fullmatch(text):
            raise ValidationError(N_("The text holds characters that cannot be stored"))
        if self._pattern and not self._pattern.fullmatch(text):
            raise ValidationError(N_("The text is not written as the document of the API says"))
        return text


class Id(fields.String):
    """A public id."""

    def __init__(self, description: str, **rest: Any) -> None:
        super().__init__(metadata=about(description, EXAMPLE_ID, format="uuid"), **rest)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> Any:
        text = super()._deserialize(value, attr, data, **rest)
        if not UUID.fullmatch(text):
            raise ValidationError(N_("This must be an id (a UUID)"))
        return text.lower()


class Choice(fields.String):
    """One of these texts."""

    def __init__(self, description: str, choices: Sequence[str], *, example: str | None = None, **rest: Any) -> None:
        metadata = about(description, example or (choices[0] if choices else None))
        super().__init__(validate=validate.OneOf(list(choices)), metadata=metadata, **rest)


class Code(fields.String):
    """A word that the hub answers with: of a list that may grow, so no enumeration is promised."""

    def __init__(self, description: str, example: str | None = None, **rest: Any) -> None:
        super().__init__(metadata=about(description, example), **rest)


class Moment(fields.AwareDateTime):
    """RFC 3339 with a zone; UTC inside."""

    def __init__(self, description: str, **rest: Any) -> None:
        super().__init__(format="iso", metadata=about(description, EXAMPLE_TIME), **rest)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> Any:
        if not isinstance(value, str) or not MOMENT.fullmatch(value):
            raise ValidationError("Not a valid aware datetime.")
        found: datetime = super()._deserialize(value.upper().replace(" ", "T"), attr, data, **rest)
        try:
            return found.astimezone(UTC)
        except OverflowError:
            raise ValidationError("Not a valid aware datetime.") from None


class Whole(fields.Integer):
    """A whole number, in JSON as a number and nothing else."""

    def __init__(
        self, description: str, low: int | None = None, high: int | None = None, *, example: int | None = None, **rest: Any
    ) -> None:
        validators = [validate.Range(low, high)] if low is not None or high is not None else []
        super().__init__(strict=True, validate=validators, metadata=about(description, example), **rest)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError("Not a valid integer.")
        return super()._deserialize(value, attr, data, **rest)


class WholeInQuery(Whole):
    """The same in an address, where everything is text."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> Any:
        if not isinstance(value, str) or not WHOLE.fullmatch(value):
            raise ValidationError("Not a valid integer.")
        return super()._deserialize(int(value), attr, data, **rest)


class Flag(fields.Boolean):
    """true or false and nothing else."""

    def __init__(self, description: str, *, in_query: bool = False, **rest: Any) -> None:
        super().__init__(
            truthy={"true"} if in_query else set(), falsy={"false"} if in_query else set(), metadata=about(description), **rest
        )
        self._in_query = in_query

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **rest: Any) -> Any:
        if self._in_query:
            return super()._deserialize(value, attr, data, **rest)
        if not isinstance(value, bool):
            raise ValidationError("Not a valid boolean.")
        return value


class Texts(fields.List[Any]):
    """A list of texts; `choices` enumerates them."""

    def __init__(
        self, description: str, longest: int = 50, *, choices: Sequence[str] = (), example: Sequence[str] = (), **rest: Any
    ) -> None:
        inner: fields.Field[Any] = Choice("One of them", choices) if choices else Code("One of them")
        bounds = {"validate": validate.Length(0, longest)}
        super().__init__(inner, metadata=about(description, list(example) or None), **{**bounds, **rest})


class Free(fields.Dict):
    """An object whose names are not fixed."""

    def __init__(self, description: str, example: Mapping[str, Any] | None = None, **rest: Any) -> None:
        metadata = about(description, example, additionalProperties=True)
        super().__init__(keys=fields.String(), metadata=metadata, **rest)


class PageQuery(Shape):
    limit = WholeInQuery("How many at most", 1, LARGEST_LIMIT, example=50, load_default=DEFAULT_LIMIT)
    cursor = Text("Where the page begins: from «next» of the page before", 600)


@cache
def page_of(item: type[Schema]) -> type[Schema]:
    """The schema of a page of these."""
    name = item.__name__.removesuffix("Shape")
    contents = {
        "items": fields.List(fields.Nested(item), required=True, metadata={"description": "This page"}),
        "next": fields.String(
            required=True, allow_none=True, metadata=about("Address of the next page; null on the last", None)
        ),
    }
    return type(f"{name}PageShape", (Shape,), contents)


class StoredErrorShape(Shape):
    """What went wrong, in English."""

    code = Code("Stable, for machines: docs/errors.md", "rate_limited", required=True)
    message = Code("For people", "The API budget of this connection is used up for now", required=True)
    cure = Code("What can be done", required=True)
    cause = Code("The other side's own words", required=True)


def stored_error(error: Mapping[str, Any] | None) -> dict[str, str] | None:
    """A stored error without samples and details, its places filled."""
    if not error:
        return None
    params = error.get("params") or {}
    told = {name: fill(str(error.get(name) or ""), params) for name in ("message", "cure")}
    return {"code": str(error.get("code") or "error"), **told, "cause": str(error.get("cause") or "")}


class ErrorBodyShape(Shape):
    code = Code("Stable, for machines", "invalid", required=True)
    message = Code("What happened, in the language of Accept-Language", "Some of the input is wrong", required=True)
    cure = Code("What can be done", "Correct the named fields", required=True)
    wrong = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        data_key="fields",
        metadata=about("What is wrong with each field", {"email": "…"}),
    )
    request_id = Code("Names this request in the hub's log", "3f0c9c1d2e4b5a69", required=True)


class ErrorShape(Shape):
    """The one shape of every error."""

    error = fields.Nested(ErrorBodyShape, required=True)


class EmptyShape(Shape):
    """No field."""
