from __future__ import annotations

import itertools
import random
import string

import phonenumbers
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hub.core import normalize
from hub.core.normalize import country, currency, email, minor_digits, name_key, phone, phone_by_library


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Ola.Kowalska+sklep@Example.COM ", "ola.kowalska+sklep@example.com"),
        ("ola@żółć.pl", "ola@xn--kda4b0koi.pl"),
        ("ola@FASS.de", "ola@fass.de"),
        ("ola@faß.de", "ola@xn--fa-hia.de"),
        ("ZAŻÓŁĆ@example.com", "zażółć@example.com"),
        ("zaz\u0307o\u0301ł@example.com", "zażół@example.com"),
        ("\ufeffola@example.com\u200b", "ola@example.com"),
        ("a..b.@docomo.example", "a..b.@docomo.example"),
        (f"{'a' * 64}@example.com", f"{'a' * 64}@example.com"),
        (f"a@{'b' * 63}.pl", f"a@{'b' * 63}.pl"),
    ],
)
def test_an_address_has_one_spelling(text: str, expected: str) -> None:
    assert email(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "ola", "@", "ola@", "@example.com", "ola@example", "ola kowalska@example.com", "ola@exam ple.com",
        "ola@@example.com",
        "ola@a@b.pl", "ola@example..com", "ola@.com", "ola@example.com.", "ola@-a.com", "ola@a-.com", "ola@1.2.3.4",
        "ola@[1.2.3.4]",
        '"ola"@example.com', "Ola <ola@example.com>", "ola,ala@example.com", "ola@exa_mple.com", "ol\x00a@example.com",
        "ol\na@example.com", "żó\u200bł@example.com", "ż\ud800@example.com", f"{'a' * 65}@example.com",
        f"{'ż' * 33}@example.com",
        f"a@{'b' * 64}.pl", f"a@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.{'f' * 60}.pl", "ola@żół\u0000ć.pl", "ola@xn--ż.pl",
    ],
)  # fmt: skip
def test_what_is_no_address_is_none(text: str) -> None:
    assert email(text) is None


@given(st.emails() | st.text() | st.from_regex(r"\w{1,5}@\w{1,5}\.\w{2,3}", fullmatch=True))
def test_a_normal_address_stays_as_it_is(text: str) -> None:
    found = email(text)
    if found is not None:
        assert email(found) == found
        assert found.count("@") == 1
        assert found.partition("@")[2].isascii()
        assert len(found.encode()) <= 254


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+48 533 333 309", "+48533333309"),
        ("0048 533 333 309", "+48533333309"),
        ("(+48) 503 703 701", "+48503703701"),
        ("559 259 144 wew. 2", "+48559259144"),
        ("559 259 144, wewn 12", "+48559259144"),
        ("559 259 144 w. 2", "+48559259144"),
        ("559259144 ext 2", "+48559259144"),
        ("48575308587", "+48575308587"),
        ("0048575308587", "+48575308587"),
        ("565-431-979", "+48565431979"),
        ("22 123 45 67", "+48221234567"),
        ("５７５３０８５８７", "+48575308587"),
        ("+49 170 1234567", "+491701234567"),
        ("brak", None),
        ("", None),
        ("000000000", None),
        ("004-855-555", None),
        ("4848575308587", None),
        ("1234", None),
        ("9" * 300, None),
    ],
)
def test_a_number_has_one_spelling(text: str, expected: str | None) -> None:
    assert phone(text) == expected


def test_a_number_without_country_code_is_read_in_its_country() -> None:
    assert phone("603 123 456", "CZ") == "+420603123456"
    assert phone("0170 1234567", "DE") == "+491701234567"
    assert phone("0170 1234567", "") is None
    assert phone("+48 533 333 309", "") == "+48533333309"
    assert phone("533 333 309", "pl") == "+48533333309"


