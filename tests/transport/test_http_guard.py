"""Private networks are refused, however they are spelled and whatever DNS says when."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from hub.core.errors import Invalid, Unavailable
from hub.core.http import Call
from hub.transport import Http
from hub.transport.client import check_address
from hub.transport.guard import PrivateHost, check_host, is_listed, is_private

Connect = Callable[..., Http]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.127.255.255",
    "0.0.0.0",
    "0.1.2.3",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fc00::1",
    "fdff::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::10.0.0.1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "2001:db8::1",
    "",
    "not an address",
]
PUBLIC = ["8.8.8.8", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "169.253.1.1", "192.167.1.1"]
PUBLIC += ["2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private(address: str) -> None:
    assert is_private(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert not is_private(address)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.1", "2130706433", "0177.0.0.1", "0x7f.0.0.1", "0x7f000001", "0", "[::1]"]
)
def test_every_spelling_of_ourselves_is_refused(serve: Any, connect: Connect, host: str) -> None:
    reached = []

    def inside(environ: Any, start_response: Any) -> list[bytes]:
        reached.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        return [b"{}"]

    port = urlsplit(serve(inside)).port
    with pytest.raises(PrivateHost, match="HUB_ALLOW_PRIVATE_HOSTS"):
        check_address(f"http://{host}:{port}", private_hosts=())
    with pytest.raises(PrivateHost) as caught:
        connect(f"http://{host}:{port}", private_hosts=frozenset()).call(Call("GET", "/secret"))
    assert caught.value.__cause__ is not caught.value
    assert reached == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_closed_port_inside_cannot_be_told_from_an_open_one(connect: Connect, scheme: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(PrivateHost):
        connect(f"{scheme}://localhost:{port}", private_hosts=frozenset()).call(Call("GET", "/"))


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """DNS that gives one answer after another, the last for ever."""
    left, asked = list(answers), []

    def getaddrinfo(host: str, port: Any, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        address = left.pop(0) if len(left) > 1 else left[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port, 0, 0) if ":" in address else (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def ok(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b"{}"]


def test_a_public_name_that_leads_inside_is_refused(serve: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    port = urlsplit(serve(ok)).port
    resolve_to(monkeypatch, "127.0.0.1")
    with pytest.raises(PrivateHost):
        check_host("shop.example", 443, ())
    with pytest.raises(PrivateHost):
        connect(f"http://shop.example:{port}", private_hosts=frozenset()).call(Call("GET", "/"))


def test_dns_that_changes_its_mind_is_refused(serve: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    port = urlsplit(serve(ok)).port
    asked = resolve_to(monkeypatch, "93.184.215.14", "127.0.0.1")
    url = f"http://shop.example:{port}"
    check_address(url, private_hosts=())
    with pytest.raises(PrivateHost):
        connect(url, private_hosts=frozenset()).call(Call("GET", "/"))
    assert asked[:2] == ["shop.example", "shop.example"]


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(2, 1, 6, "", ("8.8.8.8", 443)), (2, 1, 6, "", ("10.0.0.1", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(PrivateHost):
        check_host("shop.example", 443, ())


def test_a_name_that_is_unknown_now_is_left_to_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    check_host("shop.example", 443, ())


def test_listed_hosts_are_allowed(serve: Any, connect: Connect) -> None:
    url = serve(ok)
    port = urlsplit(url).port
    for listed in ("127.0.0.1", f"127.0.0.1:{port}"):
        assert connect(url, private_hosts=frozenset({listed})).call(Call("GET", "/")).status == 200
        check_address(url, private_hosts=[listed])
    for other in ("127.0.0.2", "127.0.0.1:1", "localhost", "0.0.1", ""):
        with pytest.raises(PrivateHost):
            connect(url, private_hosts=frozenset({other})).call(Call("GET", "/"))
        with pytest.raises(PrivateHost):
            check_address(url, private_hosts=[other])


@pytest.mark.parametrize(
    ("host", "port", "listed"),
    [
        ("Shop.Local", 80, True),
        ("shop.local", 443, True),
        ("[::1]", 80, True),
        ("::1", 80, True),
        ("crm.local", 8080, True),
        ("crm.local", 80, False),
        ("crm.local", None, False),
        ("my.shop.local", 80, False),
    ],
)
def test_how_hosts_are_listed(host: str, port: int | None, listed: bool) -> None:
    assert is_listed(host, port, {"shop.local", "::1", "crm.local:8080"}) is listed


def test_the_refusal_is_an_input_error_for_people() -> None:
    error = PrivateHost("10.0.0.1")
    assert isinstance(error, Invalid)
    assert not isinstance(error, Unavailable)
    assert "10.0.0.1" in str(error)
    assert error.fields["url"]
