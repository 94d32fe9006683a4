"""A canonical drop: a folder of files that already bear the landed names, and what they tell.

Looks only as far as wiring needs; `pipeline.sources` reads the files in full when they are landed.
"""

import codecs
import csv
import gzip
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from pipeline.company.mistakes import suggest
from pipeline.errors import ConfigurationError
from pipeline.landed import TABLES, LandedTable

FORMATS = ("csv", "csv.gz", "jsonl", "jsonl.gz", "parquet")
MANIFEST = "_manifest.csv"
MANIFEST_COLUMNS = ("table", "complete_until")

# A mistyped year must not open a company of sixty years; no business here rests for a quarter.
LONGEST_PAUSE = timedelta(days=92)

# Enough of a file to meet its first non-ASCII words, few enough to read at once.
ENCODING_SAMPLE_BYTES = 1 << 20

SHANGHAI_DAY = "(({instant}) at time zone 'Asia/Shanghai')::date"


@dataclass(frozen=True)
class DroppedTable:
    """One landed table of a drop: its files, and how to wire them. `pattern` is below the drop."""

    table: LandedTable
    files: tuple[Path, ...]
    pattern: str
    encoding: str | None
    columns: tuple[str, ...]

    @property
    def format(self) -> str:
        return _format(self.files[0])


@dataclass(frozen=True)
class Drop:
    """What a drop holds. Days are Shanghai days, both inclusive; `notes` are told, not refused."""

    folder: Path
    tables: tuple[DroppedTable, ...]
    first_day: date
    last_day: date
    interface_actors: dict[str, tuple[str, ...]]
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
    tables = [
        table
        for name, files in sorted(_group_files(folder, findings).items())
        if (table := _recognise(TABLES[name], files, folder, findings)) is not None
    ]
    if not tables and not findings.mistakes:
        names = ", ".join(TABLES)
        findings.mistakes.append(
            f"{folder}: found no landed table, allowed: {names}; each as one of"
            f" {', '.join(f'<table>.{suffix}' for suffix in FORMATS)}, or a folder <table>/ of them"
        )
    _check_manifest(folder, [dropped.table.name for dropped in tables], findings)
    _refuse(folder, findings)
    with duckdb.connect(":memory:") as connection:
        connection.execute("set TimeZone = 'UTC'")
        for dropped in tables:
            _load(connection, dropped, findings)
        _refuse(folder, findings)
        first_day, last_day = _span(connection, tables, folder, findings)
        return Drop(
            folder=folder,
            tables=tuple(tables),
            first_day=first_day,
            last_day=last_day,
            interface_actors=_interface_actors(connection, tables),
            notes=tuple(findings.notes),
        )


def _refuse(folder: Path, findings: _Findings) -> None:
    if findings.mistakes:
        raise ConfigurationError(
            f"the drop {folder} cannot be wired",
            mistakes=findings.mistakes,
            next_step="mend the files, or map other names with `columns` in sources.yml",
        )


def _group_files(folder: Path, findings: _Findings) -> dict[str, list[Path]]:
    """The files of each landed table that the drop names; all others are named as unknown."""
    groups: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.name == MANIFEST or path.name.startswith("."):
            continue
        if path.is_dir():
            inner = [file for file in sorted(path.iterdir()) if not file.name.startswith(".")]
            files, others = _split(inner, lambda file: file.is_file() and bool(_format(file)))
            name = path.name
        else:
            files, others = _split([path], lambda file: bool(_format(file)))
            name = path.name.split(".", 1)[0]
        if name in TABLES:
            groups.setdefault(name, []).extend(files)
            for other in others:
                allowed = ", ".join(FORMATS)
                findings.notes.append(f"{other.relative_to(folder)}: left out, allowed: {allowed}")
        else:
            findings.notes.append(f"{path.name}: no landed table, {_nearest(name)}")
    return {name: files for name, files in groups.items() if files}


def _split(files: Sequence[Path], fits: Callable[[Path], bool]) -> tuple[list[Path], list[Path]]:
    return [f for f in files if fits(f)], [f for f in files if not fits(f)]


def _nearest(name: str) -> str:
    _, mark, meant = suggest(name, TABLES).partition("; ")
    return meant if mark else "left out"


