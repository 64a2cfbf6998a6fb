"""Batches of one shop without the shop: what intake and identity are tried with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub import connectors
from hub.core.types import Counts
from hub.mapping.dictionary import load_reads
from hub.services.context import Context
from hub.services.intake import Intake, make_intake, store_batch
from hub.store import connections, contacts, orders, quarantine, records
from hub.store.connections import ConnectionRow
from hub.store.db import new_id, reading, transaction

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
_ids = count(1)


@dataclass
class Desk:
    """Stores batches of a shop's streams, and looks at what became of them."""

    context: Context
    connection_id: str = field(default_factory=new_id)
    name: str = "shop"

    def __post_init__(self) -> None:
        number = str(next(_ids))
        row = ConnectionRow(
            self.connection_id, f"{self.name}-{number}", "woocommerce", number, "Shop", {}, {}, "active", None, None, NOW, NOW
        )
        with transaction() as session:
            connections.save_connection(session, row)

    def intake(self, stream: str, mapping: Path | None = None) -> Intake:
        declaration = connectors.load("woocommerce").DECLARATION
        info = declaration.stream(stream)
        assert info.target is not None
        path = mapping or connectors.folder("woocommerce") / "mapping.toml"
        return make_intake(
            self.connection_id,
            self.name,
            declaration,
            info,
            load_reads(path, stream, info.target),
            country="PL",
            currency="PLN",
            run_id=new_id(),
        )

    def store(self, stream: str, *raws: Any, mapping: Path | None = None) -> Counts:
        with transaction() as session:
            counts = store_batch(session, self.intake(stream, mapping), raws, NOW)
        assert counts.read == counts.created + counts.updated + counts.unchanged + counts.quarantined == len(raws)
        return counts

    def contact_of(self, stream: str, external_id: int | str) -> str | None:
        with reading() as session:
            found = records.known_records(session, self.connection_id, stream, [str(external_id)])
        return found[str(external_id)].contact_id

    def profile(self, contact_id: str | None) -> dict[str, Any]:
        assert contact_id
        with reading() as session:
            return contacts.profiles(session, [contact_id])[contact_id]

    def orders_of(self, contact_id: str | None) -> list[str]:
        with reading() as session:
            found = session.scalars(
                sa.select(orders.shop_order.c.external_id).where(orders.shop_order.c.contact_id == contact_id)
            )
            return sorted(found)

    def people(self) -> int:
        with reading() as session:
            return len(session.scalars(sa.select(contacts.contact.c.id)).all())

    def refused(self) -> list[Any]:
        with reading() as session:
            return list(quarantine.list_entries(session))


@pytest.fixture
def desk(context: Context) -> Desk:
    return Desk(context)


@pytest.fixture
def another_desk(context: Context) -> Callable[[], Desk]:
    return lambda: Desk(context, name="other")
