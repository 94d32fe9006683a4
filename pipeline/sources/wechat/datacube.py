"""Figures that WeChat counts: how a landed table is made of the calls of a datacube.

Which calls make which table stands in `miniprogram.py` and `official_account.py`. WeChat's counts
and tracked events differ by definition as well as by fault; comparing them does not belong here.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from functools import cached_property
from typing import Any, ClassVar

import pyarrow as pa

from pipeline.errors import BrokenContentError, NotReadyError, RetiredEndpointError
from pipeline.landed import LandedTable
from pipeline.landing import SHANGHAI, Extract, Rejected, day_end
from pipeline.sources.days import adjoining
from pipeline.sources.wechat.account import AccountSource
from pipeline.sources.wechat.api import Post, Reply
from pipeline.sources.wechat.spans import DAY, Span, SpanOf, read_span, the_day

logger = logging.getLogger(__name__)

# Figures are corrected silently for some days; asking again costs few calls.
TRAILING_DAYS = 7

Row = dict[str, Any]


@dataclass(frozen=True)
class Figures:
    """One call, and how its reply is read: rows with landed names, `ref_date` as WeChat wrote it.

    `most_days` is the longest span of days that one call answers. A call whose figures belong to a
    longer span than a day is asked for where that ends. `starts_on` is the first day that WeChat
    has; `is_asked_by_first` sends the span's first day as its end, too.
    """

    path: str
    read: Callable[[Reply], Iterator[Row]]
    span_of: SpanOf = the_day
    most_days: int = 1
    starts_on: date = date.min
    is_asked_by_first: bool = False

    @property
    def is_daily(self) -> bool:
        return self.span_of is the_day

    def covers(self, day: date) -> bool:
        return day >= self.starts_on and self.span_of(day) is not None

    def spans(self, days: Sequence[date]) -> Iterator[Span]:
        """What must be asked for so that each of the days has its figures."""
        covered = [day for day in days if self.covers(day)]
        for run in adjoining(covered, self.most_days if self.is_daily else 1):
            span = self.span_of(run[-1])
            if span is not None:
                yield Span(run[0], run[-1]) if self.is_daily else span


@dataclass
class _Day:
    """What the calls of one day gave, and what speaks against its being whole."""

    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)


class Datacube(AccountSource):
    """One landed table of figures. Its rows are those of all its calls, joined by their key."""

    settled_at: ClassVar[time]
    """Until here on the next day, an empty list means figures that are not built yet."""
    day_format: ClassVar[str]
    tables: ClassVar[Mapping[str, tuple[Figures, ...]]]
    trailing_days_of: ClassVar[Mapping[str, int]] = {}
    """How many trailing days are asked for again, where the table is no usual one."""

    @property
    def _usual_trailing_days(self) -> int:
        return self.trailing_days_of.get(self.table.name, TRAILING_DAYS)

    @cached_property
    def _retired(self) -> set[Figures]:
        return set()

    @property
    def _calls(self) -> tuple[Figures, ...]:
        return self.tables[self.table.name]

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        """One extract per day, in the order asked. Raises NotReadyError where WeChat has not built
        the day, else the other subclasses of SourceError."""
        most = max(call.most_days for call in self._calls)
        with self._api.open() as post:
            for run in adjoining(days, most):
                # What is not settled may be refused, and is asked for by itself.
                settled = [day for day in run if self._is_settled(day)]
                yield from self._extract(post, settled)
                for day in run[len(settled) :]:
                    yield from self._extract(post, [day])

    def probe(self) -> str:
        """Ask for the latest day: proves address, secret, whitelist and permission."""
        call, day = self._calls[0], self.last_day()
        while not call.covers(day) and day > call.starts_on:
            day -= DAY
        with self._api.open(is_proving=True) as post:
            try:
                for span in call.spans([day]):
                    self._ask(post, call, span)
            except NotReadyError:
                return f"{self._api.base_url} answers {self._api.app_id}; {day} is not built yet"
        return (
            f"{self._api.base_url} answers {self._api.app_id}; {self.table.name} of {day} is there"
        )

    def _is_settled(self, day: date) -> bool:
        return self._wire.now() >= datetime.combine(day + DAY, self.settled_at, SHANGHAI)

    def _extract(self, post: Post, days: Sequence[date]) -> Iterator[Extract]:
        """Calls of many days first; then day by day, so that an error loses no day before it."""
        found = {day: _Day() for day in days}
        for call in self._calls:
            if call.most_days > 1:
                self._ask_all(post, call, days, found)
        for day, of_day in found.items():
            for call in self._calls:
                if call.most_days == 1:
                    self._ask_all(post, call, [day], found)
            if of_day.rejected and not of_day.rows:
                raise BrokenContentError(
                    f"{self.table.name} of {day}: none of {len(of_day.rejected)} rows is of that"
                    f" day: {of_day.rejected[0].reason}",
                    next_step="run again; if it repeats, ask WeChat what it answers",
                )
            if of_day.lacking and not self._is_settled(day):
                raise NotReadyError(
                    f"{self.table.name} of {day}: {'; '.join(of_day.lacking)}, which until"
                    f" {self.settled_at:%H:%M} of the next day means that the figures are not"
                    " built yet",
                    next_step="run again in half an hour",
                )
            yield Extract(
                day=day,
                rows=pa.Table.from_pylist(of_day.rows, schema=_text_schema(self.table)),
                complete_until=day_end(day),
                rejected=tuple(of_day.rejected),
                is_tentative=bool(of_day.lacking or self._retired),
            )

    def _ask_all(
        self, post: Post, call: Figures, days: Sequence[date], found: dict[date, _Day]
    ) -> None:
        """Collect a call over some days. One that WeChat has retired leaves the others their own
        figures; where it has retired all of a table's, it is told."""
        for span in call.spans(days):
            if call in self._retired and len(self._retired) < len(self._calls):
                return
            try:
                self._collect(call, span, self._ask(post, call, span), found)
            except RetiredEndpointError as error:
                self._retired.add(call)
                if len(self._retired) == len(self._calls):
                    raise
                logger.warning("%s: %s", self.table.name, error.message)

    def _ask(self, post: Post, call: Figures, span: Span) -> Reply:
        last = span.first if call.is_asked_by_first else span.last
        body = {
            "begin_date": span.first.strftime(self.day_format),
            "end_date": last.strftime(self.day_format),
        }
        return post(call.path, body, subject=f"{_name(call)} of {_told(span)}")

    def _collect(self, call: Figures, span: Span, reply: Reply, found: dict[date, _Day]) -> None:
        """Put each row of a reply on its day; one of another day than asked for is set aside."""
        days = [day for day in found if call.covers(day) and span.first <= day <= span.last]
        if not call.is_daily:
            days = [span.last]
        fresh: dict[date, list[Row]] = {day: [] for day in days}
        for entry in _read(call, span, reply):
            told = read_span(entry.get("ref_date"))
            if told is None or not span.holds(told):
                found[days[0]].rejected.append(_reject(call, span, entry))
            elif call.is_daily:
                fresh[told.first].append(self._row(entry, told))
            else:
                fresh[span.last].append(self._row(entry, span))
        for day, rows in fresh.items():
            if reply.get("is_delay") is True:
                found[day].lacking.append(f"{_name(call)} says that its figures lag")
            elif not rows:
                found[day].lacking.append(f"{_name(call)} gave an empty list")
            found[day].rows = join(found[day].rows, rows, self.table.key)

    def _row(self, entry: Row, span: Span) -> Row:
        dated = entry | {"ref_date": span.first.isoformat(), "until_date": span.last.isoformat()}
        return {name: _text(dated.get(name)) for name in self.table.schema.names}


