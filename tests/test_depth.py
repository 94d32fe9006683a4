"""Closure and depth against a second reckoning, plain Python over the rows of the fact tables.

The ladder is written here as the semantics print it, not read from the seeds.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import beta

from pipeline.company import load_company
from pipeline.company.creation import create_from_drop
from pipeline.drop import read_drop
from pipeline.landed import TABLES
from pipeline.landing import Landing
from pipeline.sources import open_source
from pipeline.warehouse import Warehouse
from tests.oracle.drop import Hand, write_drop
from tests.oracle.worlds import Shape, build_world

Row = Mapping[str, Any]
FOUND = ("verified", "late")
JUDGED = (*FOUND, "refuted")


@dataclass(frozen=True)
class Marts:
    """The marts of one company, each as its rows."""

    rows: Mapping[str, Sequence[Row]]

    def __getitem__(self, name: str) -> Sequence[Row]:
        return self.rows[name]


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Marts:
    folder = tmp_path_factory.mktemp("deep")
    write_drop(build_world(1, Shape(orders=400)), folder / "drop", Hand())
    create_from_drop(folder / "company", read_drop(folder / "drop"))
    with _build(folder / "company").open() as connection:
        rows = {}
        for name in (
            "fct_cases", "fct_case_legs", "fct_divergences", "dim_legs", "rpt_closure",
            "rpt_closure_daily", "rpt_closure_legs", "rpt_integration_depth", "rpt_line_depth",
        ):  # fmt: skip
            found = connection.execute(f"from marts.{name}")
            columns = [column for column, *_ in found.description]
            rows[name] = [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
    return Marts(rows)


def _build(folder: Path) -> Warehouse:
    company = load_company(folder, environment={})
    assert company.last_day is not None
    span = (company.last_day - company.first_day).days
    days = [company.first_day + timedelta(days=number) for number in range(span + 1)]
    landing = Landing(company.data / "landing", hash_key=company.hash_key)
    for name in company.sources.tables:
        source = open_source(name, company)
        for extract in source.extract(days):
            landing.land(TABLES[name], extract, connector=source.connector)
    warehouse = Warehouse(company.data)
    warehouse.register(landing, company)
    warehouse.transform()
    return warehouse


def lower_limit(successes: int, trials: int) -> float:
    return float(beta.ppf(0.025, successes, trials - successes + 1)) if successes else 0.0


def by_line(rows: Iterable[Row], *more: str) -> dict[tuple[Any, ...], list[Row]]:
    grouped = defaultdict(list)
    for row in rows:
        grouped[tuple(row[key] for key in ("business_line", "loop", *more))].append(row)
    return grouped


def mature_claimed(marts: Marts) -> dict[str, Row]:
    return {
        case["case_id"]: case
        for case in marts["fct_cases"]
        if case["is_mature"] and case["is_claimed"]
    }


def test_the_world_has_lines_cases_and_faults_enough_to_tell(marts: Marts) -> None:
    assert len(mature_claimed(marts)) > 200
    assert len({row["divergence"] for row in marts["fct_divergences"]}) > 10
    assert {row["status"] for row in marts["rpt_integration_depth"]} >= {
        "not met", "not yet provable",
    }  # fmt: skip


def test_closure_is_counted_from_the_cases_and_multiplied_from_the_chain(marts: Marts) -> None:
    cases = by_line(mature_claimed(marts).values())
    legs = by_line(marts["rpt_closure_legs"])
    for row in marts["rpt_closure"]:
        key = (row["business_line"], row["loop"])
        claimed = len(cases[key])
        untouched = sum(case["is_closed_untouched"] for case in cases[key])
        closed = sum(case["is_closed"] for case in cases[key])
        assert (row["mature_claimed_count"], row["closed_count"]) == (claimed, closed)
        if not claimed:  # what only the bill or the ERP knows has no claim that could close
            assert row["closure_rate_untouched_low"] is None
            assert row["target_status"] == "not yet provable"
            continue
        assert row["closure_rate_untouched_low"] == pytest.approx(lower_limit(untouched, claimed))
        product = 1.0
        for leg in legs[key]:
            # A leg that no case reached has no rate, and the product is nought before it.
            product *= 0.0 if leg["pass_rate"] is None else leg["pass_rate"]
        assert product == pytest.approx(closed / claimed)
        least = min(leg["pass_rate"] for leg in legs[key] if leg["pass_rate"] is not None)
        bottlenecks = [leg["leg"] for leg in legs[key] if leg["pass_rate"] == least < 1]
        assert row["bottleneck_leg"] == (bottlenecks[0] if bottlenecks else None)
        if bottlenecks and least:
            gained = 100 * (closed / claimed / least - closed / claimed)
            assert row["points_gained"] == pytest.approx(gained)


def test_broken_hand_offs_are_the_refuted_mandatory_legs_of_mature_cases(marts: Marts) -> None:
    mature = {case["case_id"] for case in marts["fct_cases"] if case["is_mature"]}
    owed = [
        leg
        for leg in marts["fct_case_legs"]
        if leg["case_id"] in mature
        and leg["is_mandatory"]
        and leg["leg"] != "submitted"
        and leg["truth"] != "not_due"
    ]
    days = marts["rpt_closure_daily"]
    assert sum(day["hand_offs_count"] for day in days) == len(owed)
    broken = sum(leg["truth"] == "refuted" for leg in owed)
    assert broken > 0
    assert sum(day["broken_hand_offs_count"] for day in days) == broken


def test_days_add_up_to_the_line(marts: Marts) -> None:
    days = by_line(marts["rpt_closure_daily"])
    for row in marts["rpt_closure"]:
        for name in (name for name in row if name.endswith(("_count", "_fen"))):
            total = sum(day[name] for day in days[row["business_line"], row["loop"]])
            assert row[name] == total, name


# gate: level, bar, by lower limit, legs; a leg that is not listed does not have the gate.
LADDER = {
    "exists": (1, 0.95, True, None),
    "interface": (2, 0.95, True, ("booked", "received", "fulfilled")),
    "key": (2, 0.99, True, ("booked",)),
    "agreeing": (2, 0.99, True, ("paid", "booked", "received", "fulfilled", "refunded")),
    "p95": (2, 1.0, False, None),
    "reflowed": (3, 0.95, True, ("booked", "fulfilled", "reflowed")),
    "single": (4, 0.999, False, ("booked", "received", "refunded")),
}


def outcomes(gate: str, legs: Sequence[Row], shown: Sequence[bool], sla: int | None) -> list[bool]:
    """What the gate has seen on one leg of one line: a success or a failure each."""
    found = [leg for leg in legs if leg["truth"] in FOUND]
    if gate == "exists":
        return [leg["truth"] in FOUND for leg in legs]
    if gate == "reflowed":
        return list(shown)
    if gate == "p95":
        lags = sorted(leg["lag_seconds"] for leg in found if leg["lag_seconds"] is not None)
        if not lags or sla is None:
            return [True] if sla is None else []
        # The least lag that at least 95 of 100 records keep.
        return [lags[-(-len(lags) * 95 // 100) - 1] <= sla]
    classes = {
        "key": ("key_lost",), "agreeing": ("amount_mismatch", "state_conflict"),
        "single": ("duplicate",),
    }  # fmt: skip
    if gate == "interface":
        return [leg["made_by"] == "interface" for leg in found]
    return [leg["divergence"] not in classes[gate] for leg in found]


def levels(legs: Sequence[Row], shown: Sequence[bool], leg: str, sla: int | None) -> dict[str, int]:
    """The level as it reads and as proven, up to 3: what level 4 governs is told apart."""
    read = proven = 3
    for gate, (level, bar, is_by_limit, of_legs) in LADDER.items():
        if level > 3 or (of_legs is not None and leg not in of_legs):
            continue
        seen = outcomes(gate, legs, shown, sla)
        rate = sum(seen) / len(seen) if seen else 0.0
        if rate < bar:
            read = min(read, level - 1)
        if rate < bar or (is_by_limit and lower_limit(sum(seen), len(seen)) < bar):
            proven = min(proven, level - 1)
    return {"level": read, "level_proven": proven}


def test_every_leg_stands_where_the_ladder_puts_it(marts: Marts) -> None:
    cases = mature_claimed(marts)
    legs = [leg for leg in marts["fct_case_legs"] if leg["case_id"] in cases]
    moved = {leg["case_id"] for leg in legs if leg["leg"] == "fulfilled" and leg["has_evidence"]}
    judged = by_line((leg for leg in legs if leg["truth"] in JUDGED), "leg")
    order_legs = [row for row in marts["rpt_integration_depth"] if row["loop"] == "order"]
    assert order_legs
    for row in order_legs:
        key = (row["business_line"], row["loop"])
        shown = [
            leg["truth"] == "verified"
            for leg in judged[(*key, "reflowed")]
            if leg["case_id"] in moved
        ]
        of_leg = judged[(*key, row["leg"])]
        assert row["cases_count"] == len(of_leg)
        expected = levels(of_leg, shown, row["leg"], row["sla_seconds"])
        found = {name: min(row[name], 3) for name in expected}
        assert found == expected, (key, row["leg"])


def test_a_line_is_no_deeper_than_any_mandatory_leg(marts: Marts) -> None:
    legs = by_line(row for row in marts["rpt_integration_depth"] if row["is_mandatory"])
    assert marts["rpt_line_depth"]
    for row in marts["rpt_line_depth"]:
        own = legs[row["business_line"], row["loop"]]
        assert row["level"] == min(leg["level"] for leg in own)
        assert row["level_proven"] == min(leg["level_proven"] for leg in own)
        assert row["weakest_leg"] in {leg["leg"] for leg in own if leg["level"] == row["level"]}
