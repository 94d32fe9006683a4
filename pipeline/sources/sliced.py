"""Records of a system that only tells what has changed, one window of time after the other.

How one window is asked for is the concern of the system's own package.
"""

import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Protocol

import pyarrow as pa

from pipeline.company import ColumnSource, Company, Connection, TableSource
from pipeline.errors import BrokenContentError, TransientSourceError
from pipeline.landed import Column, LandedTable
from pipeline.landing import day_start
from pipeline.sources.mapping import Mapped
from pipeline.sources.records import (
    DATED_AHEAD,
    Asked,
    Record,
    RecordSource,
    as_text,
    text_at,
    to_rows,
)
from pipeline.sources.slices import Window, windows
from pipeline.sources.unseen import tell_unseen
from pipeline.sources.wire import Wire

logger = logging.getLogger(__name__)

RESOLUTION = timedelta(seconds=1)
# A record that is changed while the span is read leaves its window, read or not, for one that lies
# after the span. Each further round reads what was changed during the one before it and is much
# shorter: after the third, only what is changed twice within those seconds waits for the next run.
ROUNDS = 3
# A list that keeps growing while one window of it is read is busier than reading it can follow.
TRIES_OF_A_WINDOW = 3
# A reading may last hours: once it has begun, it outlives an outage of some minutes.
OUTAGE_PAUSES = 10
OUTAGE_PAUSE_SECONDS = 60.0
# To look at records, so many of the latest windows of all its lists are enough: a minute of calls.
LOOKED_AT_READINGS = 48
LOOKED_AT_LONGEST = timedelta(days=1)
_DAY = "record_at"


@dataclass(frozen=True)
class ChangeList:
    """One list of a system: where it is asked for, and what the system allows at once."""

    path: str
    list_name: str
    key: str
    longest: timedelta
    page_size: int
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """One page of a window, and how many records the window has; only the first page tells."""

    records: Sequence[Record]
    total: int


class AskPage(Protocol):
    """One call; pages are counted from 0. Raises subclasses of SourceError."""

    def __call__(self, listed: ChangeList, window: Window, number: int) -> Page: ...


class _ListMovesError(TransientSourceError):
    """A list that keeps changing while it is read: no outage, and nothing to wait for."""


