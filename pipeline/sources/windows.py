"""How the days that are wanted are read: in windows of time with a bounded number of rows.

Knows counts and instants only; what is read, and from where, is the concern of the sources.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pipeline.landing import day_end, day_start

Counts = Mapping[date | None, int]
"""Rows of each calendar day, of None those without a day that can be read."""


@dataclass(frozen=True)
class Window:
    """Half-open; without a start it also takes what has no instant."""

    start: datetime | None
    end: datetime


@dataclass(frozen=True)
class Reading:
    """What is held in memory at once: adjoining days in one window, or one day in several.

    `counts` says how many rows each of the days has.
    """

    counts: Mapping[date, int]
    windows: tuple[Window, ...]

    @property
    def days(self) -> list[date]:
        return list(self.counts)


def count_by_day(days: Sequence[date], counted: Counts, first_day: date) -> dict[date, int]:
    """The rows of each of the days; those older than `first_day`, or without a day, are its own."""
    counts = dict.fromkeys(days, 0)
    for day, rows in counted.items():
        own = first_day if day is None or day < first_day else day
        if own in counts:
            counts[own] += rows
    return counts


def plan_readings(
    days: Sequence[date], counted: Counts, *, first_day: date, most_rows: int
) -> Iterator[Reading]:
    """Adjoining days as readings of at most so many rows, where a window can be made as small."""
    counts = count_by_day(days, counted, first_day)
    waiting: list[date] = []
    for day in days:
        if waiting and sum(counts[one] for one in [*waiting, day]) > most_rows:
            yield _reading(waiting, counts, counted, first_day, most_rows)
            waiting = []
        waiting.append(day)
    yield _reading(waiting, counts, counted, first_day, most_rows)


def _reading(
    days: Sequence[date],
    counts: Mapping[date, int],
    counted: Counts,
    first_day: date,
    most_rows: int,
) -> Reading:
    start = None if days[0] == first_day else day_start(days[0])
    ends = [day_end(days[-1])]
    if len(days) == 1 and counts[days[0]] > most_rows:
        ends = [*_bounds_within(days[0], counted, first_day, most_rows), *ends]
    windows = tuple(map(Window, [start, *ends[:-1]], ends))
    return Reading({day: counts[day] for day in days}, windows)


def _bounds_within(
    day: date, counted: Counts, first_day: date, most_rows: int
) -> Iterator[datetime]:
    """Where one day with too many rows is cut: the first one, which holds all that is older,
    between calendar days; a calendar day with too many by the clock, into equal parts."""
    own = [one for one in counted if one is not None and (one <= day == first_day or one == day)]
    rows = 0
    for number, one in enumerate(sorted(own)):
        if number and rows + counted[one] > most_rows:
            yield day_start(one)
            rows = 0
        rows += counted[one]
        parts = -(-counted[one] // most_rows)
        for part in range(1, parts):
            yield day_start(one) + part * timedelta(days=1) / parts
