"""One table or query of a database, as SQL: which columns, which days, how many rows.

How SQL is worded where is the concern of `database`; which days are wanted, of `sql`.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import pyarrow as pa

from pipeline.company import Company, Connection, TableSource
from pipeline.company.sources import resolve_url
from pipeline.errors import ConfigurationError, PermanentSourceError
from pipeline.landed import LandedTable
from pipeline.landing import SHANGHAI, day_end, day_start
from pipeline.sources.columns import WantedColumns
from pipeline.sources.database import EPOCHS, Database, open_database
from pipeline.sources.mapping import DATED
from pipeline.sources.windows import Counts, Window

# Instants of what is planned lie ahead of the source's own time.
PLANNED = ("due_at", "slot_at")
# The database's clock may be this far ahead of ours.
CLOCKS_APART = timedelta(minutes=10)
# The days of older rows need no telling apart, and the first of all have no instant in UTC.
OLDEST_TOLD = date(1970, 1, 1)


class SqlTable:
    """What a landed table is read from. Nothing is reached before something is asked of it."""

    def __init__(
        self, table: LandedTable, settings: TableSource, connection: Connection, company: Company
    ) -> None:
        self._table = table
        self._settings = settings
        self._connection = connection
        self._company = company
        self._columns = WantedColumns(table, settings.columns)
        is_dated_by_day = any(table.column(name).kind == "day" for name in table.day_of)
        # A calendar day is a Shanghai day wherever it was written.
        self._zone = SHANGHAI if is_dated_by_day else ZoneInfo(settings.time_zone)

    @property
    def name(self) -> str:
        """How messages name it."""
        return self._settings.table or f"the query of {self._table.name}"

    @property
    def is_dated(self) -> bool:
        """Whether a column gives its rows their days."""
        return bool(self._dating)

    def describe(self) -> str:
        """Find the table and every mapped column, and count its rows; what was found."""
        columns, database = len(self._bound_columns), self._database
        counted = database.read(
            f"select {database.text('count(*)', 'number')} as counted from {self._origin}",
            self.name,
        )
        rows = int(counted.column(0)[0].as_py())
        return f"{database.address}: {self.name} with {rows} rows, {columns} columns read"

    def between(self, days: Sequence[date]) -> str:
        """SQL of the days from the first to the last given."""
        start = None if days[0] == self._company.first_day else day_start(days[0])
        return self.within(Window(start, day_end(days[-1])))

    def within(self, window: Window) -> str:
        """SQL of a window of time. A table without instants is all before the first day's end."""
        if not self._dating:
            return "1 = 1" if window.start is None else "1 = 0"
        dated = self._instant(self._dating)
        end = f"{dated} < {self._bound(window.end, self._dating)}"
        if window.start is None:
            return f"({end} or {dated} is null)"
        return f"({dated} >= {self._bound(window.start, self._dating)} and {end})"

    def changed_since(self, instant: datetime) -> str:
        """SQL of the rows that were changed then or later."""
        changed = self._settings.changed_columns
        return f"{self._instant(changed)} >= {self._bound(instant, changed)}"

    def read(self, window: str, *, limit: int | None = None) -> pa.Table:
        """The wanted columns of the rows in a window, as text; of `limit` rows at most."""
        database = self._database
        selected = [
            f"{database.text(self._quoted(name), self._kind(name))} as {database.quote(name)}"
            for name in self._columns.names
            if name in self._bound_columns
        ]
        if self._dating and self._unit(self._dating) is None:
            dated = database.text(self._instant(self._dating), database.instant_kind)
            selected.append(f"{dated} as {database.quote(DATED)}")
        query = f"select {', '.join(selected)} from {self._origin} where {window}"
        return database.read(query if limit is None else database.limited(query, limit), self.name)

    def count(self, window: str) -> Counts:
        """How many of the rows in a window the database holds on each calendar day."""
        database = self._database
        day, unit = database.text("null"), None
        if self._dating:
            unit, instant = self._unit(self._dating), self._instant(self._dating)
            day = (
                database.text(database.epoch_day(instant, unit), "number")
                if unit
                else database.day(instant)
            )
        counted = database.read(
            f"select on_day, {database.text('count(*)', 'number')} as counted"
            f" from (select {day} as on_day from {self._origin} where {window}) days"
            " group by on_day",
            self.name,
        )
        counts: Counter[date | None] = Counter()
        for told, rows in zip(*(column.to_pylist() for column in counted.columns), strict=True):
            counts[_day_told(told, unit)] += int(rows)
        return counts

    def latest(self) -> datetime | None:
        """The greatest instant of change, else of the columns that date rows.

        One ahead of this machine's clock is a mistyped date, and proves nothing.
        """
        sources: Sequence[str] = self._settings.changed_columns
        if not sources:
            if not self._dating or self._table.day_of[0] in PLANNED:
                return None
            sources = self._dating[:1]
        instant, database = self._instant(sources), self._database
        unit = self._unit(sources)
        kind = "number" if unit else database.instant_kind
        read = database.read(
            f"select {database.text(f'max({instant})', kind)} as latest from {self._origin}"
            f" where {instant} < {self._bound(datetime.now(UTC) + CLOCKS_APART, sources)}",
            self.name,
        )
        return self._parse(read.column(0)[0].as_py(), unit)

    def _parse(self, written: str | None, unit: str | None) -> datetime | None:
        if not written:
            return None
        if unit in EPOCHS:
            return datetime.fromtimestamp(
                float(written) / (1000 if unit == "milliseconds" else 1), UTC
            )
        instant = datetime.fromisoformat(written)
        zoned = instant if instant.tzinfo else instant.replace(tzinfo=self._zone)
        return zoned.astimezone(UTC)

    @cached_property
    def _database(self) -> Database:
        url = self._connection.url
        if self._connection.url_env:
            url = self._company.secret(self._connection.url_env).get_secret_value()
        if not url:
            raise ConfigurationError(
                f"sources.yml: connection {self._settings.connection}: missing url or url_env"
            )
        hours = datetime(2026, 1, 1, tzinfo=self._zone).utcoffset() or timedelta()
        return open_database(
            resolve_url(url, self._company.folder), zone_hours=hours // timedelta(hours=1)
        )

    @property
    def _place(self) -> str:
        return f"{self.name} in {self._database.address}"

    @property
    def _origin(self) -> str:
        """What stands after `from`."""
        if self._settings.table:
            return ".".join(map(self._database.quote, self._settings.table.split(".")))
        # A comment at its end must not swallow the bracket.
        return f"({(self._settings.query or '').strip().rstrip(';')}\n) delivered"

    @cached_property
    def _kinds(self) -> dict[str, str]:
        """The table's columns, spelled as the database spells them, and their types."""
        return self._database.columns(self._settings.table, self._origin, self.name)

    @cached_property
    def _bound_columns(self) -> dict[str, str]:
        """The source columns to read: as the mapping names them to as the database spells them."""
        found = list(self._kinds)
        spelled = {name.lower(): name for name in found} | {name: name for name in found}
        known = [name for name in self._columns.names if name.lower() in spelled]
        in_lower_case = {name.lower() for name in known}
        known += [name for name in found if name.lower() not in in_lower_case]
        wanted = self._columns.among(known, self._place)
        changed = self._settings.changed_columns
        missing = [name for name in changed if name.lower() not in spelled]
        self._columns.require(missing, found, f"{self._place}: changed_column")
        return {
            name: spelled.get(name, spelled[name.lower()])
            for name in dict.fromkeys([*wanted, *changed])
        }

    def _kind(self, source: str) -> str:
        return self._kinds[self._bound_columns[source]]

    def _quoted(self, source: str) -> str:
        return self._database.quote(self._bound_columns[source])

    @cached_property
    def _dating(self) -> list[str]:
        """The source columns that give a row its day, the first present one deciding."""
        mapping = self._settings.columns
        sources = [
            field
            for name in self._table.day_of
            for field in (mapping[name].fields if name in mapping else (name,))
        ]
        return [source for source in sources if source in self._bound_columns]

    def _unit(self, sources: Sequence[str]) -> str | None:
        """The unit of instants of which the first present one counts."""
        units = {
            source: next(
                (of.unit for of in self._settings.columns.values() if source in of.fields), None
            )
            for source in sources
        }
        told = {unit if unit in EPOCHS else None for unit in units.values()}
        if len(told) > 1:
            raise ConfigurationError(
                f"sources.yml: {self._table.name}: found {' and '.join(units)} in different units,"
                " allowed: one unit where the first present one counts"
            )
        return told.pop()

    def _instant(self, sources: Sequence[str]) -> str:
        """SQL of the first present instant of some columns, comparable with `_bound`."""
        unit = self._unit(sources)
        instants = []
        for source in sources:
            kind = self._kind(source)
            if unit is None and not self._database.holds_instants(kind):
                raise PermanentSourceError(
                    f"{self._place}: found {source} of type {kind}, allowed where rows are dated by"
                    f" it: {', '.join(self._database.instant_kinds)}",
                    next_step="cast it to such a type under `query` in sources.yml, or give it the"
                    " unit seconds or milliseconds",
                )
            instants.append(self._database.instant(self._quoted(source), kind, unit))
        return f"coalesce({', '.join(instants)})" if len(instants) > 1 else instants[0]

    def _bound(self, instant: datetime, sources: Sequence[str]) -> str:
        """SQL of an instant as the columns word instants."""
        unit = self._unit(sources)
        if unit in EPOCHS:
            return str(int(instant.timestamp() * (1000 if unit == "milliseconds" else 1)))
        return self._database.bound(instant.astimezone(self._zone))


def _day_told(told: str | None, unit: str | None) -> date | None:
    """A day as a database words it; None where it is none, or long before everything."""
    try:
        if unit in EPOCHS:
            day = OLDEST_TOLD + timedelta(days=int(float(told or "")))
        else:
            day = date.fromisoformat((told or "")[:10])
    except (ValueError, OverflowError):
        return None
    return day if day >= OLDEST_TOLD else None
