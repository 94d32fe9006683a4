"""What is asked of Tryton as its domains: half-open, by the fields that date a record or by change.

Tryton leaves `write_date` empty until a record is first changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pipeline.landing import SHANGHAI
from pipeline.sources.records import Asked

Domain = list[Any]


def window(asked: Asked, dated_by: Mapping[str, str]) -> Domain:
    """The records whose first date with a value lies in the window; `dated_by` is field to type.

    Without `since`, records without any date belong to it, too.
    """
    if not dated_by or (asked.since is None and asked.until is None):
        return []
    either: Domain = ["OR"]
    empty: Domain = []
    for field, kind in dated_by.items():
        either.append([*empty, *_bounds(field, kind, asked.since, asked.until)])
        empty = [*empty, [field, "=", None]]
    return either if asked.since is not None else [*either, empty]


def changed(since: datetime, parts: Sequence[str]) -> Domain:
    """The records that were made or changed, or one of whose parts was, at or after an instant."""
    steps = ["", *(f"{part}." for part in parts)]
    dates = [f"{step}{name}" for step in steps for name in ("write_date", "create_date")]
    return ["OR", *([name, ">=", since] for name in dates)]


def _bounds(
    field: str, kind: str, since: datetime | None, until: datetime | None
) -> Iterator[Domain]:
    """A day is the Shanghai day that it says; instants are UTC."""
    is_day = kind == "date"
    if since is None:
        yield [field, "!=", None]
    else:
        yield [field, ">=", _day(since) if is_day else since]
    if until is not None:
        yield [field, "<", _day(until) if is_day else until]


def _day(instant: datetime) -> date:
    return instant.astimezone(SHANGHAI).date()
