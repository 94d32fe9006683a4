"""Files that a company exports or drops: which of them hold which days, and how far they reach.

How one file is read is the concern of `formats`, what its columns mean of `mapping`.
"""

import csv
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.company import Company, Connection, TableSource
from pipeline.company.mistakes import suggest
from pipeline.conform import PLACE
from pipeline.errors import NotReadyError, PermanentSourceError
from pipeline.landed import TABLES, LandedTable
from pipeline.landing import Extract, day_end, day_start
from pipeline.sources.archives import is_temporary
from pipeline.sources.columns import WantedColumns
from pipeline.sources.days import Uncounted
from pipeline.sources.delimited import FileRows
from pipeline.sources.formats import is_known, read_file
from pipeline.sources.mapping import DAY, Mapped, map_rows, split_days

MANIFEST = "_manifest.csv"
DAY_MARK = "{day}"
# What a spreadsheet leaves of a number with more than the 15 digits that it keeps: 4.2E+27, or
# zeros from the 16th on. One number may end so by itself, all of a column do not. Of 16 or 17
# digits nothing can be said: a time with milliseconds ends in zeros where nobody counts these.
EXPONENT = r"^(\d\.\d+[Ee]\+?\d{2}|\d[Ee]\+\d{2})$"
LONG, ZEROED = r"^\d{18,}$", r"^\d{15}0{3,}$"
# A number that begins with an instant, and ends with a counter that begins anew each second.
OF_AN_INSTANT = r"^20\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])([01]\d|2[0-3])[0-5]\d[0-5]\d\d{4,5}$"
# So many zeros are no chance, together: five in one number, or three in each of two.
ZEROS_FEWEST = 5
_KEPT_DIGITS = 15

# A kernel dates files by its last tick, which lies up to a hundredth of a second back.
CLOCK_TICK_SECONDS = 0.01

logger = logging.getLogger(__name__)


