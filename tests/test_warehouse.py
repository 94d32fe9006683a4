"""The DuckDB files: what is registered, who may publish, and who may read meanwhile."""

import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from pipeline import warehouse
from pipeline.company import Company, load_company
from pipeline.errors import UntrustworthyError, WarehouseError
from pipeline.landed import TABLES
from pipeline.landing import Extract, Landing, day_end
from pipeline.warehouse import Warehouse

DAYS = (date(2026, 10, 1), date(2026, 10, 2))


@pytest.fixture
def company(tmp_path: Path) -> Company:
    folder = tmp_path / "company"
    (folder / "loops").mkdir(parents=True)
    (folder / "company.yml").write_text("name: 小店\nfirst_day: 2026-10-01\n", encoding="utf-8")
    (folder / "sources.yml").write_text(
        "connections: {erp: {folder: erp}}\n"
        "tables:\n"
        "  erp_orders: {connector: files, connection: erp, files: erp_orders.csv,"
        " interface_actors: [svc_bridge]}\n"
    )
    (folder / "loops" / "retail.yml").write_text(
        "business_line: retail\ntarget_closure: 0.9\n"
        "legs: {booked: {late_after: 10m, tolerance_fen: 100}}\n"
    )
    return load_company(folder, environment={"BIHUAN_HASH_KEY": "k" * 32})


@pytest.fixture
def landing(company: Company) -> Landing:
    landing = Landing(company.data / "landing", hash_key=company.hash_key)
    for day, numbers in zip(DAYS, (["E1", "E2"], ["E3"]), strict=True):
        land_orders(landing, day, numbers)
    return landing


def land_orders(landing: Landing, day: date, numbers: list[str]) -> None:
    instant = datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
    rows = pa.Table.from_pylist(
        [
            {"erp_order_no": number, "state": "paid", "amount_fen": 100, "ordered_at": instant,
             "created_at": instant, "updated_at": instant}
            for number in numbers
        ]
    )  # fmt: skip
    extract = Extract(day=day, rows=rows, complete_until=day_end(day))
    landing.land(TABLES["erp_orders"], extract, connector="files")


@pytest.fixture
def built(company: Company) -> Warehouse:
    """A warehouse whose build file holds one small mart."""
    files = Warehouse(company.data)
    write_mart(files, rows=3)
    return files


def write_mart(files: Warehouse, *, rows: int) -> None:
    with files.open() as connection:
        connection.execute("create schema if not exists marts")
        connection.execute(
            f"create or replace table marts.fct_cases as"
            f" select 'order:' || range as case_id, range * 100 as amount_fen from range({rows})"
        )
        connection.execute("comment on table marts.fct_cases is 'One row per case; it''s so.'")


def publish(files: Warehouse) -> None:
    files.write_candidate()
    files.vouch()
    files.publish()


def count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.execute(f"select count(*) from {table}").fetchall()[0][0])


def test_a_landed_table_is_read_whole_with_its_day_and_batch(
    company: Company, landing: Landing
) -> None:
    files = Warehouse(company.data)
    files.register(landing, company)
    with files.open() as connection:
        rows = connection.execute(
            "select erp_order_no, business_day, batch_id from landing.erp_orders order by 1"
        ).fetchall()
        columns = [
            name for name, *_ in connection.execute("describe landing.erp_orders").fetchall()
        ]
    batches = {batch.day: batch.batch_id for batch in landing.batches("erp_orders")}
    assert rows == [
        ("E1", DAYS[0], batches[DAYS[0]]),
        ("E2", DAYS[0], batches[DAYS[0]]),
        ("E3", DAYS[1], batches[DAYS[1]]),
    ]
    landed = [column.name for column in TABLES["erp_orders"].columns]
    assert columns == [*landed, "business_day", "batch_id"]


def test_a_table_with_and_without_batches_has_the_same_types(
    company: Company, landing: Landing
) -> None:
    files = Warehouse(company.data)
    files.register(landing, company)
    with files.open() as connection:
        full = connection.execute("describe landing.erp_orders").fetchall()
    files.register(Landing(company.data / "nothing", hash_key=company.hash_key), company)
    with files.open() as connection:
        empty = connection.execute("describe landing.erp_orders").fetchall()
        assert count(connection, "landing.erp_orders") == 0
    assert full == empty


def test_every_table_has_a_watermark_row_even_where_nothing_is_connected(
    company: Company, landing: Landing
) -> None:
    files = Warehouse(company.data)
    files.register(landing, company)
    with files.open() as connection:
        rows = connection.execute(
            "select table_name, is_connected, complete_until from landing.watermarks"
        ).fetchall()
    known = {name: (is_connected, until) for name, is_connected, until in rows}
    assert set(known) == set(TABLES)
    assert known["erp_orders"] == (True, day_end(DAYS[1]))
    assert known["pay_bill"] == (False, None)


