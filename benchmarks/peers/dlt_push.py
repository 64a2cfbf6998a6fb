"""dlt on the same work: its own custom destination in batches of a hundred, its own client with its own retries.

dlt_push.py CRM_URL START STOP FOLDER; needs the environment of requirements-bench.lock.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

os.environ |= {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL", "DLT_DATA_DIR": sys.argv[4]}

import dlt
from dlt.sources.helpers.requests import Client
from people import BATCH, UPSERT, Row, inputs, people
from shop import Meter


def main() -> None:
    crm, start, stop, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    meter, session, written = Meter(), Client(request_max_attempts=30).session, [0]
    session.headers["Authorization"] = f"Bearer {os.environ['CRM_TOKEN']}"

    @dlt.destination(batch_size=BATCH, name="crm", loader_file_format="typed-jsonl", max_table_nesting=0)
    def push(items: list[Row], table: Row) -> None:
        meter.called()
        answer = session.post(crm + UPSERT, json=inputs(items), timeout=30)
        answer.raise_for_status()
        written[0] += len(answer.json()["results"])

    @dlt.resource(name="contact", write_disposition="append")
    def contacts() -> Iterator[list[Row]]:
        yield list(people(start, stop))

    pipeline = dlt.pipeline("bench_push", destination=push(), pipelines_dir=folder, progress=None)
    meter.start()
    pipeline.run(contacts())
    meter.report(records=written[0])


if __name__ == "__main__":
    main()
