"""A WooCommerce shop for tests, demos and measurements: the recorded data, made-up people behind it, the same behaviour.

What it imitates stands in README.md and recordings/. Never on a production path.
"""

from __future__ import annotations

import copy
import json
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from hub.connectors.woocommerce.simulator_door import KEY, SECRET, Door
from hub.connectors.woocommerce.simulator_people import (
    EPOCH,
    Clock,
    People,
    check_options,
    customer_sample,
    encode,
    gmt,
    order_sample,
    pick,
    seconds,
)
from hub.connectors.woocommerce.simulator_table import BadParameter, MadeUp, Table
from hub.core.types import Json, Raw
from hub.transport.simulation import STATE_PATH, Option

OPTIONS = (
    Option("customers", int, 0, "How many made-up customers come behind the recorded ones"),
    Option("seed", int, 1, "Another number makes other people"),
    Option("recorded", bool, True, "Include the recorded data set"),
    Option("rebase", bool, False, "Shift all dates by whole days so that the newest order was placed today (or yesterday)"),
    Option("orders", bool, True, "Give the made-up customers orders, and make up guests"),
    Option("timezone", str, "Europe/Warsaw", "The site's time zone"),
    Option("tls", bool, False, "Behave as behind https: Basic and keys in the query are accepted"),
)
RECORDINGS = Path(__file__).parent / "recordings"
NAMESPACE = "/wp-json/wc/v3"
FIRST_CUSTOMER, FIRST_ORDER = 1001, 100_001
UNKNOWN_ID = {
    "customers": ("wc_user_invalid_id", "Invalid user ID."),
    "orders": ("woocommerce_rest_shop_order_invalid_id", "Invalid ID."),
    "products": ("woocommerce_rest_product_invalid_id", "Invalid ID."),
}
Response = tuple[int, str, list[tuple[str, str]]]


def build(**options: Any) -> Shop:
    known = {option.name: option.default for option in OPTIONS}
    if unknown := set(options) - set(known):
        raise TypeError(f"unknown options: {sorted(unknown)}")
    chosen = {**known, **options}
    check_options(chosen["customers"], chosen["timezone"])
    return Shop(**chosen)


def recorded(name: str) -> Any:
    """A recording's answer body, or a whole list of the data set."""
    loaded = json.loads((RECORDINGS / f"{name}.json").read_text())
    return loaded["response"]["body"] if isinstance(loaded, dict) else loaded


