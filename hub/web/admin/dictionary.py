"""The data dictionary: the hub's own fields, which field of which platform feeds them, and dictionaries of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Response, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from hub.core.errors import HubError, Invalid, Refused
from hub.core.roles import Permission
from hub.core.texts import N_, say
from hub.core.types import Target
from hub.mapping.dictionary import standard_fields
from hub.services import own_dictionary as verbs
from hub.services.context import Context
from hub.services.dictionaries import OPTION
from hub.services.preferences import ChangedMeanwhile
from hub.store import connections
from hub.store.db import reading
from hub.web.forms import error_summary, tell, wrong_fields
from hub.web.pages import language
from hub.web.words import word

TARGETS: dict[str, str] = {
    Target.CONTACT.value: N_("Contact"),
    Target.ORDER.value: N_("Order"),
    Target.PRODUCT.value: N_("Product"),
}
CLASSES: dict[str, str] = {
    "identifier": N_("identifier: finds a person"),
    "personal": N_("personal: describes a person"),
    "none": N_("no personal data"),
}
TYPES: dict[str, str] = {
    "text": N_("text"),
    "email": N_("e-mail address"),
    "phone": N_("phone number"),
    "country": N_("country"),
    "currency": N_("currency"),
    "time": N_("time"),
    "money": N_("amount of money"),
    "integer": N_("whole number"),
    "texts": N_("list of texts"),
}
Answer = str | AnyResponse | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Wrong:
    """One wrong place of a dictionary; `line` 0 where it cannot be told."""

    place: str
    line: int
    text: str


def show_dictionary() -> str:
    """The hub's own fields, and where each connection's dictionary is."""
    with reading() as session:
        rows = connections.list_connections(session)
    return render_template(
        "admin/dictionary.html",
        targets=[(say(text, language()), list(standard_fields(Target(name)).values())) for name, text in TARGETS.items()],
        connections=[(row, bool(row.options.get(OPTION))) for row in rows],
        **_words(),
    )


def show_connection_dictionary(connection_id: UUID) -> str:
    """Which field of the platform feeds which of the hub's, stream by stream."""
    found = verbs.dictionary_in_use(_context(), str(connection_id))
    return render_template("admin/dictionary_of.html", found=found, row=found.row, **_words())


def download_dictionary(connection_id: UUID) -> Response:
    """The dictionary in use, as the TOML file that it is."""
    found = verbs.dictionary_in_use(_context(), str(connection_id))
    answer = Response(found.text, mimetype="text/plain")
    name = re.sub(r"[^A-Za-z0-9-]+", "-", found.row.name).strip("-") or "connection"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}-mapping.toml"'
    return answer


def show_own_dictionary(connection_id: UUID) -> str:
    found = verbs.dictionary_in_use(_context(), str(connection_id))
    return _form(found, found.text, found.version)


def save_own_dictionary(connection_id: UUID) -> Answer:
    """Check the text, show what would change, and save it once that was seen."""
    context = _context()
    found = verbs.dictionary_in_use(context, str(connection_id))
    seen = request.form.get("version", "")[:40]
    text = ""
    try:
        text = _text()
        if request.form.get("step") != "save":
            return _form(found, text, seen, changes=verbs.what_changes(context, found.row, text))
        verbs.save_dictionary(context, found.row.id, text, seen)
    except ChangedMeanwhile as error:
        found = verbs.dictionary_in_use(context, str(connection_id))
        return _form(found, text, found.version, error=error, theirs=found.text), 409
    except Refused as error:
        return _form(found, text, seen, error=error), 400
    tell("The dictionary was saved. The next sync reads everything anew by it")
    return _to(connection_id)


def restore_dictionary(connection_id: UUID) -> Answer:
    verbs.restore_shipped(_context(), str(connection_id), request.form.get("version", "")[:40])
    tell("The shipped dictionary is in use again. The next sync reads everything anew by it")
    return _to(connection_id)


def undo_dictionary(connection_id: UUID) -> Answer:
    verbs.go_back(_context(), str(connection_id), request.form.get("version", "")[:40])
    tell("The dictionary before is in use again. The next sync reads everything anew by it")
    return _to(connection_id)


def _form(
    found: verbs.InUse,
    text: str,
    version: str,
    *,
    error: HubError | None = None,
    changes: list[verbs.Change] | None = None,
    theirs: str = "",
) -> str:
    places = wrong_fields(error) if isinstance(error, Invalid) else {}
    return render_template(
        "admin/dictionary_own.html",
        found=found,
        row=found.row,
        text=text,
        version=version,
        changes=changes,
        theirs=theirs,
        error=error_summary(error) if error else None,
        wrong=[Wrong(place if place != "text" else "", line_of(text, place), words) for place, words in places.items()],
    )


def line_of(text: str, place: str) -> int:
    """The line of a TOML text where a dotted place begins; 0 if it cannot be told (a place that is missing has none)."""
    section, best, longest = "", 0, 0
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#")[0].strip()
        if header := re.fullmatch(r"\[+\s*([^\[\]]+?)\s*\]+", words):
            section = here = header[1].replace('"', "")
        elif "=" in words:
            here = f"{section}.{words.partition('=')[0].strip().strip(chr(34))}".lstrip(".")
        else:
            continue
        if (place == here or place.startswith(f"{here}.")) and len(here) > longest:
            best, longest = number, len(here)
    return best


def _text() -> str:
    """The uploaded file if there is one, else what was typed."""
    file = request.files.get("file")
    if file is None or not file.filename:
        return request.form.get("text", "").replace("\r\n", "\n")
    try:
        return file.stream.read(verbs.LONGEST * 4).decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise Invalid("The dictionary cannot be used", fields={"text": verbs.NOT_TEXT}) from None


def _words() -> dict[str, Any]:
    lang = language()
    return {
        "type_word": lambda code: word(TYPES, code, lang),
        "class_word": lambda code: word(CLASSES, code, lang),
        "target_word": lambda code: word(TARGETS, code, lang),
    }


def _to(connection_id: UUID) -> AnyResponse:
    return redirect(url_for("admin.show_connection_dictionary", connection_id=connection_id), 303)


def _context() -> Context:
    found: Context = current_app.extensions["hub"]
    return found


def routes(add: Callable[..., None]) -> None:
    place, write = "/dictionary/<uuid:connection_id>", Permission.MAPPINGS_WRITE
    add("/dictionary", show_dictionary)
    add(place, show_connection_dictionary)
    add(f"{place}/mapping.toml", download_dictionary)
    add(f"{place}/own", show_own_dictionary, write)
    add(f"{place}/own", save_own_dictionary, write, ["POST"])
    add(f"{place}/restore", restore_dictionary, write, ["POST"])
    add(f"{place}/undo", undo_dictionary, write, ["POST"])
