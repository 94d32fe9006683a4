"""Whether a large table of a database lands whole, within a bounded memory, and how fast.

A PostgreSQL of its own holds one table of orders over two years. It is landed as a first run does,
then with nothing changed, then after orders were changed, added and deleted; beside it the least
that any solution must do, the same columns read by connectorx as they are and written as Parquet.
"""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import connectorx
import pyarrow as pa
import pyarrow.parquet as pq

from bench.measurement import Asked, Bar, Figures, Measured, Tell, as_texts
from bench.servers import NoServerError, PostgresServer, Server, open_folder, running_postgres
from bench.watched import Taken, watched
from pipeline.company import Company, load_company
from pipeline.defs.landing import choose_days, land_days
from pipeline.errors import ConfigurationError
from pipeline.landing import Landing
from pipeline.sources import open_source

FIRST_DAY = date(2024, 1, 1)
DAYS = 730
DAYS_THAT_CHANGE = 30
# The last ten minutes of change are always read again: they touch orders of the last day, and
# orders of the day before, which change a day after they were made.
DAYS_WITHIN_OVERLAP = 2
DEFAULT_ROWS = 10_000_000
LEAST_ROWS = 10_000
GIB = 1024**3
# A table of ten million rows is landed on a machine that has 2 GiB to spare. 2026-11.
MOST_MEMORY_BYTES = 2 * GIB

# As an ERP keeps it: money without a bound, change time null until the first change, no index but
# that of the date.
_TABLE = """
    create table orders as
    select
        'SO' || lpad(n::text, 10, '0') as number,
        'O' || lpad(n::text, 10, '0') as shop_number,
        (array['小程序', 'APP', '门店'])[1 + (n % 3)::int] as channel,
        'retail' as line,
        'C' || (n * 7919 % 500000) as customer,
        '1' || (30 + n % 60) || lpad((n * 31 % 100000000)::text, 8, '0') as phone,
        (array['draft', 'paid', 'done'])[1 + (n % 3)::int] as state,
        at,
        at as created,
        case when n % 10 = 0 then at + interval '1 day' end as changed,
        'svc_bridge' as creator,
        (n % 100000)::numeric / 100 as amount,
        (n % 1000)::numeric / 100 as freight,
        'CNY' as currency,
        '42000' || lpad(n::text, 23, '0') as payment
    from (
        select
            n,
            timestamp '{first_day}' + make_interval(secs => n * 86400.0 * {days} / {rows}) as at
        from generate_series(0::bigint, {rows} - 1) as n
    ) as numbered;
    create index on orders (at);
    vacuum analyze orders;
"""
_CHANGES = """
    update orders set amount = amount + 1, changed = timestamp '{last_day} 23:59:00'
    where number like '%77' and at >= '{since}';
    delete from orders where number like '%333' and at >= '{since}';
    insert into orders
    select 'N' || number, 'N' || shop_number, channel, line, customer, phone, state, at,
        timestamp '{last_day} 23:59:00', null, creator, amount, freight, currency, payment
    from orders where number like '%55' and at >= '{since}';
"""
_SOURCES = """
connections: {erp: {url_env: BENCH_ERP_URL}}
tables:
  erp_orders:
    connector: sql
    connection: erp
    table: orders
    changed_column: [changed, created]
    reconcile_days: 800
    time_zone: Asia/Shanghai
    columns:
      erp_order_no: number
      order_no: shop_number
      channel: {from: channel, values: {小程序: mini_program, APP: app, 门店: store}}
      business_line: line
      customer_code: customer
      phone: phone
      state: state
      ordered_at: at
      created_at: created
      created_by: creator
      updated_at: [changed, created]
      amount_fen: {from: amount, unit: yuan}
      freight_fen: {from: freight, unit: yuan}
      currency: currency
      transaction_id: payment
"""


@dataclass(frozen=True)
class Held:
    """How many orders there are, and how many fen they come to."""

    rows: int
    fen: int


@dataclass(frozen=True)
class Run:
    """One daily run: how many days it landed, and what is landed after it, against the database."""

    name: str
    days: int
    seconds: float
    peak_rss_bytes: int
    landed: Held
    database: Held


def measure(asked: Asked, tell: Tell) -> Measured:
    """Measure with as many rows as asked for.

    Raises ConfigurationError where they are too few to mean anything, or PostgreSQL is missing.
    """
    rows = asked.rows or DEFAULT_ROWS
    if rows < LEAST_ROWS:
        raise ConfigurationError(f"--rows: found {rows}, allowed: a number from {LEAST_ROWS} on")
    try:
        with open_folder("bench-sql") as folder, running_postgres(folder) as server:
            plain, runs = _measure(server, rows, tell)
    except NoServerError as error:
        raise ConfigurationError(str(error)) from None
    return Measured(
        command=f"bihuan bench sql --rows {rows}",
        tables=tuple(_tables(rows, plain, runs)),
        bars=tuple(find_bars(rows, runs)),
        results={
            "rows": rows,
            "plain_seconds": plain.seconds,
            "plain_rss_bytes": plain.peak_rss_bytes,
            "runs": [asdict(run) for run in runs],
        },
        is_whole=rows >= DEFAULT_ROWS,
        remarks=_REMARKS,
    )


