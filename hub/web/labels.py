"""Words for what people, consents and segments hold: channels, acts, fields, conditions. Translated where they are said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from babel.numbers import format_currency

from hub.core.normalize import minor_digits
from hub.core.texts import N_, say, say_many
from hub.core.types import Act, Channel
from hub.rules.segments import Field, Group, Node, Not, Orders
from hub.services.wishes import WAYS
from hub.store.proposals import DISCARDED, DRAFT, PUBLISHED, REJECTED, WAITING
from hub.web import formats

CHANNELS: dict[str, str] = {
    Channel.EMAIL.value: N_("E-mail"),
    Channel.SMS.value: N_("SMS"),
    Channel.PUSH.value: N_("Push notifications"),
    Channel.PHONE.value: N_("Phone calls"),
    Channel.POST.value: N_("Letters by post"),
}
ACTS: dict[str, str] = {Act.GRANTED.value: N_("consent given"), Act.WITHDRAWN.value: N_("consent withdrawn")}
FIELDS: dict[str, str] = {
    "email": N_("E-mail"),
    "phone": N_("Phone"),
    "first_name": N_("First name"),
    "last_name": N_("Last name"),
    "company": N_("Company"),
    "city": N_("City"),
    "postcode": N_("Postcode"),
    "country": N_("Country"),
}
SOURCES: dict[str, str] = {"console": N_("recorded in the console"), "api": N_("recorded through the API")}
SUPPRESSIONS: dict[str, str] = {"bounce": N_("bounce"), "complaint": N_("complaint"), "erasure": N_("erasure")}
PROPOSAL_STATES: dict[str, str] = {
    DRAFT: N_("draft"),
    WAITING: N_("waits for a second person"),
    PUBLISHED: N_("published"),
    REJECTED: N_("sent back"),
    DISCARDED: N_("discarded"),
}
SCENARIO_STATES: dict[str, str] = {"published": N_("published"), "stopped": N_("stopped")}
EVIDENCE: dict[str, str] = {
    "how": N_("How"),
    "reference": N_("Where the proof lies"),
    "recorded_by": N_("Recorded by"),
    "platform": N_("Platform"),
    "record": N_("Record"),
    "field": N_("Field"),
    "value": N_("Value"),
}


def label(words: Mapping[str, str], code: str, lang: str) -> str:
    """The code's words; a code without words stands for itself."""
    return say(words[code], lang) if code in words else code


def money(minor: int, currency: str, lang: str) -> str:
    """An amount of minor units as people write it: «1 234,50 zł»."""
    amount = minor / 10 ** minor_digits(currency)
    return str(format_currency(amount, currency, locale=formats.LOCALES[lang]))


def evidence_lines(evidence: Any, lang: str) -> list[tuple[str, str]]:
    """(what, value) of an act's evidence, in the order in which it was written."""
    if not isinstance(evidence, Mapping):
        return []
    found = []
    for name, value in evidence.items():
        if name == "how":
            value = label(WAYS, str(value), lang)
        elif isinstance(value, Mapping):
            value = value.get("name") or ", ".join(str(part) for part in value.values())
        if value not in ("", None):
            found.append((label(EVIDENCE, str(name), lang), str(value)))
    return found


def explain(node: Node, lang: str) -> list[Any]:
    """A segment's tree in words: a list of sentences, where a list behind a sentence holds what belongs to it."""
    match node:
        case Group(kind=kind, parts=parts):
            head = say("All of these are true:", lang) if kind == "all" else say("At least one of these is true:", lang)
            return [head, [line for part in parts for line in explain(part, lang)]]
        case Not(part):
            return [say("This is not true:", lang), explain(part, lang)]
        case Field(name, value):
            shown = label(FIELDS, name, lang)
            if value is None:
                return [say("{field} is known", lang, field=shown)]
            return [say("{field} is «{value}»", lang, field=shown, value=value)]
        case Orders():
            return [_orders(node, lang)]


def _orders(node: Orders, lang: str) -> str:
    if node.paid:
        text = say_many("at least {n} paid order", "at least {n} paid orders", node.at_least, lang)
    else:
        text = say_many("at least {n} unpaid order", "at least {n} unpaid orders", node.at_least, lang)
    if node.total_at_least is not None and node.currency:
        together = money(node.total_at_least, node.currency, lang)
        text = say("{orders} for {money} or more together", lang, orders=text, money=together)
    elif node.currency:
        text = say("{orders} in {currency}", lang, orders=text, currency=node.currency)
    if node.within_days:
        days = say_many("in the last {n} day", "in the last {n} days", node.within_days, lang)
        text = f"{text} {days}"
    return text[:1].upper() + text[1:]


CONDITION_PROBLEMS = (
    N_("A condition is a table with one of: all, any, not, orders, field"),
    N_("A condition has exactly one of: all, any, not, orders, field"),
    N_("This needs a list with at least one condition"),
    N_("There is no such condition; use one of: all, any, not, orders, field"),
    N_("There is no such field; use one of: email, phone, first_name, last_name, company, city, postcode, country"),
    N_('A field needs either "is" with a text, or "known": true'),
    N_("total_at_least and currency go together"),
    N_("Must be greater than or equal to 1 and less than or equal to 3660."),
    N_("Must be greater than or equal to 1 and less than or equal to 10000."),
    N_("Must be greater than or equal to 1."),
    N_("Not a valid integer."),
    N_("Not a valid boolean."),
    N_("Not a valid string."),
    N_("String does not match expected pattern."),
    N_("Unknown field."),
    N_("Invalid input type."),
)
"""What hub/rules/segments.py says of a condition that cannot be read; named here so that it has translations."""
