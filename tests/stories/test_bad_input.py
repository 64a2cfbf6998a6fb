"""What a person gets to read when something is wrong: the field or setting, the cure, and never a secret."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stories.conftest import Hub

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


def test_the_console_stays_on_this_machine(hub: Hub) -> None:
    assert "HUB_HOST" in refuse(hub, "up", expect=8, HUB_HOST="0.0.0.0")
    assert "HUB_HOST" in refuse(hub, "serve", expect=8, HUB_HOST="192.168.1.5")


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
