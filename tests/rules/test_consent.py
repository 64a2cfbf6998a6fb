"""May a person be contacted? The invariants of docs/architecture.md, each against a plain reading of the acts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hub.core.types import Act
from hub.rules.consent import ConsentFacts, may_contact

START = datetime(2026, 11, 1, tzinfo=UTC)
NOW = START + timedelta(days=30)
TOPICS = ("offers", "news", "*")
BRANDS = ("", "outlet")


@dataclass(frozen=True)
class Done:
    """One act, as far as the rule reads it."""

    topic: str
    brand: str
    act: str
    at: datetime


moments = st.integers(0, 6).map(lambda days: START + timedelta(days=days * 10))
acts = st.builds(Done, st.sampled_from(TOPICS), st.sampled_from(BRANDS), st.sampled_from([*Act]), moments)
histories = st.lists(acts, max_size=8)
topics = st.sampled_from(TOPICS)
brands = st.sampled_from(BRANDS)


def ask(history: list[Done], topic: str = "offers", brand: str = "", at: datetime = NOW) -> tuple[bool, str]:
    decision = may_contact(ConsentFacts("anna@poczta.example", history), topic, brand, at)
    return decision.allowed, decision.reason


def done(act: Act, day: int, topic: str = "offers", brand: str = "") -> Done:
    return Done(topic, brand, act, START + timedelta(days=day))


def test_no_act_is_no_consent() -> None:
    assert ask([]) == (False, "no_consent")


def test_the_newest_act_wins_whatever_the_order() -> None:
    yes, no, again = done(Act.GRANTED, 1), done(Act.WITHDRAWN, 2), done(Act.GRANTED, 3)
    assert ask([no, yes]) == (False, "withdrawn")
    assert ask([again, yes, no]) == (True, "consent")


def test_a_tie_goes_to_the_withdrawal() -> None:
    for history in ([done(Act.GRANTED, 1), done(Act.WITHDRAWN, 1)], [done(Act.WITHDRAWN, 1), done(Act.GRANTED, 1)]):
        assert ask(history) == (False, "withdrawn")


def test_a_withdrawal_of_everything_ends_each_topic_until_a_newer_yes() -> None:
    history = [done(Act.GRANTED, 1), done(Act.WITHDRAWN, 2, "*")]
    assert ask(history) == (False, "withdrawn")
    assert ask([*history, done(Act.GRANTED, 3)]) == (True, "consent")
    assert ask([*history, done(Act.GRANTED, 3)], "news") == (False, "withdrawn")


def test_a_yes_to_everything_is_no_yes_to_anything() -> None:
    history = [done(Act.GRANTED, 1), done(Act.WITHDRAWN, 2, "*"), done(Act.GRANTED, 3, "*")]
    assert ask(history) == (False, "withdrawn")
    assert ask([done(Act.GRANTED, 1, "*")]) == (False, "no_consent")
    assert ask([done(Act.GRANTED, 1, "*")], "*") == (False, "no_consent")


def test_brands_are_apart() -> None:
    history = [done(Act.GRANTED, 1), done(Act.WITHDRAWN, 2, "*", "outlet")]
    assert ask(history) == (True, "consent")
    assert ask(history, brand="outlet") == (False, "withdrawn")


def test_what_stands_above_consent() -> None:
    yes = [done(Act.GRANTED, 1)]
    assert not may_contact(ConsentFacts(None, yes), "offers", "", NOW).allowed
    assert may_contact(ConsentFacts("", yes), "offers", "", NOW).reason == "no_address"
    assert may_contact(ConsentFacts("a@b.example", yes, suppressed="bounce"), "offers", "", NOW).reason == "suppressed"
    until = ConsentFacts("a@b.example", yes, paused_until=NOW + timedelta(microseconds=1))
    assert may_contact(until, "offers", "", NOW).reason == "paused"
    assert may_contact(until, "offers", "", NOW + timedelta(microseconds=1)).allowed


def test_later_acts_do_not_count_for_the_past() -> None:
    history = [done(Act.GRANTED, 1), done(Act.WITHDRAWN, 5)]
    assert ask(history, at=START + timedelta(days=5) - timedelta(microseconds=1)) == (True, "consent")
    assert ask(history, at=START + timedelta(days=5)) == (False, "withdrawn")
    assert ask(history, at=START) == (False, "no_consent")


@given(histories, topics, brands, moments)
def test_the_rule_reads_the_acts_as_a_person_would(history: list[Done], topic: str, brand: str, at: datetime) -> None:
    """Oldest first, a withdrawal after a grant of the same moment: the last one that is about the scope speaks."""
    verdict = "no_consent"
    for act in sorted(history, key=lambda act: (act.at, act.act == Act.WITHDRAWN)):
        if act.at > at or act.brand != brand:
            continue
        if act.act == Act.WITHDRAWN and act.topic in (topic, "*"):
            verdict = "withdrawn"
        elif act.act == Act.GRANTED and act.topic == topic != "*":
            verdict = "consent"
    assert ask(history, topic, brand, at) == (verdict == "consent", verdict)


@given(histories, st.randoms(use_true_random=False), topics, brands)
def test_order_and_repeats_do_not_matter(history: list[Done], random: object, topic: str, brand: str) -> None:
    mixed = history * 2
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert ask(mixed, topic, brand) == ask(history, topic, brand)


@given(histories, acts, topics, brands)
def test_only_a_yes_of_the_person_can_raise_consent(history: list[Done], more: Done, topic: str, brand: str) -> None:
    before, after = ask(history, topic, brand), ask([*history, more], topic, brand)
    if after[0] and not before[0]:
        assert (more.act, more.topic, more.brand) == (Act.GRANTED, topic, brand)


@given(histories, topics, brands)
def test_without_a_yes_on_the_scope_nobody_is_contacted(history: list[Done], topic: str, brand: str) -> None:
    rest = [act for act in history if not (act.act == Act.GRANTED and act.topic == topic and act.brand == brand)]
    assert not ask(rest, topic, brand)[0]
