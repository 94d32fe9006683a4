"""Landing: immutable Parquet batches, their manifest and the quarantine.

The only writer of `<data>/landing` and `<data>/quarantine`. Exactly one batch per table and
business day is current: the one whose manifest entry is newest. Systems, DuckDB files and Dagster
do not belong here.

A batch becomes current in one step, the rename of its manifest entry, after its Parquet file and
its quarantined rows are whole on disk. A process killed before that leaves the batch before it
current; run again, it writes the same bytes under the same name, since a batch is named by its
content.
"""

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.conform import Conformed, Rejected, conform_all
from pipeline.engine import open_engine
from pipeline.errors import LandingError, SourceError
from pipeline.landed import TABLES, LandedTable

logger = logging.getLogger(__name__)

SHANGHAI = ZoneInfo("Asia/Shanghai")

__all__ = [
    "SHANGHAI", "Batch", "Control", "Extract", "Landing", "Rejected", "Watermark",
    "business_day", "day_end", "day_start",
]  # fmt: skip


def day_start(day: date) -> datetime:
    """The first instant of a business day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI).astimezone(UTC)


def day_end(day: date) -> datetime:
    """The first instant after a business day, in UTC: days are half-open."""
    return day_start(day + timedelta(days=1))


def business_day(instant: datetime) -> date:
    """The Asia/Shanghai calendar day of an instant."""
    return instant.astimezone(SHANGHAI).date()


@dataclass(frozen=True)
class Control:
    """Totals that the source itself declares. `sums`: landed column to sum, in its own unit."""

    rows: int | None = None
    sums: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Extract:
    """One business day of one landed table, as a connector delivers it.

    `rows` bear landed names, text or typed; what is missing is null. `complete_until` is the
    instant up to which the source is known complete with these rows. `rejected` are rows that the
    connector itself could not read. What is `is_tentative` may lack what the source has and did not
    give: it takes nothing away that has landed.
    """

    day: date
    rows: pa.Table
    complete_until: datetime
    control: Control | None = None
    rejected: tuple[Rejected, ...] = ()
    is_tentative: bool = False


@dataclass(frozen=True)
class Batch:
    """One manifest entry.

    `rows_changed` counts rows added, removed or altered against `revises`.
    """

    table: str
    day: date
    batch_id: str
    connector: str
    rows: int
    sums: Mapping[str, int]
    complete_until: datetime
    extracted_at: datetime
    sha256: str
    quarantined: int = 0
    repeated: int = 0
    revises: str | None = None
    rows_changed: int = 0
    path: Path = Path()

    @property
    def delivered(self) -> int:
        """How many rows the source gave, whatever became of each."""
        return self.rows + self.quarantined + self.repeated


@dataclass(frozen=True)
class Watermark:
    """The span over which a table is known complete: the unbroken run of landed days, half-open."""

    complete_from: datetime
    complete_until: datetime


class Landing:
    """The landed batches of one company under `folder` (`<data>/landing`)."""

    def __init__(self, folder: Path, *, hash_key: bytes) -> None:
        self.folder = folder
        self.quarantine = folder.parent / "quarantine"
        self._hash_key = hash_key

    def land(self, table: LandedTable, extract: Extract, *, connector: str) -> Batch:
        """Make an extract the current batch of its day and return its manifest entry.

        The same content again changes nothing but, where it moved, the watermark. Other content is
        a revision. Raises LandingError where the rows do not tie to the source's own totals.
        """
        (batch,) = self.land_all(table, [extract], connector=connector)
        return batch

    def land_all(
        self, table: LandedTable, extracts: Iterable[Extract], *, connector: str
    ) -> Iterator[Batch]:
        """Land extracts as they come, many small days at a time.

        What came before an extract that fails is landed before its SourceError goes on.
        """
        for group in _grouped(extracts):
            fitted = conform_all(table, [e.rows for e in group], hash_key=self._hash_key)
            for extract, conformed in zip(group, fitted, strict=True):
                yield self._land(table, extract, conformed, connector)

    def _land(
        self, table: LandedTable, extract: Extract, conformed: Conformed, connector: str
    ) -> Batch:
        rejected = (*extract.rejected, *conformed.rejected)
        _check_control(table, extract, conformed, rejected)
        sha256 = _digest(conformed.rows)
        before = self._current(table.name, extract.day)
        if extract.is_tentative and before is not None and _says_less(conformed.rows, before):
            logger.warning(
                "%s %s: the source gave less than has landed and may not mean it: that stays",
                table.name, extract.day,
            )  # fmt: skip
            return before
        batch = Batch(
            table=table.name,
            day=extract.day,
            batch_id=sha256[:16],
            connector=connector,
            rows=conformed.rows.num_rows,
            sums=_sums(conformed.rows),
            complete_until=extract.complete_until.astimezone(UTC),
            extracted_at=datetime.now(UTC),
            sha256=sha256,
            quarantined=len(rejected),
            repeated=conformed.repeated,
            path=self._path(table.name, extract.day, sha256[:16]),
        )
        if before is not None and before.batch_id == batch.batch_id:
            if _same_entry(before, batch):
                return before
            batch = replace(batch, revises=before.revises, rows_changed=before.rows_changed)
        elif before is not None:
            changed = _rows_changed(before.path, conformed.rows)
            batch = replace(batch, revises=before.batch_id, rows_changed=changed)
        self._write(batch, conformed.rows, rejected)
        return batch

    def adopt(
        self,
        table: LandedTable,
        day: date,
        file: Path,
        *,
        complete_until: datetime,
        connector: str,
    ) -> Batch:
        """Make a Parquet file the current batch of a day as it is, and return its manifest entry.

        For rows made in bulk, which are not fitted and not hashed here: they bear the table's
        columns, and one row per key. The file is moved. Raises LandingError on other columns.
        """
        found = pq.read_schema(file)
        if not found.equals(table.schema):
            raise LandingError(
                f"{table.name} {day}: the file's columns are {found.names}",
                next_step=f"write {table.schema.names}, with the types of pipeline/landed.py",
            )
        with file.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        before = self._current(table.name, day)
        batch = Batch(
            table=table.name,
            day=day,
            batch_id=sha256[:16],
            connector=connector,
            rows=pq.read_metadata(file).num_rows,
            sums=_sums(pq.read_table(file, columns=_money(table.schema.names))),
            complete_until=complete_until.astimezone(UTC),
            extracted_at=datetime.now(UTC),
            sha256=sha256,
            path=self._path(table.name, day, sha256[:16]),
        )
        if before is not None and before.batch_id != batch.batch_id:
            changed = _rows_changed(before.path, pq.read_table(file))
            batch = replace(batch, revises=before.batch_id, rows_changed=changed)
        batch.path.parent.mkdir(parents=True, exist_ok=True)
        file.replace(batch.path)
        self._enter(batch)
        return batch

    def batches(self, table: str | None = None) -> list[Batch]:
        """The current batch of every table and day, ordered by table and day."""
        names = [table] if table else sorted(TABLES)
        return [
            batch
            for name in names
            for day in self._landed_days(name)
            if (batch := self._current(name, day)) is not None
        ]

    def present_count(self, batch: Batch, column: str) -> int | None:
        """How many rows of a batch have a value there, as its footer tells; None if it does not."""
        if not batch.path.exists():
            return None
        footer = pq.read_metadata(batch.path)
        position = footer.schema.names.index(column)
        absent = 0
        for number in range(footer.num_row_groups):
            statistics = footer.row_group(number).column(position).statistics
            if statistics is None or not statistics.has_null_count:
                return None
            absent += statistics.null_count
        return int(footer.num_rows - absent)

    def read_as(self, table: str) -> str | None:
        """The digest of the mapping by which all days of a table were read; None if untold."""
        path = self._reading(table)
        return path.read_text(encoding="utf-8") if path.exists() else None

    def note_reading(self, table: str, digest: str) -> None:
        """Tell by which mapping all days of a table are read now."""
        with _RenamedInto(self._reading(table)) as temporary:
            temporary.write_text(digest, encoding="utf-8")

    def watermarks(self) -> dict[str, Watermark]:
        """Per landed table, the unbroken run of complete days from its first landed day on."""
        runs: dict[str, Watermark] = {}
        for batch in self.batches():
            run = runs.get(batch.table)
            start = day_start(batch.day)
            if run is None:
                runs[batch.table] = Watermark(start, batch.complete_until)
            elif run.complete_until >= start:
                until = max(run.complete_until, batch.complete_until)
                runs[batch.table] = replace(run, complete_until=until)
        return runs

    def rejected(self, batch: Batch) -> list[Rejected]:
        """The quarantined rows of a batch."""
        path = self._quarantine_path(batch)
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
        return [Rejected(**json.loads(line)) for line in lines]

    def _write(self, batch: Batch, rows: pa.Table, rejected: Iterable[Rejected]) -> None:
        if not batch.path.exists():
            with _RenamedInto(batch.path) as temporary:
                pq.write_table(rows, temporary, compression="zstd")
        lines = "".join(
            json.dumps(asdict(row), ensure_ascii=False, sort_keys=True) + "\n" for row in rejected
        )
        if lines:
            with _RenamedInto(self._quarantine_path(batch)) as temporary:
                temporary.write_text(lines, encoding="utf-8")
        else:
            self._quarantine_path(batch).unlink(missing_ok=True)
        self._enter(batch)

    def _enter(self, batch: Batch) -> None:
        """Make a batch current: what it names is whole on disk."""
        entry = (
            self._manifest(batch.table, batch.day) / f"{time.time_ns():020d}-{batch.batch_id}.json"
        )
        with _RenamedInto(entry) as temporary:
            temporary.write_text(json.dumps(_to_json(batch), ensure_ascii=False, indent=1))

    def _current(self, table: str, day: date) -> Batch | None:
        folder = self._manifest(table, day)
        entries = sorted(folder.glob("[0-9]*.json")) if folder.is_dir() else []
        if not entries:
            return None
        entry = json.loads(entries[-1].read_text(encoding="utf-8"))
        return Batch(
            **entry
            | {
                "day": date.fromisoformat(entry["day"]),
                "complete_until": datetime.fromisoformat(entry["complete_until"]),
                "extracted_at": datetime.fromisoformat(entry["extracted_at"]),
                "path": self._path(table, day, entry["batch_id"]),
            }
        )

    def _landed_days(self, table: str) -> list[date]:
        folder = self.folder / "_manifest" / table
        if not folder.is_dir():
            return []
        return sorted(date.fromisoformat(entry.name) for entry in os.scandir(folder))

    def _manifest(self, table: str, day: date) -> Path:
        return self.folder / "_manifest" / table / day.isoformat()

    def _reading(self, table: str) -> Path:
        return self.folder / "_readings" / table

    def _path(self, table: str, day: date, batch_id: str) -> Path:
        return self.folder / table / f"business_day={day.isoformat()}" / f"{batch_id}.parquet"

    def _quarantine_path(self, batch: Batch) -> Path:
        folder = self.quarantine / batch.table / f"business_day={batch.day.isoformat()}"
        return folder / f"{batch.batch_id}.jsonl"


class _RenamedInto:
    """A temporary path beside `target`, synced and renamed over it on success, removed on error."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def __enter__(self) -> Path:
        self._target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._target.parent, prefix=".writing-")
        os.close(handle)
        self._temporary = Path(name)
        return self._temporary

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            self._temporary.unlink(missing_ok=True)
            return
        with self._temporary.open("rb") as written:
            os.fsync(written.fileno())
        self._temporary.chmod(0o644)
        self._temporary.replace(self._target)


