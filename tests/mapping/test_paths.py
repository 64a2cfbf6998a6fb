from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.mapping.paths import Misplaced, as_text, collects, compile_path, parse_path, paths_of, plain_path, walk

RAW: dict[str, Any] = {
    "id": 7,
    "billing": {"phone": "1", "empty": None},
    "php": [],
    "text": "x",
    "refunds": [{"total": "-1"}, {"total": None}, {}],
    "meta_data": [5, {"key": "a", "value": 1}, {"key": "_wc_other/hub/x.y", "value": "yes"}, {"key": 3, "value": "three"}],
    "orders": [{"rows": [{"id": 1}, {"id": 2}]}, {"rows": []}, {}, {"rows": [{"id": 3}]}],
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("id", 7),
        ("nothing", None),
        ("billing.phone", "1"),
        ("billing.empty", None),
        ("billing.empty.deep", None),
        ("php.phone", None),
        ("nothing.phone", None),
        ("refunds[].total", ["-1", None, None]),
        ("php[]", []),
        ("nothing[].x", None),
        ("refunds[0].total", "-1"),
        ("refunds[9].total", None),
        ("meta_data[key=_wc_other/hub/x.y].value", "yes"),
        ("meta_data[key=3].value", "three"),
        ("meta_data[key=zzz].value", None),
        ("meta_data[key=a]", {"key": "a", "value": 1}),
        ("orders[].rows[].id", [1, 2, 3]),
    ],
)
def test_a_path_leads_to_its_value(path: str, expected: object) -> None:
    assert walk(RAW, parse_path(path)) == expected
    assert compile_path(path)(RAW) == expected


@pytest.mark.parametrize(
    "path", ["text.deep", "id.deep", "text[]", "billing[]", "billing[0]", "text[key=a].value", "text[key=a].b.c"]
)
def test_another_shape_is_said_and_not_guessed(path: str) -> None:
    with pytest.raises(Misplaced):
        walk(RAW, parse_path(path))
    with pytest.raises(Misplaced):
        compile_path(path)(RAW)


@pytest.mark.parametrize(
    "path", ["", ".", "a.", ".a", "a..b", "a[", "a]", "a[]b", "a[x]", "a[=x]", " a", "a .b", "a[0", "a[-1]", "a[][]"]
)
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError):
        parse_path(path)


PLAIN = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "b", " a ", "1"])
JSON = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "key"]), inner, max_size=3)
)
PATHS = st.sampled_from(
    [
        "a",
        "a.b",
        "a.b.key",
        "a[]",
        "a[].b",
        "a[0]",
        "a[1].b",
        "a[key=a].b",
        "a[key=1].b",
        "a[key=].b",
        "a[key=true]",
        "a[].b[].key",
    ]
)


@given(st.dictionaries(st.sampled_from(["a", "b", "key"]), JSON, max_size=3), PATHS)
def test_the_compiled_path_gives_what_the_walk_gives(raw: dict[str, Any], path: str) -> None:
    def outcome(read: Any) -> object:
        try:
            return read()
        except Misplaced:
            return Misplaced

    assert outcome(lambda: compile_path(path)(raw)) == outcome(lambda: walk(raw, parse_path(path)))


def test_values_compare_as_people_write_them() -> None:
    assert [as_text(value) for value in (" 1 ", 1, True, False, None, 1.5, [], {})] == [
        "1",
        "1",
        "true",
        "false",
        "",
        "1.5",
        "",
        "",
    ]


def test_known_paths_come_from_samples() -> None:
    found = paths_of([RAW])
    assert {"billing.phone", "refunds[]", "refunds[].total", "meta_data[].value", "orders[].rows[].id"} <= found
    assert plain_path("meta_data[key=x].value") in found
    assert collects("a[].b")
    assert not collects("a[0].b")
