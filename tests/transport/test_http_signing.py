"""The base string of a signature (RFC 5849 §3.4.1) is Authlib's, character by character."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit

from authlib.oauth1.rfc5849.signature import construct_base_string
from hypothesis import given
from hypothesis import strategies as st

from hub.transport.signing import base_string

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
OAUTH = [("oauth_consumer_key", "ck_1"), ("oauth_nonce", "a1b2"), ("oauth_timestamp", "1700000000"), ("oauth_version", "1.0")]
ADDRESSES = st.sampled_from(
    [
        "http://shop.example/wp-json/wc/v3/customers",
        "http://SHOP.example:80/a%20b",
        "https://shop.example:8443/x;y",
        "http://a.b",
    ]
)


@given(st.sampled_from(["GET", "post"]), ADDRESSES, st.lists(st.tuples(WORDS, WORDS), max_size=6))
def test_it_is_the_same_for_every_query(method: str, address: str, query: list[tuple[str, str]]) -> None:
    pairs = [(name, value) for name, value in query if not name.startswith("oauth_") and name != "realm"]
    url = f"{address}?{urlencode(pairs)}" if pairs else address
    sent = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    assert base_string(method, url, OAUTH) == construct_base_string(method, url, [*sent, *OAUTH])
