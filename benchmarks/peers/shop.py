"""What the peers share: the same pages, the same fields, and what the process used. Runs without the hub's packages."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

PER_PAGE = 100
FIELDS = (
    "id,date_created_gmt,date_modified_gmt,email,first_name,last_name,role,billing,shipping.phone,is_paying_customer,meta_data"
)
COLUMNS = (
    *("id", "email", "phone", "first_name", "last_name", "company", "city", "postcode", "country"),
    *("role", "registered_at", "modified_at"),
)
Row = dict[str, Any]


class Meter:
    """Counts calls and measures from `started` on, the first call. Times in seconds."""

    def __init__(self) -> None:
        self.calls = 0
        self.throttled = 0
        self.started = 0.0
        self._cpu = 0.0

    def called(self) -> None:
        """Say so before each call."""
        if not self.started:
            self.start()
        self.calls += 1

    def start(self) -> None:
        """Begin to measure, where that is before the first call."""
        self.started, self._cpu = time.perf_counter(), time.process_time()

    def report(self, **more: Any) -> None:
        """One JSON line for the benchmark that started us; call it right after the last commit."""
        seconds, cpu = time.perf_counter() - self.started, time.process_time() - self._cpu
        found = {"seconds": seconds, "cpu": cpu, "peak_mb": peak_mb(), "calls": self.calls, "throttled": self.throttled}
        sys.stdout.write(json.dumps({**found, **more}) + "\n")


def peak_mb() -> float:
    """The most memory this process had in use, in MB; on Linux since it became this program."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def pages(url: str, meter: Meter) -> Iterator[list[Row]]:
    """Pages of 100 customers by rising id over one connection, until one is short."""
    session = requests.Session()
    session.auth = (os.environ["SHOP_KEY"], os.environ["SHOP_SECRET"])
    session.trust_env = False
    offset = 0
    while True:
        query: dict[str, Any] = {"orderby": "id", "order": "asc", "per_page": PER_PAGE, "offset": offset, "_fields": FIELDS}
        meter.called()
        answer = session.get(f"{url}/wp-json/wc/v3/customers", params={**query, "role": "all"}, timeout=30)
        answer.raise_for_status()
        records = answer.json()
        if records:
            yield [flatten(record) for record in records]
        if len(records) < PER_PAGE:
            return
        offset += PER_PAGE


def flatten(record: Row) -> Row:
    """The twelve fields that the hub's mapping names, as they stand there."""
    billing = record["billing"]
    return {
        "id": record["id"],
        "email": record["email"],
        "phone": billing["phone"] or record["shipping"]["phone"],
        "first_name": record["first_name"] or billing["first_name"],
        "last_name": record["last_name"] or billing["last_name"],
        "company": billing["company"],
        "city": billing["city"],
        "postcode": billing["postcode"],
        "country": billing["country"],
        "role": record["role"],
        "registered_at": record["date_created_gmt"],
        "modified_at": record["date_modified_gmt"],
    }
