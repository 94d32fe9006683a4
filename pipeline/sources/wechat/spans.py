"""Spans of days as the datacubes count them: a day, a week, a month, the days up to one.

Two ways of writing days are in use: `20261121` by mini-programs, `2026-11-21` by service accounts.
"""

import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Span:
    """Days from `first` to `last`, both included, as WeChat's own calls have it."""

    first: date
    last: date

    def holds(self, other: "Span") -> bool:
        return self.first <= other.first and other.last <= self.last


SpanOf = Callable[[date], Span | None]
"""The span whose figures belong to a day; None where none ends on that day."""


def the_day(day: date) -> Span:
    return Span(day, day)


def week_ending(day: date) -> Span | None:
    """Monday to Sunday."""
    return Span(day - 6 * DAY, day) if day.isoweekday() == 7 else None


def month_ending(day: date) -> Span | None:
    return Span(day.replace(day=1), day) if (day + DAY).day == 1 else None


def days_up_to(count: int) -> SpanOf:
    """So many days, the last of which is the day itself."""
    return lambda day: Span(day - (count - 1) * DAY, day)


_DAY = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)")
_RANGE = re.compile(r"(\d{8})-(\d{8})")
_MONTH = re.compile(r"(\d{4})(\d\d)")


def read_span(written: object) -> Span | None:
    """A ref_date: a day, a week `20170306-20170312` or a month `201703`; None for anything else."""
    text = str(written)
    try:
        if found := _DAY.fullmatch(text):
            return the_day(date(*map(int, found.groups())))
        if found := _RANGE.fullmatch(text):
            return Span(date.fromisoformat(found[1]), date.fromisoformat(found[2]))
        if found := _MONTH.fullmatch(text):
            first = date(int(found[1]), int(found[2]), 1)
            return Span(first, first.replace(day=monthrange(first.year, first.month)[1]))
    except ValueError:
        pass
    return None
