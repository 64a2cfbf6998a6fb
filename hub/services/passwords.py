"""Passwords: argon2 hashes, and how strong is strong enough. Hashes are in the form that Flask-Security reads, too."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn  # type: ignore[import-untyped]

from hub.core.errors import Invalid
from hub.core.texts import N_

SHORTEST, LONGEST = 10, 200
STRONG = 3
"""Of zxcvbn's 0 to 4: «safely unguessable», more than 10^8 guesses."""
_LOOKED_AT = 72
"""Characters that zxcvbn looks at; its time grows with the square."""

_hasher = PasswordHasher()  # RFC 9106's second choice: 64 MiB, three rounds, four lanes

TOO_SHORT = N_("The password has at least {least} characters; a sentence of a few words is best")
TOO_LONG = N_("The password has at most {most} characters")
TOO_WEAK = N_("This password is easy to guess. Take a longer one, best a few words that do not belong together")


def hash_password(password: str) -> str:
    return _hasher.hash(_normal(password))


def verify_password(stored: str | None, password: str) -> bool:
    """Whether it is the password. Without a stored hash it takes as long, and the answer is no."""
    try:
        _hasher.verify(stored or _nobodys(), _normal(password))
    except (VerificationError, InvalidHashError):
        return False
    return bool(stored)


def is_outdated(stored: str) -> bool:
    """Whether the hash was made with weaker settings than today's."""
    return _hasher.check_needs_rehash(stored)


def check_strength(password: str, about: Iterable[str] = (), field: str = "password") -> None:
    """`Invalid` at the field unless the password is long and hard to guess; `about` is what others know of the user."""
    if len(password) < SHORTEST:
        raise Invalid(fields={field: TOO_SHORT}, least=SHORTEST)
    if len(password) > LONGEST:
        raise Invalid(fields={field: TOO_LONG}, most=LONGEST)
    known = [part for text in about for part in (text, *text.replace("@", " ").replace(".", " ").split()) if len(part) > 2]
    if zxcvbn(_normal(password)[:_LOOKED_AT], user_inputs=[*known, "hub", "consent"])["score"] < STRONG:
        raise Invalid(fields={field: TOO_WEAK})


def _normal(password: str) -> str:
    """The same password from every keyboard (RFC 8265 uses NFC; Flask-Security's default is NFKD)."""
    return unicodedata.normalize("NFKD", password)


@cache
def _nobodys() -> str:
    return _hasher.hash("nobody has this password")
