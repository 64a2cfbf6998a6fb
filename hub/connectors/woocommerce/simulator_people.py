"""The made-up people behind a simulated shop: computed from their number, seeded, never stored.

A shop of 200,000 customers needs no memory for them; values are texts escaped for JSON, put into a template.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hub.core.errors import Invalid
from hub.core.types import Json, Raw

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - without a zone, as the shop writes its times
YEAR, LAG = 365 * 86400, 3 * 86400
"""The made-up orders spread over a year; a record was last changed at most `LAG` seconds after it was made."""

WOMEN = "Agnieszka Żaneta Małgorzata Joanna Łucja Bożena Katarzyna Świętosława Zofia Elżbieta Halina Róża Ewa Grażyna".split()
MEN = "Jan Łukasz Michał Paweł Stanisław Zbigniew Wojciech Józef Grzegorz Krzysztof Bartłomiej Świętopełk Radosław".split()
LAST = (
    "Nowak Kowalsk* Wiśniewsk* Wójcik Kamińsk* Lewandowsk* Zielińsk* Szymańsk* Woźniak Dąbrowsk* Kozłowsk* Mazur Jankowsk* "
    "Król Piątek Żuk Gołąb Śliwińsk* Ćwik Źrebiec Wąs Głowack* Brzęczyszczykiewicz Łoś Stępień Pająk Górsk* Święs Ożóg"
).split()
TOWNS = (("Kraków", "30-001"), ("Łódź", "90-001"), ("Gdańsk", "80-001"), ("Żywiec", "34-300"), ("Wrocław", "50-001"))
STATUSES = ("completed",) * 11 + ("processing",) * 4 + ("on-hold", "pending", "cancelled", "failed", "refunded")
PHONES = (
    *("+48 {0} {1} {2}", "{0}-{1}-{2}", "0048{0}{1}{2}", "{0} {1} {2}", "{0}{1}{2}", "(+48) {0}-{1}-{2}", "brak", ""),
    *("tel. {0} {1} {2}", "48{0}{1}{2}"),
)
OWNERS = (1, 2, 3, 3, 4, 4, 4, 4, None, None)
"""Of ten orders: which of five customers each belongs to; the last two are guests' (0, 1, 1, 2 and 4 orders a customer)."""

PLAIN = str.maketrans("ąćęłńóśźżĄĆĘŁŃÓŚŹŻ", "acelnoszzACELNOSZZ")
STAMPS = ("date_created", "date_modified", "date_paid", "date_completed")


def mix(seed: int, number: int) -> int:
    """64 even bits for a number (splitmix64): a random generator per record would cost more than the record."""
    x = (number * 0x9E3779B97F4A7C15 + seed * 0xD1B54A32D192ED03 + 1) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return x ^ x >> 31


def escape(text: str) -> str:
    """As PHP's json_encode writes it inside quotes."""
    return json.dumps(text)[1:-1].replace("/", "\\/")


def encode(value: Json) -> str:
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/")


def gmt(at: int) -> str:
    return (EPOCH + timedelta(seconds=at)).isoformat()


def seconds(text: str) -> int:
    return int((datetime.fromisoformat(text) - EPOCH).total_seconds())


def pick(value: Any, paths: Iterable[str]) -> Any:
    """WordPress's `_fields`: nested names, also into lists."""
    tree: dict[str, list[str]] = {}
    for path in paths:
        top, _, below = path.partition(".")
        tree.setdefault(top, []).extend([below] if below else [])
    if isinstance(value, list):
        return [pick(item, paths) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: pick(item, tree[name]) if tree[name] else item for name, item in value.items() if name in tree}


def check_options(customers: int, timezone: str) -> None:
    """`Invalid` names the option that no shop can be made of."""
    wrong: dict[str, str] = {}
    if customers < 0:
        wrong["customers"] = "Write a whole number from 0 up"
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        wrong["timezone"] = "Write the name of a time zone, for example Europe/Warsaw"
    if wrong:
        raise Invalid(fields=wrong)


