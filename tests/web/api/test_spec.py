"""The document of the API: it is valid, it names what each operation asks for, and it matches the routes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from flask import Flask

from hub.core.roles import Permission
from hub.web.access import access_of
from tests.conftest import DATABASES, make_settings, open_app

METHODS = ("get", "post", "patch", "delete", "put")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    folder = tmp_path_factory.mktemp("spec")
    with open_app(make_settings(folder, f"sqlite:///{folder}/nothing.sqlite")) as app:
        yield app


@pytest.fixture(scope="module")
def document(bare: Flask) -> dict[str, Any]:
    answer = bare.test_client().get("/api/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.mimetype == "application/json"
    found: dict[str, Any] = answer.json
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def resolve(document: dict[str, Any], part: Any) -> Any:
    while isinstance(part, dict) and "$ref" in part:
        found: Any = document
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def schemas(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from document["components"]["schemas"].items()
    for path, method, operation in operations(document):
        for parameter in (*operation.get("parameters", ()), *document["paths"][path].get("parameters", ())):
            found = resolve(document, parameter)
            yield f"{method} {path} {found['name']}", found["schema"]


def test_the_document_is_openapi_3_1_in_its_bones(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert set(document) <= {"openapi", "info", "servers", "security", "paths", "components", "tags"}
    assert document["info"]["title"]
    assert document["info"]["version"]
    assert {ref for ref in references(document) if resolve(document, {"$ref": ref}) is None} == set()
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids)) > 50
    for path, method, operation in operations(document):
        place = f"{method} {path}"
        assert operation["summary"], place
        assert all(re.fullmatch(r"[1-5]\d\d|default", status) for status in operation["responses"]), place
        assert all(resolve(document, answer)["description"] for answer in operation["responses"].values()), place
        named = [*operation.get("parameters", ()), *document["paths"][path].get("parameters", ())]
        given = {found["name"] for found in (resolve(document, one) for one in named) if found["in"] == "path"}
        assert given == set(re.findall(r"{(\w+)}", path)), place


def test_every_schema_is_json_schema_2020_12(document: dict[str, Any]) -> None:
    for name, schema in schemas(document):
        whole = {**schema, "components": document["components"], "$schema": "https://json-schema.org/draft/2020-12/schema"}
        jsonschema_rs.meta.validate(whole)
        assert name


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    seen = 0
    for path, method, operation in operations(document):
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if body and "example" in body:
            schema = {**body["schema"], "components": document["components"]}
            jsonschema_rs.validate(schema, body["example"])
            seen += 1
            assert path
            assert method
    assert seen >= 15


def test_every_operation_names_the_permission_that_its_route_asks_for(bare: Flask, document: dict[str, Any]) -> None:
    spoken = {(path, method): operation["x-permission"] for path, method, operation in operations(document)}
    found = {}
    for rule in bare.url_map.iter_rules():
        if rule.rule.startswith("/api/") and rule.endpoint != "api_openapi":
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                access = access_of(bare, rule.endpoint, method)
                found[path, method.lower()] = access.value if isinstance(access, Permission) else access
    assert spoken == found
    assert set(spoken.values()) - {"signed in"} <= {one.value for one in Permission}


def test_operations_state_how_they_are_signed_and_what_they_refuse(document: dict[str, Any]) -> None:
    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, method, operation in operations(document):
        assert {"401", "429", "default"} <= set(operation["responses"]), f"{method} {path}"
        names = {resolve(document, one)["name"] for one in operation.get("parameters", ())}
        if method in ("patch", "delete"):
            assert "If-Match" in names
            assert {"412", "428"} <= set(operation["responses"])
        if method == "post":
            assert "Idempotency-Key" in names


def test_the_document_holds_no_data_and_is_open(bare: Flask) -> None:
    assert bare.test_client().get("/api/v1/openapi.json").headers["Cache-Control"] == "no-cache"
    assert DATABASES