class SlicedSource(RecordSource):
    """One landed table as the changes that a system tells.

    Of each record the version that was read last counts: windows are read in the order of time.
    """

    can_ask_by_day = False
    parts: ClassVar[Mapping[str, str]] = {}
    """Of tables whose rows are parts of a record, the list that holds them."""
    day_fields: ClassVar[Mapping[str, str]] = {}
    """Of tables without a day of their own, the field of the record that gives them one: on one day
    alone, every change would have all of the past read again."""

    def __init__(
        self,
        table: LandedTable,
        settings: TableSource,
        connection: Connection,
        company: Company,
        *,
        wire: Wire | None = None,
    ) -> None:
        day_field = self.day_fields.get(table.name)
        # Times are Beijing's and bear no zone.
        own = {"each": self.parts.get(table.name), "time_zone": "Asia/Shanghai"}
        settings = settings.model_copy(update=own)
        if day_field is not None:
            by_day = {_DAY: ColumnSource.model_validate(day_field)}
            settings = settings.model_copy(update={"columns": settings.columns | by_day})
        super().__init__(table, settings, connection, company, wire=wire)
        self._has_begun = False

    @cached_property
    def _mapped_as(self) -> LandedTable:
        return _with_day(self.table) if self.table.name in self.day_fields else self.table

    def _map(self, rows: pa.Table, columns: Mapping[str, ColumnSource] | None = None) -> Mapped:
        mapped = super()._map(rows, columns)
        if self._mapped_as is self.table:
            return mapped
        return replace(mapped, rows=mapped.rows.drop_columns([_DAY]))

    @property
    @abstractmethod
    def _lists(self) -> Sequence[ChangeList]:
        """The lists that hold the records, in the order in which records wander through them."""

    @abstractmethod
    def _line(self) -> AbstractContextManager[AskPage]:
        """A line to the system, closed at the end."""

    def _field_names(self) -> None:
        """Nobody can tell: what a record lacks it leaves out."""

    def _complete(self, records: list[dict[str, Any]]) -> Sequence[Record]:
        """The records of a whole reading, with what only all of them together can tell."""
        return records

    def probe(self) -> str:
        """Read the latest window: proves address, secret, permission and the mapped fields."""
        now = self._wire.now()
        length = min(self._lists[0].longest, LOOKED_AT_LONGEST)
        records = self._looked_at(Window(now - length, now))
        return f"{self._what}: {len(records)} changed since {now - length:%F %R} UTC" + (
            tell_unseen(self._columns.names, records, self._settings.each)
        )

    def sample(self, limit: int) -> Mapped:
        """At most `limit` records of the latest windows, mapped: to look at, not to land."""
        now = self._wire.now()
        length = self._lists[0].longest
        count = max(1, LOOKED_AT_READINGS // len(self._lists))
        latest = windows(now - count * length, now, length, RESOLUTION)
        records: list[Record] = []
        for window in reversed(list(latest)):
            records += self._looked_at(window)
            if len(records) >= limit:
                break
        rows = to_rows(records, self._columns.names, each=self._settings.each, place=self._place)
        return self._map(rows.slice(0, limit))

    def _looked_at(self, window: Window) -> list[Record]:
        asked = self._with_fields(since=window.since, until=window.until, is_by_change=True)
        return [record for page in self._pages(asked) for record in page]

    def _pages(self, asked: Asked) -> Iterator[Sequence[Record]]:
        """All records in one page: only the last of a record's versions is handed on."""
        newest: dict[str, dict[str, Any]] = {}
        # What is read later: a year of whole orders would not fit into memory, and the names and
        # addresses in them need go no further.
        kept = {*asked.fields, *(name.split(".")[0] for name in asked.fields), *self._kept}
        self._has_begun = False
        with self._line() as ask:
            for window in self._windows(asked):
                for listed in self._lists:
                    for key, record in self._read_on(ask, listed, window).items():
                        newest[key] = {name: of for name, of in record.items() if name in kept}
                logger.info(
                    "%s: read the changes of %s to %s UTC, %d records so far",
                    self._what, f"{window.since:%F %T}", f"{window.until:%F %T}", len(newest),
                )  # fmt: skip
        yield self._complete(list(newest.values()))

    @property
    def _kept(self) -> Sequence[str]:
        """Fields that `_complete` needs beside those that the mapping names."""
        return ()

    def _windows(self, asked: Asked) -> Iterator[Window]:
        """The windows of what is asked for; without an end, on until the present."""
        longest = self._lists[0].longest
        since = asked.since or day_start(self._company.first_day) - DATED_AHEAD
        for _ in range(1 if asked.until else ROUNDS):
            until = asked.until or self._wire.now()
            yield from windows(since, until, longest, RESOLUTION)
            since = until

    def _read_on(self, ask: AskPage, listed: ChangeList, window: Window) -> dict[str, Record]:
        """The records of one window; what passes by itself is waited for, once some were read."""
        for _ in range(OUTAGE_PAUSES if self._has_begun else 0):
            try:
                return self._read_window(ask, listed, window)
            except _ListMovesError:
                raise
            except TransientSourceError as error:
                logger.warning("%s; asking again in %.0f s", error.message, OUTAGE_PAUSE_SECONDS)
                self._wire.sleep(OUTAGE_PAUSE_SECONDS)
        records = self._read_window(ask, listed, window)
        self._has_begun = True
        return records

    def _read_window(self, ask: AskPage, listed: ChangeList, window: Window) -> dict[str, Record]:
        """The records of one window by their key, complete.

        Pages are read from the last to the first: a record that leaves the window moves those after
        it towards pages that are still to be read, and none away from them.
        """
        for _ in range(TRIES_OF_A_WINDOW):
            records: dict[str, Record] = {}
            first = page = ask(listed, window, 0)
            for number in range((first.total - 1) // listed.page_size, 0, -1):
                _take(ask(listed, window, number), listed, records)
            if first.total > listed.page_size:
                page = ask(listed, window, 0)
            _take(page, listed, records)
            if page.total <= first.total and len(records) >= page.total:
                return records
        raise _ListMovesError(
            f"{self._what}: of the window {_told(window)} it counts {page.total} records and gives"
            f" {len(records)}",
            next_step="run again when less is written to it; if it repeats, ask its support",
        )


def _with_day(table: LandedTable) -> LandedTable:
    """The table with the instant of its records, which gives its rows their day and lands not."""
    return replace(table, columns=(*table.columns, Column(_DAY, "instant")), day_of=(_DAY,))


def local_text(instant: datetime, zone: Any) -> str:
    """An instant to the second as these systems write it, in their own zone."""
    return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def records_of(found: Any, what: str, list_name: str) -> Sequence[Record]:
    """The list of a reply. Raises BrokenContentError where it is none of objects."""
    if not isinstance(found, list) or not all(isinstance(record, Mapping) for record in found):
        raise BrokenContentError(
            f"{what}: found {type(found).__name__} as {list_name}, allowed: a list of objects",
            next_step="run again; if it repeats, check base_url of the connection",
        )
    return found


def count_of(found: Any, what: str, name: str) -> int:
    """A count of a reply. Raises BrokenContentError where it is none."""
    text = as_text(found) or ""
    if not text.isdecimal():
        raise BrokenContentError(
            f"{what}: found {text[:40]!r} as {name}, allowed: a count of records",
            next_step="run again; if it repeats, check base_url of the connection",
        )
    return int(text)


def _take(page: Page, listed: ChangeList, records: dict[str, Record]) -> None:
    for record in page.records:
        # Without its key a record stands for itself, and is refused where rows are made of it.
        records[text_at(record, listed.key) or str(as_text(record))] = record


def _told(window: Window) -> str:
    return f"{window.since:%F %T} to {window.until:%F %T} UTC"
