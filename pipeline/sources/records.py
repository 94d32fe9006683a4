"""Records of a business system behind an API, business day by business day.

What a system is asked, and how it answers, is the concern of its own package; what its fields mean,
of `mapping`.
"""

import json
import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from difflib import SequenceMatcher
from functools import cached_property
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.company import ColumnSource
from pipeline.conform import PLACE
from pipeline.errors import TransientSourceError
from pipeline.landed import LandedTable
from pipeline.landing import Extract, day_end, day_start
from pipeline.sources.columns import WantedColumns
from pipeline.sources.connected import ConnectedTable
from pipeline.sources.days import adjoining, last_ready_day
from pipeline.sources.mapping import (
    DAY,
    Mapped,
    found_by,
    map_rows,
    mask_phones,
    split_days,
)

logger = logging.getLogger(__name__)

Record = Mapping[str, Any]
"""One object as the system tells it, nested or not; numbers are int or Decimal, never float."""

# A transaction may commit minutes after the change time that it wrote: records as late as this are
# found by the next run. It also outlasts clocks that are not quite right.
COMMIT_OVERLAP = timedelta(minutes=10)
# Of a system that only tells changes: a date may be typed ahead, and the record not touched again.
DATED_AHEAD = timedelta(days=1)
# One reading spans at most so many days: it bounds memory and what an error loses.
LONGEST_SPAN_DAYS = 31
# An object has hundreds of fields: a message that lists them all is not read.
NEAR_NAMES = 12
POSITION = "#"
"""The last step of a path that names the position in the list of `each`, from 1 on."""


@dataclass(frozen=True)
class Asked:
    """Which records are wanted: half-open, by the fields that date them or by their change.

    Of `dated_by` the first field with a value dates a record. Without `since`, records without any
    date are wanted, too. `fields` are all that a mapping reads, as it names them.
    """

    fields: tuple[str, ...]
    dated_by: tuple[str, ...] = ()
    changed_by: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    is_by_change: bool = False