class Clock:
    """The site's local time, with the offset of each hour kept."""

    def __init__(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self._offsets: dict[int, int] = {}

    def offset(self, at: int) -> int:
        hour = at // 3600
        if hour not in self._offsets:
            delta = datetime.fromtimestamp(hour * 3600, self.zone).utcoffset()
            self._offsets[hour] = int(delta.total_seconds()) if delta else 0
        return self._offsets[hour]

    def local(self, at: int) -> str:
        return gmt(at + self.offset(at))

    def to_utc(self, text: str) -> int:
        return int(datetime.fromisoformat(text).replace(tzinfo=self.zone).timestamp())

    def fill(self, record: Raw, days: int) -> Raw:
        """Move the GMT times by whole days and write the site's local times anew."""
        for name in STAMPS:
            if f"{name}_gmt" in record:
                text = record[f"{name}_gmt"]
                at = seconds(text) + days * 86400 if text else None
                record[f"{name}_gmt"] = None if at is None else gmt(at)
                record[name] = None if at is None else self.local(at)
        return record


class People:
    """Made-up customers and orders as values for a template; texts are escaped for JSON already."""

    def __init__(self, customers: int, seed: int, orders: bool, newest: int, clock: Clock, first: tuple[int, int]) -> None:
        self.count, self.seed, self.newest, self.clock, self.first = customers, seed, newest, clock, first
        self.slots = -(-customers // 5) * 10 if orders else 0
        names = [*WOMEN, *MEN]
        self._names = [(escape(name), name.translate(PLAIN).lower()) for name in names]
        self._last = [
            [(escape(form), form.translate(PLAIN).lower()) for form in (name.replace("*", "a"), name.replace("*", "i"))]
            for name in LAST
        ]
        self._towns = [(escape(town), code) for town, code in TOWNS]

    def created(self, index: int, of: int) -> int:
        return self.newest - YEAR + (index + 1) * YEAR // (of + 1)

    def person(self, index: int) -> dict[str, object]:
        """Names, e-mail, phone and town of the person with this number; guests are numbered behind the customers."""
        h = mix(self.seed, index)
        which = h % len(self._names)
        (first, a), (last, b) = self._names[which], self._last[(h >> 8) % len(LAST)][which >= len(WOMEN)]
        kind, domain = (h >> 16) % 24, ("example.com", "example.org", "poczta.example")[(h >> 24) % 3]
        email = f"{a}.{b}{index}@{domain}"
        if kind == 0:
            email = f"biuro@firma{index}.example"
        elif kind == 1:
            email = f"{a}.{b}{index}+sklep@{domain}"
        elif kind == 2:
            email = f"{a.title()}.{b.title()}{index}@{domain.title()}"
        number = str(500000000 + (h >> 20) % 400000000)
        phone = PHONES[(h >> 50) % len(PHONES)].format(number[:3], number[3:6], number[6:])
        town, postcode = self._towns[(h >> 55) % len(TOWNS)]
        person = {"first": first, "last": last, "email": email, "phone": phone, "town": town, "postcode": postcode}
        return {**person, "street": f"ul. Przyk\\u0142adowa {index % 200 + 1}", "h": h}

    def customer(self, index: int) -> dict[str, object]:
        values = self.person(index)
        made = self.created(index, self.count)
        changed = self.customer_changed(index)
        paying = "true" if self.slots and any(self.status(k) in STATUSES[:15] for k in self.orders_of(index)) else "false"
        return {**values, "id": self.first[0] + index, "made": made, "changed": changed, "paying": paying}

    def customer_changed(self, index: int) -> int:
        return min(self.created(index, self.count) + mix(self.seed, index) % LAG, self.newest)

    def buyer(self, k: int) -> tuple[int, str]:
        """The buyer's customer id (0: a guest) and, for guests only, the e-mail."""
        index, slot = self.slot(k)
        return (0, str(self.person(self.guest(slot))["email"])) if index is None else (self.first[0] + index, "")

    def slot(self, k: int) -> tuple[int | None, int]:
        """The customer of the k-th order (None: a guest) and its slot, shuffled: one person's orders spread over the year."""
        slot = (k * 1_000_003 + 7) % self.slots
        block, place = divmod(slot, 10)
        owner = OWNERS[place]
        index = None if owner is None else block * 5 + (owner + mix(self.seed, block)) % 5
        return (index if index is not None and index < self.count else None), slot

    def orders_of(self, index: int) -> list[int]:
        block, inverse = index // 5, pow(1_000_003, -1, self.slots)
        owner = (index - block * 5 - mix(self.seed, block)) % 5
        return [(block * 10 + at - 7) * inverse % self.slots for at, one in enumerate(OWNERS) if one == owner]

    def guest(self, slot: int) -> int:
        """The number of the person behind a guest order: some come back, one in ten has an account."""
        h = mix(self.seed + 2, slot)
        return h % self.count if h % 10 == 0 else self.count + h % max(1, self.slots // 6)

    def status(self, k: int) -> str:
        return STATUSES[(mix(self.seed + 1, k) >> 8) % len(STATUSES)]

    def changed(self, k: int) -> int:
        return min(self.created(k, self.slots) + mix(self.seed + 1, k) % LAG, self.newest)

    def order(self, k: int) -> dict[str, object]:
        index, slot = self.slot(k)
        h, status, number = mix(self.seed + 1, k), self.status(k), self.first[1] + k
        total = f"{20 + (h >> 20) % 900}.{(h >> 32) % 100:02}"
        paid = self.created(k, self.slots) + 60 if status in ("completed", "processing", "refunded") else None
        refunds = f'[{{"id":{number * 10},"reason":"","total":"-{total}"}}]' if status == "refunded" else "[]"
        values = self.person(index if index is not None else self.guest(slot))
        values |= {"id": number, "status": status, "total": total, "paid": paid, "refunds": refunds, "meta": _ticks(h, number)}
        made, changed = self.created(k, self.slots), self.changed(k)
        return {**values, "buyer": 0 if index is None else self.first[0] + index, "made": made, "changed": changed}


def _ticks(h: int, number: int) -> str:
    """Meta of a made-up order: the checkout's boxes (45 % ticked, 35 % not, else absent) and where the buyer came from."""
    share, found = (h >> 40) % 100, []
    if share < 80:
        found.append(("_wc_other/hub/newsletter-optin", "1" if share < 45 else "0"))
        found.append(("_wc_other/hub/sms-optin", "1" if (h >> 48) % 5 == 0 else "0"))
    if (h >> 52) % 8 == 0:
        found.append(("_wc_order_attribution_utm_source", ("newsletter", "google", "facebook")[(h >> 56) % 3]))
    return encode([{"id": number * 10 + at, "key": key, "value": value} for at, (key, value) in enumerate(found)])


PERSON = {"first_name": "@@first@@", "last_name": "@@last@@"}
ADDRESS = {**PERSON, "address_1": "@@street@@", "city": "@@town@@", "postcode": "@@postcode@@", "phone": "@@phone@@"}


def customer_sample(customers: list[Raw]) -> Raw:
    """A recorded customer with places for made-up values: @@in a text@@, ##a whole value##."""
    sample = copy.deepcopy(customers[3])
    sample |= {**PERSON, "id": "##id##", "email": "@@email@@", "username": "@@email@@", "role": "customer", "meta_data": []}
    sample |= {"date_created": "##made_local##", "date_created_gmt": "##made_gmt##", "is_paying_customer": "##paying##"}
    sample |= {"date_modified": "##changed_local##", "date_modified_gmt": "##changed_gmt##", "avatar_url": ""}
    sample["billing"] |= {**ADDRESS, "email": "@@email@@"}
    sample["shipping"] |= {**ADDRESS, "phone": ""}
    return sample


def order_sample(orders: list[Raw]) -> Raw:
    sample = copy.deepcopy(orders[0])
    key = "wc_order_madeup@@id@@"
    sample |= {"id": "##id##", "number": "@@id@@", "status": "@@status@@", "total": "@@total@@", "customer_id": "##buyer##"}
    for stamp, value in (("created", "made"), ("modified", "changed"), ("paid", "paid"), ("completed", "paid")):
        sample |= {f"date_{stamp}": f"##{value}_local##", f"date_{stamp}_gmt": f"##{value}_gmt##"}
    sample |= {"order_key": key, "payment_url": f"https://shop.example/checkout/order-pay/@@id@@/?key={key}"}
    sample |= {"meta_data": "##meta##", "refunds": "##refunds##", "coupon_lines": [], "line_items": sample["line_items"][:1]}
    sample["line_items"][0] |= {"id": "##id##"}
    sample["billing"] |= {**ADDRESS, "email": "@@email@@"}
    sample["shipping"] |= {**ADDRESS, "phone": ""}
    return sample
