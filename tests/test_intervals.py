"""Exact limits, and the cases that a gate still wants, held against what defines them."""

from math import comb

import duckdb
import pytest
from scipy.stats import beta

from pipeline.decisions.functions import register
from pipeline.decisions.intervals import cases_needed, clopper_pearson_interval

GATES = (0.95, 0.99, 0.999)


def chance_of_at_least(successes: int, trials: int, rate: float) -> float:
    return sum(
        comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(successes, trials + 1)
    )


@pytest.mark.parametrize("trials", [1, 2, 7, 30])
def test_a_limit_is_the_rate_at_which_what_was_seen_is_just_improbable(trials: int) -> None:
    for successes in range(trials + 1):
        interval = clopper_pearson_interval(successes, trials)
        assert interval is not None
        if successes:
            chance = chance_of_at_least(successes, trials, interval.low)
            assert chance == pytest.approx(0.025, abs=1e-9)
        if successes < trials:
            chance = 1 - chance_of_at_least(successes + 1, trials, interval.high)
            assert chance == pytest.approx(0.025, abs=1e-9)
        assert interval.low <= interval.rate <= interval.high


def test_none_of_all_and_all_of_all_reach_the_ends() -> None:
    none, every = clopper_pearson_interval(0, 10), clopper_pearson_interval(10, 10)
    assert none is not None
    assert every is not None
    assert (none.low, every.high) == (0.0, 1.0)
    assert none.high == pytest.approx(1 - 0.025**0.1)
    assert every.low == pytest.approx(0.025**0.1)


def test_the_lower_limit_lies_above_the_truth_in_one_sample_of_forty_at_most() -> None:
    trials = 40
    lows = [clopper_pearson_interval(k, trials) for k in range(trials + 1)]
    for rate in (0.5, 0.9, 0.949, 0.95, 0.99):
        wrong = sum(
            comb(trials, k) * rate**k * (1 - rate) ** (trials - k)
            for k, interval in enumerate(lows)
            if interval is not None and interval.low > rate
        )
        assert wrong <= 0.025


def test_without_trials_there_is_no_interval_and_more_successes_than_trials_cannot_be() -> None:
    assert clopper_pearson_interval(0, 0) is None
    with pytest.raises(ValueError, match="3 successes of 2"):
        clopper_pearson_interval(3, 2)


def lower_limit(rate: float, trials: int) -> float:
    return float(beta.ppf(0.025, rate * trials, (1 - rate) * trials + 1))


@pytest.mark.parametrize("gate", GATES)
def test_so_many_flawless_cases_pass_a_gate_and_one_fewer_does_not(gate: float) -> None:
    needed = cases_needed(3, 3, gate)
    assert needed == {0.95: 72, 0.99: 368, 0.999: 3688}[gate]
    passed, missed = (clopper_pearson_interval(n, n) for n in (needed, needed - 1))
    assert passed is not None
    assert missed is not None
    assert missed.low < gate <= passed.low


@pytest.mark.parametrize(
    ("successes", "trials"), [(29, 30), (96, 100), (195, 204), (198, 200), (999, 1000)]
)
def test_so_many_cases_pass_at_the_observed_rate_and_one_fewer_does_not(
    successes: int, trials: int
) -> None:
    needed = cases_needed(successes, trials, 0.95)
    counted = trials
    while lower_limit(successes / trials, counted) < 0.95:
        counted += 1
    assert needed == counted


def test_a_gate_that_is_passed_wants_the_cases_at_hand() -> None:
    assert cases_needed(500, 500, 0.95) == 500
    assert cases_needed(999, 1000, 0.95) == 1000


def test_a_rate_at_the_gate_or_below_passes_with_no_number_of_cases() -> None:
    assert cases_needed(95, 100, 0.95) is None
    assert cases_needed(94, 100, 0.95) is None
    assert cases_needed(0, 10, 0.95) is None
    assert cases_needed(0, 0, 0.95) is None


def test_a_rate_a_hair_above_the_gate_is_out_of_reach_and_does_not_take_for_ever() -> None:
    assert cases_needed(9_500_001, 10_000_000, 0.95) is None


def test_sql_gives_the_same_limits_and_null_for_what_is_not_known() -> None:
    counts = [(0, 0), (0, 7), (7, 7), (3, 7), (None, 7), (3, None)]
    with duckdb.connect() as connection:
        register(connection)
        # A cursor, for that is what every dbt thread works on.
        rows = (
            connection.cursor()
            .execute(
                "select clopper_pearson_low(k, n), clopper_pearson_high(k, n),"
                " cases_needed(k, n, 0.2::double) from (values"
                + ", ".join(
                    f"({'null' if k is None else k}::bigint, {'null' if n is None else n}::bigint)"
                    for k, n in counts
                )
                + ") as counts (k, n)"
            )
            .fetchall()
        )
    expected = []
    for k, n in counts:
        interval = None if k is None or n is None else clopper_pearson_interval(k, n)
        if interval is None:
            expected.append((None, None, None))
        else:
            needed = cases_needed(interval.successes, interval.trials, 0.2)
            expected.append((interval.low, interval.high, needed))
    assert rows == expected
