"""Judging again only what something new touches: cell for cell what judging everything gives.

A stranger's company is landed ten times, in the order in which its systems told of things: late
rows, corrected ones, ones that move to another day or vanish, replays, sources that lag and catch
up. After each time the kept warehouse must equal one built anew from the same landed batches.
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import duckdb
import pytest

from bench.scratch import Models, compile_models, scratch_of_landing
from pipeline.company import Company, load_company
from pipeline.company.creation import create_from_drop
from pipeline.drop import read_drop
from pipeline.landed import TABLES
from pipeline.landing import Landing
from pipeline.sources import open_source
from pipeline.warehouse import Warehouse
from tests.oracle.company import MutableRow
from tests.oracle.drop import write_drop
from tests.oracle.records import MOMENTS
from tests.oracle.worlds import START, Shape, World, build_world

STEPS = 10
# Runs of a company that is younger than its windows: whatever it has is judged each time.
YOUNG = 2
# What a warehouse remembers of runs before; one built anew has nothing to remember.
MEMORY = {
    "fct_divergences", "fct_runs", "fct_run_batches", "fct_leg_reports", "fct_leg_changes",
    "fct_restatements", "stg_landing__touched_keys", "stg_landing__touched", "int_dirty_numbers",
    "int_dirty_numbers__matched", "int_dirty_numbers__known",
}  # fmt: skip
# Level 4 asks how findings healed, which only a warehouse with a memory can tell. Up to level 3,
# depth needs none: of a leg or line that stands there, what its next level wants is left out.
NAMED = ("level_name_zh", "level_name_en")
BLOCKING = (
    "status", "next_level", "blocking_gate", "blocking_rate", "blocking_rate_low", "blocking_bar",
    "cases_needed", "cases_still_needed",
)  # fmt: skip


def below(level: str, columns: Iterable[str]) -> str:
    """The columns, emptied where `level` is 3 or 4."""
    return ", ".join(f"case when {level} < 3 then {name} end as {name}" for name in columns)


CAPPED = "least(level, 3) as level, least(level_proven, 3) as level_proven"
WITHOUT_LEVEL_4 = {
    "rpt_depth_gates": (
        "select * from marts.rpt_depth_gates"
        " where gate not in ('healed_within_24h', 'resolved_within_sla')"
    ),
    "rpt_integration_depth": (
        "select * exclude (healed_within_24h_rate, resolved_within_sla_rate)"
        f" replace ({CAPPED}, {below('level', NAMED)}, {below('level_proven', BLOCKING)})"
        " from marts.rpt_integration_depth"
    ),
    "rpt_line_depth": (
        f"select * replace ({CAPPED}, {below('level', (*NAMED, 'weakest_leg', *BLOCKING))})"
        " from marts.rpt_line_depth"
    ),
}
# A settled leg keeps the watermark by which it was judged last: a later one says the same.
LAST_JUDGED = {"judged_at"}
DAY = timedelta(days=1)


@dataclass
class Told:
    """One row and how the company told of it: `versions` by the step from which each stood."""

    versions: dict[int, MutableRow | None] = field(default_factory=dict)

    def at(self, step: int) -> MutableRow | None:
        known = [since for since in self.versions if since <= step]
        return self.versions[max(known)] if known else None


def tell(random: Random, table: str, row: MutableRow, first_step: int) -> Told:
    """When a row was first told, and what was told of it later."""
    told = Told()
    seen = first_step + random.choices((0, 1, 2, 4), (80, 10, 6, 4))[0]
    told.versions[seen] = row
    chance = random.random()
    if chance < 0.06:  # told wrongly at first
        told.versions = {seen: mistake(random, row), seen + random.randint(1, 3): row}
    elif chance < 0.08:  # gone for a while
        told.versions[seen + 1] = None
        told.versions[seen + 2] = row
    elif chance < 0.10:  # corrected away for good
        told.versions[seen + random.randint(1, 4)] = None
    elif chance < 0.14 and table not in ("tracking_events", "identities"):  # moved to another day
        moved = dict(row)
        for name in MOMENTS.get(table, ()):
            if moved[name] is not None:
                moved[name] += DAY
        told.versions[seen + random.randint(1, 4)] = moved
    return told


def mistake(random: Random, row: MutableRow) -> MutableRow:
    """The row with one value that is not so: a sum, a number that ties it, a channel."""
    wrong = dict(row)
    names = [
        name
        for name in ("amount_fen", "order_no", "case_no", "transaction_id", "erp_order_no", "phone")
        if wrong.get(name) is not None
    ]
    if names:
        name = random.choice(names)
        wrong[name] = wrong[name] + 100 if name == "amount_fen" else f"{wrong[name]}9"
    return wrong


def tell_all(random: Random, world: World, end: datetime) -> Iterator[tuple[str, Told]]:
    length = (end - START) / STEPS
    for table, rows in world.rows.items():
        for row in rows:
            moments = [row[name] for name in MOMENTS.get(table, ()) if row.get(name) is not None]
            step = int((moments[0] - START) / length) + 1 if moments else 1
            yield table, tell(random, table, row, max(1, min(step, STEPS)))


@pytest.fixture(scope="module")
def models() -> Models:
    return compile_models()


def lags(random: Random, tables: list[str]) -> list[dict[str, timedelta]]:
    """How far each source is behind at each step; none ever loses ground."""
    return [
        {table: timedelta(hours=random.choice((0, 0, 5, 30))) for table in tables}
        for _ in range(STEPS)
    ]


@pytest.mark.parametrize("seed", [1])
def test_ten_days_judged_one_by_one_equal_a_warehouse_built_anew(
    seed: int, models: Models, tmp_path: Path
) -> None:
    random = Random(f"rejudging {seed}")
    shape = Shape(days=100, orders=160, fault_rate=0.7)
    world = build_world(seed + 70, shape)
    end = START + timedelta(days=shape.days + 8)
    told = list(tell_all(random, world, end))
    behind = lags(random, list(world.rows))
    write_drop(World(world.rows, {}), tmp_path / "drop")
    create_from_drop(tmp_path / "company", read_drop(tmp_path / "drop"))
    company = load_company(tmp_path / "company", environment={})
    warehouse = Warehouse(company.data)
    shares = []
    until = dict.fromkeys(world.rows, START)
    for step in range(1, STEPS + 1):
        now = START + (end - START) / STEPS * step
        for table in until:
            until[table] = max(until[table], now - behind[step - 1][table])
        shutil.rmtree(tmp_path / "drop")
        write_drop(World(visible(told, list(world.rows), step), until), tmp_path / "drop")
        landing = land(company)
        warehouse.register(landing, company)
        if step > YOUNG:
            keep_although_young(warehouse)
        build_models(warehouse)
        with (
            warehouse.open() as kept,
            scratch_of_landing(models, company, landing, threads=2) as anew,
        ):
            compare(kept, anew, f"seed {seed}, step {step}")
            assert_reports_are_of_now(kept)
            shares.append(share_judged(kept))
    # The first runs judge everything, the others what is new or open: with time, not all.
    assert shares[:YOUNG] == [None] * YOUNG
    judged_again = [share for share in shares if share is not None]
    assert len(judged_again) == STEPS - YOUNG
    assert min(judged_again) < 0.8


def keep_although_young(warehouse: Warehouse) -> None:
    """Nearly all cases of the first steps are open, which would have them all built anew."""
    with warehouse.open() as kept:
        assert kept.execute("select settled_share from state.built").fetchone() is not None
        kept.execute("update state.built set settled_share = 1")


def visible(
    told: list[tuple[str, Told]], tables: list[str], step: int
) -> dict[str, list[MutableRow]]:
    rows: dict[str, list[MutableRow]] = {table: [] for table in tables}
    for table, each in told:
        row = each.at(step)
        if row is not None:
            rows[table].append(row)
    return rows


def land(company: Company) -> Landing:
    assert company.last_day is not None
    span = (company.last_day - company.first_day).days
    days = [company.first_day + timedelta(days=number) for number in range(span + 1)]
    landing = Landing(company.data / "landing", hash_key=company.hash_key)
    for name in company.sources.tables:
        source = open_source(name, company)
        list(landing.land_all(TABLES[name], source.extract(days), connector=source.connector))
    return landing


def build_models(warehouse: Warehouse) -> None:
    """As the product does, but for the data tests, which say nothing of what was judged again."""
    warehouse.run_dbt("build", "--exclude-resource-type", "unit_test", "test")


def compare(kept: duckdb.DuckDBPyConnection, anew: duckdb.DuckDBPyConnection, where: str) -> None:
    """Fail with the first rows of the first table that stand in one of the two only."""
    tables = anew.execute(
        "select schema_name, table_name from duckdb_tables()"
        " where schema_name in ('staging', 'intermediate', 'marts')"
        " order by schema_name <> 'staging', schema_name, table_name"
    ).fetchall()
    assert len(tables) > 50
    for schema, table in tables:
        if table in MEMORY:
            continue
        rows = WITHOUT_LEVEL_4.get(table, f"from {schema}.{table}")
        described = anew.execute(f"describe {rows}").fetchall()
        columns = [row[0] for row in described if row[0] not in LAST_JUDGED]
        listed = ", ".join(columns)
        here = kept.execute(f"select {listed} from ({rows}) order by all").fetchall()
        there = anew.execute(f"select {listed} from ({rows}) order by all").fetchall()
        if here != there:
            only_kept = [row for row in here if row not in there][:2]
            only_anew = [row for row in there if row not in here][:2]
            raise AssertionError(
                f"{where}, {schema}.{table}: {len(here)} rows kept, {len(there)} anew;\n"
                f"columns {listed}\nonly kept {only_kept}\nonly anew {only_anew}"
            )


def assert_reports_are_of_now(kept: duckdb.DuckDBPyConnection) -> None:
    """What runs reported is compared with the legs of dirty cases only: it must miss no change."""
    state = "case_id, leg, truth, divergence, sub_class, evidence_at, evidence_amount_fen"
    missed = kept.execute(
        f"(select {state} from marts.fct_case_legs except"
        f" select {state} from marts.fct_leg_reports where until_run is null) union all"
        f" (select {state} from marts.fct_leg_reports where until_run is null except"
        f" select {state} from marts.fct_case_legs)"
    ).fetchall()
    assert not missed, missed[:3]


def share_judged(kept: duckdb.DuckDBPyConnection) -> float | None:
    """The share of cases that the run judged again; None where it judged them all."""
    ((is_rejudging,),) = kept.execute("select is_rejudging from state.run").fetchall()
    ((judged, cases),) = kept.execute(
        "select count(*) filter (where case_no in (select number from"
        " intermediate.int_dirty_numbers__known)), count(*) from intermediate.int_cases"
    ).fetchall()
    return judged / cases if is_rejudging else None
