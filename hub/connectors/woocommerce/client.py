"""The five verbs for one shop, and a way to read lists that loses nothing.

WooCommerce pages by offset, so rows move under the reader's feet. Why nothing is lost all the same:

* Rows are asked for by rising id, the only order that has no ties (by `modified` a row was lost at equal seconds:
  recordings/orders-modified-paging-instability.json). Each page starts at the last row that was already seen. If the first
  row's id is not above it, everything between is on the page; if it is, rows before it were deleted and everything moved
  up, so we step back until the page reaches down to the last id seen. Rows that come in at the end get higher ids and
  are met later.
* Orders and products know `modified_after`. A window is read as a whole; the next one starts where the *shop's* clock
  stood at this one's first answer, less `SETTLE`. Whatever changes while we read is at or after that clock, also a row that
  we had passed already; a change whose transaction was still open then has `SETTLE` seconds to become visible. «After» is
  strict and in whole seconds: a row changed in the very second of the bound lies `SETTLE` before the window's first
  answer and was seen by it. Repeats are dropped by the caller.
* Times are sent in GMT, without a suffix and with `dates_are_gmt`: a suffix together with that flag hides the newest hours,
  no flag means the site's own zone (recordings/modified_after-timezone-semantics.json).
* Customers have no such filter, the shop ignores it silently: each run is a full sweep.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from itertools import count, pairwise

from hub.connectors.woocommerce import auth, webhooks
from hub.connectors.woocommerce.schema import FIELDS
from hub.core.connector import Account, Checked, Cursor, Declaration, Event, Outgoing, Page, Result, Verb
from hub.core.errors import ContractBroken
from hub.core.http import Answer, Call
from hub.core.texts import N_
from hub.core.types import Json, Raw
from hub.transport import Http, read_json

PER_PAGE = 100
STEP = PER_PAGE - 1
"""Pages overlap by one row."""

SETTLE = timedelta(seconds=120)
FAST = 0.025
"""Seconds: a shop that answers faster is asked one page at a time; threads would only be in the way. No less, or the busy
machine of a near shop is taken for a slow shop, and made busier."""

STALLS = 5
"""Pages in a row without anything new before we call it a shop that repeats itself."""


class WooCommerce:
    """One shop. Threads may share it: it holds no state but the bound client."""

    def __init__(self, declaration: Declaration, account: Account, http: Http) -> None:
        self.declaration = declaration
        self._account = account
        self._http = http

    @cached_property
    def _shop(self) -> Http:
        return auth.connect(self._account, self._http)

    def check(self) -> Checked:
        return auth.check(self._account, self._http)

    def read(self, stream: str, cursor: Cursor | None) -> Iterator[Page]:
        self.declaration.stream(stream)
        return Reader(self._shop, stream, self.declaration.limits.in_flight).pages(cursor or {})

    def write(self, stream: str, records: Sequence[Outgoing]) -> list[Result]:
        self.declaration.need(Verb.WRITE)
        return []

    def trigger(self, automation: str, records: Sequence[Outgoing]) -> list[Result]:
        self.declaration.need(Verb.TRIGGER)
        return []

    def receive(self, headers: Mapping[str, str], raw_body: bytes) -> list[Event]:
        return webhooks.receive(self._account, headers, raw_body)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sweep stands: `offset` of the row `last_id`, the window's lower bound, the next window's (both GMT texts)."""

    offset: int = 0
    last_id: int = 0
    since: str = ""
    next_since: str = ""
    newest: str = ""

    @classmethod
    def of(cls, cursor: Cursor) -> Place:
        sweep = cursor.get("sweep") or {}
        since, next_since, newest = cursor.get("since"), sweep.get("next"), sweep.get("newest")
        offset, last_id = int(sweep.get("offset", 0)), int(sweep.get("last_id", 0))
        return cls(offset, last_id, str(since or ""), str(next_since or ""), str(newest or ""))

    def cursor(self) -> dict[str, Json]:
        """In the middle of a sweep: a run that is resumed goes on here."""
        place = {"offset": self.offset, "last_id": self.last_id, "next": self.next_since, "newest": self.newest}
        return {"sweep": place, "since": self.since}

    def finished(self) -> dict[str, Json]:
        """The sweep is over: the next run starts a new one, for orders and products from `since`."""
        return {"sweep": None, "since": self.next_since or _settled(self.newest) or self.since}


