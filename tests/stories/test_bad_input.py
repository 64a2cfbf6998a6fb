"""What a person gets to read when something is wrong: the field or setting, the cure, and never a secret."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.stories.conftest import Hub, children_of, wait_for

pytestmark = pytest.mark.story

SECRET = "cs_" + "7" * 40


@pytest.fixture
def shop(hub: Hub) -> dict[str, Any]:
    return hub.simulate("woocommerce")


def refuse(hub: Hub, *arguments: str, expect: int = 3, **environ: str) -> str:
    text = hub.run(*arguments, expect=expect, **environ).stderr
    assert "Traceback" not in text
    assert SECRET not in text
    return text


def connect(hub: Hub, url: str, key: str = "ck_" + "1" * 40, **rest: Any) -> str:
    return refuse(hub, "connect", "woocommerce", "--url", url, "--key", key, "--secret", SECRET, **rest)


def test_wrong_addresses_name_the_setting(hub: Hub, shop: dict[str, Any]) -> None:
    assert "url" in connect(hub, "http://127.0.0.1:9")
    assert "url" in connect(hub, "https://no-such-name.invalid")
    assert "url" in connect(hub, "ftp://shop.example")
    assert "url" in connect(hub, "http://[::1")
    assert "url" in connect(hub, f"http://admin:{SECRET}@shop.example")
    private = connect(hub, shop["url"], HUB_ALLOW_PRIVATE_HOSTS="")
    assert "HUB_ALLOW_PRIVATE_HOSTS" in private


def test_wrong_keys_name_the_key(hub: Hub, shop: dict[str, Any]) -> None:
    assert "key" in connect(hub, shop["url"])
    assert "secret" in connect(hub, shop["url"], key=shop["credentials"]["key"])
    missing = refuse(hub, "connect", "woocommerce", "--url", shop["url"])
    assert "key" in missing
    assert "secret" in missing


def test_the_same_in_polish(hub: Hub, shop: dict[str, Any]) -> None:
    assert "klucz" in connect(hub, shop["url"], HUB_LANGUAGE="pl").lower()
    assert "Nie ma połączenia" in refuse(hub, "sync", "nic", HUB_LANGUAGE="pl")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HUB_LEASE", "abc"),
        ("HUB_LEASE", "3"),
        ("HUB_DATABASE_URL", "mysql://x/y"),
        ("HUB_DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:9/x"),
        ("HUB_REDIS_URL", "http://x"),
        ("HUB_SECRET_KEY", "short"),
        ("HUB_LANGUAGE", "xx"),
        ("HUB_NAMESPACE", "a b"),
        ("HUB_WRONG_NAME", "1"),
    ],
)
def test_wrong_settings_are_named(hub: Hub, variable: str, value: str) -> None:
    assert variable in refuse(hub, "runs", expect=8, **{variable: value})


def test_a_console_open_to_others_without_https_warns(hub: Hub) -> None:
    up = hub.start("up", "--port", "0", "--workers", "1", HUB_HOST="0.0.0.0", HUB_SYNC_EVERY="0")
    assert up.stderr is not None
    assert "HUB_PUBLIC_URL" in up.stderr.readline()
    assert "http://0.0.0.0:" in up.stderr.readline()
    up.terminate()
    assert up.wait(timeout=60) == 0


def test_a_shop_that_answers_nonsense_keeps_what_was_read(hub: Hub) -> None:
    """HTML, cut-off answers and errors now and then: the sync waits, goes on and ends with everything."""
    served = hub.simulate("woocommerce", "--fault", "html:0.05", "--fault", "truncate:0.05", "--fault", "500:0.05")
    good = hub.simulate("woocommerce")
    assert served["credentials"] == good["credentials"]
    for _ in range(10):
        flags = ("--url", served["url"], "--key", good["credentials"]["key"], "--secret", good["credentials"]["secret"])
        try:
            hub.run("connect", "woocommerce", *flags)
            break
        except AssertionError:
            continue
    told = hub.json("sync", "woocommerce")
    assert {run["stream"]: run["state"] for run in told["runs"]} == {
        "customers": "done",
        "orders": "done",
        "products": "done",
    }
    assert (told["counts"]["customers"], told["counts"]["orders"]) == (207, 408)


def test_scenario_files_are_checked(hub: Hub, tmp_path: Any) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("key = 'x'\nname = ")
    assert "TOML" in refuse(hub, "scenario", "publish", str(file))
    file.write_text('key = "x y"\nname = "x"\nchannel = "fax"\n')
    text = refuse(hub, "scenario", "publish", str(file))
    for field in ("key", "channel", "segment", "connection", "topic", "automation"):
        assert field in text


def test_wrong_options_of_a_simulator_are_named(hub: Hub) -> None:
    text = refuse(hub, "simulate", "woocommerce", "--timezone", "Mars/X", "--customers", "-1")
    assert "timezone" in text
    assert "customers" in text
    assert "--limit" in refuse(hub, "runs", "--limit", "0", expect=2)


def test_a_second_demo_is_refused(hub: Hub, database: str) -> None:
    """By the lock beside its folder; on PostgreSQL by one in the database too, whatever the folder."""
    environ = {"HUB_DATABASE_URL": database} if database.startswith("postgresql") else {}
    data = Path(hub.environ["HUB_DATA"])
    first = hub.start("demo", "--once", "--customers", "20000", **environ)
    wait_for(lambda: (data / "demo" / "demo.log").exists(), every=0.02)
    assert "HUB_DATA" in refuse(hub, "demo", "--once", expect=8, **environ)
    if environ:
        assert "HUB_DATABASE_URL" in refuse(hub, "demo", "--once", expect=8, HUB_DATA=str(data / "other"), **environ)
    first.terminate()
    assert first.wait(60) == 143


def test_sync_does_not_wait_for_ever(hub: Hub, shop: dict[str, Any]) -> None:
    hub.connect("woocommerce", shop)
    hub.stack.close()  # the shop is gone
    told = hub.json("sync", "woocommerce", "--wait", "1", expect=4)
    assert (told["runs"][0]["state"], told["runs"][0]["error"]["code"]) == ("waiting", "unavailable")
    assert "hub up" in refuse(hub, "sync", "woocommerce", "--wait", "1", expect=4)


def test_sigterm_leaves_nothing_behind(hub: Hub) -> None:
    hub.connect("woocommerce", hub.simulate("woocommerce", "--latency", "3s"))
    sync = hub.start("sync", "woocommerce")
    wait_for(lambda: len(children_of(sync.pid)) >= 3)  # Redis, scheduler, worker
    children = children_of(sync.pid)
    sync.terminate()
    assert sync.wait(60) == 143
    assert not [line for pid, line in children if os.path.exists(f"/proc/{pid}")]
