"""The first page after signing in: what runs, what is owed, what was decided today, and what needs a person."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import current_app, render_template, url_for

from hub.core.roles import Permission
from hub.core.texts import say, say_many
from hub.rules import consent, scenario
from hub.services import overview
from hub.web import charts, formats, words
from hub.web.access import may
from hub.web.faults import read_fault
from hub.web.pages import language, zone
from hub.web.privacy import veil

ALLOWED = (scenario.ALLOWED, consent.ALLOWED)
OWED = ("owed", "claimed", "held")


@dataclass(frozen=True, slots=True)
class Todo:
    """One thing that needs a person: where it is mended, and how pressing it is (a badge's kind)."""

    text: str
    path: str
    kind: str = "warn"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """One reason with its part of all decisions of the day."""

    reason: str
    count: int
    share: float
    allowed: bool


def show_overview() -> str:
    found = overview.look(current_app.extensions["hub"], zone())
    reasons = shares(found.totals.reasons)
    return render_template(
        "admin/overview.html",
        found=found,
        names={row.id: row.name for row in found.connections},
        todos=_todos(found),
        owed=[(state, *found.owed[state]) for state in OWED if state in found.owed],
        reasons=reasons,
        chart=_draw(reasons),
        running=bool(found.moving),
        news=_news(found),
    )


def shares(counts: Mapping[str, int]) -> list[Share]:
    """What is allowed first, then the refusals, the most frequent first."""
    total = sum(counts.values()) or 1
    listed = [Share(reason, count, count / total, reason in ALLOWED) for reason, count in counts.items()]
    return sorted(listed, key=lambda one: (not one.allowed, -one.count, one.reason))


def _draw(reasons: Sequence[Share]) -> Any:
    lang = language()
    total = sum(one.count for one in reasons)
    allowed = sum(one.count for one in reasons if one.allowed)
    title = say(
        "Bar of today's decisions: {allowed} allowed, {refused} refused",
        lang,
        allowed=formats.number(allowed, lang),
        refused=formats.number(total - allowed, lang),
    )
    kinds = [("good" if one.allowed else "even" if place % 2 else "") for place, one in enumerate(reasons)]
    parts = [(one.share, kind, words.word(words.REASONS, one.reason, lang)) for one, kind in zip(reasons, kinds, strict=True)]
    return charts.stack(parts, title)


def _news(found: overview.Overview) -> str:
    lang = language()
    if not found.moving:
        return say("Nothing runs now", lang)
    return say_many("{n} run is not finished", "{n} runs are not finished", len(found.moving), lang)


def _todos(found: overview.Overview) -> list[Todo]:
    """The most pressing first. What somebody may not see is not told to them."""
    lang = language()
    listed = [
        Todo(
            say("«{name}» needs new credentials: nothing is read from it or sent to it", lang, name=row.name),
            url_for("admin.show_connection", connection_id=row.id),
            "bad",
            _fault_text(row.error),
        )
        for row in found.dead
    ]
    names = {row.id: row.name for row in found.connections}
    listed += [
        Todo(
            say("The last sync of «{name}» failed: {stream}", lang, name=names.get(run.connection_id, ""), stream=run.stream),
            url_for("admin.show_run", run_id=run.id),
            "bad",
            _fault_text(run.error),
        )
        for run in found.failed
    ]
    return [*listed, *_counted(found, lang)]


def _counted(found: overview.Overview, lang: str) -> list[Todo]:
    listed: list[Todo] = []

    def add(count: int, singular: str, path: str, kind: str = "warn") -> None:
        if count:
            listed.append(Todo(singular, path, kind))

    locked, failing = len(found.locked), len(found.failing_webhooks)
    if may(Permission.USERS_WRITE):
        text = say_many(
            "{n} address was locked after wrong passwords", "{n} addresses were locked after wrong passwords", locked, lang
        )
        add(locked, text, "/admin/users", "bad")
    if may(Permission.SCENARIOS_APPROVE) or may(Permission.SCENARIOS_WRITE):
        text = say_many(
            "{n} scenario waits for a second person to publish it",
            "{n} scenarios wait for a second person to publish them",
            found.waiting,
            lang,
        )
        add(found.waiting, text, "/admin/proposals")
    if may(Permission.WEBHOOKS_WRITE):
        text = say_many("{n} webhook cannot be delivered", "{n} webhooks cannot be delivered", failing, lang)
        add(failing, text, "/admin/webhooks")
    text = say_many("{n} entry in quarantine", "{n} entries in quarantine", found.quarantined, lang)
    add(found.quarantined, text, url_for("admin.list_quarantine"))
    return listed


def _fault_text(stored: Mapping[str, Any] | None) -> str:
    fault = read_fault(stored, language())
    return veil(" ".join(part for part in (f"{fault.message}.", fault.cure) if part)) if fault else ""


def routes(add: Callable[..., None]) -> None:
    add("/", show_overview)
