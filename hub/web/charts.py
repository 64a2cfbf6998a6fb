"""Charts drawn on the server as SVG: pure functions. Colours come from the style sheet, texts from the caller.

The drawings stretch with the page (`preserveAspectRatio="none"`), so they hold no text: axes are written beside them in
HTML, where they keep their size on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

MOST_BARS = 200
WIDTH, HEIGHT = 1000, 200


@dataclass(frozen=True, slots=True)
class Bar:
    """Neighbouring batches taken together; `first` and `last` are their numbers."""

    first: int
    last: int
    records: int
    seconds: float

    @property
    def rate(self) -> float:
        """Records a second; what took no measurable time counts as a millisecond."""
        return self.records / max(self.seconds, 0.001)


def gather(batches: Iterable[tuple[int, int, float]], most: int = MOST_BARS) -> list[Bar]:
    """(number, records, seconds) of each batch, in order, as at most `most` bars of equally many batches."""
    listed = list(batches)
    size = max(1, math.ceil(len(listed) / most))
    groups = [listed[start : start + size] for start in range(0, len(listed), size)]
    return [
        Bar(group[0][0], group[-1][0], sum(records for _, records, _ in group), sum(seconds for *_, seconds in group))
        for group in groups
    ]


def round_up(value: float) -> float:
    """The next number for the top of an axis: 1, 2 or 5 and noughts."""
    if value <= 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(step * unit for step in (1, 2, 5, 10) if step * unit >= value)


def columns(bars: Sequence[Bar], top: float, title: str, describe: Callable[[Bar], str]) -> Markup:
    """One column per bar, as high as its rate; `describe` is what pointing at one tells."""
    step = WIDTH / max(len(bars), 12)  # a few bars are not blown up to the whole width
    gap = step * 0.15
    drawn = Markup("").join(
        Markup('<rect class="bar" x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}"><title>{}</title></rect>').format(
            index * step, HEIGHT - height, step - gap, height, describe(bar)
        )
        for index, bar in enumerate(bars)
        for height in (max(1.0, HEIGHT * min(bar.rate / top, 1.0)),)
    )
    lines = Markup("").join(
        Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/>').format(WIDTH, y, y)
        for y in (0.5, HEIGHT / 2, HEIGHT - 0.5)
    )
    return Markup(
        '<svg class="columns" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}{}</svg>'
    ).format(WIDTH, HEIGHT, title, lines, drawn)


def share_bar(share: float, kind: str = "") -> Markup:
    """A bar filled to a share between 0 and 1, beside its number: an ornament, hidden from screen readers."""
    filled = 100 * min(max(share, 0.0), 1.0)
    return Markup(
        '<svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<rect class="groove" width="100" height="8"/><rect class="bar {}" width="{:.2f}" height="8"/></svg>'
    ).format(kind, max(filled, 0.6) if share > 0 else 0)


def stack(parts: Sequence[tuple[float, str, str]], title: str) -> Markup:
    """One bar cut into parts: (share between 0 and 1, kind, what pointing at it tells). A table beneath has the numbers."""
    drawn, left = [], 0.0
    for share, kind, text in parts:
        width = 100 * min(max(share, 0.0), 1.0)
        drawn.append(
            Markup('<rect class="bar {}" x="{:.2f}" width="{:.2f}" height="8"><title>{}</title></rect>').format(
                kind, left, max(width - 0.2, 0.1), text
            )
        )
        left += width
    return Markup(
        '<svg class="stack" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(title, Markup("").join(drawn))
