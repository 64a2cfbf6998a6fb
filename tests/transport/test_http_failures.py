"""Networks and servers that misbehave: each becomes an error that says what happened and what to do."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
import requests
import responses

from hub.core.errors import ContractBroken, Invalid, Unavailable
from hub.core.http import Call
from hub.transport import Http, read_json
from hub.transport.simulation import Faults

Connect = Callable[..., Http]
GET = Call("GET", "/wp-json")


def shop(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    return [b'{"id": 1, "name": "An example", "token": "abcdefghijkl"}']


def test_a_redirect_is_not_followed(serve: Any, connect: Connect) -> None:
    with pytest.raises(ContractBroken, match=r"https://elsewhere\.example/.*«url»"):
        connect(serve(Faults(shop, [("redirect", 1.0)]))).call(GET)


@pytest.mark.parametrize(("fault", "message"), [("html", "web page"), ("truncate", "cut off")])
def test_what_is_no_json(serve: Any, connect: Connect, fault: str, message: str) -> None:
    http = connect(serve(Faults(shop, [(fault, 1.0)])))
    with pytest.raises(ContractBroken, match=message) as caught:
        read_json(http.call(GET))
    assert caught.value.sample
    assert "abcdefghijkl" not in caught.value.sample


def test_an_answer_that_ends_too_early_is_not_taken_for_whole(serve: Any, connect: Connect) -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        connect(serve(Faults(shop, [("drop", 1.0)]))).call(GET)


@pytest.mark.parametrize("status", ["429", "503"])
def test_faults_with_a_waiting_time(serve: Any, connect: Connect, status: str) -> None:
    with pytest.raises(Unavailable) as caught:
        connect(serve(Faults(shop, [(status, 1.0)], retry_after="42"))).call(GET)
    assert caught.value.after == 42.0


def test_a_silent_server(raw_serve: Any, connect: Connect) -> None:
    http = connect(raw_serve(lambda sock: time.sleep(3)), read_timeout=0.3)
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1 did not answer in time"):
        http.call(GET)
    assert time.monotonic() - began < 2.0


def drip(head: bytes, piece: bytes) -> Callable[[socket.socket], None]:
    def send(sock: socket.socket) -> None:
        sock.sendall(head)
        for _ in range(100):
            sock.sendall(piece)
            time.sleep(0.05)

    return send


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08\0\0\0\0\0\0\x03", b"\0"),
    ],
    ids=["length", "chunked", "until close", "gzip"],
)
def test_a_body_that_drips_has_a_deadline(raw_serve: Any, connect: Connect, head: bytes, piece: bytes) -> None:
    http = connect(raw_serve(drip(head, piece)), read_timeout=0.4)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        http.call(GET)
    assert time.monotonic() - began < 2.0


def test_a_body_that_stops_is_a_time_out(raw_serve: Any, connect: Connect) -> None:
    def send(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{")
        time.sleep(3)

    with pytest.raises(Unavailable, match="did not answer in time"):
        connect(raw_serve(send), read_timeout=0.3).call(GET)


@pytest.mark.parametrize("gzipped", [False, True])
def test_a_body_that_is_too_large(serve: Any, connect: Connect, gzipped: bool) -> None:
    import gzip

    def large(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = b"0" * 3_000_000
        encoding = [("Content-Encoding", "gzip")] if gzipped else []
        start_response("200 OK", [("Content-Type", "application/json"), *encoding])
        return [gzip.compress(body) if gzipped else body]

    url = serve(large)
    with pytest.raises(Unavailable, match="larger than 1000000 bytes") as caught:
        connect(url, largest_body=1_000_000).call(GET)
    assert caught.value.after == 600.0
    assert caught.value.connection == "Shop"
    assert len(connect(url, largest_body=3_000_000).call(GET).body) == 3_000_000


@pytest.mark.parametrize(
    "words", [b"", b"\x00\x01\x02", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}"]
)
def test_what_is_no_web_server(raw_serve: Any, connect: Connect, words: bytes) -> None:
    with contextlib.suppress(Unavailable):  # «Content-Length: many» is read to the end, like browsers do
        assert connect(raw_serve(lambda sock: sock.sendall(words))).call(GET).body in (b"{}", words)


def test_a_damaged_compression(raw_serve: Any, connect: Connect) -> None:
    words = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"
    with pytest.raises(Unavailable, match="cannot be reached"):
        connect(raw_serve(lambda sock: sock.sendall(words))).call(GET)


def test_a_port_where_nobody_listens(connect: Connect) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(Unavailable, match="refuses the connection") as caught:
        connect(f"http://127.0.0.1:{port}").call(GET)
    assert "Check the port" in str(caught.value)


def test_a_name_that_does_not_exist(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unavailable, match=r"The name shop\.exmaple does not exist.*typing mistake"):
        connect("https://shop.exmaple").call(GET)


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "shop..example"])
def test_a_name_that_cannot_exist(connect: Connect, name: str) -> None:
    with pytest.raises(Invalid, match="no such host name"):
        connect(f"https://{name}").call(GET)


def test_plain_http_where_tls_is_expected(raw_serve: Any, connect: Connect) -> None:
    url = raw_serve(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    with pytest.raises(Unavailable, match=r"certificate of 127\.0\.0\.1.*HUB_CA_BUNDLE"):
        connect(url.replace("http://", "https://")).call(GET)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            requests.exceptions.SSLError("certificate has expired"),
            r"certificate of shop\.example cannot be trusted.*has expired",
        ),
        (requests.exceptions.ConnectTimeout("slow"), r"shop\.example did not answer in time"),
        (requests.exceptions.ReadTimeout("slow"), r"shop\.example did not answer in time"),
        (requests.exceptions.ConnectionError("Connection refused"), r"shop\.example refuses the connection"),
        (requests.exceptions.ConnectionError("reset by peer"), r"shop\.example cannot be reached"),
        (requests.exceptions.ChunkedEncodingError("broken"), r"shop\.example cannot be reached"),
        (requests.exceptions.ContentDecodingError("broken"), r"shop\.example cannot be reached"),
        (OSError("no route"), r"shop\.example cannot be reached: no route"),
    ],
)
def test_what_requests_says(connect: Connect, error: Exception, message: str) -> None:
    with responses.RequestsMock() as mock:
        mock.get("https://shop.example/wp-json", body=error)
        with pytest.raises(Unavailable, match=message) as caught:
            connect("https://shop.example").call(GET)
    assert caught.value.connection == "Shop"
    assert caught.value.__cause__ is not caught.value
