"""Closure and depth against a second reckoning, plain Python over the rows of the fact tables.

The ladder is written here as the semantics print it, not read from the seeds.
"""

import operator
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from scipy.stats import beta

from bench.scratch import compile_models
from bench.simulated import landed
from pipeline.company import load_company
from pipeline.company.creation import create_from_drop
from pipeline.drop import read_drop
from pipeline.landed import TABLES
from pipeline.landing import Landing
from pipeline.simulation import Options
from pipeline.sources import open_source
from pipeline.warehouse import Warehouse
from tests.oracle.drop import Hand, write_drop
from tests.oracle.worlds import Shape, build_world

Row = Mapping[str, Any]
FOUND = ("verified", "late")
JUDGED = (*FOUND, "refuted")
READ = (
    "fct_cases", "fct_case_legs", "fct_divergences", "dim_legs", "rpt_closure",
    "rpt_closure_daily", "rpt_closure_legs", "rpt_integration_depth", "rpt_line_depth",
)  # fmt: skip
# What is told of a leg, and of which legs.
WEAKNESSES = {
    "silent": "truth = 'late' where leg in ('reflowed', 'notified')",
    "typed": "made_by = 'human' where leg <> 'submitted' and has_evidence",
    "without keys": "divergence = 'key_lost' where leg = 'booked' and has_evidence",
    "slow": "lag_seconds = 99999999 where leg <> 'submitted' and has_evidence",
    "lossy": "truth = 'refuted', has_evidence = false where leg <> 'submitted' and has_evidence",
    "contradictory": "divergence = 'state_conflict' where has_evidence",
}


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
        return _read(connection)


@pytest.fixture(scope="module")
def nearly_sound() -> Mapping[str, Marts]:
    """A company without faults, and the same with one weakness in one case of six.

    It is large enough that lower limits prove something in every loop, so that each weakness alone
    decides on a level.
    """
    options, models = Options(days=20, orders=900, fault_rate=0.0), compile_models()
    with landed(options) as company, company.scratch(models) as connection:
        companies = {"sound": _read(connection)}
        for weakness, change in WEAKNESSES.items():
            connection.execute("begin")
            connection.execute(f"update marts.fct_case_legs set {change} and hash(case_id) % 6 = 0")
            for model in models.models:
                if model.name in ("fct_reflows", "rpt_depth_gates", "rpt_integration_depth"):
                    connection.execute(
                        f"create or replace table {model.schema}.{model.name} as {model.sql}"
                    )
            companies[weakness] = _read(connection)
            connection.execute("rollback")
    return companies


def _read(connection: duckdb.DuckDBPyConnection) -> Marts:
    rows = {}
    for name in READ:
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


# gate: level, bar, by lower limit, legs by loop; where no legs are listed, every leg has the gate.
LADDER: dict[str, tuple[int, float, bool, Mapping[str, tuple[str, ...]] | None]] = {
    "exists": (1, 0.95, True, None),
    "interface": (2, 0.95, True, {
        "order": ("booked", "received", "fulfilled"),
        "booking": ("confirmed",), "aftersale": ("ticketed",),
    }),
    "key": (2, 0.99, True, {"order": ("booked",)}),
    "agreeing": (2, 0.99, True, {
        "order": ("paid", "booked", "received", "fulfilled", "refunded"),
        "booking": ("served",), "aftersale": ("resolved",),
    }),
    "p95": (2, 1.0, False, None),
    "reflowed": (3, 0.95, True, {
        "order": ("booked", "fulfilled", "reflowed"),
        "booking": ("confirmed", "notified"), "aftersale": ("resolved", "notified"),
    }),
    "single": (4, 0.999, False, {
        "order": ("booked", "received", "refunded"),
        "booking": ("confirmed",), "aftersale": ("ticketed",),
    }),
}  # fmt: skip
# loop: the leg by which the customer hears of a change, and the leg that makes the change. Nobody
# tells a new member anything.
RETURNS = {
    "order": ("reflowed", "fulfilled"),
    "booking": ("notified", "confirmed"),
    "aftersale": ("notified", "resolved"),
}
LOOPS = ("order", "booking", "aftersale", "member")


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


