"""dlt on the same work: the same pages and fields, merged on id, no child tables to punish it with.

dlt_pull.py SHOP_URL DATABASE FOLDER [DATASET]; needs the environment of requirements-bench.lock.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR", "DLT_DATA_DIR": sys.argv[3]}

import dlt  # noqa: E402 (it reads the environment when it is imported)
from shop import Meter, Row, pages  # noqa: E402


def main() -> None:
    shop, database, folder = sys.argv[1:4]
    meter = Meter()

    @dlt.resource(name="customer", primary_key="id", write_disposition="merge", max_table_nesting=0)
    def customers() -> Iterator[list[Row]]:
        yield from pages(shop, meter)

    if database.startswith("sqlite"):
        destination = dlt.destinations.sqlalchemy(database)
    else:
        destination = dlt.destinations.postgres(database)
    dataset = sys.argv[4] if len(sys.argv) > 4 else "shop"
    pipeline = dlt.pipeline("bench_pull", destination=destination, dataset_name=dataset, pipelines_dir=folder, progress=None)
    pipeline.run(customers())
    counts = pipeline.last_trace.last_normalize_info.row_counts
    meter.report(records=counts["customer"])


if __name__ == "__main__":
    main()
