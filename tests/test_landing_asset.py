"""What a landing asset tells of a run: how many rows can be joined, and what was asked in vain."""

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from small_company import ORDERS_A_DAY, write_company

from pipeline.company import load_company
from pipeline.defs.jobs import again_at, landing_config
from pipeline.defs.landing import landing_asset
from pipeline.defs.partitions import business_days
from pipeline.defs.resources import CompanyFolder
from pipeline.errors import NotReadyError, QuotaOfDayError, RetiredEndpointError, SourceError
from pipeline.landed import TABLES
from pipeline.landing import Extract
from pipeline.sources.files import FileSource


def land(
    folder: Path,
    table: str,
    *,
    catch_up: bool = True,
    instance: dg.DagsterInstance | None = None,
) -> dict[str, Any]:
    """Catch one table up, as the daily run does; what its asset tells."""
    company = load_company(folder)
    result = dg.materialize(
        [landing_asset(TABLES[table], company, business_days(company))],
        partition_key="2026-10-03",
        resources={"company": CompanyFolder(folder=str(folder))},
        run_config=landing_config([table], catch_up=catch_up),
        instance=instance,
    )
    told = result.asset_materializations_for_node(f"landing__{table}")
    return {
        name: value.value
        for materialization in told
        for name, value in materialization.metadata.items()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_company(tmp_path, connected=["erp_orders", "crm_contacts"])


def test_a_run_tells_the_share_of_rows_with_each_joining_number(folder: Path) -> None:
    drop = folder.parent / "drop" / "erp_orders.csv"
    header, *rows = drop.read_text().splitlines()
    position = header.split(",").index("order_no")
    cells = [row.split(",") for row in rows]
    for row in cells[:6]:
        row[position] = ""
    drop.write_text("\n".join([header, *(",".join(row) for row in cells)]))
    told = land(folder, "erp_orders")
    assert told["rows"] == len(cells)
    assert told["order_no_rate"] == pytest.approx((len(cells) - 6) / len(cells))
    assert told["transaction_id_rate"] == 1


def test_a_row_that_was_set_aside_on_the_day_asked_for_is_in_the_runs_total(folder: Path) -> None:
    drop = folder.parent / "drop" / "erp_orders.csv"
    header, *rows = drop.read_text().splitlines()
    position = header.split(",").index("state")
    cells = [row.split(",") for row in rows]
    cells[0][position] = "locked"  # of the first day, and the last is asked for
    drop.write_text("\n".join([header, *(",".join(row) for row in cells)]))
    told = land(folder, "erp_orders")
    assert (told["rows"], told["quarantined"]) == (len(cells) - 1, 1)


def test_a_table_without_these_numbers_tells_no_share(folder: Path) -> None:
    told = land(folder, "crm_contacts")
    assert told["rows"] == 3 * ORDERS_A_DAY
    assert not [name for name in told if name.endswith("_rate")]


def test_a_file_that_was_only_touched_lands_nothing_new_and_the_run_says_so(folder: Path) -> None:
    first = land(folder, "erp_orders")
    assert (first["days"], first["unchanged"], first["revisions"]) == (3, 0, 0)
    os.utime(folder.parent / "drop" / "erp_orders.csv")
    again = land(folder, "erp_orders")
    assert (again["days"], again["unchanged"], again["revisions"]) == (3, 3, 0)


def refuse(patch: pytest.MonkeyPatch, error: SourceError) -> None:
    def extract(_: FileSource, __: Sequence[date]) -> Iterator[Extract]:
        raise error
        yield

    patch.setattr(FileSource, "extract", extract)


@pytest.mark.parametrize(
    ("error", "is_for_another_day"),
    [
        (NotReadyError("not built yet"), False),
        (QuotaOfDayError("used up"), True),
        (RetiredEndpointError("withdrawn"), True),
    ],
)
def test_what_cannot_come_today_is_not_asked_for_again_today(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: SourceError, is_for_another_day: bool
) -> None:
    refuse(monkeypatch, error)
    with dg.DagsterInstance.ephemeral() as instance:
        assert again_at(instance, "erp_orders") == 0
        told = land(folder, "erp_orders", instance=instance)
        assert told["not_ready"] == error.message
        assert (again_at(instance, "erp_orders") > time.time()) == is_for_another_day


def test_a_day_that_is_named_fails_where_it_is_not_ready_and_not_for_a_withdrawn_call(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, RetiredEndpointError("withdrawn"))
    assert land(folder, "erp_orders", catch_up=False)["not_ready"] == "withdrawn"
    refuse(monkeypatch, NotReadyError("not built yet"))
    with pytest.raises(dg.Failure, match="not built yet"):
        land(folder, "erp_orders", catch_up=False)


def mapped_company(folder: Path, words: str) -> Path:
    """A company whose ERP is a database with two orders; `words` are the states that it lists."""
    company = folder / "company"
    company.mkdir(exist_ok=True)
    with sqlite3.connect(folder / "erp.sqlite") as erp:
        erp.execute("create table if not exists o (no text, st text, at text, ch text)")
        if not erp.execute("select count(*) from o").fetchone()[0]:
            at = "2026-10-02 08:00:00"
            erp.executemany(
                "insert into o values (?, ?, ?, ?)", [("1", "paid", at, at), ("2", "gone", at, at)]
            )
    (company / "company.yml").write_text(
        "name: shop\nfirst_day: 2026-10-01\nlast_day: 2026-10-03\n"
    )
    (company / ".env").write_text("BIHUAN_HASH_KEY=" + "k" * 32 + "\n")
    (company / "sources.yml").write_text(f"""
connections: {{erp: {{url: "sqlite:///{folder}/erp.sqlite"}}}}
tables:
  erp_orders:
    connector: sql
    connection: erp
    table: o
    changed_column: ch
    columns:
      erp_order_no: no
      state: {{from: st, values: {words}}}
      ordered_at: at
      created_at: at
      updated_at: ch
      amount_fen: {{value: "100"}}
""")
    return company


def test_a_mended_mapping_is_applied_to_what_has_landed(tmp_path: Path) -> None:
    folder = mapped_company(tmp_path, "{paid: paid}")
    first = land(folder, "erp_orders")
    assert (first["rows"], first["quarantined"]) == (1, 1)
    unchanged = land(folder, "erp_orders")
    assert unchanged["days"] == 0
    mapped_company(tmp_path, "{paid: paid, gone: fulfilling}")
    mended = land(folder, "erp_orders")
    assert (mended["rows"], mended["quarantined"]) == (2, 0)
    assert land(folder, "erp_orders")["days"] == 0


def test_who_makes_records_by_interface_is_no_matter_of_rows(tmp_path: Path) -> None:
    folder = mapped_company(tmp_path, "{paid: paid, gone: done}")
    assert land(folder, "erp_orders")["days"] == 3
    text = (folder / "sources.yml").read_text()
    (folder / "sources.yml").write_text(text + "    interface_actors: [api]\n")
    assert land(folder, "erp_orders")["days"] == 0
