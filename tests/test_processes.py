"""The daily run as Dagster runs it: a process per step, one writer, readers all the while."""

import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from daily_job import daily
from small_company import ORDERS_COUNT, write_company

from pipeline.build.running import RANGE_END, RANGE_START
from pipeline.company import load_company
from pipeline.models import DBT_PROJECT
from pipeline.warehouse import Warehouse

ROOT = Path(__file__).resolve().parents[1]

# Opens the published file again and again, as a notebook does, until it is told to stop; says how
# often it read a whole file, and which sets of tables it ever saw.
READ_ON = """
import sys, threading, duckdb
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
seen, times = set(), 0
while not stop.wait(0.2):
    with duckdb.connect(sys.argv[1], read_only=True) as connection:
        tables = connection.execute("select table_name from duckdb_tables()").fetchall()
        for (name,) in tables:
            connection.execute(f"select count(*) from marts.{name}").fetchall()
    seen.add(len(tables))
    times += 1
    if times == 1:
        print("reading", flush=True)
print(times, *sorted(seen))
"""


def publish_something(files: Warehouse) -> None:
    with files.open() as connection:
        connection.execute("create schema if not exists marts")
        connection.execute("create table marts.yesterday as select 1 as one")
    files.write_candidate()
    files.vouch()
    files.publish()
    with files.open() as connection:
        connection.execute("drop table marts.yesterday")


def test_a_run_in_several_processes_publishes_while_an_analyst_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three tables will do: each costs a process.
    company = write_company(
        tmp_path / "small", connected=("tracking_events", "pay_bill", "erp_orders")
    )
    monkeypatch.setenv("BIHUAN_COMPANY", str(company))
    # Dagster leaves out the first place of the path, which pytest gave to the tests' own folder.
    monkeypatch.syspath_prepend(str(tmp_path))
    files = Warehouse(load_company(company).data)
    publish_something(files)
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)

    analyst = subprocess.Popen(
        [sys.executable, "-c", READ_ON, str(files.published)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert analyst.stdout is not None
    assert analyst.stdout.readline().strip() == "reading"
    with (
        dg.DagsterInstance.from_config(str(home)) as instance,
        dg.execute_job(
            dg.reconstructable(daily),
            instance=instance,
            tags={RANGE_START: "2026-10-01", RANGE_END: "2026-10-03"},
        ) as result,
    ):
        assert result.success
        pids = {event.pid for event in result.all_events if event.is_step_start}
    told, _ = analyst.communicate("\n")

    assert analyst.returncode == 0, "no read ever failed"
    times, *tables = map(int, told.split())
    assert times > 20
    marts = len(list((DBT_PROJECT / "models" / "marts").glob("*.sql")))
    assert tables == [1, marts], "the old file or the new one, nothing in between"
    assert len(pids) > 8, "each step was a process of its own"
    with files.read() as connection:
        cases = connection.execute("select count(*) from marts.fct_cases").fetchall()
    assert cases == [(ORDERS_COUNT,)]