def _measure(server: PostgresServer, rows: int, tell: Tell) -> tuple[Taken[int], list[Run]]:
    url = server.create_database("erp")
    server.execute(_TABLE.format(first_day=FIRST_DAY, days=DAYS, rows=rows), database="erp")
    tell(f"a table of {rows:,} rows")
    with tempfile.TemporaryDirectory(prefix="bihuan-sql-") as name:
        folder = Path(name)
        plain = watched(_read_plainly, url, folder / "plain", spill=folder)
        tell(f"connectorx to Parquet {plain.seconds:.1f} s")
        company = _write_company(folder / "company")
        runs = [_run("first run", server, url, company, tell)]
        runs.append(_run("nothing changed", server, url, company, tell))
        last_day = FIRST_DAY + timedelta(days=DAYS - 1)
        since = last_day - timedelta(days=DAYS_THAT_CHANGE - 1)
        server.execute(_CHANGES.format(last_day=last_day, since=since), database="erp")
        runs.append(_run("changed, added, deleted", server, url, company, tell))
    return plain, runs


def _run(name: str, server: Server, url: str, company: Path, tell: Tell) -> Run:
    taken = watched(_land, company, url, spill=company)
    days, landed = taken.returned
    rows, fen = server.execute(
        "select count(*), sum(amount * 100)::bigint from orders", database="erp"
    ).split("|")
    run = Run(name, days, taken.seconds, taken.peak_rss_bytes, landed, Held(int(rows), int(fen)))
    tell(f"{name}: {days} days in {run.seconds:.1f} s, {run.peak_rss_bytes / GIB:.2f} GiB")
    return run


def _land(folder: Path, url: str) -> tuple[int, Held]:
    """A daily run of the table as the product does it, and what is landed after it."""
    os.environ["BENCH_ERP_URL"] = url
    company = _load(folder)
    landing = Landing(company.data / "landing", hash_key=company.hash_key)
    source = open_source("erp_orders", company)
    assert company.last_day is not None, "the company has ended"
    chosen = choose_days(
        source, landing, [company.last_day], first_day=FIRST_DAY, trailing_days=0, catch_up=True
    )
    for _ in land_days(source, landing, chosen):
        pass
    batches = landing.batches("erp_orders")
    return len(chosen), Held(
        sum(batch.rows for batch in batches), sum(batch.sums["amount_fen"] for batch in batches)
    )


def _read_plainly(url: str, folder: Path) -> int:
    """The same columns as they are, a month at a time, as Parquet."""
    folder.mkdir()
    rows = 0
    for start in range(0, DAYS, 30):
        window = [FIRST_DAY + timedelta(days=min(start + days, DAYS)) for days in (0, 30)]
        table: pa.Table = connectorx.read_sql(
            url,
            f"select * from orders where at >= '{window[0]}' and at < '{window[1]}'",
            return_type="arrow",
        )
        pq.write_table(table, folder / f"{start}.parquet", compression="zstd")
        rows += table.num_rows
    return rows


def _write_company(folder: Path) -> Path:
    (folder / "loops").mkdir(parents=True)
    last_day = FIRST_DAY + timedelta(days=DAYS - 1)
    (folder / "company.yml").write_text(
        f"name: bench\nfirst_day: {FIRST_DAY}\nlast_day: {last_day}\n", encoding="utf-8"
    )
    (folder / "sources.yml").write_text(_SOURCES, encoding="utf-8")
    return folder


def _load(folder: Path) -> Company:
    return load_company(folder, environment={"BIHUAN_HASH_KEY": "k" * 32} | os.environ)


def find_bars(rows: int, runs: list[Run]) -> Iterator[Bar]:
    """What must hold of every run."""
    for run in runs:
        yield Bar(
            f"{run.name}: rows and fen equal the database",
            run.landed == run.database,
            f"{run.landed.rows:,} rows, {run.landed.fen:,} fen; {run.database.rows:,} rows,"
            f" {run.database.fen:,} fen there",
        )
    first, unchanged, *_ = runs
    yield Bar("a first run lands every row", first.landed.rows == rows, f"{first.landed.rows:,}")
    yield Bar(
        "where nothing changed, only what may have committed late is read again",
        unchanged.days <= DAYS_WITHIN_OVERLAP,
        f"{unchanged.days} days",
    )
    peak = max(run.peak_rss_bytes for run in runs)
    yield Bar(
        f"memory stays within {MOST_MEMORY_BYTES // GIB} GiB",
        peak <= MOST_MEMORY_BYTES,
        f"{peak / GIB:.2f} GiB at most",
    )


def _tables(rows: int, plain: Taken[int], runs: list[Run]) -> Iterator[Figures]:
    yield Figures(
        f"{rows:,} orders of {DAYS} days",
        ("run", "days landed", "s", "peak memory, GiB"),
        as_texts([
            ("connectorx to Parquet", "", f"{plain.seconds:.1f}",
             f"{plain.peak_rss_bytes / GIB:.2f}"),
            *(
                (run.name, run.days, f"{run.seconds:.1f}", f"{run.peak_rss_bytes / GIB:.2f}")
                for run in runs
            ),
        ]),
    )  # fmt: skip
    first = runs[0]
    yield Figures(
        "The first run beside the least that must be done",
        ("figure", "found"),
        as_texts([
            ("rows per s landed", f"{rows / first.seconds:,.0f}"),
            ("rows per s by connectorx to Parquet", f"{rows / plain.seconds:,.0f}"),
            ("landing / connectorx", f"{first.seconds / plain.seconds:.1f}"),
        ]),
    )  # fmt: skip


_REMARKS = (
    "*First run* is what a daily run does on an empty landing, through the same doors: count,"
    " read, map, fit, hash phones, digest, write one batch a day. *Nothing changed* asks for"
    " changes and counts every day. The last run follows 1 % changed, 0.1 % deleted and 1 % added"
    f" orders of the last {DAYS_THAT_CHANGE} days. *connectorx to Parquet* reads the same columns"
    " with their types, a month at a time, and writes them: no cast, no mapping, no check, no key.",
    "Every run is a process of its own; PostgreSQL's memory is not counted. Other programs may"
    " have been at work.",
)