class FileSource(Uncounted):
    """One landed table as files in a folder.

    `holds: day`: a file holds the rows of the day in its name and is complete at its end.
    `holds: history`: the newest file holds everything up to the end of the day in its name. With
    no day in its name it is a canonical drop, complete until the instant that `_manifest.csv`
    tells, else until its greatest business instant.
    """

    connector = "files"
    ready_at = time(0)

    def __init__(
        self, table: LandedTable, settings: TableSource, connection: Connection, company: Company
    ) -> None:
        self.table = table
        self._settings = settings
        self._company = company
        self._pattern = settings.files or f"{table.name}.*"
        self._folder = connection.folder or company.folder
        self._columns = WantedColumns(table, settings.columns, settings.rows)

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        """One extract per asked day, in order.

        Raises NotReadyError where no file holds an asked day yet, after the days that have one.
        """
        asked = sorted(set(days))
        if self._settings.holds == "day":
            files = self._files_by_day()
            for day in asked:
                if files.get(day):
                    yield self._extract_day_file(day, files[day])
            missing = [day for day in asked if not files.get(day)]
            if missing:
                raise self._not_ready(missing[0])
        elif asked:
            yield from self._extract_history(asked)

    def changed_days(self, since: datetime | None, known: Mapping[date, str]) -> set[date]:
        """The days of `known` whose file is newer than `since`; all, where a file holds history."""
        if self._settings.holds == "day":
            files = self._files_by_day()
            return {day for day in known if _is_newer(files.get(day, []), since)}
        paths = [*self._newest()[1], *filter(Path.exists, [self._folder / MANIFEST])]
        return set(known) if _is_newer(paths, since) else set()

    def probe(self) -> str:
        """Read the newest file and say what it holds."""
        _, paths = self._newest()
        names = ", ".join(self._name(path) for path in paths[:3])
        mapped = self._newest_rows
        totals = sum(file.totals_count for file in self._newest_files)
        refused = f", {len(mapped.rejected)} refused" if mapped.rejected else ""
        summed = f", {totals} totals left out" if totals else ""
        return f"{names}: {mapped.rows.num_rows} rows{refused}{summed}"

    def sample(self, limit: int) -> Mapped:
        """At most `limit` rows from the end of the newest file, mapped: to look at, not to land."""
        mapped = self._newest_rows
        rows = mapped.rows.slice(max(mapped.rows.num_rows - limit, 0))
        return replace(mapped, rows=rows)

    def arrivals(self, until: date) -> list[Path]:
        """The files that could be read now: of days up to `until`, of a history the newest."""
        if not self._folder.is_dir():
            return []
        if self._is_dated:
            by_day = {day: paths for day, paths in self._files_by_day().items() if paths}
            if self._settings.holds == "history":
                return by_day[max(by_day)] if by_day else []
            return [path for day in sorted(by_day) if day <= until for path in by_day[day]]
        manifest = [path for path in (self._folder / MANIFEST,) if path.is_file()]
        found = [part for path in self._find(self._pattern) for part in self._parts(path)]
        return found + manifest

    def last_day(self) -> date | None:
        """The day of the newest file; of a drop, the last day of any of its tables.

        Where the company has a last day that is the drop's too, and no other table need be read.
        """
        if self._is_dated:
            return self._newest()[0]
        if self._company.last_day is not None:
            return self._company.last_day
        dropped = (source._newest_rows.rows for source in self._whole_drop())
        days = (pc.max(rows.column(DAY)).as_py() for rows in dropped)
        return max((day for day in days if day), default=None)

    @property
    def _is_dated(self) -> bool:
        return DAY_MARK in self._pattern

    def _extract_day_file(self, day: date, paths: Sequence[Path]) -> Extract:
        mapped = self._read(paths)
        return Extract(
            day=day,
            # A row that bears an instant of a neighbouring day stays with the day of its file.
            rows=mapped.rows.drop_columns([DAY]),
            complete_until=day_end(day),
            rejected=tuple(row for _, row in mapped.rejected),
        )

    def _extract_history(self, days: Sequence[date]) -> Iterator[Extract]:
        """All asked days out of one reading of the file."""
        if self._is_dated:
            newest, paths = self._newest()
            if newest is None or newest < days[-1]:
                raise self._not_ready(days[-1])
            mapped, until = self._read(paths), day_end(newest)
        else:
            mapped, until = self._newest_rows, self._complete_until()
        for day, rows, rejected in split_days(mapped, days):
            is_last = day == self._company.last_day
            yield Extract(
                day=day,
                rows=rows,
                complete_until=until if is_last else min(until, day_end(day)),
                rejected=rejected,
            )

    @cached_property
    def _newest_files(self) -> list[FileRows]:
        """The files of the newest day, or those that name no day, each read once."""
        return [self._open(path) for path in self._newest()[1]]

    @cached_property
    def _newest_rows(self) -> Mapped:
        return self._map(self._newest_files)

    def _complete_until(self) -> datetime:
        """How far a drop's table is known complete: as told, else as far as its rows reach.

        A table without a dated row reaches as far as the least of the others that were dropped
        with it. Never a matter of the clock.
        """
        told = self._manifest().get(self.table.name)
        if told is not None:
            return told
        reached = self._newest_rows.latest or min(
            (latest for source in self._whole_drop() if (latest := source._newest_rows.latest)),
            default=day_start(self._company.first_day),
        )
        last_day = self._company.last_day
        return min(reached, day_end(last_day)) if last_day else reached

    def _whole_drop(self) -> Iterator["FileSource"]:
        """This table and those that lie in the same folder as files without a day in the name."""
        yield self
        for name, settings in self._company.sources.tables.items():
            if (
                name != self.table.name
                and settings.connector == self.connector
                and self._settings.connection in settings.connections
                and DAY_MARK not in (settings.files or "")
            ):
                connection = self._company.sources.connections[self._settings.connection]
                yield FileSource(TABLES[name], settings, connection, self._company)

    def _manifest(self) -> dict[str, datetime]:
        """Table to `complete_until`, as `_manifest.csv` tells; an instant without a zone is UTC."""
        path = self._folder / MANIFEST
        if not path.is_file():
            return {}
        told = {}
        with path.open(encoding="utf-8-sig", newline="") as lines:
            for number, row in enumerate(csv.DictReader(lines), start=2):
                written = (row.get("complete_until") or "").strip()
                try:
                    instant = datetime.fromisoformat(written)
                except ValueError:
                    raise PermanentSourceError(
                        f"{MANIFEST}:{number}: complete_until: found '{written}',"
                        " allowed: an instant such as 2026-10-21T00:00:00+08:00"
                    ) from None
                zoned = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
                told[(row.get("table") or "").strip()] = zoned.astimezone(UTC)
        return told

    def _read(self, paths: Sequence[Path]) -> Mapped:
        """Every row of some files that belong together, mapped; a row that fits no day stays."""
        return self._map([self._open(path) for path in paths])

    def _map(self, files: Sequence[FileRows]) -> Mapped:
        rows = pa.concat_tables([file.rows for file in files], promote_options="default")
        mapped = map_rows(
            rows,
            self.table,
            self._settings.columns,
            time_zone=self._settings.time_zone,
            first_day=self._company.first_day,
            last_day=self._company.last_day,
            choosing=self._settings.rows,
        )
        if skipped := sum(mapped.skipped.values()):
            logger.info("%s: %d rows left out, as `rows` says", self.table.name, skipped)
        unread = ((self._company.first_day, row) for file in files for row in file.rejected)
        return replace(mapped, rejected=(*unread, *mapped.rejected))

    def _open(self, path: Path) -> FileRows:
        name = self._name(path)
        file = read_file(path, name, self._columns, self._settings)
        if file.totals_count:
            logger.info("%s: left out %d rows that sum others up", name, file.totals_count)
        self._refuse_rounded(file.rows)
        return file

    def _refuse_rounded(self, rows: pa.Table) -> None:
        """Raise PermanentSourceError where a spreadsheet rounded what rows are joined by."""
        for column in self._columns.identifiers:
            if column not in rows.column_names:
                continue
            is_rounded = _is_rounded(rows.column(column))
            if pc.any(is_rounded).as_py():
                found = rows.filter(pc.fill_null(is_rounded, False)).slice(0, 1).to_pylist()[0]
                raise PermanentSourceError(
                    f"{found[PLACE]}: {column}: found {found[column]}, allowed: all its digits;"
                    " a spreadsheet has rounded this number and the digits are lost",
                    next_step=f"export again with the column {column} formatted as text",
                )

    def _files_by_day(self) -> dict[date, list[Path]]:
        """The files whose name bears a day, by that day."""
        found: dict[date, list[Path]] = {}
        parts = self._pattern.split(DAY_MARK)
        named = re.compile(r"(\d{4}-?\d{2}-?\d{2})".join(map(_as_regex, parts)))
        for path in self._find(self._pattern.replace(DAY_MARK, "*")):
            match = named.fullmatch(self._name(path))
            if match and (day := _parse_day(match.group(1))):
                found.setdefault(day, []).extend(self._parts(path))
        return found

    def _newest(self) -> tuple[date | None, list[Path]]:
        """The files of the newest day, or those of a pattern without a day."""
        if self._is_dated:
            files = self._files_by_day()
            if any(files.values()):
                newest = max(day for day, paths in files.items() if paths)
                return newest, files[newest]
        else:
            paths = [part for path in self._find(self._pattern) for part in self._parts(path)]
            if paths:
                return None, paths
        raise self._nothing_found()

    def _find(self, pattern: str) -> list[Path]:
        if not self._folder.is_dir():
            raise PermanentSourceError(
                f"{self.table.name}: found no folder {self._folder}",
                next_step=f"check `folder` of {self._settings.connection} in sources.yml",
            )
        found = self._folder.glob(pattern)
        return sorted(path for path in found if not is_temporary(path.name))

    def _parts(self, path: Path) -> list[Path]:
        """A file itself, or the files of a folder of parts."""
        if not path.is_dir():
            return [path]
        return [
            part
            for part in sorted(path.iterdir())
            if part.is_file() and is_known(part) and not is_temporary(part.name)
        ]

    def _name(self, path: Path) -> str:
        return path.relative_to(self._folder).as_posix()

    def _nothing_found(self) -> PermanentSourceError:
        there = [path.name for path in sorted(self._folder.iterdir())][:20]
        return PermanentSourceError(
            f"{self.table.name}: found no file '{self._pattern}' in {self._folder},"
            f" {suggest(self._pattern, there)}",
            next_step=f"put the export there, or mend `files` of {self.table.name} in sources.yml",
        )

    def _not_ready(self, day: date) -> NotReadyError:
        wanted = self._pattern.replace(DAY_MARK, f"{day:%Y%m%d}")
        files = self._files_by_day()
        newest = f"; the newest is of {max(files)}" if files else ""
        return NotReadyError(
            f"{self.table.name} {day}: found no file '{wanted}' in {self._folder}{newest}",
            next_step="put the export of that day there; a day without rows needs its file too",
        )