# Rows that are fitted in one statement: beyond this, one more statement no longer matters.
ROWS_AT_ONCE = 100_000


def _grouped(extracts: Iterable[Extract]) -> Iterator[list[Extract]]:
    """Extracts in groups of about ROWS_AT_ONCE rows, in order."""
    group: list[Extract] = []
    try:
        for extract in extracts:
            group.append(extract)
            if sum(waiting.rows.num_rows for waiting in group) >= ROWS_AT_ONCE:
                yield group
                group = []
    except SourceError:
        if group:
            yield group
        raise
    if group:
        yield group


def _says_less(rows: pa.Table, before: Batch) -> bool:
    """Whether rows hold fewer values than what has landed."""
    landed = pq.read_table(before.path, columns=rows.column_names)
    return _values_count(rows) < _values_count(landed)


def _values_count(rows: pa.Table) -> int:
    return sum(len(column) - column.null_count for column in rows.columns)


def _check_control(
    table: LandedTable, extract: Extract, conformed: Conformed, rejected: tuple[Rejected, ...]
) -> None:
    """Hold the rows against the totals that the source declares.

    The count always ties, quarantined rows included. A sum can tie only where every row was
    readable: with rows in quarantine their amounts may be what is unreadable.
    """
    if extract.control is None:
        return
    found = extract.rows.num_rows + len(extract.rejected)
    declared = extract.control.rows
    if declared is not None and declared != found:
        raise LandingError(
            f"{table.name} {extract.day}: the source declares {declared} rows, {found} arrived",
            next_step="run the day again; if it repeats, ask the source's owner for the file",
        )
    if rejected or conformed.repeated:
        return
    sums = _sums(conformed.rows)
    for name, total in extract.control.sums.items():
        if sums.get(name, 0) != total:
            raise LandingError(
                f"{table.name} {extract.day}: the source declares {name} = {total},"
                f" the rows sum to {sums.get(name, 0)}",
                next_step="run the day again; if it repeats, ask the source's owner for the file",
            )


