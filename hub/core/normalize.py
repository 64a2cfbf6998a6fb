"""One spelling for each value that finds or describes a person: e-mail, phone, country, currency, name.

All pure; every function takes text and answers None where the text is not such a value.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

import idna
import phonenumbers
from babel import Locale
from babel.core import get_global
from babel.numbers import list_currencies

_LABEL = r"[A-Za-z0-9]++(?:-++[A-Za-z0-9]++)*+"
_LOCAL = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}+"
# The last label may not be all digits: that would be an IP address (RFC 3696 §2). Long labels are looked for apart.
_DOMAIN = rf"(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}"
_PLAIN_EMAIL = re.compile(rf"{_LOCAL}@{_DOMAIN}", re.ASCII)
_PLAIN_LOCAL = re.compile(_LOCAL, re.ASCII)
_PLAIN_DOMAIN = re.compile(_DOMAIN, re.ASCII)
_INVISIBLE = " \t\r\n\u00a0\u200b\u2060\ufeff"


def email(text: str) -> str | None:
    """The address in lower case, its domain in ASCII (RFC 5891, UTS 46); None if it is not one.

    Plus-tags and dots stay: whether two spellings reach one mailbox is the provider's secret. A domain has at least two
    labels (RFC 7085); quoted local parts and address literals are taken for typing mistakes.
    """
    text = text.strip(_INVISIBLE)
    if _PLAIN_EMAIL.fullmatch(text):
        return text.lower() if len(text) < 64 or _short_enough(text) else None
    return None if text.isascii() else _foreign_email(text)


def _short_enough(text: str) -> bool:
    """RFC 5321 §4.5.3.1 and RFC 1035 §2.3.4: at most 254 characters, labels of at most 63."""
    return len(text) <= 254 and max(map(len, text.rpartition("@")[2].split("."))) <= 63


def _foreign_email(text: str) -> str | None:
    local, at, domain = unicodedata.normalize("NFC", text).partition("@")
    if not at or "@" in domain:
        return None
    local = unicodedata.normalize("NFC", local.lower())
    ascii_part = "".join(char for char in local if char.isascii())
    # Controls, invisible characters and separators (Unicode categories C and Z) are never typed on purpose.
    if any(unicodedata.category(char)[0] in "CZ" for char in local if not char.isascii()):
        return None
    if not local or (ascii_part and not _PLAIN_LOCAL.fullmatch(ascii_part)):
        return None
    try:
        domain = idna.encode(domain, uts46=True, transitional=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        return None
    octets = len(local.encode())
    if octets > 64 or octets + 1 + len(domain) > 254 or not _PLAIN_DOMAIN.fullmatch(domain):
        return None
    return f"{local}@{domain}"


def _polish_numbers() -> re.Pattern[str]:
    """Nine digits that phonenumbers' own metadata calls a valid Polish number, with or without a country code."""
    found = phonenumbers.PhoneMetadata.metadata_for_region("PL")
    assert found is not None
    kinds = (
        found.mobile,  # the commonest first
        found.fixed_line,
        found.toll_free,
        found.premium_rate,
        found.shared_cost,
        found.personal_number,
        found.voip,
        found.pager,
        found.uan,
        found.voicemail,
    )
    patterns = [kind.national_number_pattern for kind in kinds if kind is not None and kind.national_number_pattern]
    return re.compile(rf"(?:(?:\+|00)?48)?(?=[0-9]{{9}}\Z)({'|'.join(patterns)})", re.ASCII)


_POLISH = _polish_numbers()
_DIGIT = re.compile(r"\d")
_PUNCTUATION = str.maketrans("", "", " -.()")
"""What may stand anywhere in a number: the library, too, looks at the digits alone."""
_LABEL_BEFORE = re.compile(r"\s*tel\b[.: ]*", re.IGNORECASE)
_EXTENSION = re.compile(r"[\s,;]*\b(?:wewn|wew|w|ext|int)\b[.:\s]*[0-9]{1,6}\s*\Z", re.IGNORECASE)


