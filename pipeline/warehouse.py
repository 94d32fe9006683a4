"""The DuckDB files: the build file, the candidate and the published file. Their only opener.

One writer at a time works on the build file. Readers see only the published file, which is
replaced whole: whoever holds the old one open keeps reading the old one.
"""

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from pipeline.company import Company
from pipeline.errors import UntrustworthyError, WarehouseError
from pipeline.landing import Landing
from pipeline.models import DBT, DBT_PROJECT
from pipeline.registration import quoted, write_landed

# Files that a client of the first DuckDB 1.5 can still open, whatever newer client wrote them.
STORAGE_VERSION = "v1.5.0"

# A killed run may leave a dbt process that finishes its model before it lets go of the file; a
# minute and a half is longer than any model of the simulated company and short for a person.
LOCK_PATIENCE_SECONDS = 90.0


class Warehouse:
    """The files of one company under its data folder.

    `build` is what dbt writes, `candidate` is what the trustworthy checks judge, `published` is
    what everybody reads. `parquet` holds a copy of the published tables, one file each.
    """

    def __init__(self, data: Path) -> None:
        self.data = data
        self.build = data / "warehouse.duckdb"
        self.candidate = data / "bihuan.candidate.duckdb"
        self.published = data / "bihuan.duckdb"
        self.parquet = data / "published"
        self._seal = data / "bihuan.candidate.trusted.json"

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A writing connection to the build file, closed on every way out.

        Waits while another process holds the file; raises WarehouseError when it waits in vain.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        connection = _connect_patiently(self.build)
        try:
            connection.execute("set TimeZone = 'UTC'")
            yield connection
        finally:
            connection.close()

    @contextmanager
    def read(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection to the published file. Raises WarehouseError without one."""
        with _reading(self.published) as connection:
            yield connection

    @contextmanager
    def read_candidate(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection to the candidate. Raises WarehouseError without one."""
        with _reading(self.candidate) as connection:
            yield connection

    def register(self, landing: Landing, company: Company) -> dict[str, int]:
        """Make what is landed, and what the company folder declares, readable as schema `landing`.

        One view per landed table over its current batches (every landed column, `business_day`,
        `batch_id`), and the tables `batches`, `watermarks`, `loop_legs`, `interface_actors` and
        `company`, whose row counts are returned. All or nothing: dbt never sees half a manifest.
        """
        with self.open() as connection:
            connection.execute("begin")
            connection.execute("create schema if not exists landing")
            counted = write_landed(connection, landing, company)
            connection.execute("commit")
        return counted

    def transform(self) -> None:
        """Run dbt from landing to marts on the build file. Raises WarehouseError with dbt's words.

        For work outside Dagster; inside it, dagster-dbt runs the same command.
        """
        self.run_dbt("build", "--exclude-resource-type", "unit_test")

    def run_dbt(self, command: str, *arguments: str) -> None:
        """Run one dbt command on the build file. Raises WarehouseError with dbt's words."""
        finished = subprocess.run(
            [str(DBT), "--quiet", command, *arguments,
             "--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)],
            env=self.dbt_environment(),
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
        if finished.returncode:
            told = f"{finished.stdout.strip()}\n{finished.stderr.strip()}".strip()
            raise WarehouseError(
                f"dbt {command} ended with {finished.returncode}\n{told}",
                next_step=f"read {self.data / 'dbt' / 'dbt.log'}",
            )

    def dbt_environment(self) -> dict[str, str]:
        """The environment in which dbt works on this build file and leaves its traces beside it."""
        return os.environ | {
            "BIHUAN_WAREHOUSE": str(self.build.resolve()),
            "DBT_TARGET_PATH": str((self.data / "dbt").resolve()),
            "DBT_LOG_PATH": str((self.data / "dbt").resolve()),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }

    def write_candidate(self) -> dict[str, int]:
        """Copy every table of schema `marts` into a fresh candidate; return rows per table.

        The candidate is untrusted until `vouch` says otherwise.
        """
        self._seal.unlink(missing_ok=True)
        _remove_database(self.candidate)
        with self.open() as connection:
            connection.execute(
                f"attach {quoted(self.candidate)} as candidate"
                f" (storage_version {quoted(STORAGE_VERSION)})"
            )
            connection.execute("create schema candidate.marts")
            names = _tables_of(connection, "marts")
            if not names:
                raise WarehouseError(
                    f"{self.build} holds no marts", next_step="run the models first: bihuan build"
                )
            rows = {}
            for name in names:
                connection.execute(f"create table candidate.marts.{name} as from marts.{name}")
                _copy_comments(connection, name)
                rows[name] = _count(connection, f"candidate.marts.{name}")
            connection.execute("detach candidate")
        return rows

    def vouch(self) -> None:
        """Say that the trustworthy checks have passed on the candidate as it lies there."""
        self._seal.write_text(json.dumps(_identity(self.candidate)))

    def publish(self) -> None:
        """Swap the candidate in as the published file, and its tables as Parquet beside it.

        Raises UntrustworthyError where nobody has vouched for this very candidate; the file
        published before stays. Readers of the old file keep it until they close it.
        """
        if not self.candidate.exists():
            raise WarehouseError(
                f"there is no candidate at {self.candidate}",
                next_step="materialise published/candidate first, or run bihuan build",
            )
        if not self._seal.exists() or json.loads(self._seal.read_text()) != _identity(
            self.candidate
        ):
            raise UntrustworthyError(
                "the candidate has not passed the trustworthy checks; the published file is"
                " still the one before",
                next_step="materialise published/candidate with its checks, then published/bihuan",
            )
        self._write_parquet()
        self.candidate.replace(self.published)
        self._seal.unlink()

    def _write_parquet(self) -> None:
        self.parquet.mkdir(parents=True, exist_ok=True)
        with self.read_candidate() as connection:
            names = _tables_of(connection, "marts")
            for name in names:
                target = quoted(self.parquet / f".{name}.writing")
                connection.execute(
                    f"copy marts.{name} to {target} (format parquet, compression zstd)"
                )
        for name in names:
            (self.parquet / f".{name}.writing").replace(self.parquet / f"{name}.parquet")
        for left in self.parquet.glob("*.parquet"):
            if left.stem not in names:
                left.unlink()


@contextmanager
def _reading(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    if not path.exists():
        raise WarehouseError(f"there is no file {path}", next_step="run bihuan build first")
    connection = duckdb.connect(str(path), read_only=True)
    try:
        connection.execute("set TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def _connect_patiently(path: Path) -> duckdb.DuckDBPyConnection:
    """Open for writing, waiting out another holder with growing, jittered pauses."""
    give_up_at = time.monotonic() + LOCK_PATIENCE_SECONDS
    pause = 0.1
    while True:
        try:
            return duckdb.connect(str(path))
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise WarehouseError(
                    f"{path} cannot be opened: {error}",
                    next_step="where it is damaged, delete it and run again: landing rebuilds it",
                ) from error
            if time.monotonic() + pause > give_up_at:
                raise WarehouseError(
                    f"{path} is held by another process for {LOCK_PATIENCE_SECONDS:.0f} s: {error}",
                    next_step="close what holds it; to read, open bihuan.duckdb instead",
                ) from error
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, 5.0)


def _tables_of(connection: duckdb.DuckDBPyConnection, schema: str) -> list[str]:
    found = connection.execute(
        "select table_name from duckdb_tables()"
        " where schema_name = ? and database_name = current_database() order by table_name",
        [schema],
    ).fetchall()
    return [name for (name,) in found]


def _copy_comments(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Carry what the models say about a table and its columns to those who read the copy."""
    commented = connection.execute(
        "select null, comment from duckdb_tables() where schema_name = 'marts'"
        " and table_name = ? and database_name = current_database() and comment is not null"
        " union all select column_name, comment from duckdb_columns() where schema_name = 'marts'"
        " and table_name = ? and database_name = current_database() and comment is not null",
        [name, name],
    ).fetchall()
    for column, comment in commented:
        what = (
            f"column candidate.marts.{name}.{column}" if column else f"table candidate.marts.{name}"
        )
        connection.execute(f"comment on {what} is {quoted(comment)}")


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.execute(f"select count(*) from {table}").fetchall()[0][0])


def _remove_database(path: Path) -> None:
    for name in (path, path.with_name(f"{path.name}.wal")):
        name.unlink(missing_ok=True)


def _identity(path: Path) -> list[int]:
    """What tells one written file from another without reading it."""
    status = path.stat()
    return [status.st_ino, status.st_size, status.st_mtime_ns]
