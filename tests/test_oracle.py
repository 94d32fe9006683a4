"""The marts against an independent reading of the semantics, on companies made up for it.

The same rows go two ways: as files through a company folder into the marts, and in memory to the
judge. Every leg of every case must come out alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import pytest

from pipeline.company import Company, load_company
from pipeline.company.creation import create_from_drop
from pipeline.drop import read_drop
from pipeline.landed import TABLES
from pipeline.landing import Landing
from pipeline.sources import open_source
from pipeline.warehouse import Warehouse
from tests.oracle.alike import assert_alike
from tests.oracle.drop import Hand, write_drop
from tests.oracle.judge import CaseVerdict, judge
from tests.oracle.worlds import START, Shape, World, build_world

WORLDS = {
    "a company that hands over everything, to the minute": (
        1,
        Shape(orders=500),
        Hand(phones="+86 {}", in_parts=("tracking_events",), extra="备注"),
    ),
    "a company without messages and order list, that tells no watermarks": (
        2,
        Shape(
            orders=300,
            days=12,
            lines=("retail", "到家"),
            without=("messages", "mp_orders", "identities"),
            is_manifest_given=False,
            is_maker_told=False,
        ),
        Hand(zone=None, is_pandas=True, has_bom=True, as_lines=("erp_receipts",)),
    ),
    "a company that shows neither its bill nor its customers": (
        3,
        Shape(orders=200, without=("pay_bill", "crm_contacts")),
        Hand(),
    ),
}
BY_SCORE = """
    select fct_case_legs.case_id, fct_case_legs.leg
    from marts.fct_case_legs
    inner join intermediate.int_records__made_by
        on fct_case_legs.evidence_ref = int_records__made_by.source_ref
    where fct_case_legs.divergence = 'manual_rekey' and int_records__made_by.made_by_score >= 0.8
"""
FLAGS = ("is_claimed", "is_abandoned", "is_backend_only", "is_mature", "is_closed")


@dataclass(frozen=True)
class Both:
    """One world's verdicts as the judge gives them, and the file that holds the marts'."""

    verdicts: Mapping[str, CaseVerdict]
    warehouse: Warehouse


@pytest.fixture(scope="module", params=WORLDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Both:
    seed, shape, hand = WORLDS[request.param]
    folder = tmp_path_factory.mktemp("stranger")
    world = build_world(seed, shape)
    write_drop(world, folder / "drop", hand)
    create_from_drop(folder / "company", read_drop(folder / "drop"))
    return Both(_judge(world), _build(load_company(folder / "company", environment={})))


def _judge(world: World) -> Mapping[str, CaseVerdict]:
    return judge(world.rows, world.watermarks, START)


def _build(company: Company) -> Warehouse:
    """Land every day of the company and build its marts, without orchestration."""
    assert company.last_day is not None
    span = (company.last_day - company.first_day).days
    days = [company.first_day + timedelta(days=number) for number in range(span + 1)]
    landing = Landing(company.data / "landing", hash_key=company.hash_key)
    for name in company.sources.tables:
        source = open_source(name, company)
        for extract in source.extract(days):
            batch = landing.land(TABLES[name], extract, connector=source.connector)
            assert not batch.quarantined, landing.rejected(batch)
    warehouse = Warehouse(company.data)
    warehouse.register(landing, company)
    warehouse.transform()
    return warehouse


def test_every_leg_of_every_case_is_judged_as_the_oracle_judges_it(both: Both) -> None:
    expected = {
        (case, leg.leg): (leg.truth, leg.divergence, leg.sub_class)
        for case, verdict in both.verdicts.items()
        for leg in verdict.legs.values()
    }
    with both.warehouse.open() as connection:
        rows = connection.execute(
            "select case_id, leg, truth, divergence, sub_class from marts.fct_case_legs"
        ).fetchall()
        by_score = set(connection.execute(BY_SCORE).fetchall())
    found = {(case, leg): tuple(verdict) for case, leg, *verdict in rows}
    # The oracle knows a hand only where the source tells; a score has its tests beside its model.
    assert len(by_score) < len(expected) / 500
    for leg in by_score:
        expected.pop(leg)
        found.pop(leg)
    assert_alike(expected, found)


def test_every_case_is_flagged_as_the_oracle_flags_it(both: Both) -> None:
    expected = {
        (case, flag): getattr(verdict, flag)
        for case, verdict in both.verdicts.items()
        for flag in FLAGS
    }
    with both.warehouse.open() as connection:
        rows = connection.execute(
            f"select case_id, {', '.join(FLAGS)} from marts.fct_cases"
        ).fetchall()
    found = {
        (case, flag): value
        for case, *values in rows
        for flag, value in zip(FLAGS, values, strict=True)
    }
    assert_alike(expected, found)


def test_the_divergences_are_the_legs_that_diverge(both: Both) -> None:
    expected = {
        (case, leg): divergence
        for case, verdict in both.verdicts.items()
        for leg, divergence in verdict.divergences
    }
    with both.warehouse.open() as connection:
        rows = connection.execute(
            "select case_id, leg, divergence from marts.fct_divergences where healed_at is null"
        ).fetchall()
        by_score = connection.execute(BY_SCORE).fetchall()
    found = {(case, leg): divergence for case, leg, divergence in rows}
    for leg in by_score:
        expected.pop(leg, None)
        found.pop(leg)
    assert_alike(expected, found)


def test_a_healthy_company_shows_nothing_however_late_its_systems_report() -> None:
    world = build_world(5, Shape(orders=400, fault_rate=0, edge_rate=0, emptied_rate=0))
    diverging = {
        case: verdict.divergences for case, verdict in _judge(world).items() if verdict.divergences
    }
    assert not diverging


def test_a_difference_on_either_side_is_told_by_kind_with_examples() -> None:
    expected = {("order:1", "paid"): "late", ("order:2", "paid"): "late"}
    with pytest.raises(AssertionError) as told:
        assert_alike(expected, {("order:1", "paid"): "verified", ("order:3", "paid"): "late"})
    assert "1 x order paid: oracle late, marts verified (order:1)" in str(told.value)
    assert "1 x order paid: oracle late, marts nothing (order:2)" in str(told.value)
    assert "1 x order paid: oracle nothing, marts late (order:3)" in str(told.value)
