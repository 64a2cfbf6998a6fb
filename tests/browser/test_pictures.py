"""The pictures of the documentation: taken of the real pages, so that they cannot lag. `make screenshots` keeps them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from flask import Flask

from tests.browser.conftest import DESK, PHONE, Open
from tests.browser.places import places
from tests.web.conftest import Filled, filled  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]
KEPT = os.environ.get("HUB_TEST_PICTURES", "")

PICTURES: tuple[tuple[str, str, str, tuple[int, int]], ...] = (
    ("overview", "/admin/", "owner", DESK),
    ("overview-phone", "/admin/", "owner", PHONE),
    ("runs", "/admin/runs", "ops", DESK),
    ("run", "/admin/runs/", "ops", DESK),
    ("quarantine", "/admin/quarantine", "admin", DESK),
    ("connections", "/admin/connections", "admin", DESK),
    ("contacts", "/admin/contacts", "consent_officer", DESK),
    ("contact", "/admin/contacts/", "consent_officer", DESK),
    ("decisions", "/admin/decisions/", "marketer", DESK),
    ("scenarios", "/admin/scenarios", "marketer", DESK),
    ("users", "/admin/users", "owner", DESK),
    ("audit", "/admin/audit", "auditor", DESK),
)
"""Name, path (ending in «/»: the first page below it), role, size."""


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("lang", ["en", "pl"])
def test_pictures(window: Open, app: Flask, filled: Filled, tmp_path: Path, lang: str) -> None:  # noqa: F811
    folder = (ROOT / KEPT if KEPT else tmp_path) / lang
    folder.mkdir(parents=True, exist_ok=True)
    known = places(app, filled)
    for name, path, role, size in PICTURES:
        if path.endswith("/") and path != "/admin/":
            path = next(one for one in known if one.startswith(path))
        with window(role, lang=lang, size=size) as one:
            one.open(path).screenshot(path=folder / f"{name}.png", full_page=size == PHONE, type="png")
        assert (folder / f"{name}.png").stat().st_size > 4000


def test_every_picture_of_the_documentation_is_one_of_these() -> None:
    names = {name for name, *_ in PICTURES}
    for page in (ROOT / "docs").rglob("*.md"):
        for part in page.read_text("utf-8").split("](")[1:]:
            target = part.partition(")")[0]
            if target.endswith(".png"):
                assert Path(target).stem in names, f"{page.name}: {target}"
                assert (page.parent / target).is_file(), f"{page.name}: {target} is not there; make screenshots"
