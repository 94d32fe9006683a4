"""Which days a system can be asked for, and which are worth asking for again."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta

from pipeline.company import Company, TableSource
from pipeline.landing import SHANGHAI


class Uncounted:
    """A source that cannot cheaply tell how many rows it holds on a day."""

    def counts(self, days: Sequence[date]) -> Mapping[date, int]:
        """Nothing: what was deleted there shows when its day is asked for again."""
        del days
        return {}


def last_ready_day(company: Company, now: datetime, ready_at: time) -> date:
    """The latest day whose figures are built: a day is ready at `ready_at`, Beijing, of the next.

    A company that has ended is ready to its last day, whatever the clock says.
    """
    if company.last_day is not None:
        return company.last_day
    local = now.astimezone(SHANGHAI)
    return local.date() - timedelta(days=1 if local.time() >= ready_at else 2)


def trailing_days(
    settings: TableSource, known: Iterable[date], *, newest: date, usual: int
) -> set[date]:
    """The known days among the trailing days before the newest that is ready, itself included.

    `usual` is how many days the connector asks for again where sources.yml does not say. Older
    days, which a backfill lands late, have their last figures already.
    """
    is_written = "trailing_days" in settings.model_fields_set
    count = settings.trailing_days if is_written else usual
    first = newest - timedelta(days=count)
    return {day for day in known if day >= first} if count else set()


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
