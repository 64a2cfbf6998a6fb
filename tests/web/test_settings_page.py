"""The settings' page: the firm's own, and those of the deployment to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from hub.services import preferences, sync
from hub.services.context import Context
from hub.store import audit, connections
from hub.store.db import reading
from tests.web.conftest import HOSTILE, Browser
from tests.web.test_connections import Forms

GOOD = {"name": "Sklep z herbatą", "letters_language": "pl", "time_zone": "Europe/Lisbon"}


@pytest.fixture
def forms(app: Flask) -> Forms:
    return Forms(app)


def kept() -> preferences.Kept:
    with reading() as session:
        return preferences.read_firm(session)


def test_the_name_and_the_zone_show_on_every_page(forms: Forms, connected: Callable[..., Any]) -> None:
    connected()
    forms.post("/admin/settings", **GOOD, version="0")
    text = forms.get("/admin/connections").text
    assert "Sklep z herbatą" in text
    assert "Times are in Europe/Lisbon" in text
    assert " WET" in text or " WEST" in text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Mars/Base"),
        ("time_zone", "../../etc/passwd"),
        ("time_zone", ""),
        ("letters_language", "xx"),
        ("name", "x" * 81),
        ("name", "a\u0007b"),
    ],
)
def test_wrong_values_are_told_at_their_field(forms: Forms, field: str, value: str) -> None:
    page = forms.post("/admin/settings", 400, **{**GOOD, field: value}, version="0")
    assert page.find("p", id=f"e-{field}")
    assert kept().version == 0


def test_hostile_names_are_text(forms: Forms) -> None:
    forms.post("/admin/settings", **{**GOOD, "name": HOSTILE}, version="0")
    assert HOSTILE not in forms.get("/admin/").html


def test_two_people_at_once(app: Flask, forms: Forms) -> None:
    other = Forms(app, "owner")
    forms.post("/admin/settings", **GOOD, version="0")
    page = other.post("/admin/settings", 409, **{**GOOD, "name": "Mine"}, version="0")
    assert "Somebody else changed this meanwhile" in page.text
    assert "Sklep z herbatą" in page.text
    carried = {node.attributes["name"]: node.attributes["value"] for node in page.find("input", type="hidden")}
    assert carried["version"] == "1"
    other.post("/admin/settings", **{name: value for name, value in carried.items() if name != "csrf_token"})
    assert kept().firm.name == "Mine"


def test_a_form_sent_twice_does_no_harm(forms: Forms) -> None:
    forms.post("/admin/settings", **GOOD, version="0")
    forms.post("/admin/settings", **GOOD, version="1")
    assert kept().version == 1, "nothing differs, so nothing is saved"
    with reading() as session:
        assert len(list(audit.page_entries(session, action="settings.changed"))) == 1


def test_undo_and_undo_of_the_undo(forms: Forms) -> None:
    forms.post("/admin/settings", **GOOD, version="0")
    forms.post("/admin/settings", **{**GOOD, "name": "Second"}, version="1")
    assert "Second" in forms.get("/admin/settings").text
    forms.post("/admin/settings/undo", version="2")
    assert kept().firm.name == GOOD["name"]
    forms.post("/admin/settings/undo", 409, version="2")
    forms.post("/admin/settings/undo", version="3")
    assert kept().firm.name == "Second"


def test_there_is_nothing_to_undo_at_first(forms: Forms) -> None:
    forms.post("/admin/settings/undo", 409, version="0")


def test_a_connection_is_read_as_often_as_is_set(
    forms: Forms, connected: Callable[..., Any], context: Context, clock: Any
) -> None:
    pair = connected()
    forms.post("/admin/settings", **GOOD, **{f"sync_every__{pair.shop_id}": "3600"}, version="0")
    with reading() as session:
        row = connections.get_connection(session, pair.shop_id)
    assert row.next_sync_at is not None
    assert 3500 < (row.next_sync_at - context.now()).total_seconds() <= 3600
    clock.forward(context.settings.sync_every + 1)
    assert sync.request_due_syncs(context) == []
    clock.forward(3600)
    assert len(sync.request_due_syncs(context)) == 1
    forms.post("/admin/settings", **GOOD, **{f"sync_every__{pair.shop_id}": "0"}, version="1")
    clock.forward(10_000)
    assert sync.request_due_syncs(context) == []
    forms.post("/admin/settings", 400, **GOOD, **{f"sync_every__{pair.shop_id}": "1"}, version="2")
    forms.post("/admin/settings", 400, **GOOD, **{f"sync_every__{pair.shop_id}": "x"}, version="2")


def test_the_deployment_is_shown_without_its_secrets(app: Flask) -> None:
    visit = Browser(app, "auditor").visit("/admin/settings")
    assert "HUB_BATCH_SIZE" in visit.text
    assert "set, and secret" in visit.text
    settings = app.config["HUB_SETTINGS"]
    assert settings.database_url not in visit.answer.text
    assert not visit.page.find("input", name="time_zone")
    assert "Folder na wszystko" in Browser(app, "auditor").visit("/admin/settings", "pl").text
