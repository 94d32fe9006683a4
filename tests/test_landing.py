"""Landing: batches, revisions, watermarks, control totals and the quarantine."""

import json
import multiprocessing
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.conform import conform, hash_phone
from pipeline.errors import LandingError, TransientSourceError
from pipeline.landed import TABLES
from pipeline.landing import Control, Extract, Landing, business_day, day_end, day_start

KEY = b"a key of the tests"
DAY = date(2026, 10, 1)
ORDERS = TABLES["erp_orders"]
EVENTS = TABLES["tracking_events"]


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path / "landing", hash_key=KEY)


def order(number: str, **changes: str | None) -> dict[str, str | None]:
    return {
        "erp_order_no": number,
        "order_no": f"WX{number}",
        "state": "paid",
        "ordered_at": "2026-10-01T09:00:00+08:00",
        "created_at": "2026-10-01 01:00:05",
        "updated_at": "2026-10-01 01:00:05",
        "amount_fen": "1000",
        "phone": None,
        "freight_fen": None,
        "created_via": None,
        **changes,
    }


def extract(
    rows: list[dict[str, str | None]], day: date = DAY, control: Control | None = None
) -> Extract:
    return Extract(day, pa.Table.from_pylist(rows), day_end(day), control=control)


def test_a_business_day_is_the_shanghai_day_half_open() -> None:
    assert business_day(datetime(2026, 10, 1, 15, 59, 59, tzinfo=UTC)) == DAY
    assert business_day(datetime(2026, 10, 1, 16, 0, tzinfo=UTC)) == date(2026, 10, 2)
    assert day_end(DAY) - day_start(DAY) == timedelta(days=1)


def test_a_day_landed_twice_holds_one_batch(landing: Landing) -> None:
    first = landing.land(ORDERS, extract([order("1"), order("2")]), connector="files")
    second = landing.land(ORDERS, extract([order("2"), order("1")]), connector="files")
    assert second == first
    assert landing.batches() == [first]
    assert len(list(first.path.parent.glob("*.parquet"))) == 1


def test_other_content_is_a_revision_that_says_by_how_much(landing: Landing) -> None:
    first = landing.land(ORDERS, extract([order("1"), order("2")]), connector="files")
    second = landing.land(
        ORDERS, extract([order("1"), order("2", amount_fen="900")]), connector="files"
    )
    assert (second.revises, second.rows_changed) == (first.batch_id, 2)
    assert landing.batches() == [second]
    assert first.path.exists(), "the older batch stays for audit"


def test_the_old_content_again_is_a_revision_back(landing: Landing) -> None:
    first = landing.land(ORDERS, extract([order("1")]), connector="files")
    landing.land(ORDERS, extract([order("1", amount_fen="1")]), connector="files")
    third = landing.land(ORDERS, extract([order("1")]), connector="files")
    assert third.batch_id == first.batch_id
    assert [batch.batch_id for batch in landing.batches()] == [first.batch_id]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "weird"}, "state: found 'weird', allowed: draft, confirmed, paid"),
        ({"amount_fen": "12.5"}, "amount_fen: found '12.5', allowed: a whole number"),
        ({"amount_fen": "nan"}, "amount_fen: found 'nan', allowed: a whole number"),
        ({"amount_fen": None}, "amount_fen: found nothing, allowed: a whole number"),
        ({"ordered_at": "yesterday"}, "ordered_at: found 'yesterday', allowed: an ISO 8601"),
        ({"freight_fen": "free"}, "freight_fen: found 'free', allowed: a whole number"),
        ({"created_via": "phone"}, "created_via: found 'phone', allowed: interface, ui, import"),
        ({"erp_order_no": "  "}, "erp_order_no: found nothing, allowed: a value"),
    ],
)
def test_a_row_that_does_not_fit_is_quarantined_with_its_reason(
    landing: Landing, changes: dict[str, str | None], reason: str
) -> None:
    rows = [order("1"), order("2", **changes)]
    batch = landing.land(ORDERS, extract(rows), connector="files")
    (rejected,) = landing.rejected(batch)
    assert rejected.reason.startswith(reason)
    assert json.loads(rejected.raw)["order_no"] == "WX2"
    assert (batch.rows, batch.quarantined) == (1, 1)


def test_nothing_is_lost_between_the_source_and_the_batch(landing: Landing) -> None:
    rows = [order("1"), order("1"), order("2", state="?"), order("3")]
    batch = landing.land(ORDERS, extract(rows), connector="files")
    assert batch.rows + batch.quarantined + batch.repeated == len(rows)


