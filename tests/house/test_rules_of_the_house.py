"""The house rules of docs/architecture.md that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "hub").rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 300, 60
TOO_LONG = {
    "hub/store/boxes.py": 310,
    "hub/connectors/hubspot/simulator.py": 310,
    "hub/connectors/woocommerce/simulator.py": 310,
}
LONG_FUNCTIONS = {"hub/services/connections.py: connect": 64}
"""To be split; they may not grow."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in SOURCES:
        yield name_of(path), ast.parse(path.read_text("utf-8"))


def test_the_floors_hold() -> None:
    """In a process of its own: the linter silences every logger that exists, and other tests read logs."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_files_stay_short() -> None:
    lengths = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > TOO_LONG.get(name, LONGEST_FILE)} == {}


def test_functions_stay_short() -> None:
    lengths = {
        f"{name}: {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: length for name, length in lengths.items() if length > LONG_FUNCTIONS.get(name, LONGEST_FUNCTION)} == {}


SLEEPERS = ("hub/cli/", "hub/transport/simulation.py", "hub/store/redis_server.py")
"""The last one waits for a server process to start or end; `hub up` calls it, a worker never does."""


def test_nothing_sleeps_in_a_worker() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in trees()
        if not name.startswith(SLEEPERS)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == "sleep")
        or (isinstance(node, ast.ImportFrom) and node.module == "time" and any(one.name == "sleep" for one in node.names))
    ]
    assert found == []


CATCHERS = ("hub/jobs/", "hub/cli/", "hub/store/redis_server.py")
"""The doors; and the look for a bundled server, which must survive whatever a package says on a machine it does not know."""


def test_only_doors_catch_everything() -> None:
    found = []
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and not name.startswith(CATCHERS):
                caught = ast.unparse(node.type) if node.type else ""
                if not caught or re.search(r"\b(Base)?Exception\b", caught):
                    found.append(f"{name}:{node.lineno}")
    assert found == []


VAGUE = re.compile(r"_?(handle|process|manage)_")


def test_names_say_what_is_done() -> None:
    vague = [
        f"{name}: {node.name}"
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and VAGUE.match(node.name)
        and node.name not in ("process_bind_param", "process_result_value")  # SQLAlchemy's own names
    ]
    modules = [name_of(path) for path in SOURCES if re.search(r"util|helper|misc|common", path.stem)]
    assert vague + modules == []


def test_the_store_never_commits() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in trees()
        if name.startswith("hub/store/") and name != "hub/store/db.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "commit"
    ]
    assert found == []


def test_the_environment_is_read_in_one_place() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in trees()
        if name != "hub/core/settings.py" and not name.startswith("hub/cli/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") and ast.unparse(node.value) == "os"
    ]
    assert found == []


def test_pure_floors_take_the_time_as_an_argument() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in trees()
        if name.startswith(("hub/rules/", "hub/mapping/"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("datetime.now", "time.time", "datetime.utcnow")
    ]
    assert found == []
