"""Which days a datacube of the simulated WeChat answers for, and when yesterday's are there."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from pipeline.landing import SHANGHAI
from pipeline.simulation.habits import Habits
from pipeline.simulation.http_call import CallRefusedError

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Days:
    """The days that a call asks for, both ends included."""

    first: date
    last: date

    def __iter__(self) -> Iterator[date]:
        return (self.first + number * DAY for number in range(self.count))

    @property
    def count(self) -> int:
        return (self.last - self.first).days + 1


Rule = Callable[[Days], bool]
"""Whether a call answers for such days."""


def at_most(count: int) -> Rule:
    return lambda days: days.count <= count


def one_of(*counts: int) -> Rule:
    return lambda days: days.count in counts


def is_week(days: Days) -> bool:
    """Monday to Sunday."""
    return days.first.isoweekday() == 1 and days.count == 7


def is_month(days: Days) -> bool:
    return days.first.day == 1 and days.last == month_of(days.first).last


def week_of(day: date) -> Days:
    first = day - (day.isoweekday() - 1) * DAY
    return Days(first, first + 6 * DAY)


def month_of(day: date) -> Days:
    first = day.replace(day=1)
    return Days(first, (first + 31 * DAY).replace(day=1) - DAY)


COMPACT = re.compile(r"\d{8}")
DASHED = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Calendar:
    """The company's days at WeChat: today is the day after its last. `now` gives the hour."""

    yesterday: date
    habits: Habits
    now: Callable[[], float]

    def read(self, body: dict[str, object], written: re.Pattern[str], rule: Rule) -> Days:
        """The days that a call asks for. Raises CallRefusedError as WeChat refuses."""
        try:
            first, last = (
                _read_day(body.get(name), written) for name in ("begin_date", "end_date")
            )
        except ValueError:
            raise CallRefusedError(61500, "date format error") from None
        days = Days(first, last)
        if first > last or last > self.yesterday or not rule(days):
            raise CallRefusedError(61501, "date range error")
        if last == self.yesterday and self._hour() < self.habits.refused_until:
            raise CallRefusedError(61503, "data not ready, please try later")
        return days

    def is_empty_yet(self, days: Days) -> bool:
        """Whether the figures are built, but not filled in."""
        return days.last == self.yesterday and self._hour() < self.habits.empty_until

    def _hour(self) -> time:
        return datetime.fromtimestamp(self.now(), SHANGHAI).time()


def _read_day(told: object, written: re.Pattern[str]) -> date:
    if not isinstance(told, str) or not written.fullmatch(told):
        raise ValueError(told)
    return date.fromisoformat(told)