def test_the_newest_version_of_a_key_counts(landing: Landing) -> None:
    rows = [
        order("1", state="done", updated_at="2026-10-02 00:00:00"),
        order("1", state="paid", updated_at="2026-10-01 00:00:00"),
    ]
    batch = landing.land(ORDERS, extract(rows), connector="files")
    assert pq.read_table(batch.path).column("state").to_pylist() == ["done"]


def test_one_key_with_two_contents_is_quarantined_where_nothing_says_which_is_newer(
    landing: Landing,
) -> None:
    event = {
        "event_id": "e1", "event": "page_view", "occurred_at": "2026-10-01T01:00:00Z",
        "channel": "h5", "session_id": "s1", "business_line": "retail",
    }  # fmt: skip
    rows = [event, dict(event), event | {"channel": "app"}]
    batch = landing.land(EVENTS, extract(rows), connector="files")
    (rejected,) = landing.rejected(batch)
    assert "found twice with different content" in rejected.reason
    assert (batch.rows, batch.repeated) == (1, 1)


def test_what_a_stranger_wrote_is_read_as_meant() -> None:
    rows = pa.table(
        {
            "erp_order_no": ["1"],
            "order_no": ["1001.0"],
            "state": ["paid"],
            "ordered_at": ["2026-10-01T09:00:00.5+08:00"],
            "created_at": ["2026-10-01 01:00:05"],
            "updated_at": ["2026-10-01T09:01+08:00"],
            "amount_fen": ["1000.0"],
            "freight_fen": [""],
            "a_column_of_their_own": ["x"],
        }
    )
    (row,) = conform(ORDERS, rows, hash_key=KEY).rows.to_pylist()
    assert row["order_no"] == "1001"
    assert row["amount_fen"] == 1000
    assert row["freight_fen"] is None
    assert row["ordered_at"] == datetime(2026, 10, 1, 1, 0, 0, 500000, tzinfo=UTC)
    assert row["created_at"] == datetime(2026, 10, 1, 1, 0, 5, tzinfo=UTC)
    assert row["updated_at"] == datetime(2026, 10, 1, 1, 1, tzinfo=UTC)


def test_a_phone_lands_only_as_its_keyed_hash(landing: Landing) -> None:
    numbers = ["13800001111", "+86 138-0000-1111", "0086 13800001111", "13800001111.0"]
    rows = [order(str(index), phone=number) for index, number in enumerate(numbers)]
    batch = landing.land(ORDERS, extract(rows), connector="files")
    hashes = set(pq.read_table(batch.path).column("phone").to_pylist())
    assert hashes == {hash_phone("13800001111", KEY)}
    assert hash_phone("13800001111", b"another key") not in hashes
    for file in batch.path.parents[2].rglob("*"):
        assert file.is_dir() or b"13800001111" not in file.read_bytes()


def test_phones_that_people_wrote_into_free_text_are_blanked(landing: Landing) -> None:
    pages = {
        "1": ("pages/pay?tel=13800001111&to=8613900002222", "pages/pay?tel=***&to=***"),
        "2": ("13800001111,13900002222,13700003333", "***,***,***"),
        "3": ("order 420001380000111122", "order 420001380000111122"),
    }
    rows = [
        {
            "event_id": number, "event": "page_view", "occurred_at": "2026-10-01T01:00:00Z",
            "channel": "mini_program", "session_id": "s", "business_line": "retail", "page": page,
        }
        for number, (page, _) in pages.items()
    ]  # fmt: skip
    batch = landing.land(TABLES["tracking_events"], extract(rows), connector="files")
    landed = {row["event_id"]: row["page"] for row in pq.read_table(batch.path).to_pylist()}
    assert landed == {number: blanked for number, (_, blanked) in pages.items()}


def test_a_phone_among_identities_lands_only_as_its_keyed_hash(landing: Landing) -> None:
    pairs = [
        {
            "left_kind": "openid", "left_value": "13800001111", "right_kind": "phone",
            "right_value": "13800001111", "seen_at": "2026-10-01T01:00:00Z",
        }
    ]  # fmt: skip
    batch = landing.land(TABLES["identities"], extract(pairs), connector="files")
    (row,) = pq.read_table(batch.path).to_pylist()
    assert row["right_value"] == hash_phone("13800001111", KEY)
    assert row["left_value"] == "13800001111", "an openid that looks like a phone is none"


def test_days_landed_together_are_as_if_landed_one_by_one(tmp_path: Path) -> None:
    days = [DAY + timedelta(days=number) for number in range(3)]
    # The same key on two days, a day without rows, and a column that only one day has.
    rows = [[order("1"), order("2", state="?")], [], [order("1") | {"currency": "CNY"}]]
    extracts = [extract(of_day, day) for of_day, day in zip(rows, days, strict=True)]
    together = Landing(tmp_path / "together" / "landing", hash_key=KEY)
    alone = Landing(tmp_path / "alone" / "landing", hash_key=KEY)
    landed = list(together.land_all(ORDERS, extracts, connector="files"))
    assert [(batch.rows, batch.quarantined) for batch in landed] == [(1, 1), (0, 0), (1, 0)]
    one_by_one = [alone.land(ORDERS, each, connector="files") for each in extracts]
    assert [batch.sha256 for batch in landed] == [batch.sha256 for batch in one_by_one]