def _format(path: Path) -> str:
    """The format by suffix, compression left out; empty where it is none of a drop's."""
    suffix = next((known for known in FORMATS if path.name.endswith(f".{known}")), "")
    return suffix.removesuffix(".gz")


def _recognise(
    table: LandedTable, files: list[Path], folder: Path, findings: _Findings
) -> DroppedTable | None:
    names = [str(path.relative_to(folder)) for path in files]
    is_folder = all(path.parent != folder for path in files)
    suffixes = {path.name.split(".", 1)[1] if not is_folder else _suffix(path) for path in files}
    if (not is_folder and len(files) > 1) or len(suffixes) > 1:
        findings.mistakes.append(
            f"{table.name}: found {', '.join(names)}, allowed: one file, or one folder"
            " of files of one format"
        )
        return None
    encoding = _encoding(files) if _format(files[0]) == "csv" else None
    try:
        columns = [_header(path, encoding) for path in files]
    except (OSError, EOFError, UnicodeDecodeError, pa.ArrowException, duckdb.Error) as error:
        findings.mistakes.append(f"{', '.join(names)}: cannot be read: {_first_line(error)}")
        return None
    for name, header in zip(names, columns, strict=True):
        _check_header(table, name, header, findings)
    return DroppedTable(
        table=table,
        files=tuple(files),
        pattern=f"{table.name}/*.{suffixes.pop()}" if is_folder else files[0].name,
        encoding=encoding,
        columns=tuple(dict.fromkeys(name for header in columns for name in header)),
    )


def _suffix(path: Path) -> str:
    return next(known for known in FORMATS if path.name.endswith(f".{known}"))


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0][:200]


def _check_header(table: LandedTable, name: str, header: list[str], findings: _Findings) -> None:
    known = [column.name for column in table.columns]
    unknown = [column for column in header if column not in known]
    for column in table.required:
        if column not in header:
            findings.mistakes.append(
                f"{name}: missing column {column}, required in {table.name};"
                f" found {', '.join(header) or 'no column'}"
            )
    if unknown:
        findings.notes.append(f"{name}: columns left out: {', '.join(unknown)}")


def _encoding(files: Sequence[Path]) -> str | None:
    """None for UTF-8 with or without BOM, else GB 18030, which holds all of GBK and GB 2312."""
    for path in files:
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            with _open(path) as content:
                decoder.decode(content.read(ENCODING_SAMPLE_BYTES))
        except UnicodeDecodeError:
            return "gb18030"
        except (OSError, EOFError):
            continue
    return None


def _open(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _header(path: Path, encoding: str | None) -> list[str]:
    if _format(path) == "parquet":
        return list(pq.read_schema(path).names)
    if _format(path) == "csv":
        with _open(path) as content:
            text = io.TextIOWrapper(content, encoding=encoding or "utf-8-sig", newline="")
            return [name.strip() for name in next(csv.reader(text), [])]
    with duckdb.connect(":memory:") as connection:
        described = connection.execute(f"describe select * from {_read_jsonl([path])}").fetchall()
        return [name for name, *_ in described]


def _read_jsonl(files: Sequence[Path]) -> str:
    listed = ", ".join(_quoted(path) for path in files)
    return (
        f"read_json([{listed}], format = 'newline_delimited', sample_size = -1,"
        " union_by_name = true, ignore_errors = true, convert_strings_to_integers = false)"
    )


def _quoted(text: object) -> str:
    return "'" + str(text).replace("'", "''") + "'"


def _load(
    connection: duckdb.DuckDBPyConnection, dropped: DroppedTable, findings: _Findings
) -> None:
    """Make the few columns that wiring needs readable as a table of text named like the drop's."""
    wanted = [*dropped.table.day_of, "created_by", "created_via"]
    present = [name for name in wanted if name in dropped.columns]
    name = dropped.table.name
    selected = ", ".join(
        f'"{column}"::varchar as {column}' if column in present else f"null::varchar as {column}"
        for column in dict.fromkeys(wanted)
    )
    try:
        if dropped.format == "csv":
            connection.register("dropped", _read_csv(dropped, present))
            origin = "dropped"
        elif dropped.format == "jsonl":
            origin = _read_jsonl(dropped.files)
        else:
            listed = ", ".join(_quoted(path) for path in dropped.files)
            origin = f"read_parquet([{listed}], union_by_name = true)"
        connection.execute(f"create table {name} as select {selected} from {origin}")
        connection.execute("drop view if exists dropped")
    except (OSError, EOFError, pa.ArrowException, duckdb.Error) as error:
        findings.mistakes.append(f"{dropped.pattern}: cannot be read: {_first_line(error)}")


def _read_csv(dropped: DroppedTable, columns: Sequence[str]) -> pa.Table:
    """The given columns as text. Rows of another width are left to landing, which names them."""
    parse = pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=_skip)
    convert = pa.csv.ConvertOptions(
        include_columns=list(columns),
        column_types=dict.fromkeys(columns, pa.string()),
        include_missing_columns=True,
        check_utf8=False,
    )
    read = pa.csv.ReadOptions(encoding=dropped.encoding or "utf8")
    tables = [
        pa.csv.read_csv(path, read_options=read, parse_options=parse, convert_options=convert)
        for path in dropped.files
    ]
    return pa.concat_tables(tables)


