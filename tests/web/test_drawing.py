"""Pure functions of the pages: charts, formats, veils."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.web import charts, formats
from hub.web.admin.decisions import shares
from hub.web.privacy import veil, veil_value

NOW = datetime(2026, 11, 22, 19, 30, tzinfo=UTC)
batches = st.lists(st.tuples(st.integers(0, 10_000), st.floats(0, 100)), max_size=1000)


@given(batches)
def test_bars_lose_nothing(given: list[tuple[int, float]]) -> None:
    numbered = [(number, records, seconds) for number, (records, seconds) in enumerate(given, start=1)]
    bars = charts.gather(numbered)
    assert len(bars) <= charts.MOST_BARS
    assert sum(bar.records for bar in bars) == sum(records for records, _ in given)
    assert [number for bar in bars for number in range(bar.first, bar.last + 1)] == list(range(1, len(given) + 1))
    top = charts.round_up(max((bar.rate for bar in bars), default=0))
    drawing = ElementTree.fromstring(charts.columns(bars, top, "Title", lambda bar: f"<{bar.first}>"))
    heights = [float(rect.attrib["height"]) for rect in drawing.iter("rect")]
    assert all(0 < height <= charts.HEIGHT for height in heights)


@given(st.floats(0.001, 1e9))
def test_the_axis_ends_just_above(value: float) -> None:
    top = charts.round_up(value)
    assert value <= top * 1.000001
    assert top <= value * 10.000001


def test_share_bars_show_even_the_smallest_share() -> None:
    assert 'width="0.60"' in charts.share_bar(0.0001)
    assert 'width="0.00"' in charts.share_bar(0)
    assert 'width="100.00"' in charts.share_bar(2)


def test_shares_put_what_is_allowed_first() -> None:
    found = shares({(False, "withdrawn"): 1, (True, "allowed"): 2, (False, "no_consent"): 5})
    assert [(one.reason, one.share) for one in found] == [("allowed", 0.25), ("no_consent", 0.625), ("withdrawn", 0.125)]
    assert shares({}) == []


@pytest.mark.parametrize(
    ("seconds", "english", "polish"),
    [
        (0.0042, "5 ms", "5 ms"),
        (4.24, "4.2 secs", "4,2 sek."),
        (59.4, "59 secs", "59 sek."),
        (60, "1 min", "1 min"),
        (200, "3 mins 20 secs", "3 min 20 sek."),
        (3599.9, "60 mins", "60 min"),
        (7500, "2 hrs 5 mins", "2 godz. 5 min"),
        (90_000, "1 day 1 hr", "1 dzień 1 godz."),
    ],
)
def test_durations(seconds: float, english: str, polish: str) -> None:
    assert formats.duration(seconds, "en").replace("\xa0", " ") == english
    assert formats.duration(seconds, "pl").replace("\xa0", " ") == polish


def test_numbers_and_shares() -> None:
    assert formats.number(1234567, "en") == "1,234,567"
    assert formats.number(1234567, "pl").replace("\xa0", " ") == "1 234 567"
    assert [formats.percent(share, "en") for share in (0, 0.0001, 0.5, 0.99999, 1)] == ["0%", "0.1%", "50%", "99.9%", "100%"]


def test_moments_name_their_zone() -> None:
    warsaw = datetime.fromisoformat("2026-11-22T20:28:00+01:00")
    assert formats.clock(warsaw, "en") == "22 Nov 2026, 19:28 UTC"
    assert formats.clock(warsaw, "pl") == "22 lis 2026, 19:28 UTC"
    assert formats.ago(warsaw, NOW, "en") == "2 minutes ago"
    assert formats.ago(warsaw, NOW, "pl") == "2 minuty temu"
    assert formats.ago(NOW, NOW, "en") == "1 second ago"
    assert formats.ago(NOW + timedelta(minutes=5), NOW, "pl") == "za 5 minut"
    assert formats.moment(None, NOW, "en") == "–"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("anna.nowak@example.com", "a…@example.com"),
        ("<Anna> anna+x@example.com, b@c.pl", "<Anna> a…@example.com, b…@c.pl"),
        ("to:żółw@przykład.pl.", "to:ż…@przykład.pl."),
        ("GET /c?email=anna%40example.com&x=1", "GET /…%40example.com&x=1"),
        ("o'brien/a=b@example.com", "o…@example.com"),
        ("broken anna@@localhost", "broken a…@@localhost"),
        ("no address here", "no address here"),
        ("token=abcdef123", "token=[hidden]"),
    ],
)
def test_veil(text: str, shown: str) -> None:
    assert veil(text) == shown


@given(st.emails())
def test_no_address_stays_readable(email: str) -> None:
    local = email.split("@")[0]
    assert len(local) < 2 or email not in veil(f"Mail {email} bounced")


@pytest.mark.parametrize("word", ["a", "ck_", "%40", "%", "a@", "a%", "://:", "%40a", "@", "a.b-"])
def test_no_text_takes_long(word: str) -> None:
    started = time.perf_counter()
    veil(word * (100_000 // len(word)))
    assert time.perf_counter() - started < 2


def test_veil_of_records() -> None:
    raw = {
        "billing": {"phone": "+48 600 700 800", "email": "jan@example.com"},
        "customer_ip_address": "10.1.2.3",
        "mobile": 600700800,
        "phones": [{"number": "600700800"}],
        "order_key": "wc_order_abc",
        "ok": True,
        "n": 5,
        "jan@example.com": 1,
    }
    assert veil_value(raw) == {
        "billing": {"phone": "…00", "email": "j…@example.com"},
        "customer_ip_address": "….3",
        "mobile": "…00",
        "phones": [{"number": "…00"}],
        "order_key": "[hidden]",
        "ok": True,
        "n": 5,
        "j…@example.com": 1,
    }