def _is_rounded(numbers: pa.ChunkedArray) -> pa.ChunkedArray:
    """Which of a column's numbers a spreadsheet has rounded."""
    is_cut = pc.match_substring_regex(numbers, EXPONENT)
    is_long = pc.match_substring_regex(numbers, LONG)
    is_of_instant = pc.match_substring_regex(numbers, OF_AN_INSTANT)
    is_zeroed = pc.and_not(pc.match_substring_regex(numbers, ZEROED), is_of_instant)
    different = pc.unique(numbers.filter(pc.fill_null(is_zeroed, False)))
    zeros = (pc.sum(pc.utf8_length(different)).as_py() or 0) - _KEPT_DIGITS * len(different)
    if pc.sum(is_zeroed).as_py() != pc.sum(is_long).as_py() or zeros < ZEROS_FEWEST:
        return is_cut
    return pc.or_(is_cut, is_zeroed)


def _is_newer(paths: Sequence[Path], since: datetime | None) -> bool:
    """Whether any of the files was written or put there after `since`.

    A `since` ahead of this machine's clock dates the business, not the landing, and so rules
    out nothing.
    """
    if since is None or since > datetime.now(UTC):
        return bool(paths)
    stats = [path.stat() for path in paths]
    bound = since.timestamp() - CLOCK_TICK_SECONDS
    return any(max(stat.st_mtime, stat.st_ctime) > bound for stat in stats)


def _as_regex(pattern: str) -> str:
    return re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")


def _parse_day(written: str) -> date | None:
    try:
        return date.fromisoformat(written)
    except ValueError:
        return None
