"""Rises told from chance, and many tests at once, held against scipy's own."""

import duckdb
import pytest
from scipy.stats import chi2_contingency, false_discovery_control

from pipeline.decisions.comparisons import adjust_for_many, chance_of_rise
from pipeline.decisions.functions import register


@pytest.mark.parametrize("counts", [(20, 100, 35, 100), (84, 308, 46, 223), (3, 900, 9, 1000)])
def test_the_chance_of_a_rise_is_half_of_the_two_sided_one(
    counts: tuple[int, int, int, int],
) -> None:
    earlier, earlier_trials, later, later_trials = counts
    table = [[earlier, earlier_trials - earlier], [later, later_trials - later]]
    both_sides = float(chi2_contingency(table, correction=False).pvalue)
    is_rise = later / later_trials > earlier / earlier_trials
    expected = both_sides / 2 if is_rise else 1 - both_sides / 2
    assert chance_of_rise(*counts) == pytest.approx(expected)


def test_no_change_is_as_likely_as_not_and_where_nothing_varies_nothing_rose() -> None:
    assert chance_of_rise(10, 50, 10, 50) == pytest.approx(0.5)
    assert chance_of_rise(0, 50, 0, 70) == 1.0
    assert chance_of_rise(50, 50, 70, 70) == 1.0


def test_nothing_is_compared_with_nothing() -> None:
    assert chance_of_rise(0, 0, 5, 10) is None
    assert chance_of_rise(5, 10, 0, 0) is None
    with pytest.raises(ValueError, match="11 successes of 10"):
        chance_of_rise(1, 10, 11, 10)


def test_chances_are_adjusted_as_benjamini_and_hochberg_do() -> None:
    chances = [0.04, 0.001, 0.5, 0.02, 0.001, 0.9, 1.0]
    expected = false_discovery_control(chances, method="bh").tolist()
    assert adjust_for_many(chances) == pytest.approx(expected)


def test_what_was_not_tested_does_not_count() -> None:
    assert adjust_for_many([None, 0.02, None, 0.03]) == [None, 0.03, None, 0.03]
    assert adjust_for_many([None]) == [None]
    assert adjust_for_many([]) == []


def test_sql_adjusts_each_row_among_all() -> None:
    with duckdb.connect() as connection:
        register(connection)
        rows = connection.execute(
            "select p, adjusted_for_many(p, list(p) over ()), chance_of_rise(20, 100, 35, null)"
            " from (values (0.02::double), (null), (0.03)) as chances (p)"
        ).fetchall()
    assert rows == [(0.02, 0.03, None), (None, None, None), (0.03, 0.03, None)]
