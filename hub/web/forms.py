"""Forms: what was typed, bounded before anybody looks at it; what is wrong, at its field and in the reader's language."""

from __future__ import annotations

from typing import Any

from flask import flash, request

from hub.core.errors import HubError, Invalid
from hub.core.texts import SaysFields, say
from hub.web.pages import language

LONGEST = 500


def typed(name: str, longest: int = LONGEST) -> str:
    """What was typed into a one-line field, trimmed; what nobody types is refused at the field."""
    value = request.form.get(name, "").strip()
    if len(value) > longest:
        raise Invalid(fields={name: "This is too long: at most {longest} characters"}, longest=longest)
    if not value.isprintable():
        raise Invalid(fields={name: "This holds characters that cannot be used here"})
    return value


def typed_number(name: str) -> int:
    """A whole number from a hidden field such as the version that was seen; what is none counts as 0."""
    value = request.form.get(name, "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


def wrong_fields(error: Invalid) -> dict[str, str]:
    """Each wrong field's text in the reader's language."""
    lang = language()

    def say_here(text: str, **params: object) -> str:
        return say(text, lang, **{**error.params, **params})

    if isinstance(error, SaysFields):
        return error.fields_in(say_here)
    return {name: say_here(text) for name, text in error.fields.items()}


def error_summary(error: Any) -> dict[str, str]:
    """An error of the hub for the head of a form: its sentence, its cause and its cure in the reader's language."""
    lang = language()
    return {
        "message": say(error.message, lang, **error.params),
        "cause": ": ".join(part for part in (error.subject, error.cause) if part),
        "cure": say(error.cure, lang, **error.params),
    }


def tell_error(error: HubError) -> None:
    """Say on the next page why it was not done."""
    said = error_summary(error)
    flash(" ".join(part if part.endswith((".", "!", "?")) else f"{part}." for part in said.values() if part), "danger")


def tell(text: str, **params: object) -> None:
    """Say on the next page that it is done."""
    flash(say(text, language(), **params), "success")
