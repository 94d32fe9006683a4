"""What a landing asset tells of a run: how many rows can be joined, and what was asked in vain."""

import os
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from small_company import ORDERS_A_DAY, write_company

from pipeline.company import load_company
from pipeline.defs.jobs import landing_config
from pipeline.defs.landing import landing_asset
from pipeline.defs.partitions import business_days
from pipeline.defs.resources import CompanyFolder
from pipeline.landed import TABLES


def land(folder: Path, table: str) -> dict[str, Any]:
    """Catch one table up, as the daily run does; what its asset tells."""
    company = load_company(folder)
    result = dg.materialize(
        [landing_asset(TABLES[table], company, business_days(company))],
        partition_key="2026-10-03",
        resources={"company": CompanyFolder(folder=str(folder))},
        run_config=landing_config([table], catch_up=True),
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
