"""What the hub says, in the reader's language. Source texts are English and stand in the code; translations in texts/*.po.

A text may hold `{name}` places. Catalogs are read at run time: edit a .po file, restart, done.
"""

from __future__ import annotations

import gettext
import re
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Protocol, runtime_checkable

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from hub.core.errors import HubError, Invalid, fill

LANGUAGES = ("en", "pl")
"""The first one is the language of the source texts."""

FOLDER = Path(__file__).with_suffix("")


def N_(text: str) -> str:  # noqa: N802 - the name that gettext tools look for
    """Mark a text for translation where it is defined; it is translated where it is said."""
    return text


@cache
def catalog(lang: str) -> gettext.NullTranslations:
    """The translations into `lang`; none for English and for languages the hub does not have."""
    path = FOLDER / f"{lang}.po"
    if lang not in LANGUAGES[1:] or not path.is_file():
        return gettext.NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=lang))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def say(text: str, lang: str, /, **params: object) -> str:
    """The text in `lang`, its `{name}` places filled; what has no translation stays English."""
    return fill(catalog(lang).gettext(text) if text else "", params)


def say_many(singular: str, plural: str, n: int, lang: str, /, **params: object) -> str:
    """The form of the text that fits the number `n`, which also fills the place `{n}`."""
    return fill(catalog(lang).ngettext(singular, plural, n), {"n": n, **params})


Say = Callable[..., str]
"""`say` with the language already chosen: text and params."""


@runtime_checkable
class SaysFields(Protocol):
    """An `Invalid` whose fields need params of their own."""

    def fields_in(self, say: Say) -> dict[str, str]:
        """Each field's text, said with the given function."""


def error_text(error: HubError, lang: str) -> str:
    """The whole error for a person: «message: subject: cause: cure», then one line per wrong field."""

    def say_here(text: str, **params: object) -> str:
        return say(text, lang, **{**error.params, **params})

    parts = (say_here(error.message), error.subject, error.cause, say_here(error.cure))
    lines = [": ".join(part for part in parts if part)]
    if isinstance(error, SaysFields):
        lines += [f"  {name}: {text}" for name, text in error.fields_in(say_here).items()]
    elif isinstance(error, Invalid):
        lines += [f"  {name}: {say_here(text)}" for name, text in error.fields.items()]
    return "\n".join(lines)


_TAG = re.compile(r"([A-Za-z]{1,8})(?:[-_.@].*)?", re.S)
_WEIGHT = re.compile(r"q\s*=\s*([0-9.]+)")


def choose_language(wishes: str) -> str:
    """The best language for an Accept-Language header (RFC 9110 §12.5.4) or a locale name such as «pl_PL.UTF-8»."""
    best, best_weight = LANGUAGES[0], 0.0
    for wish in wishes.split(","):
        # Taken apart before any pattern looks at it: one pattern for all of it would take hours for a header of spaces.
        name, more, rest = wish.partition(";")
        tag, given = _TAG.fullmatch(name.strip()), _WEIGHT.fullmatch(rest.strip())
        if tag is None or tag[1].lower() not in LANGUAGES or (more and given is None):
            continue
        try:
            weight = float(given[1]) if given else 1.0
        except ValueError:
            continue
        if weight > best_weight:
            best, best_weight = tag[1].lower(), weight
    return best
