"""The demonstration on Tryton: what is told to it, and where its company may lie."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from pipeline.company import load_company
from pipeline.company.creation import TEMPLATE, create_from_template
from pipeline.demo import simulate_company
from pipeline.errors import ConfigurationError
from pipeline.simulation.faults import ORDER_FAULTS
from pipeline.simulation.tryton.books import NOT_IN_TRYTON, tell
from pipeline.simulation.tryton.wiring import TABLES, read_from_tryton
from pipeline.simulation.world import Options, build_world


def test_the_company_reads_its_orders_from_tryton_and_all_else_as_before(tmp_path: Path) -> None:
    create_from_template(tmp_path / "shop")
    before = load_company(tmp_path / "shop").sources.tables
    read_from_tryton(tmp_path / "shop")
    after = load_company(tmp_path / "shop").sources.tables
    assert {name for name, table in after.items() if table.connector == "tryton"} == set(TABLES)
    assert {name: after[name] for name in after if name not in TABLES} == {
        name: before[name] for name in before if name not in TABLES
    }


def test_only_faults_that_an_order_in_tryton_cannot_bear_are_left_out() -> None:
    freight = {fault.name for fault in ORDER_FAULTS if fault.sub_class == "freight"}
    assert set(NOT_IN_TRYTON) == freight
    world = build_world(Options(days=14, orders=150, without=NOT_IN_TRYTON))
    assert not freight & {expected.fault for expected in world.expected}


def test_what_is_booked_is_told_in_the_order_of_time_and_names_its_order() -> None:
    world = build_world(Options(days=14, orders=150, without=NOT_IN_TRYTON))
    orders, told = tell(world)
    assert len(orders) == len(told["orders"])
    for kind in ("orders", "receipts"):
        instants = [datetime.fromisoformat(record["at"]) for record in told[kind]]
        assert instants == sorted(instants)
        assert instants[-1].replace(tzinfo=UTC) < world.end
    named = [receipt["order"] for receipt in told["receipts"] if receipt["order"] is not None]
    assert named
    assert {told["orders"][place]["state"] for place in named} == {"processing"}


def test_the_template_of_companies_is_left_alone() -> None:
    with pytest.raises(ConfigurationError, match="template"):
        simulate_company(TEMPLATE, seed=1, days=14, orders=10, console=Console(), is_on_tryton=True)