class RecordSource(ConnectedTable, ABC):
    """One landed table as the records of one object of a system.

    A row belongs to the day of its mapped `day_of` column; `first_day` also takes all that is older
    or has no date. A table without such a column lands whole on `first_day`.
    """

    connector: ClassVar[str]
    ready_at = time(0)
    can_ask_by_day = True
    """Without it the system only tells what has changed since, and days are picked out of that."""
    counted_by: ClassVar[Literal["question", "dates"] | None] = None
    """How the records of a day are counted: `_count` answers for one day at little cost, or the
    dates of the records can be read alone."""
    gives_each_once: ClassVar[bool] = False
    """`_pages` never gives a record twice: two that look alike are two."""

    @cached_property
    def _mapped_as(self) -> LandedTable:
        """The table as the mapping reads it."""
        return self.table

    @cached_property
    def _columns(self) -> WantedColumns:
        return WantedColumns(self._mapped_as, self._settings.columns, self._settings.rows)

    @property
    @abstractmethod
    def _what(self) -> str:
        """What is read and where, for messages, without secrets: `sale.order at http://erp`."""

    @abstractmethod
    def _field_names(self) -> Sequence[str] | None:
        """The fields that the object has here; None where the system cannot tell.

        Of a dotted field only the first step need be named. Raises subclasses of SourceError.
        """

    @abstractmethod
    def _pages(self, asked: Asked) -> Iterator[Sequence[Record]]:
        """The records asked for, page by page; one may come twice. Raises as `extract` does."""

    @property
    def _tells_changes(self) -> bool:
        """Whether the system can be asked for what has changed."""
        return self._settings.changed_column is not None or not self.can_ask_by_day

    @property
    def _is_row_per_record(self) -> bool:
        """Whether each record becomes one row, and not several or a part of one."""
        return self._settings.each is None

    def _count(self, asked: Asked) -> int | None:
        """How many records the system says there are; None where it cannot tell."""
        del asked
        return None

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        """One extract per asked day, in order. A span of days is read whole before its first day
        comes, so that an error lands no half of it. Raises subclasses of SourceError."""
        self._require_fields()
        now = self._wire.now()
        for span in self._spans(sorted(set(days))):
            mapped = self._map(self._read_days(span))
            if skipped := sum(mapped.skipped.get(day, 0) for day in span):
                logger.info("%s: %d records left out, as `rows` says", self._what, skipped)
            for day, rows, rejected in split_days(mapped, span):
                yield Extract(
                    day=day,
                    rows=rows,
                    complete_until=self._complete_until(day, now),
                    rejected=rejected,
                )

    def changed_days(self, since: datetime | None, known: Mapping[date, str]) -> set[date]:
        """The days of `known` with a record whose `changed_column` lies after `since`.

        Commits may come late, so it looks a little further back. Deletions leave no such trace.
        """
        if since is None:
            return set(known)
        if not self._tells_changes:
            return set()
        asked = self._with_fields(since=since - COMMIT_OVERLAP, is_by_change=True)
        mapped = self._map(self._read(asked))
        days = set(mapped.rows.column(DAY).to_pylist()) | mapped.skipped.keys()
        return set(known) & (days | {day for day, _ in mapped.rejected})

    def counts(self, days: Sequence[date]) -> Mapping[date, int]:
        """How many records the system holds on the latest `reconcile_days` of the days.

        Empty where that cannot be told cheaply.
        """
        if not (days and self.counted_by and self.can_ask_by_day and self._dated_by):
            return {}
        if not self._is_row_per_record:
            return {}
        latest = max(days)
        # The first day also holds all that is older: counting it would read the whole past.
        recent = [
            day
            for day in days
            if (latest - day).days < self._settings.reconcile_days
            and day != self._company.first_day
        ]
        if self.counted_by == "dates":
            return self._count_dates(recent)
        told = {day: self._count(self._asked([day])) for day in recent}
        return {day: rows for day, rows in told.items() if rows is not None}

    def _count_dates(self, days: Sequence[date]) -> Mapping[date, int]:
        """The records of the days by nothing but what dates them."""
        if not days:
            return {}
        asked = replace(self._asked(sorted(days)), fields=self._dated_by)
        texts: dict[str, list[str | None]] = {field: [] for field in self._dated_by}
        for page in self._pages(asked):
            for record in page:
                for field, of_field in texts.items():
                    of_field.append(text_at(record, field))
        dates = {name: pa.array(of_field, pa.string()) for name, of_field in texts.items()}
        mapping = self._settings.columns
        dating = {name: mapping[name] for name in self._mapped_as.day_of if name in mapping}
        mapped = self._map(pa.table(dates), dating)
        counted = Counter(day for day, _ in mapped.rejected)
        for entry in pc.value_counts(mapped.rows.column(DAY)).to_pylist():
            counted[entry["values"]] += entry["counts"]
        return {day: counted[day] for day in days}

    def probe(self) -> str:
        """Compare the mapped fields with those of the object, and read the latest day."""
        self._require_fields()
        day = self.last_day()
        rows = self._read(self._recent(0))
        return f"{self._what}: {len(self._columns.names)} fields read, {rows.num_rows} of {day}"

    def sample(self, limit: int) -> Mapped:
        """At most `limit` records of the latest days, mapped: to look at, not to land."""
        self._require_fields()
        for days_back in (0, 7, LONGEST_SPAN_DAYS):
            rows = self._read(self._recent(days_back))
            if rows.num_rows >= limit:
                break
        return self._map(rows.slice(0, limit))

    def last_day(self) -> date:
        """The latest finished day, Asia/Shanghai: the system's records have no delay."""
        return last_ready_day(self._company, self._wire.now() - COMMIT_OVERLAP, time(0))

    def _spans(self, days: list[date]) -> Iterator[list[date]]:
        """The days that are read at once. A system that only tells changes gives those of all days
        since the first one anyhow."""
        if self.can_ask_by_day:
            return adjoining(days, LONGEST_SPAN_DAYS)
        return iter([days] if days else [])

    def _read_days(self, days: Sequence[date]) -> pa.Table:
        """The records of these days. Those of a table without days all stand on the first."""
        if self._dated_by or self._company.first_day in days:
            return self._read(self._asked(days))
        return to_rows((), self._columns.names, each=None, place=self._place)

    def _asked(self, days: Sequence[date]) -> Asked:
        """What must be asked for so that adjoining days come whole."""
        is_first = days[0] == self._company.first_day
        if not self._dated_by:
            return self._with_fields()
        if not self.can_ask_by_day:
            since = None if is_first else day_start(days[0]) - DATED_AHEAD
            return self._with_fields(since=since, is_by_change=True)
        return self._with_fields(
            since=None if is_first else day_start(days[0]), until=day_end(days[-1])
        )

    def _recent(self, days_back: int) -> Asked:
        """The latest day and so many before; what changed then, where no day can be asked for."""
        last = self.last_day()
        is_by_day = self.can_ask_by_day and bool(self._dated_by)
        return self._with_fields(
            since=day_start(last - timedelta(days=days_back)),
            until=day_end(last) if is_by_day else None,
            is_by_change=not is_by_day,
        )

    def _with_fields(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        is_by_change: bool = False,
    ) -> Asked:
        return Asked(
            fields=tuple(self._columns.names),
            dated_by=self._dated_by,
            changed_by=self._settings.changed_column,
            since=since,
            until=until,
            is_by_change=is_by_change,
        )

    @cached_property
    def _dated_by(self) -> tuple[str, ...]:
        mapping = self._settings.columns
        return tuple(
            field
            for name in self._mapped_as.day_of
            for field in (mapping[name].fields if name in mapping else ())
        )

    def _require_fields(self) -> None:
        """Raise PermanentSourceError, with near matches, where a mapped field is not there."""
        found = self._field_names()
        if found is None:
            return
        names = frozenset(found)
        lacking = self._columns.lacking(lambda name: self._has_field(name, names))
        changed = self._settings.changed_column
        if changed is not None and not self._has_field(changed, names):
            lacking.append(changed)
        if lacking:
            self._columns.require(lacking, nearest(lacking[0], found), self._what)

    def _has_field(self, name: str, found: frozenset[str]) -> bool:
        """Whether the object has a field; of a dotted one, its first step."""
        return not found.isdisjoint((name, name.split(".")[0]))

    def _read(self, asked: Asked) -> pa.Table:
        """The records asked for as rows of text, each once.

        Raises TransientSourceError where the system keeps counting others than it gives.
        """
        given = 0

        def records() -> Iterator[Record]:
            nonlocal given
            for page in self._pages(asked):
                given += len(page)
                yield from page

        for _ in range(2):
            given = 0
            rows = to_rows(
                records(), asked.fields, each=self._settings.each, place=self._place,
                keeps_alike=self.gives_each_once,
            )  # fmt: skip
            counted = self._count(asked) if self._is_row_per_record else None
            found = given if self.gives_each_once else rows.num_rows
            if counted is None or counted == found:
                return rows
        raise TransientSourceError(
            f"{self._what}: read {found} records, the system counts {counted}: it changes"
            " while it is read",
            next_step="run again when less is written to it",
        )

    def _place(self, record: Record) -> str:
        """How messages name a record: its object and its key, and of a remark in it the number."""
        mapping = self._settings.columns
        keys = [
            told
            for part in self.table.key
            if part in mapping and not self.table.column(part).is_hashed
            for candidate in mapping[part].candidates[:1]
            if (text := text_at(record, candidate.field))
            and (told := found_by(candidate.pattern, text) if candidate.pattern else text)
        ]
        name = self._settings.object or self.table.name
        return mask_phones(f"{name} {'/'.join(keys) or 'without key'}")

    def _map(self, rows: pa.Table, columns: Mapping[str, ColumnSource] | None = None) -> Mapped:
        return map_rows(
            rows,
            self._mapped_as,
            columns or self._settings.columns,
            time_zone=self._settings.time_zone,
            first_day=self._company.first_day,
            last_day=self._company.last_day,
            choosing=None if columns else self._settings.rows,
        )

    def _complete_until(self, day: date, now: datetime) -> datetime:
        """The end of the day; of a day that may not be over, what was asked for a while ago."""
        if self._company.last_day is not None and day <= self._company.last_day:
            return day_end(day)
        return min(day_end(day), now.astimezone(UTC) - COMMIT_OVERLAP)


