"""Every route says who may ask; whoever may not is refused, whatever the route and the role."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from flask import Flask
from werkzeug.routing import Rule

from hub.core.roles import Permission, Role, permissions_of
from hub.web.access import API, OPEN, SIGNED_IN, access_of
from tests.conftest import add_user, sign_in

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
NOT_ASKED = ("static", "bootstrap.static", "security.")
"""Files; and Flask-Security's own pages, which check for themselves."""
MADE_UP = str(uuid.UUID(int=7))


def routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    """Every rule with each of its methods."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) & set(VERBS)):
            yield rule, method


def path_of(app: Flask, rule: Rule) -> str:
    """An address of the rule with made-up ids."""
    values = {name: uuid.UUID(MADE_UP) if "uuid" in str(rule).lower() else "made-up" for name in rule.arguments}
    for name, converter in rule._converters.items():
        kind = type(converter).__name__
        values[name] = {"UUIDConverter": uuid.UUID(MADE_UP), "IntegerConverter": 7}.get(kind, values.get(name, "made-up"))
    with app.test_request_context():
        return str(app.url_map.bind("localhost").build(rule.endpoint, values))


def test_every_route_says_who_may_ask(app: Flask) -> None:
    silent = [f"{method} {rule}" for rule, method in routes(app) if access_of(app, rule.endpoint, method) is None]
    assert silent == []
    known = {OPEN, SIGNED_IN, *Permission}
    strange = [f"{method} {rule}" for rule, method in routes(app) if access_of(app, rule.endpoint, method) not in known]
    assert strange == []


def test_nothing_that_changes_is_a_get(app: Flask) -> None:
    """A writing permission on a GET may only show a form."""
    words = ("/delete", "/remove", "/pause", "/resume", "/undo", "/logout", "/verify", "/sync", "/check", "/publish")
    found = [
        f"{rule}"
        for rule, method in routes(app)
        if method == "GET"
        and str(rule).endswith(words)
        and str(rule).startswith("/admin/")
        and "POST" in (rule.methods or set())
    ]
    assert found == []


def test_nobody_gets_nothing(app: Flask) -> None:
    client = app.test_client()
    let_in = []
    for rule, method in routes(app):
        if access_of(app, rule.endpoint, method) == OPEN or rule.endpoint.startswith(NOT_ASKED):
            continue
        with app.app_context():
            answer = client.open(path_of(app, rule), method=method)
        if method in ("GET", "HEAD") and not str(rule).startswith(API):
            right = answer.status_code == 302 and answer.headers["Location"].startswith("/account/login?next=")
        else:
            right = answer.status_code == 401
        if not right:
            let_in.append(f"{method} {rule}: {answer.status_code}")
    assert let_in == []


def test_every_wrong_role_is_refused_and_every_right_one_is_not(app: Flask) -> None:
    """Without CSRF tokens: the roles are asked first, so a wrong pair is 403, and a right one is refused for the form alone."""
    wrong = []
    for role in (*Role, ""):
        client = app.test_client()
        sign_in(client, add_user(app, *([role.value] if role else []), email=f"{role or 'none'}@roles.example"))
        held = permissions_of([role] if role else [])
        for rule, method in routes(app):
            access = access_of(app, rule.endpoint, method)
            if access in (OPEN, SIGNED_IN) or str(rule).startswith(API) or rule.endpoint.startswith(NOT_ASKED):
                continue
            with app.app_context():  # as a server does it: nothing is kept from the request before
                status = client.open(path_of(app, rule), method=method).status_code
            refused = status in (401, 403)
            if refused is (access in held) or status >= 500:
                wrong.append(f"{role or 'no role'}: {method} {rule}: {status}")
    assert wrong == []
