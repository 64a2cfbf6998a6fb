"""A browser for the console that reads every page strictly, and a hub with something to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from hub.core.errors import ContractBroken
from hub.services.context import Context
from hub.store import quarantine, runs
from hub.store.db import new_id, transaction
from tests.conftest import add_user, form_token, sign_in

VOID = {"meta", "link", "br", "input", "hr", "img"}
DRAWN = {"rect", "line", "path"}
NOBODY = "01900000-0000-7000-8000-000000000000"
"""An id that nothing has."""
HOSTILE = "<script>alert(1)</script>"


@dataclass
class Node:
    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Page(HTMLParser):
    """One HTML page; reading it fails on what a strict reader would mend."""

    html: str
    nodes: list[Node] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[Node] = []
        self.feed(self.html)
        self.close()
        self.problems += [f"never closed: {node.tag}" for node in self._open]
        self._check()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.problems.append(f"an attribute twice: {tag} {names}")
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.nodes.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in DRAWN:
            self.problems.append(f"<{tag}/> is not HTML")
        self.nodes.append(Node(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1].tag != tag:
            self.problems.append(f"</{tag}> closes {self._open[-1].tag if self._open else 'nothing'}")
            return
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for node in self._open:
            node.text += data

    def find(self, tag: str, **attributes: str) -> list[Node]:
        return [
            node
            for node in self.nodes
            if node.tag == tag
            and all(node.attributes.get(name.replace("_", "-")) == value for name, value in attributes.items())
        ]

    def one(self, tag: str, **attributes: str) -> Node:
        (node,) = self.find(tag, **attributes)
        return node

    @property
    def text(self) -> str:
        return " ".join(self.one("body").text.split())

    def _check(self) -> None:
        ids = [node.attributes["id"] for node in self.nodes if "id" in node.attributes]
        self.problems += [f"id twice: {one}" for one in ids if ids.count(one) > 1]
        for node in self.nodes:
            for name, value in node.attributes.items():
                if name == "style" or name.startswith("on"):
                    self.problems.append(f"inline {name} in {node.tag}")
                if name == "aria-labelledby" and value not in ids:
                    self.problems.append(f"nobody is {value}")
            if node.tag == "th" and node.attributes.get("scope") not in ("col", "row"):
                self.problems.append(f"th without scope: {node.text}")
            if node.tag == "script" and (node.text or "src" not in node.attributes):
                self.problems.append("inline script")
        headings = [int(node.tag[1]) for node in self.nodes if node.tag in ("h1", "h2", "h3")]
        if headings.count(1) != 1 or any(later > before + 1 for before, later in pairwise(headings)):
            self.problems.append(f"headings: {headings}")
        if len(self.find("table")) != len(self.find("caption")) or len(self.find("main")) != 1:
            self.problems.append("a table without caption, or no main")


@dataclass
class Visit:
    answer: TestResponse
    page: Page

    @property
    def text(self) -> str:
        return self.page.text


@dataclass
class Browser:
    """Asks as a browser does; signed in with `role`, unless that is empty."""

    app: Flask
    role: str = "owner"

    def ask(self, path: str, *, method: str = "GET", address: str = "127.0.0.1", **rest: Any) -> TestResponse:
        client = self.app.test_client()
        if self.role:
            sign_in(client, add_user(self.app, self.role))
        if method not in ("GET", "HEAD", "OPTIONS"):
            rest["headers"] = {"X-CSRFToken": form_token(client), **dict(rest.get("headers", {}))}
        with self.app.app_context():  # as a server does it: nothing is kept from the request before
            return client.open(path, method=method, environ_base={"REMOTE_ADDR": address}, buffered=True, **rest)

    def visit(self, path: str, lang: str = "en", status: int = 200, **rest: Any) -> Visit:
        answer = self.ask(path, headers={"Accept-Language": lang}, **rest)
        assert answer.status_code == status, answer.text
        page = Page(answer.text)
        assert not page.problems
        assert page.one("html").attributes["lang"] == lang
        return Visit(answer, page)


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


@dataclass
class Filled:
    """Ids of what the hub has to show."""

    run_id: str
    failed_id: str
    evaluation_id: str
    secrets: list[str]


def save_run(context: Context, connection_id: str, **values: Any) -> str:
    """A finished run as it stands in the database."""
    run_id, now = new_id(), context.now()
    given = {
        "id": run_id,
        "group_id": new_id(),
        "position": 0,
        "connection_id": connection_id,
        "stream": "customers",
        "state": "done",
        "created_at": now,
        "started_at": now,
        "finished_at": now,
        **values,
    }
    with transaction() as session:
        session.execute(sa.insert(runs.run).values(**given))
    return run_id


def save_entry(context: Context, connection_id: str, **values: Any) -> None:
    given = {
        "connection_id": connection_id,
        "direction": "in",
        "stream": "customers",
        "external_id": "77",
        "field": "email",
        "whole": True,
        "code": "bad_email",
        "reason": "This is not an e-mail address",
        "cure": "Correct the address on the platform",
        "value_class": "text of 12 characters",
        "raw": None,
        "run_id": None,
        **values,
    }
    with transaction() as session:
        quarantine.add_entries(session, [given], context.now())


@pytest.fixture
def filled(connected: Callable[..., Any], context: Context) -> Filled:
    """A shop read and a scenario delivered through the real verbs; a failed run and bad records beside them."""
    pair = connected({"customers": 60, "rebase": True})
    read = pair.run_sync("woocommerce")
    pair.publish(name=f"Welcome {HOSTILE}")
    evaluation_id = pair.evaluate()
    pair.run_deliveries()
    broken = ContractBroken(
        connection="hubspot",
        status=200,
        request_id="req-7",
        sample=f"<html>{HOSTILE} anna.nowak@example.com access_token=verysecret99</html>",
    )
    long_ago = context.now() - timedelta(hours=3)
    failed_id = save_run(
        context,
        pair.crm_id,
        stream="contacts",
        state="failed",
        error=broken.as_json(),
        created_at=long_ago,
        started_at=long_ago,
    )
    raw = {"id": 77, "email": "jan.kowalski@example.com", "first_name": HOSTILE, "billing": {"phone": "+48600700800"}}
    save_entry(context, pair.shop_id, raw=raw)
    save_entry(
        context,
        pair.crm_id,
        direction="out",
        stream="contacts",
        external_id=new_id(),
        code="rejected",
        reason="Email address ewa.lis@example.com is invalid",
        value_class="",
    )
    secrets = [*pair.shop.simulator.credentials().values(), *pair.crm.simulator.credentials().values()]
    return Filled(read[0].id, failed_id, evaluation_id, secrets)
