"""Which days a system can be asked for, and which are worth asking for again."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import ClassVar

from pipeline.company import Company
from pipeline.landing import SHANGHAI
from pipeline.sources.connected import ConnectedTable


class Uncounted:
    """A source that cannot cheaply tell how many rows it holds on a day."""

    def counts(self, days: Sequence[date]) -> Mapping[date, int]:
        """Nothing: what was deleted there shows when its day is asked for again."""
        del days
        return {}


class DailySource(ConnectedTable, Uncounted):
    """One landed table of a system that finishes each day at an hour of the next and cannot be
    asked for what has changed: the days that it may still correct are asked for again."""

    connector: ClassVar[str]
    ready_at: ClassVar[time]
    """Beijing's hour, on the next day, at which the figures of a day are usually built."""

    def changed_days(
        self,
        since: datetime | None,  # noqa: ARG002 - the system cannot be asked by it
        known: Mapping[date, str],
    ) -> set[date]:
        """The known days among the trailing days before the newest that is ready, itself included.

        Older days, which a backfill lands late, have their last figures already.
        """
        is_written = "trailing_days" in self._settings.model_fields_set
        count = self._settings.trailing_days if is_written else self._usual_trailing_days
        # The last day of the company may lie ahead of the clock; what has landed was ready.
        ready = max([ready_day(self._wire.now(), self.ready_at), *known])
        newest = min(self.last_day(), ready)
        first = newest - timedelta(days=count)
        return {day for day in known if day >= first} if count else set()

    @property
    def _usual_trailing_days(self) -> int:
        """So many days are asked for again where sources.yml does not say how many."""
        return 0

    def last_day(self) -> date:
        """The latest day whose figures are built, Asia/Shanghai."""
        return last_ready_day(self._company, self._wire.now(), self.ready_at)


def last_ready_day(company: Company, now: datetime, ready_at: time) -> date:
    """The latest day whose figures are built; a company that has ended is ready to its last day,
    whatever the clock says."""
    return company.last_day if company.last_day is not None else ready_day(now, ready_at)


def ready_day(now: datetime, ready_at: time) -> date:
    """The latest day that is ready by the clock: a day is at `ready_at`, Beijing, of the next."""
    local = now.astimezone(SHANGHAI)
    return local.date() - timedelta(days=1 if local.time() >= ready_at else 2)


def adjoining(days: Sequence[date], most: int) -> Iterator[list[date]]:
    """The days in runs without a gap of at most so many, in the order given."""
    run: list[date] = []
    for day in days:
        if run and (len(run) == most or day != run[-1] + timedelta(days=1)):
            yield run
            run = []
        run.append(day)
    if run:
        yield run
