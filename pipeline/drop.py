"""A canonical drop: a folder of files that already bear the landed names, and what they tell."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.company import TableSource
from pipeline.company.mistakes import suggest
from pipeline.engine import open_engine
from pipeline.errors import ConfigurationError, SourceError
from pipeline.landed import TABLES, LandedTable
from pipeline.sources.columns import WantedColumns
from pipeline.sources.formats import read_file

FORMATS = ("csv", "csv.gz", "jsonl", "jsonl.gz", "parquet")
MANIFEST = "_manifest.csv"
MANIFEST_COLUMNS = ("table", "complete_until")

# A mistyped year must not open a company of sixty years; no business here rests for a quarter.
LONGEST_PAUSE = timedelta(days=92)


@dataclass(frozen=True)
class DroppedTable:
    """One landed table of a drop. `pattern` names its files below the drop."""

    table: LandedTable
    files: tuple[Path, ...]
    pattern: str
    rows_count: int = 0
    interface_actors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drop:
    """What a drop holds. Days are Shanghai days, both inclusive; `notes` are told, not refused."""

    folder: Path
    tables: tuple[DroppedTable, ...]
    first_day: date
    last_day: date
    notes: tuple[str, ...]


@dataclass
class _Findings:
    mistakes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_drop(folder: Path) -> Drop:
    """Recognise every file of a drop. Raises ConfigurationError that lists all that is missing."""
    folder = folder.expanduser().resolve()
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is not a folder", next_step="name the folder of files")
    findings = _Findings()
    recognised = [
        dropped
        for name, files in sorted(_group_files(folder, findings).items())
        if (dropped := _recognise(TABLES[name], files, folder, findings)) is not None
    ]
    if not recognised and not findings.mistakes:
        names = ", ".join(TABLES)
        findings.mistakes.append(
            f"{folder}: found no landed table, allowed: {names}; each as one of"
            f" {', '.join(f'<table>.{suffix}' for suffix in FORMATS)}, or a folder <table>/ of them"
        )
    _check_manifest(folder, [dropped.table.name for dropped in recognised], findings)
    with open_engine() as connection:
        connection.execute("set TimeZone = 'UTC'")
        tables = tuple(_look_into(connection, dropped, folder, findings) for dropped in recognised)
        if findings.mistakes:
            raise ConfigurationError(
                f"the drop {folder} cannot be wired",
                mistakes=findings.mistakes,
                next_step="mend the files, or map other names with `columns` in sources.yml",
            )
        first_day, last_day = _span(connection, [dropped.table for dropped in tables], findings)
    return Drop(
        folder=folder,
        tables=tables,
        first_day=first_day,
        last_day=last_day,
        notes=tuple(findings.notes),
    )


def _group_files(folder: Path, findings: _Findings) -> dict[str, list[Path]]:
    """The files of each landed table that the drop names; all others are named as unknown."""
    groups: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        name = path.name.split(".", 1)[0]
        if path.name == MANIFEST or path.name.startswith("."):
            continue
        if name not in TABLES or (path.is_dir() and path.name != name):
            findings.notes.append(f"{path.name}: no landed table, {_nearest(name)}")
            continue
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            if file.is_file() and _suffix(file) in FORMATS:
                groups.setdefault(name, []).append(file)
            elif not file.name.startswith("."):
                relative = file.relative_to(folder)
                findings.notes.append(f"{relative}: left out, allowed: {', '.join(FORMATS)}")
    return groups


def _nearest(name: str) -> str:
    _, mark, meant = suggest(name, TABLES).partition("; ")
    return meant if mark else "left out"


def _suffix(path: Path) -> str:
    """The longest suffix that names a format: files of a folder may bear dots before it."""
    known = [suffix for suffix in FORMATS if path.name.endswith(f".{suffix}")]
    return max(known, key=len, default="")


def _recognise(
    table: LandedTable, files: list[Path], folder: Path, findings: _Findings
) -> DroppedTable | None:
    suffixes = {_suffix(path) for path in files}
    is_folder = all(path.parent != folder for path in files)
    if len(suffixes) > 1 or (len(files) > 1 and not is_folder):
        found = ", ".join(str(path.relative_to(folder)) for path in files)
        findings.mistakes.append(
            f"{table.name}: found {found}, allowed: one file, or one folder of files of one format"
        )
        return None
    pattern = f"{table.name}/*.{suffixes.pop()}" if is_folder else files[0].name
    return DroppedTable(table=table, files=tuple(files), pattern=pattern)


class _NotedColumns(WantedColumns):
    """The landed columns of a file, with the others noted."""

    def __init__(self, table: LandedTable, findings: _Findings) -> None:
        super().__init__(table, {})
        self._findings = findings

    def tell_ignored(self, found: Sequence[str], place: str) -> None:
        unknown = [name for name in found if name not in self.names]
        if unknown:
            self._findings.notes.append(f"{place}: columns left out: {', '.join(unknown)}")


def _look_into(
    connection: duckdb.DuckDBPyConnection,
    dropped: DroppedTable,
    folder: Path,
    findings: _Findings,
) -> DroppedTable:
    """Read the table as landing will; keep the day of its rows as a table in `connection`."""
    settings = TableSource(connector="files", connections=("drop",), files=dropped.pattern)
    columns = _NotedColumns(dropped.table, findings)
    days = "day date, rows_count bigint"
    connection.execute(f"create temp table {dropped.table.name} ({days})")
    rows_count, actors = 0, set[str]()
    for path in dropped.files:
        name = str(path.relative_to(folder))
        try:
            read = read_file(path, name, columns, settings)
        except SourceError as error:
            findings.mistakes.append(error.message)
            continue
        if read.rejected:
            findings.notes.append(
                f"{name}: {len(read.rejected)} rows cannot be read and will be set aside, the first"
                f" at {read.rejected[0].place}: {read.rejected[0].reason}"
            )
        if read.totals_count:
            findings.notes.append(f"{name}: {read.totals_count} rows that sum others up left out")
        rows_count += read.rows.num_rows
        connection.register("read", read.rows)
        connection.execute(
            f"insert into {dropped.table.name}"
            f" select {_day_sql(dropped.table, read.rows)} as day, count(*) from read group by day"
        )
        actors |= _interface_actors(connection, read.rows)
        connection.unregister("read")
    return replace(dropped, rows_count=rows_count, interface_actors=tuple(sorted(actors)))


def _day_sql(table: LandedTable, rows: pa.Table) -> str:
    """The Shanghai day of a row: that of the first of its day's columns that can be read."""
    days = [
        f"try_cast({name} as date)"
        if table.column(name).kind == "day"
        else f"(try_cast({name} as timestamptz) at time zone 'Asia/Shanghai')::date"
        for name in table.day_of
        if name in rows.column_names
    ]
    return f"coalesce({', '.join(days)})" if days else "null::date"


