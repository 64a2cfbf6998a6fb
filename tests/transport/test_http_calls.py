"""Calls that go well, and how many are made at once."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import orjson
import pytest

from hub.core.errors import ContractBroken, Invalid, RateLimited, Unavailable
from hub.core.http import Answer, Call
from hub.core.types import Lane
from hub.transport import Http
from hub.transport.client import check_address, header_number

Connect = Callable[..., Http]


def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Says what it was asked; `?status=` sets the status, `?sleep=` waits."""
    asked = {
        "method": environ["REQUEST_METHOD"],
        "path": environ["PATH_INFO"],
        "query": environ["QUERY_STRING"],
        "type": environ.get("CONTENT_TYPE", ""),
        "accept": environ.get("HTTP_ACCEPT", ""),
        "agent": environ.get("HTTP_USER_AGENT", ""),
        "own": environ.get("HTTP_X_OWN", ""),
        "body": environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode(),
    }
    start_response("200 OK", [("Content-Type", "application/json"), ("X-Mixed-Case", "kept")])
    return [orjson.dumps(asked)]


class Counting(ThreadingHTTPServer):
    """An HTTP/1.1 server that keeps connections alive and counts how many it accepted."""

    daemon_threads = True

    def __init__(self) -> None:
        self.accepted = 0
        super().__init__(("127.0.0.1", 0), CountingHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.accepted += 1
        super().process_request(request, client_address)


class CountingHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, _, kind = self.path.strip("/").partition("-")
        body = b'{"value": "' + b"x" * 300_000 + b'"}'
        self.send_response(int(status))
        if kind == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for start in range(0, len(body), 50_000):
                piece = body[start : start + 50_000]
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
            return
        if kind == "gzip":
            self.send_header("Content-Encoding", "gzip")
            body = gzip.compress(body)
        if status == "204":
            body = b""
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def counting() -> Iterator[Counting]:
    with Counting() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url_of(server: Counting) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


@pytest.mark.parametrize("path", ["/200", "/200-chunked", "/200-gzip", "/204", "/429", "/500", "/404", "/302"])
def test_every_call_reuses_its_connection(counting: Counting, connect: Connect, path: str) -> None:
    http = connect(url_of(counting))
    for _ in range(10):
        answer = http._send(Call("GET", path))
        assert len(answer.body) in (0, 300_013)
    assert counting.accepted == 1


def test_calls_at_once_use_as_many_connections_as_threads(counting: Counting, connect: Connect) -> None:
    http = connect(url_of(counting), in_flight=4)
    assert len(list(http.call_ahead((Call("GET", "/200") for _ in range(60)), 4))) == 60
    assert counting.accepted <= 4


def test_what_is_sent(serve: Any, connect: Connect) -> None:
    http = connect(serve(echo) + "/wp-json/")
    sent = orjson.loads(http.call(Call("POST", "/x", {"page": 2, "q": "ą b&c"}, json={"a": 1}, headers={"X-Own": "1"})).body)
    assert sent["path"] == "/wp-json/x"
    assert sent["query"] == "page=2&q=%C4%85+b%26c"
    assert (sent["type"], sent["body"]) == ("application/json", '{"a":1}')
    assert (sent["accept"], sent["own"]) == ("application/json", "1")
    assert sent["agent"].startswith("hub/")
    form = orjson.loads(http.call(Call("POST", "/x", form={"a": "1 2"})).body)
    assert (form["type"], form["body"]) == ("application/x-www-form-urlencoded", "a=1+2")


def test_answers_have_lower_case_names_and_a_time(serve: Any, connect: Connect) -> None:
    answer = connect(serve(echo)).call(Call("GET", "/"))
    assert answer.headers["x-mixed-case"] == "kept"
    assert 0 < answer.elapsed < 5
    assert header_number({"a": "1.5", "b": "many"}, "a") == 1.5
    assert header_number({"a": "1.5", "b": "many"}, "b") is None
    assert header_number({}, "a") is None


def test_proxies_and_netrc_of_the_environment_are_ignored(
    serve: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert connect(serve(echo)).call(Call("GET", "/")).status == 200


class Budget:
    def __init__(self, allowed: int = 1000) -> None:
        self.allowed = allowed
        self.taken: list[Lane] = []
        self.learned: list[int] = []

    def take(self, lane: Lane) -> None:
        if len(self.taken) >= self.allowed:
            raise RateLimited(after=3.0, local=True)
        self.taken.append(lane)

    def learn(self, answer: Answer) -> None:
        self.learned.append(answer.status)


def test_the_budget_is_asked_before_and_told_after(counting: Counting, connect: Connect) -> None:
    budget = Budget(allowed=2)
    http = connect(url_of(counting), budget=budget)
    http.call(Call("GET", "/200", lane=Lane.URGENT))
    with pytest.raises(RateLimited):
        http.call(Call("GET", "/429"))
    with pytest.raises(RateLimited) as caught:
        http.call(Call("GET", "/200"))
    assert caught.value.local
    assert budget.taken == [Lane.URGENT, Lane.BULK]
    assert budget.learned == [200, 429]


class Turnstile:
    """Answers `/n` with n after a moment, later calls sooner; remembers how many were inside at once."""

    def __init__(self, bad: int = -1) -> None:
        self.inside = self.most = 0
        self.seen: list[int] = []
        self.bad = bad
        self.lock = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        number = int(environ["PATH_INFO"].strip("/"))
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.seen.append(number)
        time.sleep(0.02 + 0.02 * (number % 3 == 0))
        with self.lock:
            self.inside -= 1
        start_response("500 No" if number == self.bad else "200 OK", [("Content-Type", "application/json")])
        return [str(number).encode()]


def numbers(count: int) -> Iterator[Call]:
    return (Call("GET", f"/{number}") for number in range(count))


@pytest.mark.parametrize("width", [0, 1, 2, 4])
def test_calls_ahead_come_in_order_and_keep_the_width(serve: Any, connect: Connect, width: int) -> None:
    shop = Turnstile()
    http = connect(serve(shop))
    found = [int(answer.body) for answer in http.call_ahead(numbers(20), width)]
    assert found == list(range(20))
    assert shop.most == max(1, width)


def test_calls_ahead_stop_when_nobody_reads_on(serve: Any, connect: Connect) -> None:
    shop = Turnstile()
    answers = connect(serve(shop)).call_ahead(numbers(1000), 3)
    assert int(next(answers).body) == 0
    answers.close()  # type: ignore[attr-defined]
    await_no_threads()
    assert len(shop.seen) <= 4


def test_calls_ahead_raise_at_their_place(serve: Any, connect: Connect) -> None:
    shop = Turnstile(bad=5)
    found = []
    answers = connect(serve(shop)).call_ahead(numbers(100), 3)
    with pytest.raises(Unavailable):
        found.extend(int(answer.body) for answer in answers)
    assert found == [0, 1, 2, 3, 4]
    await_no_threads()
    assert max(shop.seen) <= 8


def test_calls_ahead_ask_for_calls_only_when_there_is_room(serve: Any, connect: Connect) -> None:
    asked = []

    def calls() -> Iterator[Call]:
        for number in range(10):
            asked.append(number)
            yield Call("GET", f"/{number}")

    answers = connect(serve(Turnstile())).call_ahead(calls(), 2)
    assert asked == []
    next(answers)
    assert asked == [0, 1, 2]
    assert len(list(answers)) == 9
    await_no_threads()


def await_no_threads() -> None:
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("ahead") for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a thread is left over"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "ftp://shop.example",
        "https://",
        "https://shop.example:port",
        "https://shop.example:99999",
        "https://user:password@shop.example",
        "https://shop.example/?page=1",
        "https://shop.example/#top",
        "file:///etc/passwd",
        "https://" + "a" * 64 + ".example",
        "https://shop..example",
    ],
)
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_address(url, private_hosts=())
    assert caught.value.fields["url"]


def test_an_address_that_is_one() -> None:
    check_address("https://shop.example/wp-json")


def test_a_judge_has_the_first_word(counting: Counting, connect: Connect) -> None:
    def judge(answer: Answer) -> ContractBroken | None:
        return ContractBroken("own words") if answer.status == 500 else None

    http = connect(url_of(counting), judge=judge)
    with pytest.raises(ContractBroken, match="own words") as caught:
        http.call(Call("GET", "/500"))
    assert (caught.value.connection, caught.value.status) == ("Shop", 500)
    with pytest.raises(RateLimited):
        http.call(Call("GET", "/429"))
