"""Deletions leave no trace but a count: which days are landed again where a source counts."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.company import Connection, TableSource
from pipeline.defs.landing import choose_days, land_days
from pipeline.errors import (
    BrokenContentError,
    NotReadyError,
    PermanentSourceError,
    QuotaOfDayError,
    SourceError,
    TransientSourceError,
)
from pipeline.landed import TABLES, LandedTable
from pipeline.landing import Extract, Landing, day_end
from pipeline.sources.records import Asked, Record, RecordSource
from tests.sql_company import DAYS, FIRST_DAY, landing_in, make_company


class Counted:
    """A source of refunds that says how many it holds; `asked` are the days that it was asked."""

    table: LandedTable = TABLES["erp_refunds"]
    connector = "counted"
    ready_at = time(0)

    def __init__(self, held: Mapping[date, int]) -> None:
        self.held = held
        self.asked: list[date] = []

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        for day in days:
            numbers = [f"{day}-{count}" for count in range(self.held[day])]
            rows = pa.table({
                "refund_doc_no": pa.array(numbers, pa.string()),
                "amount_fen": [100] * len(numbers),
                "posted_at": [f"{day}T08:00:00Z"] * len(numbers),
            })  # fmt: skip
            yield Extract(day, rows, day_end(day))

    def changed_days(self, since: datetime | None, known: Mapping[date, str]) -> set[date]:
        return set()

    def counts(self, days: Sequence[date]) -> Mapping[date, int]:
        self.asked = list(days)
        return {day: self.held[day] for day in days if day in self.held}

    def probe(self) -> str:
        return "counted"

    def last_day(self) -> date | None:
        return None


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    landing = landing_in(tmp_path)
    source = Counted(dict.fromkeys(DAYS, 3))
    for extract in source.extract(DAYS):
        landing.land(source.table, extract, connector="counted")
    return landing


def chosen(source: Counted, landing: Landing, until: date = DAYS[-1]) -> list[date]:
    return choose_days(
        source, landing, [until], first_day=FIRST_DAY, trailing_days=0, catch_up=True
    )


def test_a_landed_day_with_another_count_is_landed_again(landing: Landing) -> None:
    assert chosen(Counted(dict.fromkeys(DAYS, 3)), landing) == []
    assert chosen(Counted({DAYS[0]: 3, DAYS[1]: 2, DAYS[2]: 4}), landing) == DAYS[1:]


def test_a_day_of_which_the_source_cannot_tell_is_left_alone(landing: Landing) -> None:
    assert chosen(Counted({}), landing) == []


def test_only_days_that_are_landed_whole_are_counted(landing: Landing) -> None:
    source = Counted(dict.fromkeys(DAYS, 3))
    assert chosen(source, landing, DAYS[-1] + timedelta(days=1)) == [DAYS[-1] + timedelta(days=1)]
    assert source.asked == DAYS


class Faulty(Counted):
    """A source that fails on some days, each with an error of its own."""

    def __init__(self, errors: Mapping[date, SourceError]) -> None:
        super().__init__(dict.fromkeys(DAYS, 3))
        self.errors = errors

    def extract(self, days: Sequence[date]) -> Iterator[Extract]:
        for day in days:
            if day in self.errors:
                raise self.errors[day]
            yield from super().extract([day])


BROKEN = BrokenContentError("the bill does not tie")


def landed_by(source: Counted, folder: Path, days: Sequence[date]) -> tuple[list[date], str]:
    landing, message = landing_in(folder), ""
    try:
        list(land_days(source, landing, days))
    except SourceError as error:
        message = error.message
    return [batch.day for batch in landing.batches(source.table.name)], message


def test_a_day_that_cannot_be_had_holds_no_later_day_up(tmp_path: Path) -> None:
    source = Faulty({DAYS[1]: BROKEN})
    assert landed_by(source, tmp_path, DAYS) == ([DAYS[0], DAYS[2]], "the bill does not tie")
    watermark = landing_in(tmp_path).watermarks()["erp_refunds"]
    assert watermark.complete_until == day_end(DAYS[0])
    source = Faulty({DAYS[1]: NotReadyError("not built yet")})
    assert landed_by(source, tmp_path, DAYS[1:])[1] == "not built yet"


def test_before_a_first_landed_day_none_is_left_out(tmp_path: Path) -> None:
    # The watermark would begin after it, and its cases would be taken for refuted.
    assert landed_by(Faulty({DAYS[0]: BROKEN}), tmp_path, DAYS) == ([], "the bill does not tie")


@pytest.mark.parametrize(
    "error",
    [
        QuotaOfDayError("used up"), TransientSourceError("busy"), PermanentSourceError("no right"),
    ],
)  # fmt: skip
def test_what_ails_the_whole_account_ends_the_landing(tmp_path: Path, error: SourceError) -> None:
    source = Faulty({DAYS[1]: error})
    assert landed_by(source, tmp_path, DAYS) == ([DAYS[0]], error.message)


def test_many_days_in_a_row_that_cannot_be_had_end_it(tmp_path: Path) -> None:
    days = [FIRST_DAY + timedelta(days=count) for count in range(6)]
    source = Faulty(dict.fromkeys(days[1:5], BROKEN))
    source.held = dict.fromkeys(days, 3)
    assert landed_by(source, tmp_path, days) == (days[:1], "the bill does not tie")


class Booked(RecordSource):
    """Refunds of a system that answers how many there are from one instant to another."""

    connector = "booked"
    counted_by = "question"
    held: Mapping[date, int] = dict(zip(DAYS, [5, 0, 7], strict=True))

    @property
    def _what(self) -> str:
        return "refunds"

    def _field_names(self) -> None:
        return None

    def _pages(self, asked: Asked) -> Iterator[Sequence[Record]]:
        yield []

    def _count(self, asked: Asked) -> int | None:
        (day,) = [day for day in DAYS if asked.until == day_end(day)]
        return self.held[day]


def booked(folder: Path, kind: type[Booked] = Booked, **changed: object) -> Booked:
    settings = TableSource.model_validate({
        "connector": "booked", "connection": "erp",
        "columns": {"refund_doc_no": "no", "amount_fen": "fen", "posted_at": "at"}, **changed,
    })  # fmt: skip
    company = make_company(folder, {})
    return kind(TABLES["erp_refunds"], settings, Connection(), company)


def test_a_system_of_records_is_asked_for_one_count_per_recent_day(tmp_path: Path) -> None:
    assert booked(tmp_path).counts(DAYS) == {DAYS[1]: 0, DAYS[2]: 7}
    assert booked(tmp_path, reconcile_days=1).counts(DAYS) == {DAYS[2]: 7}


def test_records_that_are_taken_apart_are_not_compared_with_a_count(tmp_path: Path) -> None:
    assert booked(tmp_path, each="lines").counts(DAYS) == {}


class Dated(Booked):
    """Refunds of a system that tells when each of them was posted."""

    counted_by = "dates"
    posted: Sequence[str | None] = (
        "2026-10-01 08:00:00+08:00", "2026-10-01 08:00:00+08:00", "2026-10-03 23:59:59+08:00",
        None, "no date at all",
    )  # fmt: skip

    def _pages(self, asked: Asked) -> Iterator[Sequence[Record]]:
        assert asked.fields == ("at",)
        yield [{"at": at} for at in self.posted]


def test_records_are_counted_by_what_dates_them_each_alike_or_not(tmp_path: Path) -> None:
    source = booked(tmp_path, Dated)
    # The first day of the company, to which all that is older belongs, is not counted.
    assert source.counts(DAYS) == {DAYS[1]: 0, DAYS[2]: 1}
    assert booked(tmp_path, Dated, reconcile_days=1).counts(DAYS) == {DAYS[2]: 1}
    assert booked(tmp_path, Dated, reconcile_days=0).counts(DAYS) == {}


class Alike(Booked):
    """Refunds that differ in nothing that is mapped."""

    gives_each_once = True

    def _pages(self, asked: Asked) -> Iterator[Sequence[Record]]:
        yield [{"no": None, "fen": 1, "at": "2026-10-01 08:00:00+08:00"}] * 5


def test_records_that_look_alike_are_no_sign_that_some_are_missing(tmp_path: Path) -> None:
    (extract,) = booked(tmp_path, Alike).extract(DAYS[:1])
    assert extract.rows.num_rows == 5
    Alike.gives_each_once = False
    with pytest.raises(TransientSourceError, match="read 1 records, the system counts 5"):
        list(booked(tmp_path, Alike).extract(DAYS[:1]))
