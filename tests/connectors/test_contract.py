"""One suite for every platform folder: what a connector promises, whatever it connects to."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hub import connectors
from hub.core import errors
from hub.core.connector import Connector, Outcome, Outgoing, Page, Verb
from hub.core.types import Target

NAMES = connectors.names()
MODULES = ("__init__", "auth", "client", "schema", "webhooks", "simulator")
READERS = [(name, stream.name) for name in NAMES for stream in connectors.load(name).DECLARATION.streams if stream.reads]
WRITERS = [(name, stream.name) for name in NAMES for stream in connectors.load(name).DECLARATION.streams if stream.writes]
FAULTS = {
    "429": errors.RateLimited,
    "500": errors.Unavailable,
    "503": errors.Unavailable,
    "drop": errors.Unavailable,
    "html": errors.ContractBroken,
    "truncate": errors.ContractBroken,
    "redirect": errors.ContractBroken,
}
SIZES = {"woocommerce": {"customers": 250}}
"""Options that give the simulator more than one page."""

platform = pytest.mark.parametrize("name", NAMES)


def recordings(name: str) -> list[Path]:
    return sorted((connectors.folder(name) / "recordings").rglob("*.json"))


@platform
def test_folder_has_the_required_files(name: str) -> None:
    folder = connectors.folder(name)
    found = {module.name for module in pkgutil.iter_modules([str(folder)])} | {"__init__"}
    assert set(MODULES) <= found
    assert (folder / "mapping.toml").is_file()
    assert (folder / "README.md").is_file()
    assert recordings(name)


@platform
def test_only_simulators_import_simulators(name: str) -> None:
    for file in connectors.folder(name).glob("*.py"):
        text = file.read_text()
        if file.name.startswith("simulator"):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom):
                assert "simulator" not in (node.module or ""), file.name
                assert not any(alias.name.startswith("simulator") for alias in node.names), file.name


@platform
def test_declaration_is_complete(name: str) -> None:
    declared = connectors.load(name).DECLARATION
    assert declared.name == name
    assert declared.title
    assert Verb.CHECK in declared.can
    assert {one.name for one in declared.auth}
    assert all(one.meaning for one in declared.auth)
    assert any(one.secret for one in declared.auth)
    assert len({one.name for one in declared.streams}) == len(declared.streams)
    assert any(stream.reads for stream in declared.streams) == (Verb.READ in declared.can)
    assert any(stream.writes for stream in declared.streams) == (Verb.WRITE in declared.can)
    assert bool(declared.automations) == (Verb.TRIGGER in declared.can)
    assert all(stream.target is None or isinstance(stream.target, Target) for stream in declared.streams)
    assert declared.limits.in_flight >= 1


@platform
def test_recordings_say_when_and_where_they_come_from(name: str) -> None:
    for file in recordings(name):
        loaded = json.loads(file.read_text())
        if isinstance(loaded, list):
            loaded = json.loads((file.parent / "SOURCE.json").read_text())
        assert loaded["source"], file.name
        assert loaded["evidence"], file.name
        assert loaded["dated"][:2] == "20", file.name


@platform
def test_readme_mentions_each_stream_and_credential(name: str) -> None:
    text = (connectors.folder(name) / "README.md").read_text()
    declared = connectors.load(name).DECLARATION
    for stream in declared.streams:
        assert f"`{stream.name}`" in text
    for one in declared.auth:
        assert one.name in text.replace("-", "_")


@platform
def test_mapping_parses_and_names_only_declared_streams(name: str) -> None:
    mapping = tomllib.loads((connectors.folder(name) / "mapping.toml").read_text())
    declared = connectors.load(name).DECLARATION
    for kind, flag in (("reads", "reads"), ("writes", "writes")):
        for stream in mapping.get(kind, {}):
            assert getattr(declared.stream(stream), flag)
    for stream in declared.streams:
        if stream.reads:
            assert mapping["reads"][stream.name]["fields"]


@platform
def test_simulator_options_have_defaults_and_meanings(name: str) -> None:
    options = importlib.import_module(f"hub.connectors.{name}.simulator").OPTIONS
    assert all(option.meaning and isinstance(option.default, option.kind) for option in options)


@platform
def test_check_says_which_account_it_is(name: str, open_bench: Any) -> None:
    checked = open_bench(name).connect().check()
    assert checked.account_id
    assert checked.account_name
    json.dumps([checked.facts, checked.options])


@platform
def test_wrong_credentials_name_the_field_and_hide_the_value(name: str, open_bench: Any) -> None:
    bench = open_bench(name)
    secret = {one.name for one in connectors.load(name).DECLARATION.auth if one.secret}
    given = {field: value for field, value in bench.credentials().items() if field in secret}
    for field, value in given.items():
        wrong = value[:3] + "x" * (len(value) - 3)
        with pytest.raises(errors.Invalid) as caught:
            bench.connect(**{field: wrong}).check()
        assert field in caught.value.fields
        told = str(caught.value) + json.dumps(caught.value.as_json())
        assert wrong not in told
        assert not any(right in told for right in given.values())


@platform
@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_is_the_right_error(name: str, kind: str, open_bench: Any) -> None:
    connector = open_bench(name, faults=[(kind, 1.0)]).connect()
    declared = connectors.load(name).DECLARATION
    reads = next((stream.name for stream in declared.streams if stream.reads), None)
    attempt = (lambda: next(iter(connector.read(reads, None)))) if reads else connector.check
    with pytest.raises(FAULTS[kind]) as caught:
        attempt()
    assert caught.value.connection == "test"
    if kind in ("429", "503"):
        assert caught.value.after == 7.0


@platform
def test_undeclared_verbs_and_unknown_streams_are_refused(name: str, open_bench: Any) -> None:
    connector = open_bench(name).connect()
    stream = connector.declaration.streams[0].name
    tries = {
        Verb.READ: lambda: list(connector.read(stream, None)),
        Verb.WRITE: lambda: connector.write(stream, []),
        Verb.TRIGGER: lambda: connector.trigger("list:1", []),
        Verb.RECEIVE: lambda: connector.receive({}, b""),
    }
    for verb, attempt in tries.items():
        if verb not in connector.declaration.can:
            with pytest.raises(errors.Refused, match=connector.declaration.title):
                attempt()
    if Verb.READ in connector.declaration.can:
        with pytest.raises(errors.Refused, match="no-such-stream"):
            list(connector.read("no-such-stream", None))
    if Verb.WRITE in connector.declaration.can:
        with pytest.raises(errors.Refused, match="no-such-stream"):
            connector.write("no-such-stream", [])


def ids(pages: list[Page]) -> list[Any]:
    return [record["id"] for page in pages for record in page.records]


@pytest.mark.parametrize(("name", "stream"), READERS)
def test_reading_twice_and_resuming_anywhere_loses_nothing(name: str, stream: str, open_bench: Any) -> None:
    connector: Connector = open_bench(name, **SIZES.get(name, {})).connect()
    pages = list(connector.read(stream, None))
    everything = ids(pages)
    assert everything
    assert len(everything) == len(set(everything))
    for at, page in enumerate(pages):
        written = json.dumps(page.cursor)
        assert len(written) <= 4096
        if page is not pages[-1]:
            rest = ids(list(connector.read(stream, json.loads(written))))
            assert set(ids(pages[: at + 1])) | set(rest) == set(everything)
    again = list(connector.read(stream, pages[-1].cursor))
    assert again
    assert len(again) <= len(pages)
    assert set(ids(again)) <= set(everything)


@pytest.mark.parametrize(("name", "stream"), WRITERS)
def test_writing_nothing_makes_no_call(name: str, stream: str, open_bench: Any) -> None:
    bench = open_bench(name)
    assert bench.connect().write(stream, []) == []
    assert bench.simulator.state()["calls"] == 0


@pytest.mark.parametrize(("name", "stream"), [one for one in WRITERS if one[1] == "contacts"])
def test_writes_answer_in_order_and_are_safe_to_repeat(name: str, stream: str, open_bench: Any) -> None:
    bench = open_bench(name)
    connector = bench.connect()
    emails = [f"osoba{at}@example.com" for at in range(5)]
    records = [Outgoing(f"key-{at}", {"email": email}, idempotency_key=f"i-{at}") for at, email in enumerate(emails)]
    first = connector.write(stream, records)
    second = connector.write(stream, records[::-1])
    assert [one.outcome for one in first] == [Outcome.CREATED] * 5
    assert all(one.outcome in (Outcome.UPDATED, Outcome.UNCHANGED) for one in second)
    assert [one.remote_id for one in second] == [one.remote_id for one in first][::-1]
    assert bench.simulator.state()["contacts"] == 5


def deliveries(name: str, simulator: Any) -> list[tuple[dict[str, str], bytes]]:
    """Signed webhook deliveries: recorded ones, or one that the simulator signs over recorded events."""
    found = []
    for file in recordings(name):
        if file.name.startswith("webhook"):
            loaded = json.loads(file.read_text())
            request = loaded.get("received") or loaded.get("request")
            if isinstance(request, dict) and "raw_body" in request:
                found.append((request["headers"], request["raw_body"].encode()))
            elif isinstance(request, dict):
                found.append(simulator.webhook("https://hub.example/hook", request["body"]))
    return found


@platform
def test_receive_refuses_a_tampered_body(name: str, open_bench: Any) -> None:
    if Verb.RECEIVE not in connectors.load(name).DECLARATION.can:
        pytest.skip("takes no webhooks")
    bench = open_bench(name)
    connector = bench.receiver()
    signed = deliveries(name, bench.simulator)
    assert signed
    for headers, body in signed:
        for changed in (body + b" ", body.replace(b":", b": ", 1), b""):
            with pytest.raises(errors.Refused):
                connector.receive(headers, changed)
