"""docs/mapping.md names every transform, type and error code, and its examples work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.core.types import Target
from hub.mapping.convert import REASONS
from hub.mapping.dictionary import load_reads, load_writes
from hub.mapping.files import TYPES
from hub.mapping.transforms import TRANSFORMS

PAGE = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text("utf-8")


@pytest.mark.parametrize("name", [*TRANSFORMS, *TYPES, *REASONS])
def test_each_name_has_its_row(name: str) -> None:
    assert f"| `{name}` |" in PAGE


def test_the_examples_can_be_loaded() -> None:
    text = "\n".join(re.findall(r"```toml\n(.*?)```", PAGE, re.S))
    assert len(load_reads(text, "customers", Target.CONTACT).rules) == 4
    orders = load_reads(text, "orders", Target.ORDER)
    assert len(orders.rules) == 9
    assert len(orders.consents) == 1
    assert load_writes(text, "contacts").key == "email"
