"""A build from files to report: what it says, what it keeps, and what is left when it is killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from small_company import (
    ORDERS_COUNT,
    PAID_NOT_BOOKED,
    SURFACE_ONLY,
    booking,
    entered_at,
    orders,
    write_company,
    write_table,
)

import pipeline.defs.warehouse
from pipeline.build import BuildSummary, Progress, build
from pipeline.company import load_company
from pipeline.defs.jobs import tables_behind
from pipeline.errors import ConfigurationError, NotReadyError, WarehouseError
from pipeline.models import DBT_PROJECT
from pipeline.warehouse import Warehouse

MARTS = (
    "dim_people", "fct_case_legs", "fct_cases", "fct_divergences", "fct_sessions",
    "rpt_bridge_daily", "rpt_conversion_daily", "source_watermarks",
)  # fmt: skip


def marts_of(company: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every published mart, in an order of its own."""
    with Warehouse(load_company(company).data).read() as connection:
        return {
            name: connection.execute(f"select * from marts.{name} order by all").fetchall()
            for name in MARTS
        }


@pytest.fixture(scope="module")
def progress() -> list[Progress]:
    return []


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_company(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def summary(company: Path, progress: list[Progress]) -> BuildSummary:
    """The first build of the small company."""
    return build(load_company(company), progress=progress.append)


@pytest.fixture(scope="module")
def first_marts(company: Path, summary: BuildSummary) -> dict[str, list[tuple[Any, ...]]]:
    """What the first build published."""
    return marts_of(company)


@pytest.fixture
def published(company: Path, summary: BuildSummary) -> Iterator[duckdb.DuckDBPyConnection]:
    with Warehouse(load_company(company).data).read() as connection:
        yield connection


def test_the_summary_says_what_was_landed(summary: BuildSummary) -> None:
    landed = {table.table: table for table in summary.tables}
    assert landed["erp_orders"].rows_count == ORDERS_COUNT - 2
    assert landed["pay_bill"].rows_count == ORDERS_COUNT - 1
    assert {table.days_count for table in summary.tables} == {3}
    assert (summary.quarantined_count, summary.revisions_count) == (0, 0)
    assert landed["erp_orders"].complete_until == datetime(2026, 10, 20, 16, tzinfo=UTC)


def test_the_planted_divergences_are_found_with_their_money(summary: BuildSummary) -> None:
    assert [(d.divergence, d.count, d.amount_at_stake_fen) for d in summary.divergences] == [
        ("paid_not_booked", 1, 1005),
        ("surface_only", 1, 1011),
    ]
    assert (summary.bridge_residual_fen, summary.bridge_residual_count) == (0, 0)
    assert summary.cases_count == ORDERS_COUNT


def test_each_divergence_names_its_case(published: duckdb.DuckDBPyConnection) -> None:
    found = published.execute(
        "select case_id, divergence from marts.fct_divergences order by case_id"
    ).fetchall()
    assert found == [
        (f"order:{PAID_NOT_BOOKED}", "paid_not_booked"),
        (f"order:{SURFACE_ONLY}", "surface_only"),
    ]


def test_what_does_not_agree_warns_and_is_published_all_the_same(summary: BuildSummary) -> None:
    warned = {check.name: check for check in summary.checks_not_met}
    assert set(warned) == {
        "claims_are_backed", "orders_agree_with_payments", "lines_close_as_their_contract_asks",
    }  # fmt: skip
    assert {check.severity for check in warned.values()} == {"WARN"}
    assert warned["claims_are_backed"].evidence[0]["business_line"] == "retail"
    assert summary.published.exists()
    assert summary.report.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_every_stage_tells_its_beginning_and_its_end(
    summary: BuildSummary, progress: list[Progress]
) -> None:
    stages = list(dict.fromkeys(update.stage for update in progress))
    assert stages[:5] == ["landing", "models", "candidate", "trustworthy checks", "publish"]
    assert set(stages[5:]) == {"agreeing checks", "alerts", "report"}
    begun = {update.step for update in progress if update.state == "started"}
    assert begun == {update.step for update in progress if update.state == "done"}
    told = {update.step: update.told for update in progress if update.state == "done"}
    assert told["pay_bill"] == f"{ORDERS_COUNT - 1} rows, 3 days"
    assert set(summary.seconds_by_stage) == set(stages)


def test_days_with_a_gap_or_outside_the_company_are_refused(company: Path) -> None:
    loaded = load_company(company)
    with pytest.raises(ConfigurationError, match="without a gap"):
        build(loaded, days=[date(2026, 10, 1), date(2026, 10, 3)])
    with pytest.raises(ConfigurationError, match="2026-10-01 to 2026-10-03"):
        build(loaded, days=[date(2026, 10, 4)])


def test_a_day_that_its_source_does_not_have_yet_fails_with_the_next_step(tmp_path: Path) -> None:
    company = write_company(tmp_path)
    settings = (company / "sources.yml").read_text()
    (company / "sources.yml").write_text(
        settings.replace("files: pay_bill.csv", 'files: "pay_bill-{day}.csv"')
    )
    (tmp_path / "drop" / "pay_bill.csv").rename(tmp_path / "drop" / "pay_bill-20261001.csv")
    told: list[Progress] = []
    days = [date(2026, 10, 1), date(2026, 10, 2)]
    with pytest.raises(NotReadyError) as refused:
        build(load_company(company), days=days, progress=told.append)
    assert "pay_bill" in refused.value.message
    assert refused.value.next_step
    states = {update.step: update.state for update in told}
    assert states["pay_bill"] == "failed"
    assert states["erp_orders"] == "done", "what the others delivered is landed"
    assert not Warehouse(load_company(company).data).published.exists()


def test_who_catches_up_goes_on_without_what_is_not_ready(tmp_path: Path) -> None:
    company = write_company(tmp_path)
    settings = (company / "sources.yml").read_text()
    (company / "sources.yml").write_text(
        settings.replace("files: pay_bill.csv", 'files: "pay_bill-{day}.csv"')
    )
    bill = tmp_path / "drop" / "pay_bill.csv"
    shutil.copy(bill, tmp_path / "drop" / "pay_bill-20261003.csv")
    bill.rename(tmp_path / "drop" / "pay_bill-20261001.csv")
    summary = build(load_company(company))
    (late,) = [table for table in summary.tables if table.not_ready]
    assert late.table == "pay_bill"
    assert "2026-10-02" in late.not_ready
    assert late.complete_until == datetime(2026, 10, 1, 16, tzinfo=UTC)
    # A file that nobody delivered is not a matter of hours.
    assert tables_behind(load_company(company), date(2026, 10, 3)) == []


def test_a_correction_heals_and_taking_it_back_restores_every_mart(
    company: Path, summary: BuildSummary, first_marts: dict[str, list[tuple[Any, ...]]]
) -> None:
    before, drop = first_marts, company.parent / "drop"
    analyst = Analyst(summary.published)
    booked = booking(PAID_NOT_BOOKED, entered_at(PAID_NOT_BOOKED), 1005)
    write_table(drop, "erp_orders", [*orders()["erp_orders"], booked])
    corrected = build(load_company(company))
    assert corrected.revisions_count == 1
    assert "paid_not_booked" not in {d.divergence for d in corrected.divergences}

    write_table(drop, "erp_orders", orders()["erp_orders"])
    again = build(load_company(company))
    assert again.revisions_count == 1
    assert again.divergences == summary.divergences
    assert analyst.leave() == "2", "whoever holds the file open keeps what it opened"
    after = marts_of(company)
    assert after["fct_cases"] == before["fct_cases"]
    assert after["fct_case_legs"] == before["fct_case_legs"]
    assert after["rpt_bridge_daily"] == before["rpt_bridge_daily"]


HOLD_OPEN = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    print("open", flush=True)
    sys.stdin.readline()
    print(connection.execute("select count(*) from marts.fct_divergences").fetchall()[0][0])
"""


class Analyst:
    """Somebody who opens the published file in a process of their own and does not let go."""

    def __init__(self, published: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOLD_OPEN, str(published)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def leave(self) -> str:
        """What they count in the file that they opened."""
        told, _ = self._process.communicate("\n")
        return told.strip()


def test_models_that_do_not_parse_are_told_in_dbts_own_words(
    company: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "dbt_project"
    shutil.copytree(DBT_PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    (project / "models" / "marts" / "broken.sql").write_text("select * from {{ ref('nothing') }}")
    monkeypatch.setattr(pipeline.defs.warehouse, "DBT_PROJECT", project)
    monkeypatch.setattr(pipeline.defs.warehouse, "PARSED", project / "target" / "dagster")
    pipeline.defs.warehouse.manifest_path.cache_clear()
    try:
        with pytest.raises(WarehouseError, match="depends on a node named 'nothing'"):
            build(load_company(company))
    finally:
        pipeline.defs.warehouse.manifest_path.cache_clear()


def test_an_instance_that_lets_two_write_is_refused_before_anything_is_landed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, home = write_company(tmp_path / "small"), tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with pytest.raises(ConfigurationError, match="found limit None, allowed: 1") as refused:
        build(load_company(company))
    assert "dagster.yaml" in refused.value.next_step
    assert not (load_company(company).data / "landing").exists()


BUILD_AND_TELL = """
import sys
from pathlib import Path
from pipeline.build import build
from pipeline.company import load_company

def tell(update):
    print(update.step, update.state, flush=True)

build(load_company(Path(sys.argv[1])), progress=tell)
"""


def kill_at(company: Path, step: str, state: str, *, after_seconds: float = 0.0) -> None:
    """Build in a process of its own and kill it, without warning, at that moment."""
    process = subprocess.Popen(
        [sys.executable, "-c", BUILD_AND_TELL, str(company)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.split() == [step, state]:
            break
    else:
        pytest.fail(f"{step} never {state}")
    time.sleep(after_seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_a_build_killed_in_extraction_in_dbt_and_in_publishing_ends_in_the_same_marts(
    tmp_path: Path, first_marts: dict[str, list[tuple[Any, ...]]]
) -> None:
    killed = write_company(tmp_path / "killed")
    kill_at(killed, "erp_orders", "done")
    kill_at(killed, "transform", "started", after_seconds=6)
    kill_at(killed, "published__bihuan", "started")
    build(load_company(killed))
    assert marts_of(killed) == first_marts
