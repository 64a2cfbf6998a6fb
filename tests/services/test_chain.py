"""The whole chain: shop → contacts, consents, orders → segment → scenario → CRM, against both simulators."""

from __future__ import annotations

from typing import Any


def test_whole(connected: Any) -> None:
    pair = connected({"customers": 200, "rebase": True})
    rows = pair.run_sync("woocommerce")
    assert [(row.stream, row.state) for row in rows] == [("customers", "done"), ("orders", "done"), ("products", "done")]
    pair.publish(list=str(pair.crm.simulator.segment_list_id))
    pair.evaluate()
    pair.run_deliveries()
    print(pair.crm.state())
    pair.evaluate()
    before = pair.crm.state()
    pair.run_deliveries()
    assert pair.crm.state() == before