def _skip(_: pa.csv.InvalidRow) -> str:
    return "skip"


def _span(
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[DroppedTable],
    folder: Path,
    findings: _Findings,
) -> tuple[date, date]:
    """From the first tracked day (else the first day of any table) to the last day of any table."""
    dated = [dropped.table for dropped in tables if dropped.table.day_of]
    tracked = [table for table in dated if table.name == "tracking_events"] or dated
    first_day, last_tracked = _unbroken(_days(connection, tracked), findings)
    days = [day for day, _ in _days(connection, dated) if first_day <= day]
    if not days:
        raise ConfigurationError(
            f"the drop {folder} holds no dated row", next_step="check the time columns of its files"
        )
    last_day = last_tracked
    for day in days:
        if day > last_day and day - last_day <= LONGEST_PAUSE:
            last_day = day
    return first_day, last_day


def _days(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[LandedTable]
) -> list[tuple[date, int]]:
    """Each day with its number of rows, in order; rows without a readable instant are left out."""
    each = " union all ".join(
        f"select {_day_sql(table)} as day from {table.name}" for table in tables
    )
    if not each:
        return []
    return connection.execute(
        f"select day, count(*) from ({each}) as days where day is not null"
        " group by day order by day"
    ).fetchall()


def _day_sql(table: LandedTable) -> str:
    instants = [
        f"try_cast({name} as date)"
        if table.column(name).kind == "day"
        else SHANGHAI_DAY.format(instant=f"try_cast({name} as timestamptz)")
        for name in table.day_of
    ]
    return f"coalesce({', '.join(instants)})"


def _unbroken(days: Sequence[tuple[date, int]], findings: _Findings) -> tuple[date, date]:
    """The run of days, without a pause longer than a quarter, that holds the most rows."""
    runs: list[list[tuple[date, int]]] = []
    for day, count in days:
        if runs and day - runs[-1][-1][0] <= LONGEST_PAUSE:
            runs[-1].append((day, count))
        else:
            runs.append([(day, count)])
    if not runs:
        return date.max, date.min
    best = max(runs, key=lambda run: sum(count for _, count in run))
    for run in runs:
        if run is not best:
            rows = sum(count for _, count in run)
            findings.notes.append(
                f"{rows} rows are dated {run[0][0]} to {run[-1][0]}, more than"
                f" {LONGEST_PAUSE.days} days from the rest: they do not set the first or last day"
            )
    return best[0][0], best[-1][0]


def _interface_actors(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[DroppedTable]
) -> dict[str, tuple[str, ...]]:
    """Per table, who made records through an interface."""
    found = {}
    for dropped in tables:
        if not {"created_by", "created_via"} <= set(dropped.columns):
            continue
        actors = connection.execute(
            f"select distinct trim(created_by) from {dropped.table.name}"
            " where trim(created_via) = 'interface' and trim(created_by) <> '' order by 1"
        ).fetchall()
        if actors:
            found[dropped.table.name] = tuple(actor for (actor,) in actors)
    return found


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
