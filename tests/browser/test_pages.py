"""Every page of the console in a real browser: accessible, within the window, silent, and with nothing from elsewhere."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask

from tests.browser.conftest import DESK, PHONE, Open
from tests.browser.places import places
from tests.web.conftest import Filled, filled  # noqa: F401 - a fixture

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("lang", ["en", "pl"])
def test_every_page(window: Open, app: Flask, filled: Filled, lang: str, size: tuple[int, int]) -> None:  # noqa: F811
    wrong: list[str] = []
    with window("owner", lang=lang, size=size) as one:
        for path in places(app, filled):
            page = one.open(path)
            wrong += [f"{path}: {rule}" for rule in _violations(page)]
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if wide > 0:
                wrong.append(f"{path}: {wide} px wider than the window")
            if page.locator("html").get_attribute("lang") != lang:
                wrong.append(f"{path}: in another language")
        wrong += one.problems
        assert wrong == []
        assert len(one.hosts) == 1, "nothing is asked of others"


def _violations(page: Any) -> list[str]:
    found = Axe().run(page, options=RULES)
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for one in found.response["violations"]
        for node in one["nodes"][:3]
    ]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_first_page_is_light(window: Open, filled: Filled) -> None:  # noqa: F811
    """Under 120 kB over the wire, with everything it loads."""
    with window("owner") as one:
        session = one.page.context.new_cdp_session(one.page)
        session.send("Network.enable")
        sizes: list[float] = []
        session.on("Network.loadingFinished", lambda told: sizes.append(told["encodedDataLength"]))
        one.open("/admin/")
        one.page.wait_for_load_state("networkidle")
        assert 0 < sum(sizes) < 120_000
