"""dlt on the same work: the same pages and fields, merged on id, no child tables to punish it with.

dlt_pull.py SHOP_URL DATABASE FOLDER DATASET; needs the environment of requirements-bench.lock. The pages come from a plain
loop as a resource, which costs a little less than dlt's own REST source.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL", "DLT_DATA_DIR": sys.argv[3]}

import dlt
from shop import Meter, Row, pages
from sqlalchemy.engine import make_url


def main() -> None:
    shop, database, folder, dataset = sys.argv[1:5]
    meter = Meter()

    @dlt.resource(name="customer", primary_key="id", write_disposition="merge", max_table_nesting=0)
    def customers() -> Iterator[list[Row]]:
        yield from pages(shop, meter)

    if database.startswith("sqlite"):
        destination = dlt.destinations.sqlalchemy(database)
    else:
        url = make_url(database)  # dlt wants a password even where the server asks for none
        given = url if url.password else url.set(password="none")
        destination = dlt.destinations.postgres(given.render_as_string(hide_password=False))
    pipeline = dlt.pipeline("bench_pull", destination=destination, dataset_name=dataset, pipelines_dir=folder, progress=None)
    pipeline.run(customers())
    meter.report(records=pipeline.last_trace.last_normalize_info.row_counts["customer"])


if __name__ == "__main__":
    main()
