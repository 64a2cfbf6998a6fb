"""Numbers, times and durations as people write them in their language. Pure functions; times say their zone."""

from __future__ import annotations

import math
from datetime import UTC, datetime, tzinfo

from babel.dates import format_datetime, format_timedelta
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit
from markupsafe import Markup

LOCALES = {"en": "en_GB", "pl": "pl_PL"}
"""English with the day before the month and 24 hours: no American and no Briton misreads «22 Nov 2026, 19:30»."""


def number(value: float, lang: str) -> str:
    """A whole number with its thousands apart; below ten one decimal, if there is one."""
    pattern = "#,##0.#" if abs(value) < 10 else "#,##0"
    return format_decimal(value, pattern, locale=LOCALES[lang])


def percent(share: float, lang: str) -> str:
    """A share between 0 and 1. What is not all of it never reads «100%», what is not nothing never «0%»."""
    if 0 < share < 1:
        share = min(max(share, 0.001), 0.999)
    pattern = "#,##0.#%" if share < 0.1 or share > 0.99 else "#,##0%"
    return format_percent(share, pattern, locale=LOCALES[lang])


def duration(seconds: float, lang: str) -> str:
    """At most two units: «2 hr 5 min», «3 min 20 sec», «4.2 sec», «30 ms»."""
    locale = LOCALES[lang]
    if seconds < 1:
        return format_unit(math.ceil(seconds * 1000), "duration-millisecond", "short", locale=locale)
    if seconds < 60:
        pattern = "0.0" if seconds < 10 else "0"
        return format_unit(seconds, "duration-second", "short", format=pattern, locale=locale)
    steps = (("duration-day", 86400), ("duration-hour", 3600), ("duration-minute", 60), ("duration-second", 1))
    index = next(index for index, (_, size) in enumerate(steps) if seconds >= size)
    larger, smaller = steps[index], steps[min(index + 1, len(steps) - 1)]
    whole, rest = divmod(round(seconds / smaller[1]), larger[1] // smaller[1])
    parts = [format_unit(whole, larger[0], "short", locale=locale)]
    if rest:
        parts.append(format_unit(rest, smaller[0], "short", locale=locale))
    return " ".join(parts)


def clock(at: datetime, lang: str, zone: tzinfo = UTC) -> str:
    """«22 Nov 2026, 19:30 CET»: a time without its zone is no time."""
    local = at.astimezone(zone)
    return f"{format_datetime(local, 'd MMM yyyy, HH:mm', tzinfo=zone, locale=LOCALES[lang])} {local.tzname()}"


def ago(at: datetime, now: datetime, lang: str) -> str:
    """«2 minutes ago», «in 5 seconds»."""
    seconds = min(round((at - now).total_seconds()), 0) if at <= now else round((at - now).total_seconds())
    # Babel calls zero the future; what has just happened is past.
    return format_timedelta(seconds or -1, add_direction=True, threshold=1.2, locale=LOCALES[lang])


def moment(at: datetime | None, now: datetime, lang: str, zone: tzinfo = UTC) -> Markup:
    """A time with its distance from now, as HTML; a dash where there is none."""
    if at is None:
        return Markup("–")
    return Markup('<time datetime="{}">{}</time> <span class="ago">{}</span>').format(
        at.astimezone(UTC).isoformat(timespec="seconds"), clock(at, lang, zone), ago(at, now, lang)
    )