def test_days_before_one_that_fails_are_landed(landing: Landing) -> None:
    def extracts() -> Iterator[Extract]:
        yield extract([order("1")])
        raise TransientSourceError("the line was cut")

    with pytest.raises(TransientSourceError):
        list(landing.land_all(ORDERS, extracts(), connector="files"))
    assert [batch.day for batch in landing.batches()] == [DAY]


def test_days_whose_column_changes_its_type_are_landed_all_the_same(landing: Landing) -> None:
    typed = pa.Table.from_pylist([order("1")]).drop_columns(["amount_fen"])
    typed = typed.append_column("amount_fen", pa.array([[7]], pa.list_(pa.int64())))
    tomorrow = DAY + timedelta(days=1)
    mixed = [extract([order("2")]), Extract(tomorrow, typed, day_end(tomorrow))]
    landed = list(landing.land_all(ORDERS, mixed, connector="files"))
    assert [(batch.rows, batch.quarantined) for batch in landed] == [(1, 0), (0, 1)]


def test_a_phone_in_quarantine_is_masked(landing: Landing) -> None:
    batch = landing.land(
        ORDERS, extract([order("1", phone="13800001111", state="?")]), connector="files"
    )
    (rejected,) = landing.rejected(batch)
    assert "1380000" not in rejected.raw + rejected.reason + rejected.place


def test_rows_that_do_not_tie_to_the_sources_count_are_refused(landing: Landing) -> None:
    with pytest.raises(LandingError, match="declares 3 rows, 1 arrived"):
        landing.land(ORDERS, extract([order("1")], control=Control(rows=3)), connector="files")
    assert landing.batches() == []


def test_rows_that_do_not_tie_to_the_sources_sum_are_refused(landing: Landing) -> None:
    control = Control(rows=1, sums={"amount_fen": 999})
    with pytest.raises(LandingError, match="amount_fen = 999, the rows sum to 1000"):
        landing.land(ORDERS, extract([order("1")], control=control), connector="files")


def test_a_broken_batch_leaves_the_one_before_current(landing: Landing) -> None:
    before = landing.land(ORDERS, extract([order("1")]), connector="files")
    with pytest.raises(LandingError):
        landing.land(ORDERS, extract([order("2")], control=Control(rows=9)), connector="files")
    assert landing.batches() == [before]


def test_a_day_without_rows_moves_the_watermark(landing: Landing) -> None:
    landing.land(ORDERS, extract([order("1")]), connector="files")
    tomorrow = DAY + timedelta(days=1)
    landing.land(ORDERS, Extract(tomorrow, pa.table({}), day_end(tomorrow)), connector="files")
    mark = landing.watermarks()["erp_orders"]
    assert (mark.complete_from, mark.complete_until) == (day_start(DAY), day_end(tomorrow))


def test_a_missing_day_holds_the_watermark_before_it(landing: Landing) -> None:
    landing.land(ORDERS, extract([order("1")]), connector="files")
    later = DAY + timedelta(days=2)
    landing.land(ORDERS, Extract(later, pa.table({}), day_end(later)), connector="files")
    assert landing.watermarks()["erp_orders"].complete_until == day_end(DAY)


def _land_and_die(folder: str, step: str) -> None:
    """Land a batch in a process that is killed at a step."""
    import pipeline.landing as module

    def die(*_: object) -> None:
        os._exit(9)

    landing = Landing(Path(folder), hash_key=KEY)
    if step == "before the file is renamed":
        module.Path.replace = die  # type: ignore[assignment,method-assign]
    else:
        landing._manifest = die  # type: ignore[method-assign,assignment]
        landing._current = lambda *_: None  # type: ignore[method-assign]
    landing.land(ORDERS, extract([order("1")]), connector="files")


@pytest.mark.parametrize("step", ["before the file is renamed", "before the manifest entry"])
def test_a_process_killed_while_landing_leaves_nothing_half_landed(
    tmp_path: Path, step: str
) -> None:
    folder = tmp_path / "landing"
    process = multiprocessing.get_context("spawn").Process(
        target=_land_and_die, args=(str(folder), step)
    )
    process.start()
    process.join()
    assert process.exitcode == 9
    landing = Landing(folder, hash_key=KEY)
    assert landing.batches() == []
    again = landing.land(ORDERS, extract([order("1")]), connector="files")
    assert landing.batches() == [again]
