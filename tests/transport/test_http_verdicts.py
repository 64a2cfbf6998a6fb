"""From status to error, and waiting times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from hub.core.errors import ContractBroken, PlatformError, RateLimited, ReauthorizeNeeded, Unavailable
from hub.core.http import Answer
from hub.transport.verdicts import LONGEST_WAIT, TABLE, Verdict, judge_answer, read_json, retry_after

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def answer(status: int, body: bytes = b"", **headers: str) -> Answer:
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body, 0.1)


def judge(status: int, body: bytes = b"", **headers: str) -> PlatformError:
    error = judge_answer(answer(status, body, **headers), connection="Shop", judge=None, now=NOW)
    assert error is not None
    assert (error.connection, error.status) == ("Shop", status)
    return error


@pytest.mark.parametrize("status", [200, 201, 202, 204, 207, 226])
def test_successes(status: int) -> None:
    assert judge_answer(answer(status), connection="Shop", judge=None, now=NOW) is None


EXPECTED = {
    ContractBroken: {100, 301, 302, 303, 307, 308, 304, 400, 404, 405, 406, 409, 410, 413, 414, 415, 418, 422, 451, 499},
    ReauthorizeNeeded: {401, 402, 403, 530},
    Unavailable: {408, 423, 425, 477, 500, 501, 502, 503, 504, 508, 520, 521, 522, 523, 524, 525, 526, 599},
    RateLimited: {429},
}


@pytest.mark.parametrize(("kind", "status"), [(kind, status) for kind, all_of in EXPECTED.items() for status in sorted(all_of)])
def test_every_status_has_its_error(kind: type[PlatformError], status: int) -> None:
    assert type(judge(status)) is kind


def test_the_table_is_tested_whole() -> None:
    assert set(TABLE) <= set().union(*EXPECTED.values())


def test_every_verdict_is_a_sentence() -> None:
    for status in set().union(*EXPECTED.values()):
        error = judge(status)
        assert error.message[0].isupper()
        assert f"HTTP {status}" in str(error)


@pytest.mark.parametrize(
    ("status", "after"), [(429, 10.0), (423, 2.0), (425, 5.0), (477, 600.0), (503, None), (500, None), (408, None)]
)
def test_waiting_times_without_the_vendors_word(status: int, after: float | None) -> None:
    error = judge(status)
    assert isinstance(error, Unavailable)
    assert error.after == after


@pytest.mark.parametrize("status", [429, 477, 503, 423])
def test_the_vendors_waiting_time_wins(status: int) -> None:
    error = judge(status, retry_after="17")
    assert isinstance(error, Unavailable)
    assert error.after == 17.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", None),
        ("  ", None),
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("nan", None),
        ("inf", LONGEST_WAIT),
        ("-inf", 0.0),
        ("86400", 86400.0),
        ("86401", 86400.0),
        ("9" * 400, 86400.0),
        ("soon", None),
        ("7 seconds", None),
        ("12:00", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        (format_datetime(NOW + timedelta(days=9), usegmt=True), 86400.0),
        ("Sunday, 22-Nov-26 12:01:30 GMT", 90.0),
        ("Sun Nov 22 12:01:30 2026", 90.0),
        ("Sun, 22 Nov 2026 13:01:30 +0100", 90.0),
        ("Sun, 99 Nov 2026 13:01:30 GMT", None),
        ("Sun, 22 Nov 2026 12:01:30 -0000", 90.0),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert retry_after(answer(429, retry_after=value), NOW) == seconds


def test_a_redirect_names_where_to_and_what_to_do() -> None:
    error = judge(301, location="https://www.shop.example/wp-json/")
    assert "https://www.shop.example/wp-json/" in str(error)
    assert "Put the final address into the setting «url»" in str(error)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message":"No such list"}', "HTTP 400, No such list"),
        (b'{"error_description":"bad","error":"x"}', "HTTP 400, bad"),
        (b'{"error":"x"}', "HTTP 400, x"),
        (b'{"message":{"text":"x"}}', "HTTP 400"),
        (b"[1]", "HTTP 400"),
        (b"<html>", "HTTP 400"),
        (b"\xff\xfe", "HTTP 400"),
        (b"", "HTTP 400"),
    ],
)
def test_the_vendors_own_words(body: bytes, words: str) -> None:
    assert judge(400, body).cause == words


def test_the_vendors_request_id_and_a_short_sample() -> None:
    error = judge(400, b"y" * 5000, x_hubspot_correlation_id="a436-1")
    assert isinstance(error, ContractBroken)
    assert error.request_id == "a436-1"
    assert error.sample == "y" * 2000


def test_a_sample_holds_no_secrets() -> None:
    error = judge(400, b'{"access_token": "abcdefghijk", "key": "ck_1234567890abcdef", "note": "kept"}')
    assert isinstance(error, ContractBroken)
    assert "abcdefghijk" not in error.sample
    assert "ck_1234567890" not in str(error.as_json())
    assert '"note": "…"' in error.sample


@pytest.mark.parametrize(
    ("body", "sample"),
    [
        ('{"email": "anna@x.pl", "id": 12345, "phone": 600700800.5}', '{"email": "…", "id": 12345, "phone": …}'),
        ('[{"a\\"b": "c\\"d", "tags": ["x"], "cut": "An\\', '[{"a\\"b": "…", "tags": ["…"], "cut": "…"'),
        ('{"anna@x.pl": null, "ok": true}', '{"…": null, "ok": true}'),
        ('Notice: x\n{"email": "anna@x.pl"', 'Notice: x\n{"email": "…"'),
        ('<b>Notice</b>: "x" 1234567 [{"name": "Anna"}]', '<b>Notice</b>: "x" 1234567 [{"name": "…"}]'),
        ('<p style="a: b">Error: "x" 1234567</p>', '<p style="a: b">Error: "x" 1234567</p>'),
    ],
)
def test_a_sample_of_json_keeps_only_the_shape(body: str, sample: str) -> None:
    error = judge(400, body.encode())
    assert isinstance(error, ContractBroken)
    assert error.sample == sample


def test_a_platforms_own_verdict() -> None:
    verdict = Verdict(Unavailable, "Maintenance", "Wait", after=33.0)
    error = judge_answer(answer(404), connection="Shop", judge=lambda _: verdict, now=NOW)
    assert isinstance(error, Unavailable)
    assert (error.message, error.cure, error.after) == ("Maintenance", "Wait", 33.0)


def test_json_is_read() -> None:
    assert read_json(answer(200, b'{"a": [1]}')) == {"a": [1]}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty"),
        (b"  \n ", "empty"),
        (b"<!DOCTYPE html><title>Checking your browser</title>", "web page"),
        (b"\n <html>", "web page"),
        (b'{"id": 1, "name": "An', "cut off"),
        (b"Notice: undefined index\n{}", "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON"),
    ],
)
def test_what_is_no_json_says_what_it_is(body: bytes, message: str) -> None:
    with pytest.raises(ContractBroken, match=message) as caught:
        read_json(answer(200, body), connection="Shop")
    assert caught.value.connection == "Shop"
    assert caught.value.sample == body.decode("utf-8", "replace").replace('"An', '"…"')
    assert "firewall" in caught.value.cure
