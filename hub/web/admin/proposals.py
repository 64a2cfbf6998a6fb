"""Proposals: writing a scenario, handing it in, and a second person who publishes it or sends it back."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from flask import current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.core.connector import Verb
from hub.core.errors import HubError, Invalid, Refused
from hub.core.roles import Permission
from hub.core.texts import N_, say
from hub.rules.segments import parse_segment
from hub.services import proposals as verbs
from hub.services.context import Context
from hub.services.preferences import ChangedMeanwhile
from hub.services.scenarios import published_definition
from hub.store import connections, proposals
from hub.store.db import reading
from hub.web import labels
from hub.web.access import SignInFirst, who
from hub.web.admin.scenario_form import FIELD_ROWS, NAMES, ORDER_ROWS, RELATIONS, fill_form, read_form
from hub.web.admin.scenarios import find, render_trial, words
from hub.web.forms import error_summary, tell, typed_number, wrong_fields
from hub.web.pages import language

PLACES: dict[str, str] = {
    "name": N_("Name"),
    "connection": N_("Connection"),
    "channel": N_("Channel"),
    "topic": N_("Topic"),
    "brand": N_("Brand"),
    "automation": N_("Automation"),
    "list": N_("List of who was let in"),
    "starts_per_minute": N_("Starts per minute"),
    "segment.key": N_("Key of the segment"),
    "segment.name": N_("Name of the segment"),
    "segment.definition": N_("Conditions of the segment"),
}
HANDED_IN = N_("The scenario was handed in; somebody else publishes it or sends it back")
LATEST = 50
Answer = str | AnyResponse | tuple[str, int]


def list_proposals() -> str:
    with reading() as session:
        rows = proposals.list_proposals(session, limit=LATEST)
    return render_template("admin/proposals.html", rows=rows, **words())


def show_proposal(proposal_id: UUID, error: HubError | None = None) -> str:
    """What is proposed against what is published, and what the reader may do with it."""
    lang = language()
    with reading() as session:
        row = verbs.read_proposal(session, str(proposal_id))
        compared = verbs.compare(session, row)
        published = published_definition(session, row.scenario_key)
        shared = verbs.shared_with(session, row.definition)
    before = (published or {}).get("segment", {}).get("definition")
    after = row.definition["segment"]["definition"]
    plain = [one for one in compared if one[0] != "segment.definition"]
    changes = [(say(PLACES[name], lang), *_shown(name, old, new)) for name, old, new in plain]
    return render_template(
        "admin/proposal.html",
        row=row,
        definition=row.definition,
        published=published,
        changes=changes,
        shared=shared,
        words_before=labels.explain(parse_segment(before), lang) if before and before != after else [],
        words_after=labels.explain(parse_segment(after), lang),
        lines=_lines(before, after) if before and before != after else [],
        mine=_user_id() in {*row.editors, row.author_id},
        error=error_summary(error) if error else None,
        wrong=wrong_fields(error) if isinstance(error, Invalid) else {},
        note=request.form.get("note", "")[: verbs.LONGEST_NOTE],
        **words(),
    )


def _shown(name: str, *values: Any) -> list[Any]:
    return [labels.label(labels.CHANNELS, value, language()) if name == "channel" and value else value for value in values]


def _lines(before: Any, after: Any) -> list[tuple[str, str]]:
    """(«+», «-» or nothing, line) of the two definitions written as JSON."""
    old, new = (json.dumps(one, ensure_ascii=False, indent=2).splitlines() for one in (before, after))
    return [(line[0].strip(), line[2:]) for line in difflib.ndiff(old, new) if line[0] != "?"]


def show_new_scenario() -> str:
    return _form(fill_form(None))


def show_change_scenario(key: str) -> AnyResponse | str:
    """A draft that begins from what is published; where one is open already, that one."""
    with reading() as session:
        row = find(session, key)
        draft = proposals.open_proposal(session, row.key)
        definition = published_definition(session, row.key)
    if draft is not None:
        return redirect(url_for("admin.show_edit_proposal", proposal_id=draft.id))
    return _form(fill_form(definition), fixed=row.key)


def create_proposal() -> Answer:
    return _save(None, "")


def create_change(key: str) -> Answer:
    with reading() as session:
        fixed = str(find(session, key).key)
    return _save(None, fixed)


def show_edit_proposal(proposal_id: UUID) -> str:
    with reading() as session:
        row = verbs.read_proposal(session, str(proposal_id))
    return _form(fill_form(row.definition, row.note), row=row, fixed=row.scenario_key, version=row.version)


def change_proposal(proposal_id: UUID) -> Answer:
    with reading() as session:
        row = verbs.read_proposal(session, str(proposal_id))
    return _save(row, row.scenario_key)


def _save(row: Any, fixed: str) -> Answer:
    """Keep what was typed as a draft, and hand it in at once if asked to."""
    values = {name: request.form.get(name, "").strip()[: 60_000 if name == "json" else 4000] for name in NAMES}
    values["key"] = fixed or values["key"]
    seen = typed_number("version")
    try:
        definition = read_form(values)
        proposal_id = verbs.save_draft(
            _context(),
            _user_id(),
            definition,
            proposal_id=row.id if row else None,
            seen_version=seen if row else None,
            note_text=values["note"],
        )
        if request.form.get("step") == "submit":
            verbs.submit_proposal(_context(), _user_id(), proposal_id, None)
    except ChangedMeanwhile as error:
        theirs = error.theirs
        return _form(values, row=theirs, fixed=fixed, version=theirs.version, error=error, theirs=theirs), 409
    except Refused as error:
        status = 400 if isinstance(error, Invalid) else 409
        return _form(values, row=row, fixed=fixed, version=seen, error=error), status
    handed_in = request.form.get("step") == "submit"
    tell(HANDED_IN if handed_in else "The draft was saved")
    return _to(proposal_id)


def _form(
    values: Mapping[str, str],
    *,
    row: Any = None,
    fixed: str = "",
    version: int = 0,
    error: HubError | None = None,
    theirs: Any = None,
) -> str:
    lang, context = language(), _context()
    with reading() as session:
        rows = connections.list_connections(session)
    declared = [(one, context.platform(one.platform).DECLARATION) for one in rows]
    able = [(one, declaration) for one, declaration in declared if Verb.TRIGGER in declaration.can]
    wrong = wrong_fields(error) if isinstance(error, Invalid) else {}
    their_values = fill_form(theirs.definition, theirs.note) if theirs is not None else {}
    return render_template(
        "admin/scenario_form.html",
        values=values,
        row=row,
        fixed=fixed,
        version=version,
        error=error_summary(error) if error else None,
        other=error.details.get("proposal_id") if error else None,
        wrong=wrong,
        wrong_conditions=[text for name, text in wrong.items() if name.startswith("segment.definition")],
        theirs={name: value for name, value in their_values.items() if value != values[name]},
        connections=[(one.name, one.name) for one, _ in able],
        automations=sorted({f"{kind}:ID" for _, declaration in able for kind in declaration.automations}),
        channels=[(code, labels.label(labels.CHANNELS, code, lang)) for code in labels.CHANNELS],
        fields=[("", "–"), *((code, labels.label(labels.FIELDS, code, lang)) for code in labels.FIELDS)],
        relations=[(code, labels.label(RELATIONS, code, lang)) for code in RELATIONS],
        order_rows=range(ORDER_ROWS),
        field_rows=range(FIELD_ROWS),
    )


def try_proposal(proposal_id: UUID) -> str:
    with reading() as session:
        row = verbs.read_proposal(session, str(proposal_id))
    return render_trial(row.definition, url_for("admin.show_proposal", proposal_id=proposal_id))


def submit_proposal(proposal_id: UUID) -> Answer:
    return _do(proposal_id, verbs.submit_proposal, HANDED_IN)


def publish_proposal(proposal_id: UUID) -> Answer:
    done = N_("The scenario is published. Evaluate it on its page")
    return _do(proposal_id, verbs.publish_proposal, done, request.form.get("note", ""))


def reject_proposal(proposal_id: UUID) -> Answer:
    done = N_("The scenario was sent back to its author")
    return _do(proposal_id, verbs.reject_proposal, done, request.form.get("note", ""))


def discard_proposal(proposal_id: UUID) -> Answer:
    return _do(proposal_id, verbs.discard_proposal, N_("The draft was discarded. Saving it again brings it back"))


def _do(proposal_id: UUID, verb: Callable[..., Any], done: str, *rest: str) -> Answer:
    """One step of a proposal, as its page was seen."""
    try:
        verb(_context(), _user_id(), str(proposal_id), typed_number("version"), *rest)
    except Invalid as error:
        return show_proposal(proposal_id, error), 400
    except ChangedMeanwhile as error:
        return show_proposal(proposal_id, error), 409
    tell(done)
    return _to(proposal_id)


def _user_id() -> str:
    found = who()
    if found is None:
        raise SignInFirst
    return found.user_id


def _to(proposal_id: object) -> AnyResponse:
    return redirect(url_for("admin.show_proposal", proposal_id=proposal_id), 303)


def _context() -> Context:
    found: Context = current_app.extensions["hub"]
    return found


def routes(add: Callable[..., None]) -> None:
    write, approve, post = Permission.SCENARIOS_WRITE, Permission.SCENARIOS_APPROVE, ["POST"]
    change, place = "/scenarios/<string(maxlength=80):key>/change", "/proposals/<uuid:proposal_id>"
    add("/proposals", list_proposals)
    add("/proposals/new", show_new_scenario, write)
    add("/proposals/new", create_proposal, write, post)
    add(change, show_change_scenario, write)
    add(change, create_change, write, post)
    add(place, show_proposal)
    add(f"{place}/edit", show_edit_proposal, write)
    add(f"{place}/edit", change_proposal, write, post)
    add(f"{place}/try", try_proposal, write)
    add(f"{place}/submit", submit_proposal, write, post)
    add(f"{place}/publish", publish_proposal, approve, post)
    add(f"{place}/reject", reject_proposal, approve, post)
    add(f"{place}/discard", discard_proposal, write, post)
