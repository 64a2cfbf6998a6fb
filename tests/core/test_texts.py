from __future__ import annotations

import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import Invalid, NotFound, Unavailable
from hub.core.texts import LANGUAGES, N_, choose_language, error_text, say, say_many
from hub.core.types import Target
from hub.mapping.dictionary import load_reads
from hub.mapping.files import InvalidMapping


def test_a_text_is_said_in_the_language_with_its_places_filled() -> None:
    assert say("There is no platform «{name}»", "pl", name="x") == "Nie ma platformy „x”"
    assert say("There is no platform «{name}»", "en", name="x") == "There is no platform «x»"


def test_what_has_no_translation_and_an_unknown_language_stay_english() -> None:
    assert say("Nobody says this", "pl") == "Nobody says this"
    assert say("There is no such thing", "xx") == "There is no such thing"
    assert say("", "pl") == ""
    assert N_("a") == "a"


def test_places_without_a_value_stay_and_values_are_not_read_again() -> None:
    assert say("{a} {b}", "en", a="{c}") == "{c} {b}"


def test_numbers_choose_their_form() -> None:
    assert say_many("{n} dog", "{n} dogs", 1, "en") == "1 dog"
    assert say_many("{n} dog", "{n} dogs", 0, "en") == "0 dogs"


def test_an_error_is_said_whole() -> None:
    error = NotFound("There is no platform «{name}»", cure="Use one of: {known}", name="x", known="a, b", cause="because")
    assert error_text(error, "en") == "There is no platform «x»: because: Use one of: a, b"
    assert error_text(error, "pl") == "Nie ma platformy „x”: because: Użyj jednej z tych nazw: a, b"
    assert error_text(Unavailable(subject="shop"), "pl").endswith("shop: Hub sam spróbuje ponownie")


def test_each_wrong_field_has_its_line() -> None:
    error = Invalid("The address cannot be used", fields={"url": "The port in the address is not a number"})
    assert error_text(error, "pl") == "Tego adresu nie można użyć\n  url: Port w adresie nie jest liczbą"


def test_fields_with_their_own_params_are_said_in_the_language() -> None:
    text = '[reads.customers]\nid = "id"\n[reads.customers.fields]\nemial = { from = "email" }'
    with pytest.raises(InvalidMapping) as caught:
        load_reads(text, "customers", Target.CONTACT)
    assert "  reads.customers.fields.emial: Hub nie ma takiego pola: czy chodziło o email?" in error_text(caught.value, "pl")
    again = pickle.loads(pickle.dumps(caught.value))
    assert error_text(again, "pl") == error_text(caught.value, "pl")


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ("pl-PL,pl;q=0.9,en;q=0.8", "pl"),
        ("de,en;q=0.5,pl;q=0.7", "pl"),
        ("en-GB, pl;q=0.9", "en"),
        ("pl_PL.UTF-8", "pl"),
        ("pl", "pl"),
        ("C.UTF-8", "en"),
        ("", "en"),
        ("*", "en"),
        ("pl;q=0", "en"),
        ("pl;q=x,en;q=0.1", "en"),
        ("PL", "pl"),
    ],
)
def test_the_best_language_is_chosen(wishes: str, expected: str) -> None:
    assert choose_language(wishes) == expected


@given(st.text())
def test_any_wish_gives_a_language(wishes: str) -> None:
    assert choose_language(wishes) in LANGUAGES


def test_a_hostile_wish_takes_no_time() -> None:
    started = time.perf_counter()
    for wish in ("en-" + " " * 8000 + ";x", "en" + " " * 8000 + ";q" + " " * 8000 + "x", "en;" + "q=" * 4000):
        assert choose_language(wish) == "en"
    assert time.perf_counter() - started < 1
