"""The floor of the push: one loop of requests, a hundred contacts a call. Nothing is asked, remembered or tried again.

plain_push.py CRM_URL START STOP
"""

from __future__ import annotations

import os
import sys
from itertools import islice

import requests
from people import BATCH, UPSERT, inputs, people
from shop import Meter


def main() -> None:
    crm, start, stop = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {os.environ['CRM_TOKEN']}"
    meter, written = Meter(), 0
    rows = people(start, stop)
    while batch := list(islice(rows, BATCH)):
        meter.called()
        answer = session.post(crm + UPSERT, json=inputs(batch), timeout=30)
        answer.raise_for_status()
        written += len(answer.json()["results"])
    meter.report(records=written)


if __name__ == "__main__":
    main()
