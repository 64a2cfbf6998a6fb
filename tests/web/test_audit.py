"""The audit trail's page."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from hub.core.types import Actor
from hub.services.audit import acting, note
from hub.services.context import Context
from hub.store import audit
from hub.store.db import db, transaction
from tests.web.conftest import HOSTILE, NOBODY, Browser
from tests.web.test_connections import Forms

ANNA = Actor("user", "anna-id", "Anna", "198.51.100.7")


@pytest.fixture
def noted(context: Context) -> None:
    """Three entries: a connection by Anna, yesterday's by a token, a hostile name."""
    now = context.now()
    with transaction() as session:
        with acting(Actor("token", "token-id", "Export", "")):
            note(
                session,
                "webhook.created",
                ("webhook", "w-1", "=SUM(A1)"),
                now - timedelta(days=2),
                after={"url": "https://x.example"},
            )
        with acting(ANNA):
            note(
                session,
                "connection.renamed",
                ("connection", NOBODY, "shop"),
                now,
                before={"name": "old"},
                after={"name": "new"},
            )
            note(
                session,
                "segment.created",
                ("segment", "s-1", HOSTILE),
                now,
                after={"secret": "hush-hush-77", "big": "x" * 5000},
            )


def test_entries_show_who_what_before_and_after(app: Flask, noted: None) -> None:
    visit = Browser(app, "auditor").visit("/admin/audit")
    for words in ("Anna", "198.51.100.7", "connection.renamed", "old", "new", "Export", HOSTILE):
        assert words in visit.text, words
    assert "hush-hush-77" not in visit.answer.text
    assert "Dziennik zmian" in Browser(app, "auditor").visit("/admin/audit", "pl").text


def test_filters(app: Flask, noted: None, context: Context) -> None:
    browser = Browser(app, "auditor")
    today = context.now().date().isoformat()
    for query, count in {
        "person=anna-id": 2,
        "action=connection.renamed": 1,
        "action=webhook": 1,
        "kind=connection": 1,
        f"kind=connection&subject={NOBODY.upper()}": 1,
        "subject=w-1": 1,
        f"since={today}": 2,
        "until=2020-01-01": 0,
        "person=nobody": 0,
    }.items():
        page = browser.visit(f"/admin/audit?{query}").page
        rows = [row for row in page.find("th", role="rowheader") if row.text]
        assert len(rows) == count, query


@pytest.mark.parametrize(
    "query",
    ["since=yesterday", "until=9999-12-31", "before=x", "before=-1", "before=" + "9" * 30, "person=%00", "since=2026-02-30"],
)
def test_filters_that_mean_nothing_are_404(app: Flask, query: str) -> None:
    Browser(app, "auditor").visit(f"/admin/audit?{query}", status=404)


def test_paging_shows_every_entry_once(app: Flask, context: Context) -> None:
    with transaction() as session:
        for number in range(120):
            note(session, "thing.done", ("thing", str(number), ""), context.now())
    seen, path = [], "/admin/audit?action=thing.done"
    while path:
        page = Browser(app, "auditor").visit(path).page
        seen += [int(node.text) for node in page.find("th", role="rowheader")]
        following = page.find("a", rel="next")
        path = "/admin/audit" + following[0].attributes["href"] if following else ""
    assert len(seen) == len(set(seen)) == 120
    assert seen == sorted(seen, reverse=True)


def test_the_file_has_the_same_entries_and_no_formulas(app: Flask, noted: None) -> None:
    answer = Browser(app, "auditor").ask("/admin/audit.csv?action=webhook.created")
    assert answer.mimetype == "text/csv"
    assert "audit.csv" in answer.headers["Content-Disposition"]
    header, *rows = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))
    assert header[0] == "entry"
    (row,) = rows
    assert dict(zip(header, row, strict=True))["subject"] == "'=SUM(A1)"
    everything = list(csv.reader(io.StringIO(Browser(app, "auditor").ask("/admin/audit.csv").text.lstrip("\ufeff"))))
    assert len(everything) == 4


def test_verifying_finds_a_changed_entry(app: Flask, noted: None) -> None:
    forms = Forms(app, "auditor")
    assert "Not verified since" in forms.get("/admin/audit").text
    assert "Verified up to entry 3" in forms.post("/admin/audit/verify").text
    with db.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(sa.text("DROP TRIGGER audit_entry_no_update"))
        else:
            connection.execute(sa.text("SET session_replication_role = replica"))
        connection.execute(sa.update(audit.audit_entry).where(audit.audit_entry.c.seq == 2).values(subject_name="other"))
    assert "Entry 2 is not as it was written" in forms.post("/admin/audit/verify").one("p", role="alert").text
    if connection.dialect.name != "sqlite":
        with db.engine.begin() as connection:
            connection.execute(sa.text("SET session_replication_role = DEFAULT"))
