"""The pages of segments: in words, counted when asked, and who belongs to one only for those who may see people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from hub.rules.segments import parse_segment
from hub.services.context import Context
from hub.services.scenarios import publish_scenario
from hub.store import segments
from hub.store.db import reading
from hub.web.labels import explain
from tests.web.conftest import HOSTILE, Browser

TREE = {
    "all": [
        {"orders": {"paid": True, "within_days": 365, "at_least": 2, "total_at_least": 50_000, "currency": "PLN"}},
        {"not": {"any": [{"field": "country", "is": "PL"}, {"field": "phone", "known": True}]}},
    ]
}


@pytest.fixture
def buyers(connected: Callable[..., Any]) -> Any:
    pair = connected({"customers": 30, "rebase": True})
    pair.run_sync("woocommerce")
    pair.publish()
    return pair


def test_a_tree_is_told_in_both_languages() -> None:
    english, polish = (explain(parse_segment(TREE), lang) for lang in ("en", "pl"))
    assert english[0] == "All of these are true:"
    assert english[1][0].replace("\xa0", "") == "At least 2 paid orders for PLN500.00 or more together in the last 365 days"
    assert english[1][1:] == [
        "This is not true:",
        ["At least one of these is true:", ["Country is «PL»", "Phone is known"]],
    ]
    assert (
        polish[1][0].replace("\xa0", " ").startswith("Co najmniej 2 opłacone zamówienia na łączną kwotę co najmniej 500,00 zł")
    )


def test_counting_is_done_when_asked_for(app: Flask, buyers: Any, context: Context) -> None:
    path = "/admin/segments/buyers"
    plain = Browser(app, "ops").visit(path)
    assert plain.page.find("a", href="?count=now")
    with reading() as session:
        row = segments.find_segment(session, "buyers")
        assert row is not None
        count = segments.count_members(session, parse_segment(row.definition), context.now())
    assert count > 1
    for role, seen in (("ops", False), ("marketer", True)):
        page = Browser(app, role).visit(f"{path}?count=now")
        assert f"{count} contacts now" in page.text
        people = [node for node in page.page.find("a") if node.attributes["href"].startswith("/admin/contacts/")]
        assert bool(people) == seen
    for lang in ("en", "pl"):
        assert Browser(app, "auditor").visit("/admin/segments", lang).page.find("a", href=path)


def test_what_was_written_is_shown_as_text(app: Flask, buyers: Any, context: Context) -> None:
    definition = {"field": "city", "is": HOSTILE}
    segment = {"key": "bad", "name": HOSTILE, "definition": definition}
    plain = {"key": "bad", "name": "Bad", "connection": "hubspot", "channel": "email", "topic": "x", "automation": "list:1"}
    publish_scenario(context, {**plain, "segment": segment})
    for path in ("/admin/segments", "/admin/segments/bad", "/admin/scenarios", "/admin/scenarios/bad"):
        answer = Browser(app, "marketer").visit(path).answer
        assert HOSTILE not in answer.text
        assert "&lt;script&gt;" in answer.text
