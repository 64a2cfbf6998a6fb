"""House rule: every text that a person may read is translated into every language, with the same places."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hub.core.texts import LANGUAGES


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("house_extract", Path(__file__).with_name("extract.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["house_extract"] = module
    spec.loader.exec_module(module)
    return module


house = _load()


@pytest.mark.parametrize("lang", LANGUAGES[1:])
def test_every_text_is_translated_with_its_places(lang: str) -> None:
    wrong = house.problems(lang, house.extract())
    advice = f"Run python tests/house/extract.py and fill in hub/core/texts/{lang}.po"
    assert not wrong, "\n".join([advice, *wrong])


SAMPLE = """
MESSAGE = "From a constant"

class Sad(Refused):
    message = "From a class"
    cure: str = "From its cure"

class Own(Sad):
    def __init__(self):
        super().__init__("From super", cure="Cure from super")

def explain():
    if x:
        return "From a function", "Its cure"
    return "Another", again

def act(flag):
    wrong = "From a name"
    message, cure = explain()
    first, second = "One of two", "Two of two"
    N_("From a mark")
    say_many("{n} dog", "{n} dogs", 3, lang)
    raise Own("Yes" if flag else "No", cure=first or second, fields={"a": wrong, "b": f"not {this}"}, subject="not this")
    raise Invalid(message, cure=cure)
    raise Invalid(MESSAGE)
    Verdict(Unavailable, "From a verdict", "Cure of a verdict", after=1)
    Credential("url", "Meaning of a credential", example="not this")
    print("not this")
"""


def test_texts_are_found_wherever_they_are_written() -> None:
    tree = ast.parse(SAMPLE)
    found = house.Found()
    house.Reader(tree, house.error_classes([tree]) | {"Refused", "Sad", "Own", "Invalid"}, "sample.py", found).read()
    assert set(found.texts) == {
        "From a constant", "From a class", "From its cure", "From super", "Cure from super", "From a function", "Its cure",
        "Another", "From a name", "One of two", "Two of two", "From a mark", ("{n} dog", "{n} dogs"), "Yes", "No",
        "From a verdict", "Cure of a verdict", "Meaning of a credential",
    }  # fmt: skip


def test_texts_are_found_in_templates(tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "web" / "templates"
    folder.mkdir(parents=True)
    (folder / "a.html").write_text("<p>{{ _('Hello {name}', name=x) }} {% trans %}Bye{% endtrans %}</p>")
    assert set(house.extract(tmp_path / "hub").texts) == {"Hello {name}", "Bye"}


def test_errors_are_known_by_what_they_derive_from() -> None:
    tree = ast.parse("class B(A): pass\nclass A(errors.HubError): pass\nclass C: pass")
    assert house.error_classes([tree]) == {"HubError", "A", "B"}


def test_a_missing_or_different_translation_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(house, "CATALOGS", tmp_path)
    found = house.Found({"New {x}": {"a.py"}, "Old": {"a.py"}, ("{n} dog", "{n} dogs"): {"a.py"}})
    assert house.update("pl", found) == 3
    path = tmp_path / "pl.po"
    text = path.read_text("utf-8")
    assert [line for line in house.problems("pl", found) if line.startswith("no translation")] != []
    text = text.replace('msgid "New {x}"\nmsgstr ""', 'msgid "New {x}"\nmsgstr "Nowe {y}"')
    text = text.replace('msgid "Old"\nmsgstr ""', 'msgid "Old"\nmsgstr "Stare"')
    for index, form in enumerate(("{n} pies", "{n} psy", "{n} psów")):
        text = text.replace(f'msgstr[{index}] ""', f'msgstr[{index}] "{form}"')
    path.write_text(text, "utf-8")
    assert house.problems("pl", found) == ["other places: 'New {x}' → 'Nowe {y}'"]
    assert house.update("pl", found) == 0
    assert path.read_text("utf-8") == text