def levels(
    legs: Sequence[Row], shown: Sequence[bool], loop: str, leg: str, sla: int | None
) -> dict[str, int]:
    """The level as it reads and as proven, up to 3: what level 4 governs is told apart."""
    read = proven = 3
    for gate, (level, bar, is_by_limit, of_legs) in LADDER.items():
        if level > 3 or (of_legs is not None and leg not in of_legs.get(loop, ())):
            continue
        seen = outcomes(gate, legs, shown, sla)
        rate = sum(seen) / len(seen) if seen else 0.0
        if rate < bar:
            read = min(read, level - 1)
        if rate < bar or (is_by_limit and lower_limit(sum(seen), len(seen)) < bar):
            proven = min(proven, level - 1)
    return {"level": read, "level_proven": proven}


def changes_shown(
    judged: Mapping[tuple[Any, ...], Sequence[Row]], line: str, loop: str
) -> list[bool]:
    """Of the changes in the back end of one loop: whether the customer was shown them in time."""
    if loop not in RETURNS:
        return []
    shown_by, made_by = RETURNS[loop]
    moved = {leg["case_id"] for leg in judged[line, loop, made_by] if leg["has_evidence"]}
    return [
        leg["truth"] == "verified"
        for leg in judged[line, loop, shown_by]
        if leg["case_id"] in moved
    ]


def reckoned(marts: Marts, loop: str) -> tuple[list[Row], list[Row]]:
    """The depth of every leg of one loop: as the mart tells it, and as it is reckoned here."""
    cases = mature_claimed(marts)
    legs = [leg for leg in marts["fct_case_legs"] if leg["case_id"] in cases]
    judged = by_line((leg for leg in legs if leg["truth"] in JUDGED), "leg")
    told, expected = [], []
    for row in marts["rpt_integration_depth"]:
        if row["loop"] != loop:
            continue
        where = {"line": row["business_line"], "leg": row["leg"]}
        of_leg = judged[row["business_line"], loop, row["leg"]]
        shown = changes_shown(judged, row["business_line"], loop)
        depth = levels(of_leg, shown, loop, row["leg"], row["sla_seconds"])
        expected.append(where | {"cases_count": len(of_leg)} | depth)
        told.append(
            where
            | {"cases_count": row["cases_count"]}
            | {name: min(row[name], 3) for name in depth}
        )
    return told, expected


@pytest.mark.parametrize("loop", LOOPS)
def test_every_leg_stands_where_the_ladder_puts_it(marts: Marts, loop: str) -> None:
    told, expected = reckoned(marts, loop)
    assert told
    assert told == expected
    levels_told = {row["level"] for row in told if row["cases_count"]}
    assert len(levels_told) > 1
    assert min(levels_told) == 0


@pytest.mark.parametrize("weakness", ["sound", *WEAKNESSES])
@pytest.mark.parametrize("loop", LOOPS)
def test_each_weakness_alone_holds_a_leg_where_the_ladder_says(
    nearly_sound: Mapping[str, Marts], loop: str, weakness: str
) -> None:
    told, expected = reckoned(nearly_sound[weakness], loop)
    assert told == expected
    if weakness == "sound":
        assert max(row["level_proven"] for row in told) == 3


@pytest.mark.parametrize("gate", [gate for gate, (level, *_) in LADDER.items() if level < 4])
def test_a_ladder_that_asks_less_of_one_leg_is_noticed(
    nearly_sound: Mapping[str, Marts], gate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    level, bar, is_by_limit, of_legs = LADDER[gate]
    asked = of_legs or legs_behind_the_claim(nearly_sound["sound"])
    for loop, legs in asked.items():
        for leg in legs:
            spared = {**asked, loop: tuple(name for name in legs if name != leg)}
            with monkeypatch.context() as patch:
                patch.setitem(LADDER, gate, (level, bar, is_by_limit, spared))
                noticed = [
                    weakness
                    for weakness, company in nearly_sound.items()
                    if operator.ne(*reckoned(company, loop))
                ]
            assert noticed, (loop, leg)


def legs_behind_the_claim(marts: Marts) -> dict[str, tuple[str, ...]]:
    named = by_line(row for row in marts["dim_legs"] if row["leg"] != "submitted")
    return {loop: tuple(leg["leg"] for leg in legs) for (_, loop), legs in named.items()}


def test_a_line_is_no_deeper_than_any_mandatory_leg(marts: Marts) -> None:
    legs = by_line(row for row in marts["rpt_integration_depth"] if row["is_mandatory"])
    assert marts["rpt_line_depth"]
    for row in marts["rpt_line_depth"]:
        own = legs[row["business_line"], row["loop"]]
        assert row["level"] == min(leg["level"] for leg in own)
        assert row["level_proven"] == min(leg["level_proven"] for leg in own)
        assert row["weakest_leg"] in {leg["leg"] for leg in own if leg["level"] == row["level"]}