_DIGITS = st.text("0123456789", min_size=7, max_size=11)
_SPELLED = st.tuples(
    st.sampled_from(
        [
            "",
            "+",
            "+48",
            "+48 ",
            "0048",
            "00 48-",
            "48",
            "48 ",
            "4848",
            "(48)",
            "(+48) ",
            "(+48",
            "0",
            "-",
            " ",
            "tel. ",
            "tel: ",
            "TEL.:",
            "telefon ",
            "tel",
            "tel. +48 ",
            "nr ",
        ]
    ),
    st.lists(
        st.text("0123456789", min_size=1, max_size=4)
        | st.sampled_from([" ", "-", "--", "  ", ".", "(", ")", ":", "/", "tel", "+", "533", "22", "48"]),
        max_size=9,
    ),
    st.sampled_from(["", " ", "-", " wew. 2", "x"]),
).map(lambda parts: parts[0] + "".join(parts[1]) + parts[2])


@given(_SPELLED | _DIGITS | st.text(" -+0123456789wx.", max_size=20))
@example("48-123-456-7")
@example("+48 481234567")
@example("-533333309")
@example("5 3 3 3 3 3 3 0 9")
@example("(+48) 533-333-309")
@example("tel. 533 333 309")
@example("tel: +48 533 333 309")
@example("533:333:309")
@example("tel. tel. 533333309")
@example("brak")
def test_the_short_cut_gives_what_the_library_gives(text: str) -> None:
    assert phone(text) == phone_by_library(text)


def test_the_short_cut_is_right_for_every_kind_of_polish_number() -> None:
    choose = random.Random(7)
    for prefix in range(100, 1000):
        rest = f"{choose.randrange(10**6):06}"
        for text in (f"{prefix}{rest}", f"+48 {prefix} {rest[:3]} {rest[3:]}", f"0048{prefix}-{rest}"):
            assert phone(text) == phone_by_library(text)


@given(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
def test_a_found_number_is_its_own_spelling(region: str) -> None:
    sample = phonenumbers.example_number(region)
    found = phone(phonenumbers.format_number(sample, phonenumbers.PhoneNumberFormat.NATIONAL), region)
    if found is not None:
        assert phone(found) == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PL", "PL"), ("pl", "PL"), ("POL", "PL"), (" Polska ", "PL"), ("Poland", "PL"), ("Niemcy", "DE"),
        ("Deutschland", "DE"),
        ("Україна", "UA"), ("uk", "GB"), ("UK", "GB"), ("USA", "US"), ("Stany Zjednoczone", "US"), ("Česko", "CZ"),
        ("XK", "XK"),
        ("EU", None), ("ZZ", None), ("", None), ("12", None), ("Atlantyda", None), ("ŻŁ", None),
    ],
)  # fmt: skip
def test_a_country_is_a_code_of_two_letters(text: str, expected: str | None) -> None:
    assert country(text) == expected


def test_two_letters_are_known_without_the_names_of_all_languages() -> None:
    for text in map("".join, itertools.product(string.ascii_letters, repeat=2)):
        assert normalize.country(text) == normalize._countries().get(text.lower()), text


def test_a_currency_is_a_code_of_three_letters() -> None:
    assert [currency(text) for text in (" pln", "EUR", "zł", "", "XXX", "PLNN")] == ["PLN", "EUR", None, None, None, None]


def test_minor_units_follow_iso_4217_where_cldr_differs() -> None:
    assert [minor_digits(code) for code in ("PLN", "JPY", "HUF", "TND", "CLF", "RSD", "ISK")] == [2, 0, 2, 3, 4, 2, 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Łukasz  Żółć-Nowak", "lukasz zolc nowak"),
        ("ŁUKASZ\u00a0Zolc–Nowak", "lukasz zolc nowak"),
        ("O'Connor", "o connor"),
        ("Straße", "strasse"),
        ("Øystein Æ.", "oystein ae"),
        ("", ""),
    ],
)
def test_names_compare_without_case_and_diacritics(text: str, expected: str) -> None:
    assert name_key(text) == expected


@given(st.text())
@example("𝐀")
def test_a_name_key_is_its_own_key(text: str) -> None:
    assert name_key(name_key(text)) == name_key(text)
