"""A machine that calls the API with a token of its own, and checks what every answer must have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from hub.core.roles import Permission
from hub.services import api_tokens
from hub.services.api_tokens import Maker
from tests.conftest import add_user

API = "/api/v1"


def make_token(app: Flask, role: str = "owner", *, scopes: list[str] | None = None, days: int = 90) -> api_tokens.Made:
    """A token for the user with this role, with all that it may do."""
    user = add_user(app, role)
    wanted = scopes or sorted(user.permissions)
    everything = Maker(frozenset(Permission), owner=True)
    return api_tokens.create_token(app.extensions["hub"], user.id, f"{role}'s machine", wanted, days, maker=everything)


@dataclass
class Machine:
    """Calls as a program does. Each call has a context of its own, as in a server."""

    app: Flask
    token: str = ""
    etags: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, *, status: int | None = None, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            named.setdefault("Authorization", f"Bearer {self.token}")
        given = {"json": body} if body is not None else {}
        path = path if path.startswith("/") and path.startswith("/api") else f"{API}{path}"
        with self.app.app_context():
            answer = self.app.test_client().open(path, method=method, headers=named, buffered=True, **given)
        assert answer.headers.get("X-Request-Id"), path
        if status is not None:
            assert answer.status_code == status, answer.text
        if answer.status_code >= 400 and method != "HEAD":
            error = answer.json["error"]
            assert set(error) >= {"code", "message", "cure", "request_id"}
            assert error["request_id"] == answer.headers["X-Request-Id"]
        return answer

    def get(self, path: str, status: int = 200, **headers: str) -> Any:
        return self.call("GET", path, status=status, **headers).json

    def post(self, path: str, body: Any, status: int = 201, **headers: str) -> Any:
        return self.call("POST", path, body, status=status, **headers).json

    def change(self, method: str, path: str, body: Any = None, *, status: int = 200) -> TestResponse:
        """Read first, as one must, then change what was read."""
        tag = self.call("GET", path, status=200).headers["ETag"]
        return self.call(method, path, body, status=status, If_Match=tag)


@pytest.fixture
def machine(app: Flask) -> Callable[..., Machine]:
    """`machine("marketer")`: with a token of such a user; `machine("")`: without any."""
    return lambda role="owner", **rest: Machine(app, make_token(app, role, **rest).token if role else "")
