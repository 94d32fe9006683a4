"""Schema `landing` of the build file: what the models read.

One view per landed table, and tables of all that stands beside them: batches, watermarks, contracts
and whatever else the company folder declares. The files themselves are `pipeline.warehouse`'s.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.company import Company
from pipeline.company.contracts import DEFAULT_TERMS
from pipeline.landed import TABLES, Kind, LandedTable
from pipeline.landing import Batch, Landing, Watermark
from pipeline.models import digest_models

DUCKDB_TYPES: dict[Kind, str] = {
    "text": "varchar",
    "integer": "bigint",
    "decimal": "decimal(18, 4)",
    "number": "double",
    "instant": "timestamp with time zone",
    "day": "date",
}


def write_landed(
    connection: duckdb.DuckDBPyConnection, landing: Landing, company: Company
) -> dict[str, int]:
    """Make the current batches readable in schema `landing`, with all that stands beside them."""
    batches = landing.batches()
    for table in TABLES.values():
        files = [batch.path for batch in batches if batch.table == table.name and batch.rows]
        connection.execute(
            f"create or replace view landing.{table.name} as {_select_landed(table, files)}"
        )
    return write_declarations(connection, company, batches, landing.watermarks())


def write_declarations(
    connection: duckdb.DuckDBPyConnection,
    company: Company,
    batches: Sequence[Batch],
    watermarks: Mapping[str, Watermark],
) -> dict[str, int]:
    """Write beside the landed tables what else the models read; return rows per table."""
    connected = set(company.sources.tables)
    return {
        "batches": _write_batches(connection, batches, connected),
        "watermarks": write_watermarks(connection, watermarks, connected),
        "loop_legs": _write_loop_legs(connection, company),
        "interface_actors": _write_interface_actors(connection, company),
        "company": _write_company(connection, company, _digest_rules(connection)),
    }


def _write_batches(
    connection: duckdb.DuckDBPyConnection, batches: Sequence[Batch], connected: set[str]
) -> int:
    return _write_table(
        connection,
        "batches",
        "table_name varchar, business_day date, batch_id varchar, connector varchar,"
        " row_count bigint, quarantined_count bigint, complete_until timestamp with time zone,"
        " extracted_at timestamp with time zone, sha256 varchar, is_connected boolean,"
        " revises varchar",
        [
            (b.table, b.day, b.batch_id, b.connector, b.rows, b.quarantined, b.complete_until,
             b.extracted_at, b.sha256, b.table in connected, b.revises)
            for b in batches
        ],
    )  # fmt: skip


def write_watermarks(
    connection: duckdb.DuckDBPyConnection,
    watermarks: Mapping[str, Watermark],
    connected: set[str],
) -> int:
    """One row per landed table that exists at all: a table without a row would not be judged."""
    return _write_table(
        connection,
        "watermarks",
        "table_name varchar, is_connected boolean, complete_from timestamp with time zone,"
        " complete_until timestamp with time zone",
        [
            (
                name,
                name in connected,
                watermarks[name].complete_from if name in watermarks else None,
                watermarks[name].complete_until if name in watermarks else None,
            )
            for name in TABLES
        ],
    )


def _write_loop_legs(connection: duckdb.DuckDBPyConnection, company: Company) -> int:
    """The legs of every contract; the default contract of a loop has no business line."""
    loops = [*company.loops, *(company.default_loop(loop) for loop in DEFAULT_TERMS)]
    return _write_table(
        connection,
        "loop_legs",
        "business_line varchar, loop varchar, leg varchar, leg_rank integer, is_mandatory boolean,"
        " window_seconds bigint, late_after_seconds bigint, tolerance_fen bigint, owner varchar,"
        " target_closure double",
        [
            (
                loop.business_line,
                loop.loop,
                leg.name,
                leg.rank,
                leg.is_mandatory,
                leg.window and int(leg.window.total_seconds()),
                leg.late_after and int(leg.late_after.total_seconds()),
                leg.tolerance_fen,
                leg.owner,
                loop.target_closure,
            )
            for loop in loops
            for leg in loop.legs
        ],
    )


def _write_interface_actors(connection: duckdb.DuckDBPyConnection, company: Company) -> int:
    return _write_table(
        connection,
        "interface_actors",
        "table_name varchar, actor varchar",
        [
            (name, actor)
            for name, source in company.sources.tables.items()
            for actor in source.interface_actors
        ],
    )


def _write_company(
    connection: duckdb.DuckDBPyConnection, company: Company, rules_digest: str
) -> int:
    return _write_table(
        connection,
        "company",
        "name varchar, first_day date, last_day date, shared_limit bigint, rules_digest varchar",
        [
            (
                company.name,
                company.first_day,
                company.last_day,
                company.identity.shared_limit,
                rules_digest,
            )
        ],
    )


def _select_landed(table: LandedTable, files: Sequence[Path]) -> str:
    """The rows of the given batches, with the day and the batch that their path names."""
    columns = ", ".join(
        f"{column.name}::{DUCKDB_TYPES[column.kind]} as {column.name}" for column in table.columns
    )
    if not files:
        empty = ", ".join(
            f"null::{DUCKDB_TYPES[column.kind]} as {column.name}" for column in table.columns
        )
        return f"select {empty}, null::date as business_day, null::varchar as batch_id where false"
    listed = ", ".join(quoted(file.resolve()) for file in files)
    return (
        f"select {columns}, business_day, parse_filename(filename, true) as batch_id"
        f" from read_parquet([{listed}], union_by_name = true, filename = true,"
        " hive_partitioning = true, hive_types = {'business_day': date})"
    )


def _digest_rules(connection: duckdb.DuckDBPyConnection) -> str:
    """A digest of what cases are judged by: the dbt project, the contracts and the actors.

    Where it is another than that of the run before, every case is judged anew.
    """
    digest = hashlib.sha256(digest_models().encode())
    for table in ("loop_legs", "interface_actors"):
        rows = connection.execute(f"from landing.{table} order by all").fetchall()
        digest.update(repr((table, rows)).encode())
    return digest.hexdigest()


def _write_table(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    columns: str,
    rows: Sequence[tuple[object, ...]],
) -> int:
    connection.execute(f"create or replace table landing.{name} ({columns})")
    if rows:
        written = pa.table(
            [list(column) for column in zip(*rows, strict=True)], names=_names(columns)
        )
        connection.register("written", written)
        connection.execute(f"insert into landing.{name} select * from written")
        connection.unregister("written")
    return len(rows)


def _names(columns: str) -> list[str]:
    return [column.split()[0] for column in columns.split(", ")]


def quoted(text: object) -> str:
    """A text as a literal of SQL."""
    return "'" + str(text).replace("'", "''") + "'"
