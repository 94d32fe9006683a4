"""What the marts said as of a past run: late data restates, and says why."""

from datetime import date, timedelta

import pytest

from pipeline.company import Company, load_company
from pipeline.explain import find_case, tell_case
from pipeline.landed import TABLES
from pipeline.landing import Landing
from pipeline.reported import UnknownRunError, tell_reported
from pipeline.sources import open_source
from pipeline.warehouse import Warehouse
from tests.small_company import (
    PAID_NOT_BOOKED,
    booking,
    entered_at,
    orders,
    write_company,
    write_table,
)

CASE = f"order:{PAID_NOT_BOOKED}"


def run(company: Company) -> Warehouse:
    """Land every day again and build the models: one run."""
    landing = Landing(company.data / "landing", hash_key=company.hash_key)
    assert company.last_day is not None
    days = [
        company.first_day + timedelta(days=number)
        for number in range((company.last_day - company.first_day).days + 1)
    ]
    for name in company.sources.tables:
        source = open_source(name, company)
        list(landing.land_all(TABLES[name], source.extract(days), connector=source.connector))
    warehouse = Warehouse(company.data)
    warehouse.register(landing, company)
    warehouse.transform()
    return warehouse


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A company whose ERP enters a forgotten order long after its day had closed."""
    folder = tmp_path_factory.mktemp("corrected")
    company = load_company(write_company(folder), environment={})
    run(company)
    rows = orders()["erp_orders"]
    number = int(PAID_NOT_BOOKED[1:])
    rows.append(booking(PAID_NOT_BOOKED, entered_at(PAID_NOT_BOOKED), 1000 + number))
    write_table(folder / "drop", "erp_orders", rows)
    run(company)
    warehouse = run(company)  # the same data again: no run of its own
    warehouse.write_candidate()
    warehouse.vouch()
    warehouse.publish()
    return warehouse


def test_a_correction_after_closing_is_restated_with_its_cause(corrected: Warehouse) -> None:
    with corrected.read() as connection:
        restated = connection.execute(
            "select leg, truth_before, truth_after, divergence_before, divergence_after, cause,"
            " earlier_run, restated_run from marts.fct_restatements where case_id = ?"
            " order by leg",
            [CASE],
        ).fetchall()
        runs = connection.execute("select run_no from marts.fct_runs order by 1").fetchall()
    assert runs == [(1,), (2,)]
    booked = ("booked", "refuted", "verified", "paid_not_booked", "none", "revision", 1, 2)
    assert booked in restated
    assert ("received", "refuted", "refuted", "none", "not_received", "another_leg", 1, 2) in (
        restated
    )


def test_a_past_run_still_says_what_it_said(corrected: Warehouse) -> None:
    told = tell_reported(corrected, run_no=1)
    assert (told.then.run_no, told.now.run_no) == (1, 2)
    (line,) = told.lines
    assert line.legs[0] == line.legs[1]
    assert line.refuted[0] > line.refuted[1]
    first = told.changes[0]
    assert first.case_id == CASE
    assert first.is_restatement
    assert {cause.cause for cause in told.causes} == {"revision", "another_leg"}
    # Goods and notices have thirty days: theirs had not closed yet.
    assert all(cause.restated_count > 0 for cause in told.causes)
    assert any(cause.restated_count < cause.changes_count for cause in told.causes)


def test_the_story_of_a_case_tells_what_was_restated(corrected: Warehouse) -> None:
    told = list(tell_case(find_case(corrected, PAID_NOT_BOOKED)))
    (restated,) = [line for line in told if line.startswith("restated: booked")]
    assert "was reported refuted (paid_not_booked) after its day had closed" in restated
    assert "and is verified since" in restated
    assert ": revision [erp_orders/" in restated


def test_the_newest_run_has_nothing_to_take_back(corrected: Warehouse) -> None:
    told = tell_reported(corrected, on=date(2026, 10, 25))
    assert told.then == told.now
    assert not told.changes


@pytest.mark.parametrize("asked", [{"run_no": 9}, {"on": date(2026, 10, 2)}])
def test_a_run_that_never_was_is_told_with_those_that_were(
    corrected: Warehouse, asked: dict[str, int | date]
) -> None:
    with pytest.raises(UnknownRunError, match="runs 1 to 2"):
        tell_reported(corrected, **asked)  # type: ignore[arg-type]


def test_no_word_of_a_run_overlaps_another_of_the_same_leg(corrected: Warehouse) -> None:
    with corrected.read() as connection:
        overlapping = connection.execute(
            "select * from marts.fct_leg_reports as one inner join marts.fct_leg_reports as other"
            " using (case_id, leg) where one.from_run < other.from_run"
            " and coalesce(one.until_run, 99) > other.from_run"
        ).fetchall()
        told_now = connection.execute(
            "select count(*) from marts.fct_leg_reports where until_run is null"
        ).fetchall()
        legs = connection.execute("select count(*) from marts.fct_case_legs").fetchall()
    assert not overlapping
    assert told_now == legs
