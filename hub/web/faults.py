"""A stored error (`HubError.as_json`) as a person reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.core.texts import N_, say
from hub.web.privacy import veil, veil_value

LONGEST_SAMPLE = 4000
_FACTS = (
    ("code", N_("Error code")),
    ("status", N_("HTTP status")),
    ("vendor_code", N_("The platform's own code")),
    ("request_id", N_("The platform's request id")),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """`facts` are (what, value); `sample` is the start of an answer that was not understood."""

    message: str
    cause: str
    cure: str
    facts: tuple[tuple[str, str], ...]
    sample: str


def read_fault(stored: Mapping[str, Any] | None, lang: str) -> Fault | None:
    """The error in the reader's language, without secrets and with e-mail addresses veiled."""
    if not stored:
        return None
    params = stored.get("params") or {}

    def words(name: str) -> str:
        return veil(say(str(stored.get(name) or ""), lang, **params))

    cause = ": ".join(part for part in (str(stored.get("subject") or ""), str(stored.get("cause") or "")) if part)
    facts = [(say(title, lang), veil(str(stored[name]))) for name, title in _FACTS if stored.get(name)]
    facts += [(veil(str(name)), veil(_plain(value))) for name, value in veil_value(stored.get("details") or {}).items()]
    return Fault(
        words("message"), veil(cause), words("cure"), tuple(facts), veil(str(stored.get("sample") or ""))[:LONGEST_SAMPLE]
    )


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def raw_text(raw: Any) -> str:
    """A raw record for people: secrets and addresses veiled, and not longer than anybody reads."""
    text = json.dumps(veil_value(raw), ensure_ascii=False, indent=2)
    return text if len(text) <= LONGEST_SAMPLE else f"{text[:LONGEST_SAMPLE]}\n…"
