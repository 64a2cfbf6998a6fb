"""The ledger and its projection, on each database: append-only, and the gate says what the acts say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.core.types import Act, Channel, ConsentAct
from hub.rules.consent import ConsentFacts, may_contact
from hub.services.consent import gate
from hub.services.context import Context
from hub.store import ledger
from hub.store.db import new_id, reading, transaction

pytestmark = pytest.mark.usefixtures("app")
START = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOW = START + timedelta(days=10)
SCOPES = [(topic, brand) for topic in ("offers", "news", "*") for brand in ("", "outlet")]


def act(what: Act, day: float, reference: str, topic: str = "offers", brand: str = "") -> ConsentAct:
    return ConsentAct(what, Channel.EMAIL, topic, brand, START + timedelta(days=day), "test", reference, {"seen": "here"})


def append(*acts: tuple[str, ConsentAct]) -> int:
    with transaction() as session:
        return ledger.append_acts(session, acts, NOW)


def gated(contact_id: str, topic: str, brand: str) -> tuple[bool, str]:
    profile = {"id": contact_id, "email": f"{contact_id}@poczta.example", "phone": None}
    with reading() as session:
        decision = gate(session, {contact_id: profile}, Channel.EMAIL, topic, brand, NOW)[contact_id]
    return decision.allowed, decision.reason


def by_the_acts(contact_id: str, topic: str, brand: str) -> tuple[bool, str]:
    with reading() as session:
        facts = ConsentFacts("a@b.example", ledger.acts_until(session, contact_id, Channel.EMAIL, NOW))
    decision = may_contact(facts, topic, brand, NOW)
    return decision.allowed, decision.reason


act_lists = st.lists(
    st.builds(
        lambda what, day, scope, reference: (what, day, scope, reference),
        st.sampled_from([*Act]),
        st.integers(0, 4),
        st.sampled_from(SCOPES),
        st.integers(0, 6),  # few references: the same act is read again, sometimes edited meanwhile
    ),
    max_size=10,
)


@settings(max_examples=80)
@given(act_lists, st.lists(st.integers(0, 10), max_size=3))
def test_the_projection_says_what_the_acts_say(drawn: Sequence[Any], cuts: Sequence[int]) -> None:
    """Any order of arrival, any batches, repeats and edited repeats."""
    contact_id = new_id()
    acts = [(contact_id, act(what, day, f"{contact_id}:{number}", *scope)) for what, day, scope, number in drawn]
    places = sorted({0, len(acts), *(min(cut, len(acts)) for cut in cuts)})
    for start, end in pairwise(places):
        append(*acts[start:end])
    for topic, brand in SCOPES:
        assert gated(contact_id, topic, brand) == by_the_acts(contact_id, topic, brand), (topic, brand)


def test_a_source_that_edits_the_time_of_an_old_yes_raises_nothing() -> None:
    contact_id = new_id()
    append((contact_id, act(Act.GRANTED, 1, "order:7")))
    append((contact_id, act(Act.WITHDRAWN, 2, "web:1")))
    assert append((contact_id, act(Act.GRANTED, 3, "order:7"))) == 0
    assert gated(contact_id, "offers", "") == (False, "withdrawn")


def test_the_same_acts_again_change_nothing() -> None:
    contact_id = new_id()
    acts = [(contact_id, act(Act.GRANTED, 1, "a")), (contact_id, act(Act.WITHDRAWN, 2, "b"))]
    assert append(*acts) == 2
    assert append(*reversed(acts)) == 0
    with reading() as session:
        assert ledger.count_acts(session) == 2


@pytest.mark.parametrize("first", [0, 1])
def test_a_tie_goes_to_the_withdrawal_in_each_order(first: int) -> None:
    contact_id = new_id()
    acts = [(contact_id, act(Act.GRANTED, 1, "a")), (contact_id, act(Act.WITHDRAWN, 1, "b"))]
    append(acts[first])
    append(acts[1 - first])
    assert gated(contact_id, "offers", "") == (False, "withdrawn")


def test_suppression_and_pause_go_before_consent() -> None:
    contact_id = new_id()
    append((contact_id, act(Act.GRANTED, 1, "a")))
    assert gated(contact_id, "offers", "") == (True, "consent")
    with transaction() as session:
        ledger.suppress(session, Channel.SMS, f"{contact_id}@poczta.example", "bounce", NOW)
    assert gated(contact_id, "offers", "") == (True, "consent")
    with transaction() as session:
        ledger.suppress(session, Channel.EMAIL, f"{contact_id}@poczta.example", "bounce", NOW)
        ledger.suppress(session, Channel.EMAIL, f"{contact_id}@poczta.example", "erasure", NOW)
    assert gated(contact_id, "offers", "") == (False, "suppressed")
    with reading() as session:
        assert ledger.suppressed(session, Channel.EMAIL, [f"{contact_id}@poczta.example"]) == {
            f"{contact_id}@poczta.example": "bounce"
        }


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consent_act SET act = 'granted'",
        "UPDATE consent_act SET at = at WHERE 1 = 1",
        "DELETE FROM consent_act",
        "INSERT INTO consent_act SELECT * FROM consent_act WHERE 1=1 ON CONFLICT (seq) DO UPDATE SET act = 'granted'",
    ],
)
def test_the_ledger_refuses_every_change(statement: str) -> None:
    append((new_id(), act(Act.WITHDRAWN, 1, "a")))
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), transaction() as session:
        session.execute(sa.text(statement))
    with reading() as session:
        assert session.scalars(sa.select(ledger.consent_act.c.act)).all() == ["withdrawn"]


def test_the_ledger_refuses_to_be_emptied(context: Context) -> None:
    append((new_id(), act(Act.WITHDRAWN, 1, "a")))
    emptying = "DELETE FROM consent_act" if context.settings.sql_url.startswith("sqlite") else "TRUNCATE consent_act CASCADE"
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), transaction() as session:
        session.execute(sa.text(emptying))
    with reading() as session:
        assert ledger.count_acts(session) == 1


def test_a_replace_does_not_slip_past_the_triggers(context: Context) -> None:
    """SQLite's REPLACE deletes without asking DELETE triggers, unless recursive triggers are on."""
    append((new_id(), act(Act.WITHDRAWN, 1, "a")))
    if not context.settings.sql_url.startswith("sqlite"):
        return  # PostgreSQL has no REPLACE
    columns = [column.name for column in ledger.consent_act.c if column.name != "act"]
    names = ", ".join(columns)
    statement = f"INSERT OR REPLACE INTO consent_act ({names}, act) SELECT {names}, 'granted' FROM consent_act"
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), transaction() as session:
        session.execute(sa.text(statement))
    with reading() as session:
        assert session.scalars(sa.select(ledger.consent_act.c.act)).all() == ["withdrawn"]


def test_a_yes_to_everything_allows_nothing() -> None:
    """Consent is specific (GDPR art. 4(11)): only a withdrawal may name every topic."""
    contact_id = new_id()
    append((contact_id, act(Act.GRANTED, 1, "a")), (contact_id, act(Act.WITHDRAWN, 2, "b", "*")))
    append((contact_id, act(Act.GRANTED, 3, "c", "*")))
    for topic in ("offers", "*"):
        assert gated(contact_id, topic, "") == (False, "withdrawn")
