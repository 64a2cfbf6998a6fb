"""dlt on the same work: the shop's customers, merged on id into a database.

dlt_pull.py WAY SHOP_URL DATABASE FOLDER DATASET; needs the environment of requirements-bench.lock. WAY is how the records come:

* `raw`: as the shop gives them, through dlt's own REST source, as its users do. Nested objects become columns.
* `flat`: the twelve fields that the hub's mapping names, flattened by a plain loop before dlt sees them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import Any

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL", "DLT_DATA_DIR": sys.argv[4]}

import dlt
from dlt.sources.rest_api import rest_api_source
from shop import FIELDS, PER_PAGE, Meter, Row, pages
from sqlalchemy.engine import make_url


def raw_customers(shop: str) -> Any:
    """Paged by the links in the answers' headers, which the shop offers for that."""
    auth = {"type": "http_basic", "username": os.environ["SHOP_KEY"], "password": os.environ["SHOP_SECRET"]}
    query = {"orderby": "id", "order": "asc", "per_page": PER_PAGE, "_fields": FIELDS, "role": "all"}
    customers = {
        "name": "customer",
        "primary_key": "id",
        "write_disposition": "merge",
        "endpoint": {"path": "customers", "params": query, "paginator": "header_link"},
    }
    return rest_api_source({"client": {"base_url": f"{shop}/wp-json/wc/v3/", "auth": auth}, "resources": [customers]})


def flat_customers(shop: str, meter: Meter) -> Any:
    @dlt.resource(name="customer", primary_key="id", write_disposition="merge", max_table_nesting=0)
    def customers() -> Iterator[list[Row]]:
        yield from pages(shop, meter)

    return customers()


def main() -> None:
    way, shop, database, folder, dataset = sys.argv[1:6]
    meter = Meter()
    if database.startswith("sqlite"):
        destination = dlt.destinations.sqlalchemy(database)
    else:
        url = make_url(database)  # dlt wants a password even where the server asks for none
        given = url if url.password else url.set(password="none")
        destination = dlt.destinations.postgres(given.render_as_string(hide_password=False))
    pipeline = dlt.pipeline("bench_pull", destination=destination, dataset_name=dataset, pipelines_dir=folder, progress=None)
    source = flat_customers(shop, meter) if way == "flat" else raw_customers(shop)
    meter.start()
    pipeline.run(source)
    meter.report(records=pipeline.last_trace.last_normalize_info.row_counts["customer"])


if __name__ == "__main__":
    main()