def join(left: list[Row], right: list[Row], key: tuple[str, ...]) -> list[Row]:
    """The rows of both, where rows of one key complete each other as one. Rows that contradict
    each other stay two, for landing to tell."""
    joined = [dict(row) for row in left]
    by_key = {tuple(row[name] for name in key): row for row in joined}
    for row in right:
        match = by_key.get(tuple(row[name] for name in key))
        added = {name: value for name, value in row.items() if value is not None}
        if match is None or any(
            match[name] is not None for name in added if name not in key
            and match[name] != added[name]
        ):  # fmt: skip
            joined.append(row)
        else:
            match.update(added)
    return joined


def entries(reply: Reply, name: str = "list") -> Iterator[Row]:
    """The objects of a list. What is no object is kept under a name that no table has."""
    listed = reply.get(name)
    if not isinstance(listed, list):
        raise BrokenContentError(f"found no {name}, but {', '.join(map(repr, reply)) or 'nothing'}")
    for entry in listed:
        yield entry if isinstance(entry, dict) else {"entry": entry}


def nested(entry: Row, name: str) -> Row:
    """An object within an entry; empty where there is none."""
    found = entry.get(name)
    return found if isinstance(found, dict) else {}


def nested_list(entry: Row, name: str) -> list[Row]:
    """The objects of a list within an entry."""
    found = entry.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _read(call: Figures, span: Span, reply: Reply) -> list[Row]:
    try:
        return list(call.read(reply))
    except BrokenContentError as error:
        raise BrokenContentError(
            f"{_name(call)} of {_told(span)}: {error.message}",
            next_step="run again; if it repeats, check base_url of the connection",
        ) from error


def _reject(call: Figures, span: Span, entry: Row) -> Rejected:
    return Rejected(
        place=f"{_name(call)} of {_told(span)}",
        reason=f"ref_date: found {str(entry.get('ref_date'))[:40]!r}, allowed: within what was"
        f" asked for, {_told(span)}",
        raw=json.dumps(entry, ensure_ascii=False),
    )


def _name(call: Figures) -> str:
    return call.path.rpartition("/")[2].removeprefix("getweanalysisappid")


def _told(span: Span) -> str:
    return str(span.last) if span.first == span.last else f"{span.first} to {span.last}"


def _text(value: object) -> str | None:
    """A value as text: landing reads the numbers and refuses others."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return None if value is None else str(value)


def _text_schema(table: LandedTable) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in table.schema.names])