def phone(text: str, country: str = "PL") -> str | None:
    """The number in E.164; None if nobody can have it. Without a country code it is read as dialled in `country`.

    An extension is dropped: E.164 has none. Usual Polish spellings take a short cut with the library's own patterns, and
    so does what has no digit at all («brak»): the library takes as long for them as for everything else of a record.
    """
    if country == "PL":
        match = _POLISH.fullmatch(text.replace(" ", "").replace("-", ""))
        if match is None:
            if _DIGIT.search(text) is None:
                return None
            label = _LABEL_BEFORE.match(text)  # the library passes over words before the number
            match = _POLISH.fullmatch((text[label.end() :] if label else text).translate(_PUNCTUATION))
        if match is not None:
            return "+48" + match[1]
    return phone_by_library(text, country)


def phone_by_library(text: str, country: str = "PL") -> str | None:
    """What `phone` answers, without the short cut."""
    try:
        number = phonenumbers.parse(_EXTENSION.sub("", text), country.upper() or None)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


# CLDR names these beside the countries of ISO 3166-1: groups, reserved codes, test codes. Kosovo's XK stays: shops use it.
_NOT_COUNTRIES = frozenset("AC CP CQ DG EA EU EZ IC QO TA UN XA XB ZZ".split())
_OTHER_NAMES = {"uk": "GB", "el": "GR", "usa": "US", "england": "GB", "anglia": "GB", "holland": "NL", "holandia": "NL"}
_NAME_LANGUAGES = ("en", "pl", "de", "uk", "cs", "fr")


@cache
def _codes() -> dict[str, str]:
    """Two letters → two-letter code, from one language: most shops send nothing else, and each language takes a megabyte."""
    territories = map(str, Locale("en").territories)
    codes = (code for code in territories if len(code) == 2 and code.isalpha() and code not in _NOT_COUNTRIES)
    return {code.lower(): code for code in codes} | {name: code for name, code in _OTHER_NAMES.items() if len(name) == 2}


@cache
def _countries() -> dict[str, str]:
    """Code, three-letter code or name (through `name_key`) → two-letter code."""
    names: dict[str, str] = {}
    for language in _NAME_LANGUAGES:
        for code, name in Locale(language).territories.items():
            if len(code) == 2 and code.isalpha() and code not in _NOT_COUNTRIES:
                names.setdefault(name_key(name), code)
                names[code.lower()] = code
    for old, new in get_global("territory_aliases").items():
        if len(old) == 3 and old.isalpha() and len(new) == 1 and new[0].lower() in names:
            names.setdefault(old.lower(), new[0])
    return names | _OTHER_NAMES


@lru_cache(maxsize=1024)  # a shop's records name the same few again and again
def country(text: str) -> str | None:
    """ISO 3166-1 alpha-2 from a two- or three-letter code or a name in one of some languages."""
    if len(text) == 2 and text.isascii():
        return _codes().get(text.lower())
    return _countries().get(name_key(text))


@cache
def _currencies() -> frozenset[str]:
    return frozenset(list_currencies()) - {"XXX", "XTS"}  # «no currency» and the one for tests


@lru_cache(maxsize=256)
def currency(text: str) -> str | None:
    """The ISO 4217 code in capitals, old currencies included; None if there is none such."""
    code = text.strip().upper()
    return code if code in _currencies() else None


# ISO 4217 exponents other than 2 (list one, as of 2025). CLDR's differ: it gives how prices are usually written.
_EXPONENTS = dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0)
_EXPONENTS |= dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3)
_EXPONENTS |= {"CLF": 4, "UYW": 4}


def minor_digits(code: str) -> int:
    """How many decimals the currency's minor unit has: PLN 2 (grosz), JPY 0, TND 3."""
    return _EXPONENTS.get(code, 2)


_STROKED = str.maketrans(
    {"ł": "l", "đ": "d", "ø": "o", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th", "ð": "d"}
)
_SEPARATORS = re.compile(r"[\s\-\u2010-\u2015_.']+")


def name_key(text: str) -> str:
    """A name for comparing, never for showing: case and diacritics folded, spaces, hyphens and dots as one space."""
    folded = text.casefold()
    if not folded.isascii():
        # Twice, because a letter may show its case only once it is taken apart (Unicode, «compatibility caseless match»).
        folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", folded).casefold())
        folded = "".join(char for char in folded if not unicodedata.combining(char)).translate(_STROKED)
    return _SEPARATORS.sub(" ", folded).strip()
