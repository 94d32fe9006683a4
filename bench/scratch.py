"""A warehouse in memory: the compiled models run on landed rows, with no files, no dbt process and
no orchestration; for measurements and tests.

What a row must go through before it is landed, and what else stands beside the landed tables, is
the pipeline's own code: results equal those of the real path. The tests of the models, and what an
incremental model remembers of runs before, do not belong here: every build is a first one.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pyarrow as pa

from pipeline.company import Company, Loop
from pipeline.company.folder import CompanyFile
from pipeline.company.sources import Sources, TableSource
from pipeline.conform import PLACE, conform_all
from pipeline.decisions.functions import register
from pipeline.errors import WarehouseError
from pipeline.landed import TABLES, LandedTable
from pipeline.landing import Batch, Landing, Watermark, day_end
from pipeline.models import DBT, DBT_PROJECT, digest_models
from pipeline.registration import write_declarations, write_landed, write_watermarks
from pipeline.sources.mapping import DAY, map_rows, split_days
from pipeline.warehouse import Warehouse

Rows: TypeAlias = pa.Table | Sequence[Mapping[str, Any]]

COMPILED = DBT_PROJECT / "target" / "scratch"
BATCH_ID = "scratch"
# Only a hash of a phone number is ever compared, so any key serves.
HASH_KEY = b"a key of the scratch warehouse"


@dataclass(frozen=True)
class Model:
    """One model as dbt compiled it, in the form of a first run."""

    schema: str
    name: str
    is_view: bool
    sql: str


@dataclass(frozen=True)
class Seed:
    """One seed: its file below the dbt project, and the types that are declared for it."""

    schema: str
    name: str
    path: str
    types: Mapping[str, str]


@dataclass(frozen=True)
class Models:
    """The dbt project as it stands: its seeds, and its models in an order in which they run."""

    seeds: tuple[Seed, ...]
    models: tuple[Model, ...]

    @property
    def schemas(self) -> list[str]:
        built = {seed.schema for seed in self.seeds} | {model.schema for model in self.models}
        return sorted({"landing"} | built)


def compile_models() -> Models:
    """Compile the dbt project, once for each content that it ever has.

    Raises WarehouseError with dbt's words where it does not compile.
    """
    cached = COMPILED / f"{digest_models()[:16]}.json"
    if not cached.exists():
        models = _read_manifest(_compile())
        COMPILED.mkdir(parents=True, exist_ok=True)
        beside = cached.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(asdict(models), ensure_ascii=False), encoding="utf-8")
        beside.replace(cached)  # several processes may compile at once
    written = json.loads(cached.read_text(encoding="utf-8"))
    return Models(
        tuple(Seed(**seed) for seed in written["seeds"]),
        tuple(Model(**model) for model in written["models"]),
    )


def declare_company(
    tables: Iterable[str],
    *,
    first_day: date,
    last_day: date | None = None,
    loops: Sequence[Loop] = (),
    interface_actors: Mapping[str, Iterable[str]] | None = None,
    **settings: Any,
) -> Company:
    """A company without a folder, to which the named landed tables are connected.

    `settings` are further keys of company.yml.
    """
    actors = interface_actors or {}
    said = CompanyFile(
        name="scratch", first_day=first_day, last_day=last_day, data=Path("/nowhere"), **settings
    )
    sources = Sources(
        tables={
            name: TableSource(
                connector="scratch",
                connections=("scratch",),
                interface_actors=tuple(sorted(actors.get(name, ()))),
            )
            for name in tables
        }
    )
    return Company.model_validate(
        dict(said)
        | {
            "folder": Path("/nowhere"),
            "sources": sources,
            "loops": list(loops),
            "owners": {},
            "costs": [],
            "scenarios": {},
            "pilots": {},
        }
    )


@contextmanager
def scratch(
    models: Models,
    company: Company,
    rows: Mapping[str, Rows],
    watermarks: Mapping[str, Watermark],
    *,
    threads: int = 1,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a warehouse in memory in which every model has run.

    `rows` bear landed columns per landed table, `watermarks` stand for what is known complete; a
    table of the company without a watermark is connected and has landed nothing. Raises ValueError
    for a row that would not land.
    """
    with _empty(models, threads) as connection:
        batches = [
            batch
            for table in TABLES.values()
            for batch in _land(connection, table, rows.get(table.name, ()), company)
        ]
        write_declarations(connection, company, batches, watermarks)
        _run(connection, models)
        yield connection


