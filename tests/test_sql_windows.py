"""How days are cut into readings: nothing is read twice or left out, and memory suffices."""

import itertools
from datetime import date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline.landing import day_end, day_start
from pipeline.sources.windows import Window, count_by_day, plan_readings

FIRST_DAY = date(2026, 10, 1)
DAYS = [FIRST_DAY + timedelta(days=count) for count in range(6)]
counted_days = st.dictionaries(
    st.one_of(st.none(), st.sampled_from(DAYS), st.dates(date(2026, 1, 1), FIRST_DAY)),
    st.integers(1, 40),
    max_size=12,
)


@given(counted_days, st.integers(1, 30), st.integers(0, 5))
def test_every_instant_is_in_exactly_one_window(
    counted: dict[date | None, int], most_rows: int, begin: int
) -> None:
    days = DAYS[begin:]
    readings = list(plan_readings(days, counted, first_day=FIRST_DAY, most_rows=most_rows))
    assert [day for reading in readings for day in reading.days] == days
    windows = [window for reading in readings for window in reading.windows]
    assert windows[0].start == (None if begin == 0 else day_start(days[0]))
    assert windows[-1].end == day_end(days[-1])
    for left, right in itertools.pairwise(windows):
        assert left.end == right.start
    assert all(window.start is None or window.start < window.end for window in windows)


@given(counted_days, st.integers(1, 30))
def test_a_reading_holds_no_more_than_it_may_or_a_single_day(
    counted: dict[date | None, int], most_rows: int
) -> None:
    counts = count_by_day(DAYS, counted, FIRST_DAY)
    for reading in plan_readings(DAYS, counted, first_day=FIRST_DAY, most_rows=most_rows):
        assert reading.counts == {day: counts[day] for day in reading.days}
        assert len(reading.days) == 1 or sum(reading.counts.values()) <= most_rows


def test_small_days_are_read_together() -> None:
    counted: dict[date | None, int] = {DAYS[0]: 2, DAYS[2]: 3, DAYS[3]: 1, DAYS[5]: 9}
    readings = plan_readings(DAYS, counted, first_day=FIRST_DAY, most_rows=5)
    assert [reading.days for reading in readings] == [DAYS[:3], DAYS[3:5], DAYS[5:]]


def test_a_crowded_day_is_cut_by_the_clock() -> None:
    (reading,) = plan_readings([DAYS[1]], {DAYS[1]: 20}, first_day=FIRST_DAY, most_rows=10)
    noon = day_start(DAYS[1]) + timedelta(hours=12)
    assert reading.windows == (
        Window(day_start(DAYS[1]), noon),
        Window(noon, day_end(DAYS[1])),
    )


def test_what_is_older_than_the_first_day_is_cut_between_its_own_days() -> None:
    counted: dict[date | None, int] = {
        date(2025, 1, 5): 4, date(2025, 3, 1): 4, date(2026, 9, 30): 4, FIRST_DAY: 1, None: 2,
    }  # fmt: skip
    (reading,) = plan_readings([FIRST_DAY], counted, first_day=FIRST_DAY, most_rows=8)
    cut: datetime = day_start(date(2026, 9, 30))
    assert reading.windows == (Window(None, cut), Window(cut, day_end(FIRST_DAY)))
    assert reading.counts == {FIRST_DAY: 15}
