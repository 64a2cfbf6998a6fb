"""Connecting a shop: every mistake has its own sentence at its own field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hub.connectors.woocommerce import auth, build
from hub.core import errors
from hub.core.connector import Account
from hub.core.http import Auth
from hub.transport import Http, HttpSettings, Judge

from hub.connectors.woocommerce.simulator_door import KEY, SECRET  # isort: skip


class Proxied(Http):
    """https://shop.test ends its TLS elsewhere and leads to the simulator."""

    target = ""

    def bind(self, base_url: str, auth: Auth | None = None, *, judge: Judge | None = None) -> Http:
        return super().bind(base_url.replace("https://shop.test", self.target), auth, judge=judge)


@pytest.mark.parametrize("typed", ["{url}", "{url}/", " {url}/wp-json ", "{url}/wp-json/wc/v3/", "{url}/wp-admin/admin.php"])
def test_addresses_as_people_type_them(typed: str, open_bench: Any) -> None:
    bench = open_bench("woocommerce")
    checked = bench.connect(url=typed.format(url=bench.url)).check()
    assert checked.account_id == bench.url
    assert checked.account_name == "Sklep Testowy"
    assert checked.options == {"signing": "oauth1-header"}
    assert checked.facts["currency"] == "PLN"
    assert checked.facts["hpos"] is True
    assert checked.facts["timezone"] == "Europe/Warsaw"


def test_a_sub_folder_stays_and_a_bare_name_means_https() -> None:
    assert auth.clean_address("https://shop.example/sklep/wp-json/") == "https://shop.example/sklep"
    assert auth.clean_address("shop.example/") == "https://shop.example"
    assert auth.account_id("HTTPS://Shop.Example:443/sklep/") == "https://shop.example/sklep"


def plain(simulator: Any) -> None:
    simulator.plain_permalinks = True


def no_plugin(simulator: Any) -> None:
    simulator.has_woocommerce = False


def moved(simulator: Any) -> None:
    simulator.moved_to = "https://www.shop.example"


def write_only(simulator: Any) -> None:
    simulator.door.permissions = "write"


def demoted(simulator: Any) -> None:
    simulator.door.owner = "customer"


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        (plain, "url", "plain permalinks"),
        (no_plugin, "url", "no WooCommerce"),
        (moved, "url", "https://www.shop.example"),
        (write_only, "key", "not allowed to read"),
        (demoted, "key", "owner"),
    ],
)
def test_each_mistake_has_its_sentence(change: Callable[[Any], None], field: str, words: str, open_bench: Any) -> None:
    bench = open_bench("woocommerce")
    change(bench.simulator)
    with pytest.raises(errors.Invalid, match=words) as caught:
        bench.connect().check()
    assert list(caught.value.fields) == [field]


def test_no_shop_at_the_address(open_bench: Any) -> None:
    bench = open_bench("woocommerce", faults=[("html", 1.0)])
    with pytest.raises(errors.Invalid, match="no WordPress"):
        bench.connect().check()
    with pytest.raises(errors.Invalid) as caught:
        bench.connect(url="http://127.0.0.1:9").check()
    assert "url" in caught.value.fields
    for url in ("", "ftp://shop.example", "https://a:b@shop.example"):
        with pytest.raises(errors.Invalid) as caught:
            bench.connect(url=url).check()
        assert list(caught.value.fields) == ["url"]


def test_maintenance_is_not_the_admins_mistake(open_bench: Any) -> None:
    bench = open_bench("woocommerce")
    bench.simulator.maintenance(True)
    with pytest.raises(errors.Unavailable) as caught:
        bench.connect().check()
    assert caught.value.after == 600.0


@pytest.mark.parametrize(
    ("tls", "strips", "found"), [(True, False, "basic"), (False, False, "oauth1-header"), (True, True, "oauth1-query")]
)
def test_the_way_to_sign_is_found_behind_https(tls: bool, strips: bool, found: str, open_bench: Any) -> None:
    bench = open_bench("woocommerce", tls=tls)
    bench.simulator.door.strips = strips
    http = Proxied("test", HttpSettings(private_hosts=frozenset({"127.0.0.1"})))
    http.target = bench.url
    credentials = {"url": "https://shop.test", "key": KEY, "secret": SECRET}
    checked = build(Account("c1", "test", credentials), http).check()
    assert checked.options["signing"] == found
    connector = build(Account("c1", "test", credentials, checked.options), http)
    assert next(iter(connector.read("products", None))).records


def test_a_stripped_header_over_http_leads_to_the_query(open_bench: Any) -> None:
    bench = open_bench("woocommerce")
    bench.simulator.door.strips = True
    options = bench.connect().check().options
    assert options == {"signing": "oauth1-query"}
    assert next(iter(bench.connect(options).read("products", None))).records


def test_a_connection_that_had_worked_asks_for_new_keys(open_bench: Any) -> None:
    bench = open_bench("woocommerce")
    with pytest.raises(errors.ReauthorizeNeeded, match="secret is wrong"):
        list(bench.connect(secret="cs_" + "9" * 40).read("orders", None))