@contextmanager
def scratch_of_landing(
    models: Models,
    company: Company,
    landing: Landing,
    *,
    threads: int = 1,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The same on what a company has landed, as its own warehouse would be if built anew."""
    with _empty(models, threads) as connection:
        write_landed(connection, landing, company)
        _run(connection, models)
        yield connection


@contextmanager
def scratch_copy(
    models: Models, warehouse: Warehouse, *, threads: int = 1
) -> Iterator[duckdb.DuckDBPyConnection]:
    """As `scratch`, on a copy of what is registered in a company's own build file."""
    with _empty(models, threads) as connection:
        connection.execute(f"attach '{warehouse.build}' as registered (read_only)")
        names = connection.execute(
            "select table_name from information_schema.tables"
            " where table_catalog = 'registered' and table_schema = 'landing'"
        ).fetchall()
        for (name,) in names:
            connection.execute(f"create table landing.{name} as from registered.landing.{name}")
        connection.execute("detach registered")
        _run(connection, models)
        yield connection


@contextmanager
def _empty(models: Models, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse in memory that holds the seeds and no row."""
    connection = duckdb.connect(":memory:", config={"threads": threads})
    try:
        connection.execute("set TimeZone = 'UTC'")
        register(connection)
        for schema in models.schemas:
            connection.execute(f"create schema {schema}")
        for seed in models.seeds:
            _load_seed(connection, seed)
        yield connection
    finally:
        connection.close()


def rerun(
    connection: duckdb.DuckDBPyConnection,
    models: Models,
    company: Company,
    watermarks: Mapping[str, Watermark],
) -> None:
    """Build every model again on the same rows, known complete up to other watermarks."""
    write_watermarks(connection, watermarks, set(company.sources.tables))
    _run(connection, models)


def _compile() -> Mapping[str, Any]:
    """The manifest that `dbt compile` writes, against an empty database in memory."""
    with tempfile.TemporaryDirectory() as folder:
        compiled = subprocess.run(
            [str(DBT), "--quiet", "compile", "--full-refresh",
             "--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)],
            env=os.environ | {
                "BIHUAN_WAREHOUSE": ":memory:",
                "DBT_TARGET_PATH": folder,
                "DBT_LOG_PATH": folder,
                "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            },
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if compiled.returncode:
            told = f"{compiled.stdout.strip()}\n{compiled.stderr.strip()}".strip()
            raise WarehouseError(
                f"dbt compile ended with {compiled.returncode}\n{told}",
                next_step=f"mend the models under {DBT_PROJECT}",
            )
        manifest = (Path(folder) / "manifest.json").read_text(encoding="utf-8")
    written: Mapping[str, Any] = json.loads(manifest)
    return written


def _read_manifest(manifest: Mapping[str, Any]) -> Models:
    nodes: Mapping[str, Any] = manifest["nodes"]
    upstream = {
        name: [other for other in node["depends_on"]["nodes"] if other in nodes]
        for name, node in nodes.items()
        if node["resource_type"] == "model"
    }
    ordered = [nodes[name] for name in TopologicalSorter(upstream).static_order()]
    return Models(
        seeds=tuple(
            Seed(
                node["schema"],
                node["alias"],
                node["original_file_path"],
                node["config"]["column_types"],
            )
            for node in nodes.values()
            if node["resource_type"] == "seed"
        ),
        models=tuple(
            Model(
                node["schema"],
                node["alias"],
                node["config"]["materialized"] == "view",
                node["compiled_code"],
            )
            for node in ordered
            # an ephemeral model stands inside those that read it
            if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral"
        ),
    )


def _load_seed(connection: duckdb.DuckDBPyConnection, seed: Seed) -> None:
    types = ", ".join(f"'{column}': '{type_}'" for column, type_ in seed.types.items())
    connection.execute(
        f"create table {seed.schema}.{seed.name} as from read_csv(?, header = true,"
        f" types = {{{types}}})",
        [str(DBT_PROJECT / seed.path)],
    )


def _land(
    connection: duckdb.DuckDBPyConnection, table: LandedTable, rows: Rows, company: Company
) -> list[Batch]:
    """Create the landed table from rows that went the way of a delivery, one batch per day."""
    delivered = _as_text(table, rows)
    landed = [table.schema.append(pa.field(DAY, pa.date32())).empty_table()]
    batches = []
    if delivered.num_rows:
        mapped = map_rows(
            delivered.append_column(PLACE, pa.nulls(delivered.num_rows, pa.string())),
            table,
            {},
            time_zone="UTC",
            first_day=company.first_day,
            last_day=company.last_day,
        )
        days = sorted(set(mapped.rows.column(DAY).to_pylist()))
        by_day = [daily for _, daily, _ in split_days(mapped, days)]
        fitted = conform_all(table, by_day, hash_key=HASH_KEY)
        refused = [*(r for _, r in mapped.rejected), *(r for c in fitted for r in c.rejected)]
        if refused:
            raise ValueError(f"{table.name}: {refused[0].reason} in {refused[0].raw}")
        for day, conformed in zip(days, fitted, strict=True):
            days_column = pa.repeat(pa.scalar(day, pa.date32()), conformed.rows.num_rows)
            landed.append(conformed.rows.append_column(DAY, days_column))
            batches.append(_batch(table, day, conformed.rows.num_rows))
    connection.register("landed", pa.concat_tables(landed))
    connection.execute(
        f"create table landing.{table.name} as select * rename ({DAY} as business_day),"
        f" '{BATCH_ID}' as batch_id from landed"
    )
    connection.unregister("landed")
    return batches


def _as_text(table: LandedTable, rows: Rows) -> pa.Table:
    """Rows as a file or a query delivers them; a name that is no landed column is a mistake."""
    names = table.schema.names
    if isinstance(rows, pa.Table):
        return rows.cast(pa.schema([pa.field(name, pa.string()) for name in rows.column_names]))
    unknown = {name for row in rows for name in row} - set(names)
    if unknown:
        raise ValueError(f"{table.name}: unknown column {', '.join(sorted(unknown))}")
    texts = [[None if row.get(n) is None else str(row[n]) for row in rows] for n in names]
    return pa.table([pa.array(column, pa.string()) for column in texts], names=names)


def _batch(table: LandedTable, day: date, rows_count: int) -> Batch:
    return Batch(
        table=table.name,
        day=day,
        batch_id=BATCH_ID,
        connector="scratch",
        rows=rows_count,
        sums={},
        complete_until=day_end(day),
        extracted_at=datetime.now(UTC),
        sha256="",
    )


def _run(connection: duckdb.DuckDBPyConnection, models: Models) -> None:
    for model in models.models:
        kind = "view" if model.is_view else "table"
        connection.execute(f"create or replace {kind} {model.schema}.{model.name} as {model.sql}")