def test_a_revised_day_replaces_its_batch_in_the_view(company: Company, landing: Landing) -> None:
    files = Warehouse(company.data)
    files.register(landing, company)
    land_orders(landing, DAYS[0], ["E1", "E2", "E9"])
    files.register(landing, company)
    with files.open() as connection:
        assert count(connection, "landing.erp_orders") == 4
        assert count(connection, "landing.batches") == 2


def test_contracts_and_actors_are_read_as_tables(company: Company, landing: Landing) -> None:
    files = Warehouse(company.data)
    files.register(landing, company)
    with files.open() as connection:
        booked = connection.execute(
            "select business_line, window_seconds, late_after_seconds, tolerance_fen,"
            " target_closure from landing.loop_legs where leg = 'booked'"
            " order by business_line nulls last"
        ).fetchall()
        actors = connection.execute("from landing.interface_actors").fetchall()
        told = connection.execute(
            "select name, first_day, last_day, shared_limit from landing.company"
        ).fetchall()
    assert booked == [("retail", 86400, 600, 100, 0.9), (None, 86400, 1800, 0, 0.95)]
    assert actors == [("erp_orders", "svc_bridge")]
    assert told == [("小店", date(2026, 10, 1), None, 3)]


def test_what_is_published_is_the_marts_with_their_comments(built: Warehouse) -> None:
    publish(built)
    with built.read() as connection:
        assert count(connection, "marts.fct_cases") == 3
        told = connection.execute("select comment from duckdb_tables()").fetchall()
    assert told == [("One row per case; it's so.",)]
    copied = duckdb.sql(f"select count(*) from '{built.parquet}/fct_cases.parquet'").fetchall()
    assert copied == [(3,)]


def test_a_candidate_that_nobody_vouched_for_is_not_published(built: Warehouse) -> None:
    publish(built)
    write_mart(built, rows=5)
    built.write_candidate()
    with pytest.raises(UntrustworthyError, match="still the one before"):
        built.publish()
    with built.read() as connection:
        assert count(connection, "marts.fct_cases") == 3


def test_vouching_for_one_candidate_does_not_publish_the_next(built: Warehouse) -> None:
    built.write_candidate()
    built.vouch()
    seal = built._seal.read_text()
    built.write_candidate()
    built._seal.write_text(seal)
    with pytest.raises(UntrustworthyError):
        built.publish()


def test_a_reader_keeps_the_file_it_opened_while_two_runs_publish(built: Warehouse) -> None:
    publish(built)
    reader = duckdb.connect(str(built.published), read_only=True)
    try:
        for rows in (4, 5):
            write_mart(built, rows=rows)
            publish(built)
        assert count(reader, "marts.fct_cases") == 3
    finally:
        reader.close()
    with built.read() as connection:
        assert count(connection, "marts.fct_cases") == 5


def test_a_table_that_is_no_mart_any_more_leaves_the_parquet_copy(built: Warehouse) -> None:
    publish(built)
    with built.open() as connection:
        connection.execute("create table marts.dim_people as select 1 as person_id")
        connection.execute("drop table marts.fct_cases")
    publish(built)
    assert [path.name for path in built.parquet.iterdir()] == ["dim_people.parquet"]


def test_an_error_inside_the_block_lets_go_of_the_build_file(built: Warehouse) -> None:
    with pytest.raises(RuntimeError), built.open():
        raise RuntimeError("in the middle of it")
    with built.open() as connection:
        assert count(connection, "marts.fct_cases") == 3


HOLD_THE_FILE = """
import sys, time, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


def test_opening_waits_for_another_process_to_let_go(built: Warehouse) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_FILE, str(built.build), "1.0"], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    begun = time.monotonic()
    with built.open() as connection:
        assert count(connection, "marts.fct_cases") == 3
    assert time.monotonic() - begun > 0.3
    holder.wait()


def test_opening_gives_up_with_a_next_step(
    built: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warehouse, "LOCK_PATIENCE_SECONDS", 0.3)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_FILE, str(built.build), "30"], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        with pytest.raises(WarehouseError, match="held by another") as refused, built.open():
            pass
        assert "bihuan.duckdb" in refused.value.next_step
    finally:
        holder.kill()
        holder.wait()


def test_reading_before_anything_was_published_says_what_to_do(company: Company) -> None:
    with (
        pytest.raises(WarehouseError, match="run bihuan build"),
        Warehouse(company.data).read(),
    ):
        pass


def test_readers_in_the_same_process_see_the_newest_file_once_the_old_is_closed(
    built: Warehouse,
) -> None:
    publish(built)
    seen: list[int] = []

    def read() -> None:
        with built.read() as connection:
            seen.append(count(connection, "marts.fct_cases"))

    read()
    write_mart(built, rows=7)
    publish(built)
    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert seen == [3, 7]