def _interface_actors(connection: duckdb.DuckDBPyConnection, rows: pa.Table) -> set[str]:
    """Who made records through an interface."""
    if not {"created_by", "created_via"} <= set(rows.column_names):
        return set()
    actors = connection.execute(
        "select distinct trim(created_by) from read"
        " where trim(created_via) = 'interface' and trim(created_by) <> ''"
    ).fetchall()
    return {actor for (actor,) in actors}


def _span(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[LandedTable], findings: _Findings
) -> tuple[date, date]:
    """From the first tracked day (else the first day of any table) to the last day of any table.

    A stray day, far from all others, sets neither.
    """
    tracked = [table for table in tables if table.name == "tracking_events"] or tables
    runs = _runs(_days(connection, tracked))
    if not runs:
        raise ConfigurationError(
            f"{', '.join(table.name for table in tracked)}: found no row with a readable time",
            next_step="write instants as 2026-10-01T08:00:00+08:00 or in UTC without a zone",
        )
    run = max(runs, key=_rows_count)
    first_day, last_day = run[0][0], run[-1][0]
    everything = _days(connection, tables)
    for day, _ in everything:
        if timedelta(0) < day - last_day <= LONGEST_PAUSE:
            last_day = day
    strays = [each for each in runs if each is not run and each[0][0] < first_day]
    strays += _runs([(day, count) for day, count in everything if day > last_day])
    findings.notes.extend(
        f"{_rows_count(stray)} rows of {stray[0][0]} to {stray[-1][0]} lie more than"
        f" {LONGEST_PAUSE.days} days from the others and do not set the first or last day"
        for stray in strays
    )
    return first_day, last_day


def _days(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[LandedTable]
) -> list[tuple[date, int]]:
    """Each day with its number of rows, in order; rows without a readable instant are left out."""
    each = " union all ".join(f"from {table.name}" for table in tables)
    return connection.execute(
        f"select day, sum(rows_count)::bigint from ({each}) as days where day is not null"
        " group by day order by day"
    ).fetchall()


def _runs(days: Sequence[tuple[date, int]]) -> list[list[tuple[date, int]]]:
    """The days cut into runs wherever nothing happened for longer than LONGEST_PAUSE."""
    runs: list[list[tuple[date, int]]] = []
    for day, count in days:
        if runs and day - runs[-1][-1][0] <= LONGEST_PAUSE:
            runs[-1].append((day, count))
        else:
            runs.append([(day, count)])
    return runs


def _rows_count(run: Sequence[tuple[date, int]]) -> int:
    return sum(count for _, count in run)


def _check_manifest(folder: Path, names: Sequence[str], findings: _Findings) -> None:
    path = folder / MANIFEST
    if not path.is_file():
        return
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines)
        for column in MANIFEST_COLUMNS:
            if column not in (rows.fieldnames or []):
                found = ", ".join(rows.fieldnames or [])
                findings.mistakes.append(f"{MANIFEST}:1: missing column {column}; found {found}")
                return
        for row in rows:
            findings.mistakes.extend(_manifest_mistakes(row, rows.line_num))
            if row["table"] in TABLES and row["table"] not in names:
                findings.notes.append(
                    f"{MANIFEST}:{rows.line_num}: {row['table']} has no file in the drop"
                )


def _manifest_mistakes(row: dict[str, str], line: int) -> Iterator[str]:
    table, instant = row["table"] or "", (row["complete_until"] or "").strip()
    if table not in TABLES:
        yield f"{MANIFEST}:{line}: table: found '{table}', {suggest(table, TABLES)}"
    try:
        datetime.fromisoformat(instant)
    except ValueError:
        yield (
            f"{MANIFEST}:{line}: complete_until: found '{instant}',"
            " allowed: an instant such as 2026-10-21T00:00:00+08:00"
        )
