"""Data dictionaries: how each connection's fields are read and written."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from hub.core.roles import Permission
from hub.services import own_dictionary
from hub.services.own_dictionary import LONGEST
from hub.web.api.kit import Area, hub, match
from hub.web.api.shapes import Code, Flag, Shape, Text

area = Area("dictionaries", "How each connection's fields are read and written: docs/mapping.md.")
P = Permission


class DictionaryShape(Shape):
    text = Code("The dictionary, as TOML", '[reads.customers.fields]\nemail = "email"\n', required=True)
    own = Flag("Whether it is an own one, or the one that came with the hub", required=True)
    version = Code("What a change is based on", required=True)


class DictionaryChangeShape(Shape):
    text = Text("The whole dictionary, as TOML", LONGEST, shortest=1, lines=True, required=True)


class FieldChangeShape(Shape):
    place = Code("The field", "reads.customers.email", required=True)
    before = Code("How it was read or written; empty: not at all", required=True)
    after = Code("How it is now; empty: not at all", required=True)


class ChangedDictionaryShape(DictionaryShape):
    changes = fields.List(fields.Nested(FieldChangeShape), required=True, metadata={"description": "What differs now"})


def _shape(connection_id: str) -> dict[str, Any]:
    found = own_dictionary.dictionary_in_use(hub(), connection_id)
    return {"text": found.text, "own": found.own, "version": found.version}


@area.operation("GET", "/connections/<uuid:connection_id>/dictionary", P.CONSOLE_READ, answer=DictionaryShape, refuses=(404,))
def get_dictionary(connection_id: str) -> dict[str, Any]:
    """The dictionary that a connection is read and written by."""
    return _shape(connection_id)


@area.operation(
    "PATCH",
    "/connections/<uuid:connection_id>/dictionary",
    P.MAPPINGS_WRITE,
    body=DictionaryChangeShape,
    answer=ChangedDictionaryShape,
)
def change_dictionary(body: dict[str, Any], connection_id: str) -> dict[str, Any]:
    """Give a connection a dictionary of its own; the next sync reads everything anew. Every wrong place is named."""
    current = _shape(connection_id)
    match(DictionaryShape, current)
    changes = own_dictionary.save_dictionary(hub(), connection_id, body["text"], current["version"])
    return {**_shape(connection_id), "changes": changes}


@area.operation("DELETE", "/connections/<uuid:connection_id>/dictionary", P.MAPPINGS_WRITE, status=204)
def restore_dictionary(connection_id: str) -> None:
    """Back to the dictionary that came with the hub."""
    current = _shape(connection_id)
    match(DictionaryShape, current)
    own_dictionary.restore_shipped(hub(), connection_id, current["version"])
