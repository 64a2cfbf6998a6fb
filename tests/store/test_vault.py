"""Secrets at rest: bound to their connection and name, readable with older keys, and nowhere in clear."""

from __future__ import annotations

import base64
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from hub.core.errors import SetupError
from hub.core.redact import redact
from hub.services import connections
from hub.services.tokens import VaultTokens
from hub.store import vault
from hub.store.db import reading, transaction
from hub.store.vault import Vault, read_keys

OLD, NEW = b"o" * 32, b"n" * 32
ONE, OTHER = "00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=200), max_size=5))
def test_what_is_sealed_opens_again(values: dict[str, str]) -> None:
    sealer = Vault((NEW,))
    key_id, sealed = sealer.seal(ONE, "credentials", values)
    assert sealer.open(ONE, "credentials", key_id, sealed) == values
    for value in values.values():
        if len(value.encode()) >= 8:
            assert value.encode() not in sealed


def test_the_same_values_are_never_sealed_alike() -> None:
    sealer = Vault((NEW,))
    assert len({sealer.seal(ONE, "token", {"a": "b"}) for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "change",
    [
        lambda key_id, sealed: (OTHER, "credentials", key_id, sealed),
        lambda key_id, sealed: (ONE, "token", key_id, sealed),
        lambda key_id, sealed: (ONE, "credentials", "0" * 16, sealed),
        lambda key_id, sealed: (ONE, "credentials", key_id, sealed[:-1]),
        lambda key_id, sealed: (ONE, "credentials", key_id, sealed[:-1] + bytes([sealed[-1] ^ 1])),
        lambda key_id, sealed: (ONE, "credentials", key_id, bytes([sealed[0] ^ 1]) + sealed[1:]),
        lambda key_id, sealed: (ONE, "credentials", key_id, b""),
    ],
    ids=["connection", "name", "key", "shorter", "changed", "nonce", "empty"],
)
def test_what_was_moved_or_changed_does_not_open(change: Callable[..., Any]) -> None:
    sealer = Vault((NEW,))
    key_id, sealed = sealer.seal(ONE, "credentials", {"secret": "geheimnis"})
    with pytest.raises(SetupError) as caught:
        sealer.open(*change(key_id, sealed))
    assert caught.value.subject == "HUB_SECRET_KEY"
    assert "geheimnis" not in str(caught.value)


def test_rotated_keys_open_what_is_old_and_seal_with_the_new() -> None:
    old, both, new = Vault((OLD,)), Vault((NEW, OLD)), Vault((NEW,))
    key_id, sealed = old.seal(ONE, "token", {"a": "b"})
    assert both.open(ONE, "token", key_id, sealed) == {"a": "b"}
    fresh = both.seal(ONE, "token", {"a": "c"})
    assert new.open(ONE, "token", *fresh) == {"a": "c"}
    with pytest.raises(SetupError):
        old.open(ONE, "token", *fresh)


@pytest.mark.parametrize(
    "setting",
    ["short", "§", base64.b64encode(b"x" * 31).decode(), base64.b64encode(b"x" * 32).decode() + ",", "=" * 44, "AAAA,AAAA"],
)
def test_a_broken_key_is_named(setting: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError) as caught:
        Vault(read_keys(setting, tmp_path))
    assert caught.value.subject == "HUB_SECRET_KEY"
    assert "base64" in str(caught.value)
    assert setting not in str(caught.value)


def test_the_key_file_is_made_once_and_for_the_owner_alone(tmp_path: Path, in_processes: Callable[..., set[bytes]]) -> None:
    keys = in_processes(tmp_path / "data")
    assert len(keys) == 1, "several processes that start at once share one key"
    path = tmp_path / "data" / "secret.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["secret.key"]
    assert read_keys("", tmp_path / "data") == (keys.pop(),)


@pytest.fixture
def in_processes() -> Callable[[Path], set[bytes]]:
    """The keys that some processes find at once."""

    def run(folder: Path) -> set[bytes]:
        found = []
        for _ in range(6):
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                os.write(writer, read_keys("", folder)[0])
                os._exit(0)
            os.close(writer)
            found.append((child, reader))
        keys = set()
        for child, reader in found:
            keys.add(os.read(reader, 64))
            os.close(reader)
            os.waitpid(child, 0)
        return keys

    return run


def test_nothing_stands_in_clear_in_the_database(context: Any, connected: Any) -> None:
    pair = connected()
    pair.run_sync("woocommerce")
    secrets = [value for served in (pair.shop, pair.crm) for name, value in served.credentials().items() if name != "url"]
    secrets += list(pair.crm.simulator.gate.access)
    secrets.remove(pair.crm.credentials()["client_id"])  # no secret: it stands in every authorization address
    assert len(secrets) == 5
    with reading() as session:
        names = sa.inspect(session.connection()).get_table_names()
        dump = "\n".join(str(row) for name in names for row in session.execute(sa.text(f"SELECT * FROM {name}")))
    if context.settings.sql_url.startswith("sqlite"):
        path = Path(context.settings.sql_url.removeprefix("sqlite:///"))
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint")
        connection.close()
        dump += path.read_bytes().decode("latin-1")
    assert "Sklep" in dump or "shop" in dump
    assert [secret for secret in secrets if secret in dump] == []


def test_opened_secrets_are_hidden_from_then_on(context: Any, connected: Any) -> None:
    pair = connected()
    secret = pair.shop.credentials()["secret"]
    with reading() as session:
        values, version = vault.load_secret(session, context.vault, pair.shop_id, "credentials")
    assert (values["secret"], version) == (secret, 1)
    assert secret not in redact(f"it was {secret}")
    assert pair.shop.url in redact(f"at {pair.shop.url}"), "an address is no secret"


def test_nothing_stored_is_nothing(context: Any) -> None:
    with reading() as session:
        assert vault.load_secret(session, context.vault, ONE, "credentials") == ({}, 0)


def test_of_many_refreshers_one_wins(context: Any, connected: Any, in_threads: Any) -> None:
    """Each read version 1 and comes with a token of its own: the row's version lets one of them in."""
    pair = connected()
    store = VaultTokens(context, pair.crm_id)
    token = store.load()
    assert token.version == 1

    def replace(number: int) -> bool:
        with transaction() as session:
            values = {"access": f"access-{number}", "refresh": "r", "expires_at": ""}
            return vault.replace_secret(session, context.vault, pair.crm_id, "token", values, replacing=token.version)

    results = in_threads(*[lambda number=number: replace(number) for number in range(6)])
    assert sorted(results) == [False] * 5 + [True]
    after = store.load()
    assert after.version == 2
    assert after.access == f"access-{results.index(True)}"


def test_connecting_again_replaces_the_credentials_and_keeps_the_rest(context: Any, connected: Any) -> None:
    pair = connected()
    again = connections.connect(context, "woocommerce", pair.shop.credentials())
    assert (again.new, again.connection.id) == (False, pair.shop_id)
    with reading() as session:
        assert vault.load_secret(session, context.vault, pair.shop_id, "credentials")[1] == 2
        assert session.scalar(sa.select(sa.func.count()).select_from(vault.secret)) == 3
