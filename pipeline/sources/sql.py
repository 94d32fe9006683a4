"""Tables of a database, business day by business day: what is read, counted and read again.

How a table is asked is the concern of `sql_table`, what its columns mean of `mapping`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property

import pyarrow as pa

from pipeline.company import Company, Connection, TableSource
from pipeline.errors import TransientSourceError
from pipeline.landed import TABLES, LandedTable
from pipeline.landing import Control, Extract, business_day, day_end, day_start
from pipeline.sources.days import adjoining
from pipeline.sources.mapping import Mapped, map_rows, split_days
from pipeline.sources.records import COMMIT_OVERLAP
from pipeline.sources.sql_table import SqlTable
from pipeline.sources.windows import Reading, Window, count_by_day, plan_readings

# Of so many days at once are the rows counted: one answer, one row per day.
LONGEST_SPAN_DAYS = 366
# What one reading holds in memory: some 100 to 300 MB of text, and as much again while it is
# mapped. 2026-11.
MOST_ROWS = 500_000
# Of so many days up to the latest, the fewest that hold enough rows are looked at for a sample.
SAMPLED_DAYS = (1, 7, 31)
EVERYTHING = "1 = 1"
# How often rows are read that are written to meanwhile.
READINGS_MOST = 3


class SqlSource:
    """One landed table as a table or a query of a database.

    A row belongs to the day of its mapped `day_of` column; `first_day` also takes all that is
    older or has no date. Each day carries the database's own count of its rows. A table without a
    time column lands whole on `first_day`.
    """

    connector = "sql"
    ready_at = time(0)

    def __init__(
        self, table: LandedTable, settings: TableSource, connection: Connection, company: Company
    ) -> None:
        self.table = table
        self._settings = settings
        self._connection = connection
        self._company = company
        self._rows = SqlTable(table, settings, connection, company)

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        """One extract per asked day, in order, each with the count of its rows as its control.

        Days are read together as far as memory allows, and whole before the first of them comes,
        so that an error lands no half of them.
        """
        if self._company.last_day is None:
            _ = self._seen_until  # before any row is read, or it would tell of rows read too early
        for span in adjoining(sorted(set(days)), LONGEST_SPAN_DAYS):
            counted = self._rows.count(self._rows.between(span))
            for reading in plan_readings(
                span, counted, first_day=self._company.first_day, most_rows=MOST_ROWS
            ):
                mapped, counts = self._read_consistently(reading)
                for day, landed, rejected in split_days(mapped, reading.days):
                    yield Extract(
                        day=day,
                        rows=landed,
                        complete_until=self._complete_until(day),
                        control=Control(rows=counts[day]),
                        rejected=rejected,
                    )

    def changed_days(self, since: datetime | None, known: Mapping[date, str]) -> set[date]:
        """The days of `known` with a row whose `changed_column` lies after `since`.

        Commits may come late, so it looks a little further back. Of deletions `counts` tells.
        """
        if since is None:
            return set(known)
        if not self._rows.is_dated:
            return set(known) & {self._company.first_day}
        if not self._settings.changed_columns:
            return set()
        counted = self._rows.count(self._rows.changed_since(since - COMMIT_OVERLAP))
        touched = count_by_day(sorted(known), counted, self._company.first_day)
        return {day for day, rows in touched.items() if rows}

    def counts(self, days: Sequence[date]) -> Mapping[date, int]:
        """How many rows the database holds now on the latest `reconcile_days` of the days."""
        if not days or not self._rows.is_dated:
            return {}
        latest = max(days)
        recent = [day for day in days if (latest - day).days < self._settings.reconcile_days]
        if not recent:
            return {}
        counted = self._rows.count(self._rows.between([min(recent), latest]))
        return count_by_day(recent, counted, self._company.first_day)

    def probe(self) -> str:
        """Find the table and every mapped column, and count its rows."""
        return self._rows.describe()

    def sample(self, limit: int) -> Mapped:
        """At most `limit` rows of the latest days, mapped: to look at, not to land."""
        latest = self._rows.latest()
        last = self._company.last_day or business_day(latest or datetime.now(UTC))
        window = EVERYTHING
        for count in SAMPLED_DAYS if self._rows.is_dated else (0,):
            if count:
                start = day_start(last - timedelta(days=count - 1))
                window = self._rows.within(Window(start, day_end(last)))
            rows = self._rows.read(window, limit=limit)
            if rows.num_rows >= limit:
                break
        return self._map(rows)

    def last_day(self) -> date | None:
        """A database does not tell which day it has finished."""
        return None

    def _read_consistently(self, reading: Reading) -> tuple[Mapped, Mapping[date, int]]:
        """The rows of some adjoining days and how many the database counts on each.

        Raises TransientSourceError where the table keeps changing in between.
        """
        counts = reading.counts
        for _ in range(READINGS_MOST):
            mapped = _joined(
                [self._map(self._rows.read(self._rows.within(w))) for w in reading.windows]
            )
            found = mapped.rows.num_rows + len(mapped.rejected)
            if sum(counts.values()) != found:
                counted = self._rows.count(self._rows.between(reading.days))
                counts = count_by_day(reading.days, counted, self._company.first_day)
            if sum(counts.values()) == found:
                return mapped, counts
        raise TransientSourceError(
            f"{self._rows.name}: read {found} rows of {reading.days[0]} to {reading.days[-1]}, the"
            f" database counts {sum(counts.values())}: it changes while it is read",
            next_step="run again when less is written to it",
        )

    def _map(self, rows: pa.Table) -> Mapped:
        return map_rows(
            rows,
            self.table,
            self._settings.columns,
            time_zone=self._settings.time_zone,
            first_day=self._company.first_day,
        )

    def _complete_until(self, day: date) -> datetime:
        """The end of the day; of a day that may not be over, no more than the database has seen."""
        last_day = self._company.last_day
        if last_day is not None and day <= last_day:
            return day_end(day)
        return min(day_end(day), self._seen_until)

    @cached_property
    def _seen_until(self) -> datetime:
        """The greatest change that any table of the connection tells: up to it all is in there.

        One database is one sequence of commits, so an entry of this morning in any of its tables
        proves yesterday over in all. The clock of this machine proves nothing.
        """
        told = [
            latest
            for name, settings in self._company.sources.tables.items()
            if settings.connector == self.connector
            and self._settings.connection in settings.connections
            if (latest := self._beside(name, settings).latest()) is not None
        ]
        return max(told, default=day_start(self._company.first_day))

    def _beside(self, name: str, settings: TableSource) -> SqlTable:
        return SqlTable(TABLES[name], settings, self._connection, self._company)


def _joined(pages: Sequence[Mapped]) -> Mapped:
    """The pages of one reading as one."""
    if len(pages) == 1:
        return pages[0]
    rows = pa.concat_tables([page.rows for page in pages], promote_options="permissive")
    return Mapped(rows, tuple(refused for page in pages for refused in page.rejected))
