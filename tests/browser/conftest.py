"""The console in a real browser: Chromium against the application on a real socket, with something to show.

Chromium is the system's (`chromium`, `chromium-browser`, `google-chrome`, or HUB_TEST_CHROMIUM). Where there is none these
tests are skipped; `.ci/run` installs it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from hub.transport.simulation import Server
from tests.conftest import add_user, sign_in

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("HUB_TEST_CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), "")
PHONE, DESK = (390, 844), (1440, 900)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("there is no Chromium (HUB_TEST_CHROMIUM names one)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@dataclass
class Window:
    """One browser window of one user; `problems` are what the browser complained of."""

    page: Page
    url: str
    problems: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on("console", lambda said: self.problems.append(said.text) if said.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda sent: self.hosts.add(sent.url.split("/")[2]) if "://" in sent.url else None)

    def open(self, path: str, status: int = 200) -> Page:
        answer = self.page.goto(self.url + path, wait_until="load")
        assert answer is not None
        assert answer.status == status, f"{path}: {answer.status}"
        return self.page


Open = Callable[..., Any]


@pytest.fixture
def window(app: Flask, chromium: Browser) -> Iterator[Open]:
    """`with window("owner", lang="pl", size=PHONE) as one: one.open("/admin/")`; role "" is nobody."""
    with Server(app) as server:

        @contextmanager
        def opened(role: str = "owner", lang: str = "en", size: tuple[int, int] = DESK, dark: bool = False) -> Iterator[Window]:
            context: BrowserContext = chromium.new_context(
                viewport={"width": size[0], "height": size[1]},
                locale={"en": "en-GB", "pl": "pl-PL"}[lang],
                timezone_id="Europe/Warsaw",
                color_scheme="dark" if dark else "light",
                reduced_motion="reduce",
            )
            if role:
                context.add_cookies([{"name": "hub_session", "value": session_of(app, role), "url": server.url}])
            try:
                yield Window(context.new_page(), server.url)
            finally:
                context.close()

        yield opened


def session_of(app: Flask, role: str) -> str:
    """The cookie that a complete sign-in leaves."""
    client = app.test_client()
    sign_in(client, add_user(app, role))
    cookie = client.get_cookie("hub_session")
    assert cookie is not None
    return cookie.value
