"""A client made from the document alone does a day's work: it knows no address and no field but what stands there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import jsonschema_rs
import pytest
from flask import Flask

from hub.services.context import Context
from hub.transport.simulation import Server
from tests.web.api.conftest import make_token


@dataclass
class Client:
    """One method per operation, `client.create_contact(body, contact_id=…)`; checks both ways against the document."""

    base: str
    token: str

    def __post_init__(self) -> None:
        with urlopen(f"{self.base}/api/v1/openapi.json") as answer:
            self._document = json.load(answer)
        self._operations = {
            operation["operationId"]: (method, path, operation, item.get("parameters", []))
            for path, item in self._document["paths"].items()
            for method, operation in item.items()
            if method != "parameters"
        }

    def _find(self, part: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in part:
            found = self._document
            for step in part["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            part = found
        return part

    def _check(self, schema: dict[str, Any], value: Any) -> None:
        jsonschema_rs.validate({**schema, "components": self._document["components"]}, value)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in self._operations:
            raise AttributeError(name)
        method, path, operation, shared = self._operations[name]
        parameters = [self._find(one) for one in (*operation.get("parameters", []), *shared)]

        def call(body: Any = None, *, etag: str = "", **given: Any) -> Any:
            unknown = set(given) - {one["name"] for one in parameters}
            assert not unknown, unknown
            address = re.sub(r"{(\w+)}", lambda found: quote(str(given[found[1]])), path)
            query = {one["name"]: given[one["name"]] for one in parameters if one["in"] == "query" and one["name"] in given}
            headers = {"Authorization": f"Bearer {self.token}"}
            if etag:
                headers["If-Match"] = etag
            data = None
            if body is not None:
                self._check(operation["requestBody"]["content"]["application/json"]["schema"], body)
                data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
            url = f"{self.base}{address}" + (f"?{urlencode(query)}" if query else "")
            with urlopen(Request(url, data, headers, method=method.upper())) as answer:
                text = answer.read()
                documented = self._find(operation["responses"][str(answer.status)])
                if not text:
                    return None
                found = json.loads(text)
                self._check(documented["content"]["application/json"]["schema"], found)
                return found

        return call


@pytest.fixture
def client(app: Flask) -> Any:
    with Server(app) as served:
        yield Client(served.url, make_token(app).token)


def test_a_client_from_the_document_does_the_work(
    client: Any, connected: Callable[..., Any], context: Context, run_sync: Callable[..., Any]
) -> None:
    pair = connected({"customers": 4})
    contact = client.create_contact({"email": "ola@example.com", "first_name": "Ola"})
    moment = context.now().isoformat()
    proof = {"how": "paper", "reference": "form 12", "at": moment}
    given = client.record_consent({"act": "granted", "channel": "email", "topic": "offers", **proof}, contact_id=contact["id"])
    assert given["consents"][0]["allowed"] is True
    assert client.get_decision(contact_id=contact["id"], channel="email", topic="offers")["allowed"] is True
    later = context.now().isoformat()
    client.record_consent({"act": "withdrawn", "channel": "email", "topic": "offers", "at": later}, contact_id=contact["id"])
    assert client.get_decision(contact_id=contact["id"], channel="email", topic="offers")["reason"] == "withdrawn"
    shop = next(one for one in client.list_connections()["items"] if one["platform"] == "woocommerce")
    assert shop["id"] == pair.shop_id
    started = client.start_sync({"streams": ["customers"]}, connection_id=shop["id"])
    run_sync("woocommerce")
    assert [run["state"] for run in client.get_sync(group_id=started["group_id"])["runs"]] == ["done"]
    assert client.find_contacts(q="ola")["items"][0]["id"] == contact["id"]
