"""Several connections of one table are one source."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import pyarrow as pa
import pytest

from pipeline.errors import NotReadyError
from pipeline.landed import TABLES
from pipeline.landing import Control, Extract, day_end
from pipeline.sources.joined import JoinedSource

DAY = date(2026, 10, 1)
REFUNDS = TABLES["erp_refunds"]


class Desk:
    """A source of one refund a day, known up to some hours before the day's end."""

    table = REFUNDS
    connector = "desk"
    ready_at = time(9)

    def __init__(self, name: str, *, behind: int = 0, control: Control | None = None) -> None:
        self.name = name
        self.behind = timedelta(hours=behind)
        self.control = control

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        for day in days:
            if day > DAY + timedelta(days=1):
                raise NotReadyError(f"{day} is not ready")
            rows = pa.table({"refund_doc_no": [f"{self.name}-{day}"]})
            yield Extract(day, rows, day_end(day) - self.behind, self.control)

    def changed_days(self, since: datetime | None, known: Mapping[date, str]) -> set[date]:
        return {min(known) if self.name == "a" else max(known)} if since else set(known)

    def counts(self, days: Sequence[date]) -> Mapping[date, int]:
        return {day: 2 for day in days if self.name == "a" or day == DAY}

    def probe(self) -> str:
        return f"{self.name} answers"

    def last_day(self) -> date | None:
        return DAY + timedelta(days=int(self.behind == timedelta(0)))


def totals(rows: int | None, **sums: int) -> Control:
    return Control(rows=rows, sums=sums)


def test_a_day_holds_the_rows_of_all_and_is_complete_as_far_as_the_slowest() -> None:
    joined = JoinedSource(REFUNDS, [Desk("a"), Desk("b", behind=3)])
    (extract,) = joined.extract([DAY])
    assert extract.rows.column("refund_doc_no").to_pylist() == [f"a-{DAY}", f"b-{DAY}"]
    assert extract.complete_until == day_end(DAY) - timedelta(hours=3)
    assert joined.last_day() == DAY
    assert joined.probe() == "a answers; b answers"


def test_rows_are_counted_on_the_days_on_which_all_tell_theirs() -> None:
    joined = JoinedSource(REFUNDS, [Desk("a"), Desk("b")])
    assert joined.counts([DAY, DAY + timedelta(days=1)]) == {DAY: 4}


def test_a_day_that_one_of_them_has_not_is_not_half_a_day() -> None:
    days = [DAY + timedelta(days=number) for number in range(3)]
    extracts = JoinedSource(REFUNDS, [Desk("a"), Desk("b")]).extract(days)
    assert [extract.day for extract in (next(extracts), next(extracts))] == days[:2]
    with pytest.raises(NotReadyError):
        next(extracts)


def test_days_that_any_of_them_names_are_asked_again() -> None:
    known = {DAY + timedelta(days=number): "" for number in range(3)}
    joined = JoinedSource(REFUNDS, [Desk("a"), Desk("b")])
    assert joined.changed_days(datetime(2026, 10, 5, tzinfo=UTC), known) == {min(known), max(known)}


@pytest.mark.parametrize(
    ("left", "right", "sums"),
    [
        (totals(2, amount_fen=5), totals(3, amount_fen=7), totals(5, amount_fen=12)),
        (totals(2, amount_fen=5), totals(None), totals(None)),
        (totals(2), None, None),
    ],
)
def test_totals_add_where_both_declare_them(
    left: Control, right: Control | None, sums: Control | None
) -> None:
    joined = JoinedSource(REFUNDS, [Desk("a", control=left), Desk("b", control=right)])
    (extract,) = joined.extract([DAY])
    assert extract.control == sums
