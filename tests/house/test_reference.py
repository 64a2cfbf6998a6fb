"""The tables of docs/errors.md and docs/reasons.md list exactly the codes that there are."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import hub
from hub.core.errors import HubError
from hub.mapping.convert import REASONS
from hub.rules import consent, scenario
from hub.services.consent import SHARED_ADDRESS
from hub.store.stopping import SCENARIO_STOPPED

ROOT = Path(__file__).parents[2]


def rows(page: str) -> list[list[tuple[str, list[str]]]]:
    """Each table's rows: the code, and its other cells."""
    tables: list[list[tuple[str, list[str]]]] = []
    for line in (ROOT / page).read_text("utf-8").splitlines():
        if re.match(r"\| -+", line):
            tables.append([])
        elif found := re.match(r"\| `(\w+)` \|(.*)\|$", line):
            tables[-1].append((found[1], [cell.strip() for cell in found[2].split("|")]))
    return tables


def codes(page: str, table: int) -> list[str]:
    return [code for code, _ in rows(page)[table]]


def kinds(kind: type[HubError]) -> Iterator[type[HubError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


def every_error() -> set[str]:
    for module in pkgutil.walk_packages(hub.__path__, "hub."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return {kind.code for kind in kinds(HubError) if kind.__module__.startswith("hub.")}


def test_every_error_code_is_documented() -> None:
    listed = codes("docs/errors.md", 0)
    assert sorted(listed) == sorted(every_error())


def test_every_code_of_the_quarantine_is_documented_with_its_words() -> None:
    table = dict(rows("docs/errors.md")[1])
    assert set(table) == {*REASONS, "rejected"}
    for code, (reason, _) in REASONS.items():
        assert table[code][0].startswith(reason), code


def constants(module: object) -> set[str]:
    found = {value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}
    return {value for value in found if re.fullmatch(r"[a-z_]+", value)}


def test_every_reason_of_a_decision_is_documented() -> None:
    listed = codes("docs/reasons.md", 0)
    assert sorted(listed) == sorted(constants(consent) | constants(scenario) | {SHARED_ADDRESS})


def test_every_reason_of_an_effect_is_documented() -> None:
    files = ("hub/services/delivery.py", "hub/services/settling.py", "hub/store/boxes.py")
    text = " ".join((ROOT / file).read_text("utf-8") for file in files).replace("\n", " ")
    given = re.findall(r'reason="([a-z_]+)"|\(effect, "(\w+)"\)|cancel_held\([^)]*"(\w+)", now\)', text)
    named = {name for names in given for name in names if name}
    named.add(SCENARIO_STOPPED)
    assert sorted(codes("docs/reasons.md", 1)) == sorted(named)
    assert len(named) == 5


def test_every_row_has_a_meaning_and_a_cure() -> None:
    for page in ("docs/errors.md", "docs/reasons.md"):
        for table in rows(page):
            assert table
            assert all(all(cells) for _, cells in table)


def test_every_audited_action_is_documented() -> None:
    """Literal actions of `note()`; the docs name no verb that the services do not know."""
    listed = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", (ROOT / "docs" / "audit.md").read_text("utf-8")))
    sources = {path: path.read_text("utf-8") for path in sorted((ROOT / "hub" / "services").glob("*.py"))}
    noted = {
        node.args[1].value
        for text in sources.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "note" and len(node.args) > 1
        if isinstance(node.args[1], ast.Constant)
    }
    assert noted - listed == set()
    every = "\n".join(sources.values())
    assert {action for action in listed if f'"{action}"' not in every and f'"{action.partition(".")[2]}"' not in every} <= {
        *(f"{kind}.exported" for kind in ("contacts", "quarantine", "audit")),
    }
