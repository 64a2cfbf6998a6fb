"""Until there are accounts, the console answers to this machine only, and it changes nothing."""

from __future__ import annotations

import pytest

from tests.web.conftest import Browser

PLACES = ("/admin/", "/admin/runs", "/admin/quarantine", "/admin/decisions", "/admin/nothing")


@pytest.mark.parametrize("address", ["192.168.1.20", "10.0.0.1", "8.8.8.8", "fe80::1", "::ffff:8.8.8.8", "", "garbage"])
def test_other_machines_are_refused(browser: Browser, address: str) -> None:
    for place in PLACES:
        assert browser.ask(place, address=address).status_code == 403
    text = browser.visit("/admin/runs", address=address, status=403).text
    assert "on this machine only, and the request came from another one" in text
    assert "SSH tunnel" in text


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1"])
def test_this_machine_is_let_in(browser: Browser, address: str) -> None:
    assert browser.ask("/admin/runs", address=address).status_code == 200


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-For", "X-Forwarded-Host", "x-forwarded-proto", "X-Forwarded-Anything", "Forwarded", "X-Real-IP", "Via"],
)
def test_proxies_are_refused(browser: Browser, header: str) -> None:
    for place in PLACES:
        answer = browser.ask(place, headers={header: "127.0.0.1"})
        assert answer.status_code == 403
    assert "through a proxy" in answer.text


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "hub.internal:8321",
        "127.0.0.1@evil.example",
        "0.0.0.0",
        "",
    ],
)
def test_foreign_host_names_are_refused(browser: Browser, host: str) -> None:
    for place in PLACES:
        assert browser.ask(place, headers={"Host": host}).status_code in (400, 403)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8321", "127.0.0.1:5", "[::1]:8321", "[::1]"])
def test_local_host_names_are_let_in(browser: Browser, host: str) -> None:
    assert browser.ask("/admin/runs", headers={"Host": host}).status_code == 200


def test_the_refusal_says_why_in_polish_and_offers_no_links(browser: Browser) -> None:
    visit = browser.visit("/admin/runs", "pl", status=403, address="10.0.0.1")
    assert "Ta konsola odpowiada tylko na tym komputerze, a żądanie przyszło z innego" in visit.text
    assert "/admin/" not in visit.answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(browser: Browser, method: str) -> None:
    for place in ("/admin/", "/admin/runs", "/admin/quarantine", "/admin/decisions", "/healthz", "/readyz"):
        answer = browser.ask(place, method=method)
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD"}


def test_head_is_get_without_the_page(browser: Browser) -> None:
    answer = browser.ask("/admin/runs", method="HEAD")
    assert answer.status_code == 200
    assert answer.data == b""