class Shop:
    """One shop. The plain attributes are switches for tests; the methods change its data as people in a shop would."""

    def __init__(
        self, *, customers: int, seed: int, recorded: bool, rebase: bool, orders: bool, timezone: str, tls: bool
    ) -> None:
        self.app: WSGIApplication = self._serve
        self.clock = Clock(timezone)
        self.door = Door(tls)
        self.plain_permalinks = False
        self.has_woocommerce = True
        self.repeats_pages = False
        self.moved_to = ""
        self.date_header: str | None = None
        self._down = False
        self._lock = threading.RLock()
        self._calls: Counter[str] = Counter()
        data = {name: _load(name) for name in ("customers", "orders", "products")}
        newest = max(seconds(order["date_created_gmt"]) for order in data["orders"])
        days = _days_to_today(newest) if rebase else 0
        for record in (record for table in data.values() for record in table):
            self.clock.fill(record, days)
        ends, starts = newest + days * 86400, (FIRST_CUSTOMER, FIRST_ORDER)
        self._people = people = People(customers, seed, orders, ends, self.clock, starts)
        buyers, bought = customer_sample(data["customers"]), order_sample(data["orders"])
        made_up = {
            "customers": MadeUp(starts[0], customers, buyers, people.customer, people.customer_changed, self.clock),
            "orders": MadeUp(starts[1], people.slots, bought, people.order, people.changed, self.clock),
        }
        self._samples = {name: copy.deepcopy(data[name][-2]) for name in data}
        self.tables = {
            name: Table(name, data[name] if recorded or name == "products" else [], made_up.get(name), self.clock)
            for name in data
        }

    # What tests change

    def put_customer(self, record: Mapping[str, Json]) -> int:
        """Add or change a customer; what is not given stays, or is taken from a recorded one. Returns the id."""
        return self._put("customers", record)

    def put_order(self, record: Mapping[str, Json]) -> int:
        """Add or change an order; `date_modified_gmt` is now unless given. Returns the id."""
        return self._put("orders", record)

    def put_product(self, record: Mapping[str, Json]) -> int:
        return self._put("products", record)

    def delete_customer(self, number: int) -> None:
        """As in the shop: their orders become a guest's and keep the personal data."""
        with self._lock:
            self.tables["customers"].delete(number)
            orders, index = self.tables["orders"], number - FIRST_CUSTOMER
            theirs = [order["id"] for order in orders.kept.values() if order["customer_id"] == number]
            if self._people.slots and 0 <= index < self._people.count:
                theirs += [FIRST_ORDER + k for k in self._people.orders_of(index)]
            for order in filter(None, map(orders.get, theirs)):
                orders.put({**order, "customer_id": 0})

    def delete_order(self, number: int) -> None:
        with self._lock:
            self.tables["orders"].delete(number)

    def touch_order(self, number: int, at: datetime | None = None) -> None:
        """Move an order's `date_modified` (aware; default now)."""
        moment = at or datetime.now(UTC)
        self._put("orders", {"id": number, "date_modified_gmt": gmt(int(moment.timestamp()))})

    def maintenance(self, on: bool) -> None:
        """503 with a web page and Retry-After, as WordPress does during an update."""
        self._down = on

    def hide_everything(self) -> None:
        """Empty lists: every customer, order and product is deleted."""
        with self._lock:
            for table in self.tables.values():
                for number in list(table.ids):
                    table.delete(number)

    def credentials(self) -> Mapping[str, str]:
        return {"key": KEY, "secret": SECRET}

    def state(self) -> dict[str, Json]:
        with self._lock:
            orders = self.tables["orders"]
            guests = [order for order in map(self._buyer, orders.ids) if order[0] == 0]
            return {
                **{name: len(table.ids) for name, table in self.tables.items()},
                "guest_orders": len(guests),
                "guest_buyers": len({email.lower() for _, email in guests if email}),
                "calls": sum(self._calls.values()),
                "by_path": dict(self._calls),
            }

    def _buyer(self, number: int) -> tuple[int, str]:
        kept = self.tables["orders"].kept.get(number)
        if kept is None:
            return self._people.buyer(number - FIRST_ORDER)
        return kept["customer_id"], kept["billing"]["email"]

    def _put(self, name: str, record: Mapping[str, Json]) -> int:
        with self._lock:
            table = self.tables[name]
            number = int(record.get("id") or table.next_id())
            now = gmt(int(datetime.now(UTC).timestamp()))
            fresh = {**copy.deepcopy(self._samples[name]), "date_created_gmt": now}
            old = table.get(number) or fresh
            merged = {**old, "date_modified_gmt": now, **record, "id": number}
            for part in ("billing", "shipping"):
                if part in old:
                    merged[part] = {**old[part], **record.get(part, {})}
            if name == "orders" and "number" not in record:
                merged["number"] = str(number)
            table.put(self.clock.fill(merged, 0))
            return number

    # What callers see

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = str(environ.get("PATH_INFO", "")).rstrip("/") or "/"
        if path.startswith("/_simulator/"):
            status, body, extra = self._control(path, environ)
        else:
            with self._lock:
                self._calls[path] += 1
            status, body, extra = self._answer(path, environ)
        headers = [("Content-Type", "application/json; charset=UTF-8"), ("X-Robots-Tag", "noindex")]
        if body.startswith("<"):
            headers = [("Content-Type", "text/html; charset=UTF-8")]
        payload = body.encode()
        if self.date_header is not None:
            headers.append(("Date", self.date_header))
        start_response(f"{status} Shop", [*headers, *extra, ("Content-Length", str(len(payload)))])
        return [b""] if environ["REQUEST_METHOD"] == "HEAD" else [payload]

    def _control(self, path: str, environ: WSGIEnvironment) -> Response:
        """`GET /_simulator/state`, and `POST /_simulator/orders` or `customers` with one record or a list of them."""
        if path == STATE_PATH:
            return 200, json.dumps(self.state()), []
        name = path.rpartition("/")[2]
        if environ["REQUEST_METHOD"] != "POST" or name not in self.tables:
            return _error(404, "rest_no_route", "No such control.")
        sent = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        return (
            200,
            json.dumps({"ids": [self._put(name, record) for record in (sent if isinstance(sent, list) else [sent])]}),
            [],
        )

    def _answer(self, path: str, environ: WSGIEnvironment) -> Response:
        base = f"http://{environ.get('HTTP_HOST', 'shop.example')}"
        query = dict(parse_qsl(str(environ.get("QUERY_STRING", "")), keep_blank_values=True))
        if self._down:
            return 503, "<!DOCTYPE html><title>Maintenance</title>", [("Retry-After", "600")]
        if self.moved_to:
            return 301, "", [("Location", self.moved_to + path)]
        if query.get("rest_route") == "/" or (path == "/wp-json" and not self.plain_permalinks):
            return 200, encode(self._index(base)), []
        if not path.startswith("/wp-json") or self.plain_permalinks:
            if "rest_route" in query:
                return _error(401, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")
            return (200 if path == "/" else 404), "<!DOCTYPE html><title>Sklep Testowy</title>", []
        if not self.has_woocommerce or not path.startswith(NAMESPACE):
            return _error(404, "rest_no_route", "No route was found matching the URL and request method.")
        if path == NAMESPACE:
            return 200, encode(recorded("auth-none-root")), []
        return self._resource(path[len(NAMESPACE) + 1 :].split("/"), environ, base + path, query)

    def _index(self, base: str) -> Raw:
        index: Raw = recorded("wp-json-root")
        offset = self.clock.offset(int(datetime.now(UTC).timestamp())) / 3600
        index |= {"url": base, "home": base, "timezone_string": self.clock.zone.key}
        index["gmt_offset"] = int(offset) if offset == int(offset) else offset
        if not self.has_woocommerce:
            index["namespaces"] = [name for name in index["namespaces"] if not name.startswith("wc")]
        return index

    def _resource(self, parts: list[str], environ: WSGIEnvironment, url: str, query: dict[str, str]) -> Response:
        table = self.tables.get(parts[0])
        one = len(parts) == 2 and parts[1].isdigit()
        known = parts == ["system_status"] or (table is not None and (len(parts) == 1 or one))
        if not known or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _error(404, "rest_no_route", "No route was found matching the URL and request method.")
        if refusal := self.door.refuse(environ, url):
            return _error(*refusal)
        if table is None:
            return 200, encode(_status(url, query.get("_fields", ""))), []
        with self._lock:
            if len(parts) == 1:
                return self._list(table, url, query)
            if table.get(int(parts[1])) is None:
                return _error(404, *UNKNOWN_ID[table.name])
            return 200, table.text(int(parts[1]), query.get("_fields", "")), []

    def _list(self, table: Table, url: str, query: dict[str, str]) -> Response:
        if self.repeats_pages:
            query = {name: value for name, value in query.items() if name not in ("offset", "page")}
        try:
            ids, total, fields = table.select(query)
        except BadParameter as error:
            return 400, encode(error.body), []
        if self.repeats_pages:
            total = 1_000_000
        size = int(query.get("per_page") or 10)
        pages = -(-total // size)
        page = int(query.get("page") or int(query.get("offset") or 0) // size + 1)
        around = [(page - 1, "prev")] * (page > 1) + [(page + 1, "next")] * (page < pages)
        links = [f'<{url}?{urlencode({**query, "page": at})}>; rel="{rel}"' for at, rel in around]
        headers = [("X-WP-Total", str(total)), ("X-WP-TotalPages", str(pages))]
        headers.append(("Link", ", ".join(links) or '</wp-json/>; rel="https://api.w.org/"'))
        return 200, "[" + ",".join([table.text(number, fields) for number in ids]) + "]", headers


def _load(name: str) -> list[Raw]:
    records: list[Raw] = recorded(f"dataset/{name}")
    return records


def _error(status: int, code: str, message: str) -> Response:
    return status, encode({"code": code, "message": message, "data": {"status": status}}), []


def _status(url: str, fields: str) -> Raw:
    status: Raw = recorded("system_status")
    home = url.partition("/wp-json")[0]
    status["environment"] |= {"home_url": home, "site_url": home}
    narrowed: Raw = pick(status, fields.split(",")) if fields else status
    return narrowed


def _days_to_today(newest: int) -> int:
    """Whole days from the newest order to today, one less where its time of day has not come yet."""
    return (datetime.now(UTC).replace(tzinfo=None) - (EPOCH + timedelta(seconds=newest))).days
