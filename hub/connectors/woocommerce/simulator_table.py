"""One kind of object of the simulated shop: recorded, made up, or put there by a test; listed as WordPress lists."""

from __future__ import annotations

import json
import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from hub.connectors.woocommerce.simulator_people import LAG, PLAIN, Clock, encode, gmt, mix, pick, seconds
from hub.core.types import Raw

MADE_ONCE = 250_000
"""Made-up records that are kept as text, some 600 bytes each."""

SORTS = {
    "customers": ("id", "include", "name", "registered_date"),
    "orders": ("date", "id", "include", "title", "slug", "modified"),
    "products": ("date", "id", "include", "title", "slug", "modified", "price"),
}
ROLES = ("all", "administrator", "editor", "author", "contributor", "subscriber", "customer", "shop_manager")
STATUSES = ("any", "trash", "auto-draft", "pending", "processing", "on-hold", "completed", "cancelled", "refunded", "failed")


class BadParameter(Exception):
    """WordPress's `rest_invalid_param`."""

    def __init__(self, name: str, code: str, message: str) -> None:
        super().__init__(message)
        self.body = {
            "code": "rest_invalid_param",
            "message": f"Invalid parameter(s): {name}",
            "data": {
                "status": 400,
                "params": {name: message},
                "details": {name: {"code": code, "message": message, "data": None}},
            },
        }


class MadeUp:
    """The part that is computed: ids from `first` on, a template's values for each number, when each was changed (UTC)."""

    def __init__(
        self,
        first: int,
        count: int,
        sample: Raw,
        values: Callable[[int], dict[str, object]],
        changed: Callable[[int], int],
        clock: Clock,
    ) -> None:
        self.first, self.count, self._values, self.changed = first, count, values, changed
        self._sample, self._clock = sample, clock
        self._templates: dict[str, str] = {}
        self._made: dict[str, dict[int, str]] = {}

    def text(self, number: int, fields: str) -> str:
        """The record as JSON, narrowed to `fields`. It never changes (what somebody changes is kept by the table), so it is
        made once while there is room: in a measurement the shop must not be what takes the time."""
        made = self._made.setdefault(fields, {})
        text = made.get(number)
        if text is None:
            text = self._make(number, fields)
            if sum(map(len, self._made.values())) < MADE_ONCE:
                made[number] = text
        return text

    def _make(self, number: int, fields: str) -> str:
        template = self._templates.get(fields)
        if template is None:
            sample = pick(self._sample, fields.split(",")) if fields else self._sample
            template = re.sub('"##(\\w+)##"', r"%(\1)s", encode(sample).replace("%", "%%"))
            template = self._templates[fields] = re.sub("@@(\\w+)@@", r"%(\1)s", template)
        values = self._values(number - self.first)
        for name in ("made", "changed", "paid"):
            at = values.get(name)
            values[f"{name}_gmt"] = f'"{gmt(at)}"' if isinstance(at, int) else "null"
            if f"%({name}_local)s" in template:
                values[f"{name}_local"] = f'"{self._clock.local(at)}"' if isinstance(at, int) else "null"
        return template % values


