"""Bills are kept while WeChat Pay gives them out, and read from what was kept afterwards."""

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from pipeline.company import Company
from pipeline.errors import BrokenContentError, PermanentSourceError
from pipeline.sources.wechat.archive import BillArchive
from tests.wechat_bills import PAYMENT, SUMMARY, Platform, bill, write_keys, zipped
from tests.wechat_world import DAY, Line, source, write_company

MONTHS_LATER = datetime(2027, 1, 5, 4, tzinfo=UTC)


@pytest.fixture
def company(tmp_path: Path) -> Company:
    write_keys(tmp_path)
    return write_company(tmp_path)


def archived(company: Company) -> list[Path]:
    return sorted((company.data / "bills" / "1900000109").iterdir())


def fetch(company: Company, line: Line, day: date = DAY) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = next(
        source(company, "pay_bill", line).extract([day])
    ).rows.to_pylist()
    return rows


def later(platform: Platform) -> Line:
    line = platform.line()
    line.now = MONTHS_LATER
    return line


def test_a_bill_is_kept_as_downloaded_once_and_for_its_owner_only(company: Company) -> None:
    file = zipped(bill())
    fetch(company, Platform([file]).line())
    fetch(company, Platform([file]).line())
    (kept,) = archived(company)
    assert kept.name.startswith("2026-10-03.tradebill-ALL.")
    assert kept.name.endswith(".csv.gz")
    assert kept.read_bytes() == file
    assert kept.stat().st_mode & 0o077 == 0


def test_an_old_day_is_read_from_the_archive_without_a_call(company: Company) -> None:
    fresh = fetch(company, Platform([zipped(bill())]).line())
    line = later(Platform([]))
    assert fetch(company, line) == fresh
    assert line.asked == []


def test_a_day_without_trade_stays_one_after_three_months(company: Company) -> None:
    refusing = Platform([], refusals=[(400, "NO_STATEMENT_EXIST")])
    assert fetch(company, refusing.line()) == []
    line = later(Platform([]))
    extract = next(source(company, "pay_bill", line).extract([DAY]))
    assert (extract.rows.num_rows, extract.control and extract.control.rows) == (0, 0)
    assert line.asked == []


def test_a_day_that_neither_has_is_an_error_that_says_what_to_do(company: Company) -> None:
    line = later(Platform([zipped(bill())]))
    with pytest.raises(PermanentSourceError, match="3 months") as caught:
        fetch(company, line)
    assert "backup" in caught.value.next_step
    assert line.asked == []


def test_the_last_day_of_the_three_months_is_still_asked_for(company: Company) -> None:
    line = Platform([zipped(bill())]).line()
    line.now = datetime(2027, 1, 3, 4, tzinfo=UTC)
    assert len(fetch(company, line)) == 2
    line.now = datetime(2027, 1, 4, 4, tzinfo=UTC)
    line.asked.clear()
    assert len(fetch(company, line)) == 2
    assert line.asked == []


def test_where_wechat_draws_the_line_earlier_the_archive_serves(company: Company) -> None:
    fresh = fetch(company, Platform([zipped(bill())]).line())
    for code in ("PARAM_ERROR", "INVALID_REQUEST"):
        assert fetch(company, Platform([], refusals=[(400, code)]).line()) == fresh
    with pytest.raises(PermanentSourceError, match="SIGN_ERROR"):
        fetch(company, Platform([], refusals=[(401, "SIGN_ERROR")]).line())
    with pytest.raises(PermanentSourceError, match="PARAM_ERROR"):
        fetch(company, Platform([], refusals=[(400, "PARAM_ERROR")]).line(), date(2026, 10, 2))


def test_a_broken_bill_is_not_kept(company: Company) -> None:
    wrong = bill([PAYMENT], ["1", "95.00", "0.00", "0.00", "0.57", "100.01", "0.00"])
    with pytest.raises(BrokenContentError):
        fetch(company, Platform([zipped(wrong)]).line())
    assert not (company.data / "bills").exists()


def test_a_kept_file_that_was_changed_is_named(company: Company) -> None:
    fetch(company, Platform([zipped(bill())]).line())
    (kept,) = archived(company)
    kept.write_bytes(zipped(bill([PAYMENT], ["1", *["0.00"] * (len(SUMMARY) - 1)])))
    with pytest.raises(BrokenContentError, match=r"another SHA-256") as caught:
        fetch(company, later(Platform([])))
    assert "backup" in caught.value.next_step
    kept.write_bytes(zipped(bill())[:-20])
    with pytest.raises(BrokenContentError, match="cut or damaged"):
        fetch(company, later(Platform([])))


def test_the_same_text_zipped_at_another_time_is_one_file(tmp_path: Path) -> None:
    archive = BillArchive(tmp_path, "1900000109")
    archive.keep(DAY, "tradebill-ALL", zipped(bill()), bill())
    archive.keep(DAY, "tradebill-ALL", bill(), bill())
    assert len(list(archive.folder.iterdir())) == 1
    assert archive.find(DAY, "tradebill-ALL") == bill()
    assert archive.find(DAY, "tradebill-SUCCESS") is None


def test_a_bill_comes_before_a_day_without_one_and_the_newest_first(tmp_path: Path) -> None:
    archive = BillArchive(tmp_path, "1900000109")
    archive.keep(DAY, "tradebill-ALL", b"older", b"older")
    archive.keep(DAY, "tradebill-ALL", b"newer", b"newer")
    archive.keep_empty(DAY, "tradebill-ALL")
    (older,) = (path for path in archive.folder.iterdir() if path.read_bytes() == b"older")
    os.utime(older, (0, 0))
    assert archive.find(DAY, "tradebill-ALL") == b"newer"


def test_what_was_being_written_when_the_process_died_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = BillArchive(tmp_path, "1900000109")

    def die(_: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", die)
        with pytest.raises(KeyboardInterrupt):
            archive.keep(DAY, "tradebill-ALL", b"half", b"half and half")
    assert archive.find(DAY, "tradebill-ALL") is None
    assert list(archive.folder.iterdir()) == []