@dataclass(frozen=True, slots=True)
class Rows:
    """One answer: `total` is the shop's own count, `first` and `last` are ids."""

    offset: int
    records: list[Raw]
    ids: list[int]
    total: int | None

    def reaches(self, last_id: int) -> bool:
        """Whether nothing can lie between `last_id` and this page."""
        return self.offset == 0 or (bool(self.ids) and self.ids[0] <= last_id)

    def is_last(self, anything_new: bool) -> bool:
        """A short page alone proves nothing where a plugin lowers the page size or hides rows; the shop's count must agree,
        or a second look from the last row must have found nothing behind it."""
        seen_to = self.offset + (len(self.ids) if anything_new else PER_PAGE)
        return len(self.ids) < PER_PAGE and seen_to >= (self.total or 0)

    def next_offset(self) -> int:
        """The position of this page's last row, or an earlier one: a page always begins at a row that was seen."""
        return self.offset + max(len(self.ids) - 1, 0)


class Reader:
    """One reading of one stream, by one thread."""

    def __init__(self, http: Http, stream: str, width: int) -> None:
        self._http = http
        self._stream = stream
        self._width = width
        self._windowed = stream != "customers"
        self._slow = 0
        self._total = 0
        self._server_time = ""

    def pages(self, cursor: Cursor) -> Iterator[Page]:
        place = Place.of(cursor)
        patience, stepped_at = STALLS, -1
        ahead = self._ahead(place)
        try:
            while True:
                rows = next(ahead)
                if not rows.reaches(place.last_id):
                    ahead.close()
                    rows = self._step_back(place, rows)
                    if stepped_at != place.last_id:  # pages between there and here are seen a second time
                        patience += (place.offset - rows.offset) // STEP + 1
                        stepped_at = place.last_id
                    ahead = self._ahead(replace(place, offset=rows.next_offset()))
                first_new = bisect_right(rows.ids, place.last_id)
                anything_new = first_new < len(rows.ids)
                place = self._move(place, rows)
                last = rows.is_last(anything_new)
                patience = STALLS if anything_new else patience - 1
                if patience <= 0 and not last:
                    raise self._repeats(rows)
                yield Page(rows.records[first_new:], place.finished() if last else place.cursor(), rows.total)
                if last:
                    return
        finally:
            ahead.close()

    def _ahead(self, place: Place) -> Generator[Rows]:
        """Pages from `place` on, each beginning at the last row of the one before; a slow shop is asked ahead of time."""
        offset = place.offset
        while True:
            if self._slow < 2 or offset + PER_PAGE >= self._total:
                answer = self._http.call(self._list(offset, place.since))
                self._slow = self._slow + 1 if answer.elapsed >= FAST else 0
                rows = self._rows(offset, answer)
                offset = rows.next_offset()
                yield rows
                continue
            asked: deque[int] = deque()
            answers = self._http.call_ahead(self._calls(offset, place.since, asked), self._width)
            with closing(answers):  # type: ignore[type-var]
                for answer in answers:
                    rows = self._rows(asked.popleft(), answer)
                    offset = rows.next_offset()
                    yield rows

    def _calls(self, offset: int, since: str, asked: deque[int]) -> Iterator[Call]:
        """Calls for full pages up to the shop's count; `asked` notes their offsets in order."""
        for at in count(offset, STEP):
            if at >= self._total:
                return
            asked.append(at)
            yield self._list(at, since)

    def _step_back(self, place: Place, failed: Rows) -> Rows:
        """Rows before the page were deleted: go back until a page reaches down to the last id seen (offset 0 always does)."""
        back = STEP
        offset = max(0, place.offset - back) if failed.offset == place.offset else place.offset
        while True:
            rows = self._rows(offset, self._http.call(self._list(offset, place.since)))
            if rows.reaches(place.last_id):
                return rows
            offset, back = max(0, offset - back), back * 2

    def _list(self, offset: int, since: str) -> Call:
        query: dict[str, str | int] = {
            "orderby": "id",
            "order": "asc",
            "per_page": PER_PAGE,
            "offset": offset,
            "_fields": ",".join(FIELDS[self._stream]),
        }
        if not self._windowed:
            query["role"] = "all"  # the default leaves out staff, who buy too
        elif since:
            query |= {"modified_after": since, "dates_are_gmt": "true"}
        return Call("GET", f"{auth.NAMESPACE}/{self._stream}", query)

    def _rows(self, offset: int, answer: Answer) -> Rows:
        """The parsed page; anything but a list of records by rising whole ids is `ContractBroken` with a sample."""
        records = read_json(answer, connection=self._http.connection)
        if not isinstance(records, list):
            raise self._broken(N_("The shop sent something else than a list of {stream}"), answer)
        try:
            ids = [record["id"] for record in records]
        except (TypeError, KeyError):
            raise self._broken(N_("The shop sent {stream} without an id"), answer) from None
        if not all(type(number) is int for number in ids):
            raise self._broken(N_("The shop sent {stream} whose id is not a whole number"), answer)
        if any(later <= earlier for earlier, later in pairwise(ids)):
            raise self._broken(N_("The shop sent {stream} in another order than by id, which was asked for"), answer)
        count_header = answer.headers.get("x-wp-total", "")
        total = int(count_header) if count_header.isdecimal() else None
        self._total = total or 0
        if not self._server_time:
            self._server_time = _server_time(answer)
        return Rows(offset, records, ids, total)

    def _move(self, place: Place, rows: Rows) -> Place:
        moved = replace(place, offset=rows.next_offset(), last_id=max(place.last_id, rows.ids[-1] if rows.ids else 0))
        if not self._windowed or moved.next_since:
            return moved
        if self._server_time:
            return replace(moved, next_since=self._server_time)
        changes = (record.get("date_modified_gmt") for record in rows.records)
        return replace(moved, newest=max(place.newest, *(text for text in changes if isinstance(text, str)), ""))

    def _broken(self, message: str, answer: Answer) -> ContractBroken:
        return ContractBroken(
            message,
            cure="Look for a plugin that changes the REST API's answers",
            connection=self._http.connection,
            status=answer.status,
            sample=answer.body[:2000].decode("utf-8", "replace"),
            stream=self._stream,
        )

    def _repeats(self, rows: Rows) -> ContractBroken:
        return ContractBroken(
            "The shop repeats the same pages of {stream} and never comes to the {total} that it says there are",
            cure="Exclude /wp-json from the shop's page cache; a cache or a plugin ignores the query's «offset»",
            connection=self._http.connection,
            status=200,
            sample=str(rows.ids[:20]),
            stream=self._stream,
            total="?" if rows.total is None else rows.total,
        )


def _server_time(answer: Answer) -> str:
    """The shop's clock less `SETTLE`, as `modified_after` takes it; empty without a readable Date header.

    A clock ahead of ours (a proxy's, say) is not believed: too early only means repeats, too late would lose changes.
    """
    try:
        stated = parsedate_to_datetime(answer.headers.get("date", "")).astimezone(UTC)
    except ValueError:
        return ""
    return _text(min(stated, datetime.now(UTC)) - SETTLE)


def _settled(newest: str) -> str:
    """The fallback without a clock: the newest change that was seen, less `SETTLE`."""
    try:
        return _text(datetime.fromisoformat(newest).replace(tzinfo=UTC) - SETTLE) if newest else ""
    except ValueError:
        return ""


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
