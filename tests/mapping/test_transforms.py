from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.mapping.transforms import TRANSFORMS


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("absolute", "-12.00", "12.00"),
        ("absolute", -3, 3),
        ("absolute", -1.5, 1.5),
        ("absolute", "-x", "-x"),
        ("absolute", True, True),
        ("zero_is_empty", 0, None),
        ("zero_is_empty", 0.0, None),
        ("zero_is_empty", "0", None),
        ("zero_is_empty", "0.00", None),
        ("zero_is_empty", "000000000", None),
        ("zero_is_empty", "0000-00-00 00:00:00", None),
        ("zero_is_empty", "10", "10"),
        ("zero_is_empty", False, False),
        ("deleted_is_empty", "[deleted]", None),
        ("deleted_is_empty", "deleted@site.invalid", None),
        ("deleted_is_empty", "Ola", "Ola"),
        ("lower", "ABC", "abc"),
        ("upper", "abc", "ABC"),
        ("upper", 5, 5),
        ("one_line", "a\n b\t\tc", "a b c"),
        ("plain_text", "<b>Kawa</b> &amp; herbata", "Kawa & herbata"),
        ("comma_decimal", "1 234,56", "1234.56"),
        ("comma_decimal", "1\u00a0234", "1234"),
        ("comma_decimal", "12,5", "12.5"),
        ("comma_decimal", "1.234,56", "1.234,56"),
        ("comma_decimal", 5, 5),
        ("from_seconds", 1763800000, "2025-11-22T08:26:40+00:00"),
        ("from_seconds", "1763800000", "2025-11-22T08:26:40+00:00"),
        ("from_milliseconds", "1763800000000", "2025-11-22T08:26:40+00:00"),
        ("from_seconds", 10**18, 10**18),
        ("from_seconds", "soon", "soon"),
    ],
)
def test_a_transform_does_what_it_says(name: str, value: Any, expected: Any) -> None:
    found = TRANSFORMS[name](value)
    assert found == expected
    assert type(found) is type(expected)


@given(
    st.sampled_from(sorted(TRANSFORMS)),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()) | st.just({}),
)
def test_a_transform_never_fails(name: str, value: Any) -> None:
    TRANSFORMS[name](value)


def test_each_transform_says_what_it_is_for() -> None:
    assert all(transform.__doc__ for transform in TRANSFORMS.values())
