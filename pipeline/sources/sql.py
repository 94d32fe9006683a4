"""Tables of a database, business day by business day: windows, counts and what has changed.

How a database is spoken to is the concern of `database`, what its columns mean of `mapping`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import pyarrow as pa

from pipeline.company import Company, Connection, TableSource
from pipeline.company.sources import resolve_url
from pipeline.errors import ConfigurationError, TransientSourceError
from pipeline.landed import TABLES, LandedTable
from pipeline.landing import SHANGHAI, Control, Extract, business_day, day_end, day_start
from pipeline.sources.columns import WantedColumns
from pipeline.sources.database import Database, open_database
from pipeline.sources.days import adjoining
from pipeline.sources.mapping import DATED, DAY, Mapped, map_rows, split_days

# A transaction may commit minutes after the change time that it wrote: rows as late as this are
# found by the next run.
COMMIT_OVERLAP = timedelta(minutes=10)
# One reading spans at most so many days: it bounds memory, and the columns of the count.
LONGEST_SPAN_DAYS = 366
# Instants of what is planned lie ahead of the source's own time.
PLANNED = ("due_at", "slot_at")
# Of so many days up to the latest, the fewest that hold enough rows are looked at for a sample.
SAMPLED_DAYS = (1, 7, 31)
MISTYPED_FROM = datetime(2100, 1, 1, tzinfo=UTC)


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
        self._columns = WantedColumns(table, settings.columns)
        is_dated_by_day = any(table.column(name).kind == "day" for name in table.day_of)
        # A calendar day is a Shanghai day wherever it was written.
        self._zone = SHANGHAI if is_dated_by_day else ZoneInfo(settings.time_zone)

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        """One extract per asked day, in order, each with the count of its rows as its control."""
        if self._company.last_day is None:
            _ = self._seen_until  # before any row is read, or it would tell of rows read too early
        for span in adjoining(sorted(set(days)), LONGEST_SPAN_DAYS):
            rows, counts = self._read_consistently(span)
            mapped = map_rows(
                rows,
                self.table,
                self._settings.columns,
                time_zone=self._settings.time_zone,
                first_day=self._company.first_day,
            )
            for day, landed, rejected in split_days(mapped, span):
                yield Extract(
                    day=day,
                    rows=landed,
                    complete_until=self._complete_until(day),
                    control=Control(rows=counts[day]),
                    rejected=rejected,
                )

    def changed_days(self, since: datetime | None, known: Mapping[date, str]) -> set[date]:
        """The days of `known` with a row whose `changed_column` lies after `since`.

        Commits may come late, so it looks a little further back. Deletions leave no such trace.
        """
        changed = self._settings.changed_column
        if since is None:
            return set(known)
        if not self._dating:
            return set(known) & {self._company.first_day}
        if changed is None:
            return set()
        bound = self._bound(since - COMMIT_OVERLAP, changed)
        rows = self._read(f"{self._instant(changed)} >= {bound}")
        mapped = map_rows(
            rows, self.table, self._settings.columns,
            time_zone=self._settings.time_zone, first_day=self._company.first_day,
        )  # fmt: skip
        refused = {day for day, _ in mapped.rejected}
        return set(known) & (set(mapped.rows.column(DAY).to_pylist()) | refused)

    def probe(self) -> str:
        """Find the table and every mapped column, and count its rows."""
        columns = len(self._bound_columns)
        counted = self._database.read(
            f"select cast(count(*) as text) as counted from {self._origin}", self._what
        )
        rows = int(counted.column(0)[0].as_py())
        return f"{self._database.address}: {self._what} with {rows} rows, {columns} columns read"

    def sample(self, limit: int) -> Mapped:
        """At most `limit` rows of the latest days, mapped: to look at, not to land."""
        latest = self._latest()
        last = self._company.last_day or business_day(latest or datetime.now(UTC))
        window = "1 = 1"
        for count in SAMPLED_DAYS if self._dating else (0,):
            if count:
                window = self._window(self._dated, [last - timedelta(days=count - 1), last])
            rows = self._read(window, limit=limit)
            if rows.num_rows >= limit:
                break
        return map_rows(
            rows, self.table, self._settings.columns,
            time_zone=self._settings.time_zone, first_day=self._company.first_day,
        )  # fmt: skip

    def last_day(self) -> date | None:
        """A database does not tell which day it has finished."""
        return None

    @cached_property
    def _database(self) -> Database:
        url = self._connection.url
        if self._connection.url_env:
            url = self._company.secret(self._connection.url_env).get_secret_value()
        if not url:
            raise ConfigurationError(
                f"sources.yml: connection {self._settings.connection}: missing url or url_env"
            )
        return open_database(resolve_url(url, self._company.folder))

    @property
    def _what(self) -> str:
        return self._settings.table or f"the query of {self.table.name}"

    @property
    def _origin(self) -> str:
        """What stands after `from`."""
        if self._settings.table:
            return ".".join(map(self._database.quote, self._settings.table.split(".")))
        return f"({(self._settings.query or '').strip().rstrip(';')}) as delivered"

    @cached_property
    def _bound_columns(self) -> dict[str, str]:
        """The source columns to read, as SQL: spelled as the database spells them."""
        found = self._database.columns(self._origin, self._what)
        spelled = {name.lower(): name for name in found} | {name: name for name in found}
        known = [name for name in self._columns.names if name.lower() in spelled]
        known += [name for name in found if name not in known]
        wanted = self._columns.among(known, f"{self._what} in {self._database.address}")
        changed = self._settings.changed_column
        if changed is not None:
            place = f"{self._what} in {self._database.address}: changed_column"
            self._columns.require([changed], [*known, *found], place)
            wanted = [*wanted, changed]
        return {
            name: self._database.quote(spelled.get(name, spelled[name.lower()])) for name in wanted
        }

    @cached_property
    def _dating(self) -> list[str]:
        """The source columns that give a row its day, the first present one deciding."""
        mapping = self._settings.columns
        sources = [
            field
            for name in self.table.day_of
            for field in (mapping[name].fields if name in mapping else (name,))
        ]
        return [source for source in sources if source in self._bound_columns]

    def _unit(self, source: str) -> str | None:
        units = [of.unit for of in self._settings.columns.values() if source in of.fields]
        return units[0] if units else None

    def _instant(self, source: str) -> str:
        """SQL of a column's instant, comparable with `_bound`."""
        hours = datetime(2026, 1, 1, tzinfo=self._zone).utcoffset() or timedelta()
        column = self._bound_columns[source]
        return self._database.instant(column, self._unit(source), hours // timedelta(hours=1))

    def _bound(self, instant: datetime, source: str) -> str:
        """SQL of an instant as the column `source` words instants."""
        unit = self._unit(source)
        if unit in ("seconds", "milliseconds"):
            return str(int(instant.timestamp() * (1000 if unit == "milliseconds" else 1)))
        return self._database.bound(instant.astimezone(self._zone))

    @property
    def _dated(self) -> str:
        instants = [self._instant(source) for source in self._dating]
        return f"coalesce({', '.join(instants)})" if len(instants) > 1 else instants[0]

    def _window(self, dated: str, days: Sequence[date]) -> str:
        """SQL of the half-open window of adjoining days; the first day has no beginning."""
        if not self._dating:
            return "1 = 1" if self._company.first_day in days else "1 = 0"
        end = f"{dated} < {self._bound(day_end(days[-1]), self._dating[0])}"
        if days[0] == self._company.first_day:
            return f"({end} or {dated} is null)"
        return f"({dated} >= {self._bound(day_start(days[0]), self._dating[0])} and {end})"

    def _read_consistently(self, days: Sequence[date]) -> tuple[pa.Table, dict[date, int]]:
        """The rows of some adjoining days and how many the database counts on each.

        Raises TransientSourceError where the table keeps changing in between.
        """
        for _ in range(2):
            rows = self._read(self._window(self._dated if self._dating else "", days))
            counts = self._count(days)
            if sum(counts.values()) == rows.num_rows:
                return rows, counts
        raise TransientSourceError(
            f"{self._what}: read {rows.num_rows} rows of {days[0]} to {days[-1]}, the database"
            f" counts {sum(counts.values())}: it changes while it is read",
            next_step="run again when less is written to it",
        )

    def _read(self, window: str, *, limit: int | None = None) -> pa.Table:
        """The wanted columns of the rows in a window, as text; of `limit` rows at most."""
        database = self._database
        selected = [
            f"{database.text(self._bound_columns[name])} as {database.quote(name)}"
            for name in self._columns.names
            if name in self._bound_columns
        ]
        if self._dating and self._unit(self._dating[0]) not in ("seconds", "milliseconds"):
            selected.append(f"{database.text(self._dated)} as {DATED}")
        query = f"select {', '.join(selected)} from {self._origin} where {window}"
        return database.read(query if limit is None else database.limited(query, limit), self._what)

    def _count(self, days: Sequence[date]) -> dict[date, int]:
        dated = self._dated if self._dating else "1"
        counted = ", ".join(
            "cast(coalesce(sum(case when"
            f" {self._window('dated', [day])} then 1 else 0 end), 0) as text) as d{number}"
            for number, day in enumerate(days)
        )
        row = self._database.read(
            # Materialized, or SQLite works each instant out anew for every day.
            f"with windowed as materialized (select {dated} as dated from {self._origin}"
            f" where {self._window(dated, days)}) select {counted} from windowed",
            self._what,
        )
        return {day: int(row.column(number)[0].as_py()) for number, day in enumerate(days)}

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
            if (latest := self._beside(name, settings)._latest()) is not None
        ]
        return max(told, default=day_start(self._company.first_day))

    def _beside(self, name: str, settings: TableSource) -> "SqlSource":
        return SqlSource(TABLES[name], settings, self._connection, self._company)

    def _latest(self) -> datetime | None:
        """The greatest instant of change, else of the column that dates rows."""
        source = self._settings.changed_column
        if source is None:
            if not self._dating or self.table.day_of[0] in PLANNED:
                return None
            source = self._dating[0]
        instant = self._instant(source)
        read = self._database.read(
            f"select {self._database.text(f'max({instant})')} as latest from {self._origin}"
            f" where {instant} < {self._bound(MISTYPED_FROM, source)}",
            self._what,
        )
        return self._parse(read.column(0)[0].as_py(), self._unit(source))

    def _parse(self, written: str, unit: str | None) -> datetime | None:
        if not written:
            return None
        if unit in ("seconds", "milliseconds"):
            return datetime.fromtimestamp(
                float(written) / (1000 if unit == "milliseconds" else 1), UTC
            )
        instant = datetime.fromisoformat(written)
        zoned = instant if instant.tzinfo else instant.replace(tzinfo=self._zone)
        return zoned.astimezone(UTC)
