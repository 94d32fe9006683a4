"""A span of time cut into the windows that an API allows. No clock and no system here."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Window:
    """A piece of time. Whether its ends belong to it is the API's convention."""

    since: datetime
    until: datetime


def windows(
    since: datetime, until: datetime, longest: timedelta, resolution: timedelta
) -> Iterator[Window]:
    """Windows of at most `longest` over a span, each beginning where the one before it ends.

    Their ends are whole steps of `resolution`, in which the API is asked: the first window begins
    at or just before `since`, the last ends at or just after `until`. An API with half-open windows
    so gives every instant once. One that includes both ends gives twice what lies on a seam, and
    loses nothing that it keeps in finer steps than it is asked in.
    """
    longest_steps = longest // resolution
    if longest_steps < 1:
        raise ValueError(f"a window of {longest} in steps of {resolution}")
    start = (since - _EPOCH) // resolution
    end = -((_EPOCH - until) // resolution)
    while start < end:
        stop = min(start + longest_steps, end)
        yield Window(_EPOCH + start * resolution, _EPOCH + stop * resolution)
        start = stop