def to_rows(
    records: Iterable[Record],
    fields: Sequence[str],
    *,
    each: str | None,
    place: Any,
    keeps_alike: bool = False,
) -> pa.Table:
    """Records as rows of text under the names of their fields, exact repetitions left out unless
    it `keeps_alike`.

    With `each`, one row per element of that list, which then stands in the list's place.
    """
    columns: dict[str, list[str | None]] = {name: [] for name in (*fields, PLACE)}
    seen: set[tuple[str | None, ...]] = set()
    for record in records:
        for row in unfold(record, each) if each else [record]:
            values = tuple(text_at(row, field) for field in fields)
            if values in seen and not keeps_alike:
                continue
            seen.add(values)
            for name, value in zip(fields, values, strict=True):
                columns[name].append(value)
            columns[PLACE].append(place(row))
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def unfold(record: Record, each: str) -> Iterator[Record]:
    """The record once per element of the list at the path `each`, the element in its place."""
    head, _, rest = each.partition(".")
    found = record.get(head)
    if rest and isinstance(found, Mapping):
        for inner in unfold(found, rest):
            yield {**record, head: inner}
    elif isinstance(found, list):
        for position, element in enumerate(found, start=1):
            inner = element if isinstance(element, Mapping) else {"": element}
            yield {**record, head: {**inner, POSITION: position}}


def text_at(record: Record, path: str) -> str | None:
    """The text at a path such as `customer.name` or `lines.0.sku`; None where nothing is there.

    A field whose own name has dots is found by its whole name.
    """
    if path in record:
        return as_text(record[path])
    value: Any = record
    for step in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return as_text(value)


def as_text(value: Any) -> str | None:
    """A value as a plain export would write it: numbers with all their digits."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return str(value)


def nearest(name: str, found: Iterable[str]) -> list[str]:
    """Those of many names that are most like one, whatever their case: the best first."""
    wanted = name.lower()

    def unlikeness(other: str) -> tuple[float, str]:
        return -SequenceMatcher(None, wanted, other.lower()).ratio(), other

    return sorted(found, key=unlikeness)[:NEAR_NAMES]


def read_json(content: bytes) -> Any:
    """JSON whose numbers keep their digits. Raises ValueError, RecursionError."""
    return json.loads(content.decode("utf-8-sig"), parse_float=Decimal)
