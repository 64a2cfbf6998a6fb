"""An admin's own dictionary for one connection."""

from __future__ import annotations

from typing import Any

import pytest

from hub.connectors import folder
from hub.core.errors import Invalid
from hub.services import connections, summary, sync
from hub.store import records
from hub.store.connections import list_connections
from hub.store.db import reading

OWN = """
[reads.customers]
id = "id"
[reads.customers.fields]
email = { from = "email" }
last_name = { from = "last_name", transforms = ["upper"] }
"""


@pytest.fixture
def served(shop: Any) -> Any:
    return shop(customers=30)


def connect(context: Any, served: Any, mapping: str | None = None) -> connections.Connected:
    options = {"mapping": mapping} if mapping else None
    return connections.connect(context, "woocommerce", served.credentials(), options=options)


def read_all(context: Any, *streams: str, full: bool = False) -> list[Any]:
    group = sync.request_sync(context, "woocommerce", streams, full=full)
    for run in summary.group_runs(group):
        sync.advance_run(context, run.id, "test", lambda: False)
    return list(summary.group_runs(group))


def last_names(connection_id: str) -> set[str]:
    with reading() as session:
        table = records.record.c
        rows = session.execute(records.record.select().where(table.stream == "customers", table.connection_id == connection_id))
        return {row.standard["last_name"] for row in rows}


def test_an_own_dictionary_is_used_and_everything_is_read_again_by_it(context: Any, served: Any) -> None:
    row = connect(context, served).connection
    first = read_all(context)
    assert {run.stream: run.created for run in first}["orders"] > 0
    assert read_all(context, "orders")[0].read == 0
    again = connect(context, served, OWN)
    assert not again.new
    run = read_all(context, "customers")[0]
    assert (run.updated, run.unchanged) == (30, 0)
    assert all(name == name.upper() for name in last_names(row.id))
    consents = (folder("woocommerce") / "mapping.toml").read_text("utf-8").replace('topic = "offers"', 'topic = "news"')
    connect(context, served, consents)
    reread = read_all(context, "orders")[0]
    assert reread.read == reread.updated == {run.stream: run.created for run in first}["orders"]


def test_full_reads_from_the_beginning(context: Any, served: Any) -> None:
    connect(context, served)
    created = {run.stream: run.created for run in read_all(context)}
    run = read_all(context, "orders", full=True)[0]
    assert run.read == run.unchanged == created["orders"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (OWN.replace("email = {", "e_mail = {"), "reads.customers.fields.e_mail"),
        (OWN.replace('from = "last_name"', 'from = "lastname"'), "reads.customers.fields.last_name"),
        (OWN.replace('"upper"', '"shout"'), "reads.customers.fields.last_name"),
    ],
)
def test_a_wrong_dictionary_is_refused_before_anything_is_stored(context: Any, served: Any, text: str, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        connect(context, served, text)
    assert any(name.startswith(field) for name in caught.value.fields)
    with reading() as session:
        assert not list_connections(session)


def test_a_dictionary_for_a_stream_that_is_not_there(context: Any, served: Any) -> None:
    with pytest.raises(Exception, match="no stream"):
        connect(context, served, OWN.replace("reads.customers", "reads.clients"))
    with pytest.raises(Invalid, match="empty"):
        connect(context, served, "# nothing\n")
    with pytest.raises(Invalid, match="TOML"):
        connect(context, served, "not toml")