def _sums(rows: pa.Table) -> dict[str, int]:
    return {name: int(pc.sum(rows.column(name)).as_py() or 0) for name in _money(rows.column_names)}


def _money(columns: Iterable[str]) -> list[str]:
    return [name for name in columns if name.endswith("_fen")]


def _digest(rows: pa.Table) -> str:
    """SHA-256 of the rows, in key order, as text.

    Of the values and not of the buffers: Arrow leaves chance bytes under a null.
    """
    digest = hashlib.sha256("\x1f".join(rows.column_names).encode())
    texts = [column.cast(pa.string()) for column in rows.columns]
    lines = pc.binary_join_element_wise(
        *texts, "\x1f", null_handling="replace", null_replacement="\x00"
    )
    for chunk in lines.chunks if isinstance(lines, pa.ChunkedArray) else [lines]:
        for line in chunk.to_pylist():
            digest.update(b"\x1e")
            digest.update(line.encode())
    return digest.hexdigest()


def _rows_changed(before: Path, rows: pa.Table) -> int:
    if not before.exists():
        return int(rows.num_rows)
    with open_engine() as engine:
        engine.register("before_rows", pq.read_table(before))
        engine.register("after_rows", rows)
        changed: list[tuple[int]] = engine.execute(
            """
            select count(*) from (
                (from before_rows except all from after_rows)
                union all
                (from after_rows except all from before_rows)
            )"""
        ).fetchall()
        engine.unregister("before_rows")
        engine.unregister("after_rows")
    return changed[0][0]


def _same_entry(before: Batch, after: Batch) -> bool:
    return (
        before.complete_until == after.complete_until
        and before.delivered == after.delivered
        and before.quarantined == after.quarantined
        and before.path.exists()
    )


def _to_json(batch: Batch) -> dict[str, Any]:
    entry = asdict(batch)
    del entry["path"]
    return entry | {
        "day": batch.day.isoformat(),
        "complete_until": batch.complete_until.isoformat(),
        "extracted_at": batch.extracted_at.isoformat(),
    }
