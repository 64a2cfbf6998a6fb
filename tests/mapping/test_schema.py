"""The compiled mapping and the marshmallow schema are one rule said twice: they agree on every record."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from hub.core.types import Target
from hub.mapping.apply import RecordInvalid, compile_reads, schema_for
from hub.mapping.dictionary import ReadMapping, load_reads

CONTACT = load_reads(
    """
[reads.people]
id = "id"
[reads.people.fields]
email = { from = ["email", "a.email"], transforms = ["deleted_is_empty"] }
phone = { from = ["a.phone", "phone"], country = "a.country" }
first_name = { from = "name", transforms = ["one_line", "plain_text"] }
last_name = { from = "name" }
company = { from = "list[key=a].value" }
city = { from = "list[0].value" }
country = { from = "a.country" }
registered_at = { from = "time" }
modified_at = { from = "stamp", transforms = ["zero_is_empty", "from_seconds"] }
""",
    "people",
    Target.CONTACT,
)
ORDER = load_reads(
    """
[reads.orders]
id = "id"
[reads.orders.fields]
number = { from = ["number", "id"] }
status = { from = "name" }
placed_at = { from = "time" }
currency = { from = "currency" }
total = { from = "total", currency = "currency", transforms = ["comma_decimal"] }
refunded = { from = ["list[].value", "other[]"], currency = "currency", transforms = ["absolute"] }
buyer_id = { from = "number", transforms = ["zero_is_empty"] }
items = { from = "list[]" }
""",
    "orders",
    Target.ORDER,
)
PRODUCT = load_reads(
    """
[reads.products]
id = "a.id"
[reads.products.fields]
name = { from = "name" }
price = { from = "total" }
categories = { from = ["list[].value", "other[]"] }
""",
    "products",
    Target.PRODUCT,
)

NASTY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**18, 10**20),
    st.floats(),
    st.floats(-1e6, 1e6),
    st.text(max_size=8),
    st.characters(categories=["Cs", "Cc", "Zs"]),
    st.sampled_from(
        ["", " ", "0", "-1", "0.00", "\0", "[deleted]", "[]", "<b>x</b>", "a&amp;b", "+5", "--1", "0000-00-00", [], {}]
    ),
)
AMOUNTS = st.from_regex(r"[+-]?[0-9]{1,21}([.,][0-9]{0,8})?", fullmatch=True) | st.decimals(-(10**6), 10**6, places=4).map(str)
TIMES = st.one_of(
    st.datetimes().map(lambda found: found.isoformat()),
    st.datetimes().map(lambda found: found.isoformat(sep=" ") + "Z"),
    st.datetimes(timezones=st.timezones()).map(lambda found: found.isoformat()),
    st.dates().map(lambda found: found.isoformat()),
    st.from_regex(
        r"2[0-9]{3}-[01][0-9]-[0-3][0-9][T x][0-2][0-9]:[0-6][0-9](:[0-6][0-9](\.[0-9]{1,10})?)?(Z|[+-][0-9:]{2,6})?",
        fullmatch=True,
    ),
    st.sampled_from(
        ["2026-W01-1T10:00:00", "20260102T030405", "2026-01-02T24:00:00", "2026-02-30T00:00:00", "0001-01-01T00:00:00+14:00"]
    ),
)
EMAILS = st.emails() | st.sampled_from(["Ola@Example.com ", "ola@żółć.pl", "a b@c.pl", "deleted@site.invalid", "a@b"])
PHONES = st.from_regex(r"(\+48|0048|48)? ?[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}( wew\. 2)?", fullmatch=True) | st.sampled_from(
    ["brak", "603123456"]
)
COUNTRIES = st.sampled_from(["PL", "de", "Polska", "CZ", "xx", "EU"])
CURRENCIES = st.sampled_from(["PLN", "pln ", "JPY", "HUF", "TND", "zł", "XXX"])


def mostly(good: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(good, good, good, NASTY)


ITEM = st.fixed_dictionaries(
    {}, optional={"key": st.sampled_from(["a", "b", 1, None]), "value": mostly(AMOUNTS | st.text(max_size=3))}
)
RAW = st.fixed_dictionaries(
    {"id": mostly(st.integers(1, 9) | st.text(min_size=1, max_size=3))},
    optional={
        "email": mostly(EMAILS),
        "phone": mostly(PHONES),
        "name": mostly(st.text(min_size=1, max_size=20)),
        "time": mostly(TIMES),
        "stamp": mostly(st.integers(0, 2 * 10**9) | st.integers(0, 10**12).map(str)),
        "number": mostly(st.integers(0, 99) | st.integers(0, 99).map(str)),
        "currency": mostly(CURRENCIES),
        "total": mostly(AMOUNTS),
        "list": mostly(st.lists(mostly(ITEM), max_size=3)),
        "other": mostly(st.lists(mostly(AMOUNTS), max_size=3)),
        "a": mostly(
            st.fixed_dictionaries(
                {"id": mostly(st.integers(1, 9))},
                optional={"email": mostly(EMAILS), "phone": mostly(PHONES), "country": mostly(COUNTRIES)},
            )
        ),
    },
)


def fast(mapping: ReadMapping, raw: Any) -> tuple[str, Any]:
    try:
        found = compile_reads(mapping, currency="PLN")(raw)
    except RecordInvalid as error:
        return "refused", {one.field: one.code for one in error.errors}
    return "taken", list({"id": found.external_id, **found.standard}.items())


def slow(mapping: ReadMapping, raw: Any) -> tuple[str, Any]:
    try:
        found = schema_for(mapping, currency="PLN").load(raw)
    except ValidationError as error:
        return "refused", {name: texts[0] for name, texts in error.normalized_messages().items()}
    return "taken", list(found.items())


@settings(max_examples=400, deadline=None)
@given(RAW | NASTY)
@example({"id": 1, "time": "2026-W01-1T10:00:00"})
@example({"id": 1, "total": "0,5", "currency": "JPY", "list": [{"value": "-0.5"}, {"value": "0.5"}]})
@example({"id": 1, "a": {"phone": "603123456", "country": "CZ"}})
@example({"id": "x" * 10_001, "name": "x" * 10_001})
def test_the_compiled_mapping_and_the_schema_agree(raw: Any) -> None:
    for mapping in (CONTACT, ORDER, PRODUCT):
        assert fast(mapping, raw) == slow(mapping, raw)