class Table:
    """`kept` are records held as such; ids of both kinds stand in `ids`, rising."""

    def __init__(self, name: str, recorded: Iterable[Raw], made_up: MadeUp | None, clock: Clock) -> None:
        self.name, self.clock, self.made_up = name, clock, made_up
        self.kept: dict[int, Raw] = {record["id"]: record for record in recorded}
        self.ids = array("q", sorted(self.kept))
        if made_up:
            self.ids.extend(range(made_up.first, made_up.first + made_up.count))

    def put(self, record: Raw) -> None:
        at = bisect_left(self.ids, record["id"])
        if at == len(self.ids) or self.ids[at] != record["id"]:
            self.ids.insert(at, record["id"])
        self.kept[record["id"]] = record

    def delete(self, number: int) -> None:
        at = bisect_left(self.ids, number)
        if at < len(self.ids) and self.ids[at] == number:
            del self.ids[at]
            self.kept.pop(number, None)

    def next_id(self) -> int:
        return self.ids[-1] + 1 if self.ids else 1

    def text(self, number: int, fields: str = "") -> str:
        kept = self.kept.get(number)
        if kept is None:
            assert self.made_up
            return self.made_up.text(number, fields)
        return encode(pick(kept, fields.split(",")) if fields else kept)

    def get(self, number: int) -> Raw | None:
        at = bisect_left(self.ids, number)
        if at == len(self.ids) or self.ids[at] != number:
            return None
        record: Raw = self.kept.get(number) or json.loads(self.text(number))
        return record

    def changed(self, number: int) -> int:
        kept = self.kept.get(number)
        if kept is None:
            assert self.made_up
            return self.made_up.changed(number - self.made_up.first)
        return seconds(kept["date_modified_gmt"]) if kept.get("date_modified_gmt") else 0

    def select(self, query: Mapping[str, str]) -> tuple[Sequence[int], int, str]:
        """The ids of the page that a list call asks for, how many match in all, and the page's `_fields`."""
        per_page = _number(query, "per_page", 10, 1, 100)
        page = _number(query, "page", 1, 1, None)
        offset = _number(query, "offset", (page - 1) * per_page, 0, None)
        orderby = query.get("orderby", "name" if self.name == "customers" else "date")
        if orderby not in SORTS[self.name]:
            allowed = SORTS[self.name]
            listed = f"{', '.join(allowed[:-1])}, and {allowed[-1]}"
            raise BadParameter("orderby", "rest_not_in_enum", f"orderby is not one of {listed}.")
        ids: Sequence[int] = self._matching(query)
        falling = query.get("order", "asc" if self.name == "customers" else "desc") == "desc"
        if orderby not in ("id", "include"):
            ids = sorted(ids, key=self._sort_key(orderby, offset), reverse=falling)
            falling = False
        if falling:
            chosen = ids[max(0, len(ids) - offset - per_page) : max(0, len(ids) - offset)][::-1]
        else:
            chosen = ids[offset : offset + per_page]
        return chosen, len(ids), query.get("_fields", "")

    def _sort_key(self, orderby: str, offset: int) -> Callable[[int], Any]:
        """Equal seconds of `modified` come in another order on each page, as recorded: it has no tie-breaker."""
        if orderby == "modified":
            return lambda number: (self.changed(number), mix(offset, number))
        field = {"name": "username", "price": "price", "title": "id", "slug": "id"}.get(orderby, "date_created")
        return lambda number: ((self.get(number) or {}).get(field) or 0, number)

    def _matching(self, query: Mapping[str, str]) -> Sequence[int]:
        ids: Sequence[int] = self.ids
        if query.get("include"):
            wanted = {int(text) for text in query["include"].split(",") if text.isdigit()}
            ids = [number for number in self.ids if number in wanted]
        if self.name != "customers" and query.get("modified_after"):
            after = self._after(query)
            ids = [number for number in self._maybe_changed(after, ids) if self.changed(number) > after]
        tests = list(self._tests(query))
        return [number for number in ids if all(test(number) for test in tests)] if tests else ids

    def _maybe_changed(self, after: int, ids: Sequence[int]) -> Iterator[int]:
        """Skips made-up records that are surely older: they are made in the order of their numbers."""
        made, low = self.made_up, 0
        if made and made.count:
            high = made.count
            while low < high:
                middle = (low + high) // 2
                low, high = (middle + 1, high) if made.changed(middle) + LAG <= after else (low, middle)
        for number in ids:
            if number in self.kept or (made and number >= made.first + low):
                yield number

    def _after(self, query: Mapping[str, str]) -> int:
        """`modified_after` as recorded: no suffix is site time or, with the flag, GMT; a suffix with the flag is shifted."""
        text = query["modified_after"]
        if not re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", text):
            raise BadParameter("modified_after", "rest_invalid_date", "Invalid date.")
        flag = query.get("dates_are_gmt") in ("true", "1")
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return seconds(text) if flag else self.clock.to_utc(text)
        at = int(moment.timestamp())
        return at + self.clock.offset(at) if flag else at

    def _tests(self, query: Mapping[str, str]) -> Iterator[Callable[[int], bool]]:
        """Filters that look into the record; those of other resources are ignored without a word, as the shop does."""
        if self.name == "customers":
            yield from self._customer_tests(query)
        elif self.name == "orders":
            yield from self._order_tests(query)
        if search := query.get("search", "").translate(PLAIN).lower():
            yield lambda number: search in json.dumps(self.get(number), ensure_ascii=False).translate(PLAIN).lower()

    def _customer_tests(self, query: Mapping[str, str]) -> Iterator[Callable[[int], bool]]:
        role, email = query.get("role", "customer"), query.get("email", "").lower()
        if role not in ROLES:
            listed = f"{', '.join(ROLES[:-1])}, and {ROLES[-1]}"
            raise BadParameter("role", "rest_not_in_enum", f"role is not one of {listed}.")
        if email and "@" not in email:
            raise BadParameter("email", "rest_invalid_email", "Invalid email address.")
        if role != "all":  # everybody made up is a customer
            yield lambda number: bool(self.kept.get(number, {"role": "customer"})["role"] == role)
        if email:
            yield lambda number: bool((self.get(number) or {})["email"].lower() == email)

    def _order_tests(self, query: Mapping[str, str]) -> Iterator[Callable[[int], bool]]:
        status, buyer = query.get("status", "any"), query.get("customer")
        if status not in (*STATUSES, "checkout-draft"):
            listed = f"{', '.join(STATUSES)}, and checkout-draft"
            raise BadParameter("status", "rest_not_in_enum", f"status[0] is not one of {listed}.")
        if status != "any":
            yield lambda number: bool((self.get(number) or {})["status"] == status)
        elif any(record["status"] == "trash" for record in self.kept.values()):
            yield lambda number: self.kept.get(number, {}).get("status") != "trash"
        if buyer is not None:
            yield lambda number: str((self.get(number) or {})["customer_id"]) == buyer


def _number(query: Mapping[str, str], name: str, default: int, low: int, high: int | None) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"-?\d+", text):
        raise BadParameter(name, "rest_invalid_type", f"{name} is not of type integer.")
    number = int(text)
    if high is not None and not low <= number <= high:
        message = f"{name} must be between {low} (inclusive) and {high} (inclusive)"
        raise BadParameter(name, "rest_out_of_bounds", message)
    if number < low:
        raise BadParameter(name, "rest_out_of_bounds", f"{name} must be greater than or equal to {low}")
    return number
