"""One landed table that several systems of one kind deliver, such as the bills of two merchants.

Each day is one extract: the rows of all of them. It is complete as far as the one that is behind.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.landed import LandedTable
from pipeline.landing import Control, Extract
from pipeline.sources.mapping import Mapped

if TYPE_CHECKING:
    from pipeline.sources import Source


class JoinedSource:
    """The sources of one table, in the order of sources.yml. Rows of one key must be alike."""

    def __init__(self, table: LandedTable, sources: Sequence["Source"]) -> None:
        self.table = table
        self.connector = sources[0].connector
        self.ready_at = sources[0].ready_at
        self._sources = tuple(sources)

    @property
    def parts(self) -> tuple["Source", ...]:
        """The sources that are joined."""
        return self._sources

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        """One extract per asked day, in order. Raises what the sources raise: no half days."""
        for of_day in zip(*(source.extract(days) for source in self._sources), strict=True):
            yield reduce(_join, of_day)

    def changed_days(self, since: datetime | None, known: Mapping[date, str]) -> set[date]:
        """The days that any of the sources names."""
        return {day for source in self._sources for day in source.changed_days(since, known)}

    def counts(self, days: Sequence[date]) -> Mapping[date, int]:
        """The rows of all on each day that all of them tell."""
        told = [source.counts(days) for source in self._sources]
        return {day: sum(of[day] for of in told) for day in days if all(day in of for of in told)}

    def probe(self) -> str:
        """What each answers, one after the other. Raises for the first that does not."""
        return "; ".join(source.probe() for source in self._sources)

    def sample(self, limit: int) -> Mapped | None:
        """At most `limit` rows of each, one after the other; None where they are not mapped."""
        samples = [getattr(source, "sample", None) for source in self._sources]
        taken: list[Mapped] = [sample(limit) for sample in samples if sample is not None]
        if not taken:
            return None
        return Mapped(
            rows=pa.concat_tables([each.rows for each in taken], promote_options="permissive"),
            rejected=tuple(row for each in taken for row in each.rejected),
        )

    def last_day(self) -> date | None:
        """The latest day that all can deliver; None where none can tell."""
        told = [day for source in self._sources if (day := source.last_day()) is not None]
        return min(told, default=None)


def _join(left: Extract, right: Extract) -> Extract:
    return replace(
        left,
        rows=pa.concat_tables([left.rows, right.rows], promote_options="permissive"),
        complete_until=min(left.complete_until, right.complete_until),
        control=_add(left.control, right.control),
        rejected=(*left.rejected, *right.rejected),
    )


def _add(left: Control | None, right: Control | None) -> Control | None:
    """The totals of both: of what both declare."""
    if left is None or right is None:
        return None
    has_rows = left.rows is not None and right.rows is not None
    return Control(
        rows=(left.rows or 0) + (right.rows or 0) if has_rows else None,
        sums={
            name: left.sums[name] + right.sums[name]
            for name in left.sums.keys() & right.sums.keys()
        },
    )
