"""Documentation cannot lag: commands, options, exit codes, settings, links and files that the pages name exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import click
import pytest
import yaml

from hub.cli import hub
from hub.cli.output import EXIT_CODES, NOT_ALL_WELL, TERMINATED
from hub.core.settings import Settings, variable

ROOT = Path(__file__).parents[2]
WRITTEN = ("README.md", "CHANGELOG.md", "docs/**/*.md", "hub/runbooks/*.md", "hub/connectors/*/README.md")
PAGES = sorted(page for pattern in WRITTEN for page in ROOT.glob(pattern))
CLI = (ROOT / "docs/cli.md").read_text("utf-8")
FENCE = re.compile(r"^```\w*\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"(?:^\s*(?:[A-Z_]+=\S+ )*|bin/|exec \w+ )hub (?=[a-z-])([^|;&>]*)")
PLACEHOLDER = re.compile(r"…|[A-Z_]+(\.toml)?$")
TARGET = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMES = {variable(item.name) for item in fields(Settings)}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code_lines(text: str) -> Iterator[str]:
    """Lines of code blocks (fenced or indented), without comments, and what stands between backticks."""
    for block in FENCE.findall(text):
        yield from (line.split(" #")[0] for line in block.replace("\\\n", " ").splitlines())
    rest = FENCE.sub("", text)
    yield from (line for line in rest.splitlines() if line.startswith("    "))
    for line in rest.splitlines():
        yield from re.findall(r"`([^`]+)`", line)


def commands(text: str) -> Iterator[list[str]]:
    for line in code_lines(text):
        for found in COMMAND.findall(line):
            yield shlex.split(found.split(" (")[0].rstrip("."))


def strangeness(words: list[str]) -> str:
    """What is wrong with `hub <words>`, or nothing."""
    command: click.Command = hub
    context = click.Context(hub)
    while isinstance(command, click.Group) and words:
        if words[0].startswith("-"):
            break
        name = words.pop(0)
        if PLACEHOLDER.match(name):
            return ""
        found = command.get_command(context, name)
        if found is None:
            return f"there is no command «{name}»"
        command = found
    known = {flag for item in command.params for flag in (*item.opts, *item.secondary_opts)} | {"-h", "--help"}
    unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in known]
    return f"«{command.name}» has no option {unknown[0]}" if unknown else ""


def tree(command: click.Command, path: str = "hub") -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from tree(found, f"{path} {name}")


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", page.read_text("utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    wrong = {f"hub {' '.join(words)}": why for words in commands(page.read_text("utf-8")) if (why := strangeness(list(words)))}
    assert not wrong


def test_a_wrong_command_is_noticed() -> None:
    page = "```\n.venv/bin/hub fly --high\n```\nUse `hub sync shop --fast`, `hub runs`.\n\n    HUB_PORT=1 hub up --workers 2\n"
    found = list(commands(page))
    assert found == [["fly", "--high"], ["up", "--workers", "2"], ["sync", "shop", "--fast"], ["runs"]]
    assert [bool(strangeness(words)) for words in found] == [True, False, True, False]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for target in TARGET.findall(FENCE.sub("", page.read_text("utf-8"))):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / unquote(path)).resolve() if path else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            broken.append(target)
    assert not broken


def test_every_runbook_has_its_four_parts() -> None:
    for page in ROOT.glob("hub/runbooks/*.md"):
        text = page.read_text("utf-8")
        missing = [part for part in ("**You notice**", "## Check", "## Do", "## Over when") if part not in text]
        assert not missing, page.name


@pytest.mark.parametrize(("path", "command"), list(tree(hub)))
def test_every_command_and_option_is_documented(path: str, command: click.Command) -> None:
    by_platform = path.split()[1] in ("connect", "simulate")
    place = " ".join(path.split()[:2]) if by_platform else path
    assert f"### {place}\n" in CLI
    section = CLI.split(f"### {place}\n")[1].split("\n## ")[0].split("\n### ")[0]
    options = [flag for item in command.params for flag in (*item.opts, *item.secondary_opts) if flag.startswith("--")]
    assert [flag for flag in options if flag not in section] == []
    assert not by_platform or f"`{path.split()[2]}`" in section


def test_every_exit_code_is_documented() -> None:
    table = CLI.split("## Exit codes")[1].split("\n## ")[0]
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.M)}
    assert documented == {0, 1, 2, NOT_ALL_WELL, 130, TERMINATED} | {code for _, code in EXIT_CODES}


def test_every_setting_is_documented_with_its_default() -> None:
    rows = re.findall(r"^\| `(HUB_\w+)` \| (\S+) \| (.+) \|$", (ROOT / "docs/settings.md").read_text("utf-8"), re.M)
    assert {name: default for name, default, _ in rows} == {
        variable(item.name): _shown(getattr(Settings, item.name)) for item in fields(Settings)
    }
    assert len(rows) == len(NAMES)


def _shown(default: Any) -> str:
    if default == "" or default == frozenset():
        return "empty"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


DEPLOYMENT = ("compose.yaml", "Dockerfile", "deploy/hub.service", "deploy/hub.env.example", "docs/operations.md", "README.md")


@pytest.mark.parametrize("name", DEPLOYMENT)
def test_deployment_files_name_settings_that_exist(name: str) -> None:
    named = set(re.findall(r"\bHUB_[A-Z_]*[A-Z]\b", (ROOT / name).read_text("utf-8")))
    assert named <= NAMES


def test_compose_runs_what_exists() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    assert {"web", "worker", "schedule", "postgres", "redis"} <= set(services)
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= set(services), name
        if service.get("image", "").startswith("hub:") and "entrypoint" not in service:
            assert not strangeness(list(service["command"])), name
    assert services["web"]["command"][0] == "hub.app:wsgi()"
    assert "127.0.0.1:8321" in services["web"]["command"]


def test_compose_publishes_nothing_to_the_world() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service.get("ports", ()))


def test_image_takes_what_exists() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text("utf-8"), re.M)
    assert [name for line in copied for name in line.split() if not (ROOT / name).exists()] == []


def test_readme_names_its_two_commands() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    for page in PAGES:
        named = [line for line in code_lines(page.read_text("utf-8")) if line.lstrip().startswith("make ")]
        assert {line.split()[1] for line in named if line.split()[1].isalpha()} <= targets, name_of(page)
    first_screen = (ROOT / "README.md").read_text("utf-8").splitlines()[:20]
    assert {"make demo", "make test"} <= {" ".join(line.split()[:2]) for line in first_screen}
