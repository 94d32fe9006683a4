"""Files as companies export them: what lands, what is set aside, and how far a file reaches."""

import gzip
import json
import logging
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from file_company import FIRST_DAY, ids, make_company, only, open_files, write_workbook

from pipeline.conform import PLACE
from pipeline.errors import BrokenContentError, NotReadyError, PermanentSourceError, SourceError
from pipeline.landed import TABLES
from pipeline.landing import Landing, day_end, day_start
from pipeline.sources import open_source
from pipeline.sources.files import CLOCK_TICK_SECONDS, FileSource

DAYS = [FIRST_DAY + timedelta(days=count) for count in range(3)]
CONTACTS = {
    "contact_id": "会员编号",
    "phone": "手机号",
    "source": "来源",
    "created_at": "创建时间",
    "updated_at": "更新时间",
    "created_via": {"from": "创建方式", "values": {"接口": "interface", "手工": "ui"}},
}
CONTACT_LINES = [
    "会员编号,姓名,手机号,来源,创建时间,更新时间,创建方式",
    "c1,王小明,13800138000,门店,2026-09-01 08:00:00,2026-10-02 09:00:00,手工",
    'c2,"李,四",13900139000,小程序,2026-10-01 23:59:59,2026-10-01 23:59:59,接口',
    "c3,张三,13700137000,小程序,2026-10-02 00:00:00,2026-10-02 00:00:00,接口",
]


def open_contacts(folder: Path, **settings: Any) -> FileSource:
    wiring = {"files": "会员_{day}.csv", "holds": "history", "time_zone": "Asia/Shanghai"}
    return open_files(folder, "crm_contacts", columns=CONTACTS, **(wiring | settings))


def write_contacts(folder: Path, content: bytes, day: str = "20261003") -> Path:
    path = folder / f"会员_{day}.csv"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
def test_an_export_reads_the_same_in_every_encoding_that_companies_use(
    tmp_path: Path, encoding: str
) -> None:
    write_contacts(tmp_path, "\r\n".join(CONTACT_LINES).encode(encoding))
    first, second, third = open_contacts(tmp_path).extract(DAYS)
    assert (ids(first), ids(second), ids(third)) == (["c1", "c2"], ["c3"], [])
    assert first.rows.column("source").to_pylist() == ["门店", "小程序"]
    assert first.rows.column("created_via").to_pylist() == ["ui", "interface"]
    assert first.rows.column(PLACE).to_pylist() == ["会员_20261003.csv:2", "会员_20261003.csv:3"]


def test_naive_instants_are_read_in_the_declared_zone(tmp_path: Path) -> None:
    write_contacts(tmp_path, "\n".join(CONTACT_LINES).encode())
    first, *_ = open_contacts(tmp_path).extract(DAYS)
    last = first.rows.column("created_at").to_pylist()[-1]
    assert last.astimezone(UTC) == datetime(2026, 10, 1, 15, 59, 59, tzinfo=UTC)


def test_rows_made_before_the_first_day_are_its_opening_balance(tmp_path: Path) -> None:
    write_contacts(tmp_path, "\n".join(CONTACT_LINES).encode())
    second = only(list(open_contacts(tmp_path).extract(DAYS[1:2])))
    assert ids(second) == ["c3"]
    assert "c1" in ids(only(list(open_contacts(tmp_path).extract(DAYS[:1]))))


def test_a_broken_row_of_a_gbk_file_is_set_aside_and_the_rest_lands(tmp_path: Path) -> None:
    lines = [line.encode("gbk") for line in CONTACT_LINES]
    lines.insert(2, b"c9,\xb5,13800138009,\xff\xff,2026-10-01 10:00:00,2026-10-01 10:00:00,x")
    lines.insert(4, "c8,少了,13800138008".encode("gbk"))
    write_contacts(tmp_path, b"\n".join(lines))
    for settings in ({}, {"encoding": "gbk"}):
        first, second, _ = open_contacts(tmp_path, **settings).extract(DAYS)
        assert ids(first) + ids(second) == ["c1", "c2", "c3"]
        assert [row.place for row in first.rejected] == [
            "会员_20261003.csv:3",
            "会员_20261003.csv:5",
        ]
        assert "GB18030" in first.rejected[0].reason
        assert first.rejected[1].reason == "found 3 fields, allowed: 7 fields, as in the header"
        assert "13800138" not in "".join(row.raw + row.reason for row in first.rejected)
        assert first.rows.column(PLACE).to_pylist()[-1] == "会员_20261003.csv:4"


def test_an_unknown_word_sets_its_row_aside_and_lists_the_known_ones(tmp_path: Path) -> None:
    broken = "c4,赵六,13600136000,门店,2026-10-02 01:00:00,2026-10-02 01:00:00,扫码"
    write_contacts(tmp_path, "\n".join([*CONTACT_LINES, broken]).encode("gbk"))
    first, second, _ = open_contacts(tmp_path).extract(DAYS)
    assert not first.rejected
    (row,) = second.rejected
    assert row.place == "会员_20261003.csv:5"
    assert row.reason == "created_via: found '扫码' in 创建方式, allowed: 接口, 手工"
    assert json.loads(row.raw)["手机号"] == "***"
    assert "136" not in row.raw
    assert "赵六" not in row.raw


def test_an_instant_that_cannot_be_read_sets_its_row_aside(tmp_path: Path) -> None:
    broken = "c4,赵六,13600136000,门店,昨天,2026-10-02 01:00:00,手工"
    write_contacts(tmp_path, "\n".join([*CONTACT_LINES, broken]).encode("gbk"))
    first, *_ = open_contacts(tmp_path).extract(DAYS)
    assert [row.reason for row in first.rejected] == [
        "created_at: found '昨天' in 创建时间, allowed: an instant such as 2026-10-01 08:00:00"
    ]


def test_a_quote_left_open_costs_its_own_row_only(tmp_path: Path) -> None:
    lines = [*CONTACT_LINES[:2], CONTACT_LINES[2].replace('四"', "四"), CONTACT_LINES[3]]
    write_contacts(tmp_path, "\n".join(lines).encode())
    first, second, _ = open_contacts(tmp_path).extract(DAYS)
    assert (ids(first), ids(second)) == (["c1"], ["c3"])
    assert [row.place for row in first.rejected] == ["会员_20261003.csv:3"]
    assert "a quote left open" in first.rejected[0].reason


def test_a_quote_left_open_in_the_last_field_swallows_no_rows(tmp_path: Path) -> None:
    lines = [*CONTACT_LINES[:2], CONTACT_LINES[2].replace(",接口", ',"接口'), CONTACT_LINES[3]]
    write_contacts(tmp_path, "\n".join(lines).encode())
    first, second, _ = open_contacts(tmp_path).extract(DAYS)
    assert (ids(first), ids(second)) == (["c1"], ["c3"])
    assert [row.place for row in first.rejected] == ["会员_20261003.csv:3"]


def test_line_numbers_count_line_breaks_inside_fields(tmp_path: Path) -> None:
    lines = [
        CONTACT_LINES[0],
        CONTACT_LINES[2].replace("李,四", "李\n四"),
        "",
        CONTACT_LINES[3],
        "x",
    ]
    write_contacts(tmp_path, "\n".join(lines).encode())
    first, second, _ = open_contacts(tmp_path).extract(DAYS)
    assert first.rows.column(PLACE).to_pylist() == ["会员_20261003.csv:2"]
    assert second.rows.column(PLACE).to_pylist() == ["会员_20261003.csv:5"]
    assert [row.place for row in first.rejected] == ["会员_20261003.csv:6"]


def test_title_lines_above_the_header_are_passed_over(tmp_path: Path) -> None:
    titled = ["会员导出", "2026-10-03,,", *CONTACT_LINES, ",,,,,,"]
    write_contacts(tmp_path, "\n".join(titled).encode("gbk"))
    first, *_ = open_contacts(tmp_path, header_row=3).extract(DAYS)
    assert first.rows.column(PLACE).to_pylist() == ["会员_20261003.csv:4", "会员_20261003.csv:5"]


def test_a_column_that_is_not_there_is_named_with_its_nearest_match(tmp_path: Path) -> None:
    renamed = CONTACT_LINES[0].replace("创建时间", "创建的时间")
    write_contacts(tmp_path, "\n".join([renamed, *CONTACT_LINES[1:]]).encode("gbk"))
    with pytest.raises(PermanentSourceError, match=r"'创建时间'.*did you mean '创建的时间'"):
        list(open_contacts(tmp_path).extract(DAYS))


def test_a_file_without_a_header_is_broken(tmp_path: Path) -> None:
    write_contacts(tmp_path, b"")
    with pytest.raises(BrokenContentError, match=r"会员_20261003.csv: found no column names"):
        list(open_contacts(tmp_path).extract(DAYS))


def test_the_newest_history_file_is_complete_to_the_end_of_its_day(tmp_path: Path) -> None:
    write_contacts(tmp_path, "\n".join(CONTACT_LINES[:2]).encode(), "20261002")
    write_contacts(tmp_path, "\n".join(CONTACT_LINES).encode(), "2026-10-03")
    source = open_contacts(tmp_path)
    extracts = list(source.extract(DAYS))
    assert [extract.complete_until for extract in extracts] == [day_end(day) for day in DAYS]
    assert sum(extract.rows.num_rows for extract in extracts) == 3
    assert source.last_day() == DAYS[2]
    with pytest.raises(NotReadyError, match=r"2026-10-04.*the newest is of 2026-10-03"):
        list(source.extract([date(2026, 10, 4)]))


EVENT_COLUMNS = {
    "event_id": "eid",
    "event": "name",
    "occurred_at": {"from": "ts", "unit": "milliseconds"},
    "channel": {"from": "plat", "values": {"mp": "mini_program"}},
    "session_id": "s.id",
    "business_line": "biz",
    "amount_fen": {"from": "amount", "unit": "yuan"},
}


def event(number: int, **changed: Any) -> dict[str, Any]:
    at = day_start(FIRST_DAY) + timedelta(seconds=number)
    return {
        "eid": f"e{number}",
        "name": "order_submit",
        "ts": int(at.timestamp() * 1000) + 123,
        "plat": "mp",
        "s": {"id": f"s{number}"},
        "biz": "retail",
        "amount": 199.9,
    } | changed


def write_events(folder: Path, lines: list[str], day: str = "20261001") -> Path:
    path = folder / f"events-{day}.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def open_events(folder: Path, **settings: Any) -> FileSource:
    return open_files(
        folder,
        "tracking_events",
        **({"files": "events-{day}.jsonl.gz", "columns": EVENT_COLUMNS} | settings),
    )


def test_events_of_a_day_are_read_from_its_gzipped_json_lines(tmp_path: Path) -> None:
    write_events(tmp_path, [json.dumps(event(0)), "", json.dumps(event(1, amount=None))])
    extract = only(list(open_events(tmp_path).extract(DAYS[:1])))
    rows = extract.rows.to_pylist()
    assert extract.complete_until == day_end(FIRST_DAY)
    assert [row["event_id"] for row in rows] == ["e0", "e1"]
    assert [row["amount_fen"] for row in rows] == [19990, None]
    assert rows[0]["session_id"] == "s0"
    assert rows[0]["occurred_at"].astimezone(UTC) == datetime(
        2026, 9, 30, 16, 0, 0, 123000, tzinfo=UTC
    )
    assert rows[1][PLACE] == "events-20261001.jsonl.gz:3"


def test_a_broken_json_line_is_set_aside_and_the_rest_lands(tmp_path: Path) -> None:
    write_events(
        tmp_path,
        [json.dumps(event(0)), '{"eid": "e1", "phone": 13800138000', "[1]", json.dumps(event(2))],
    )
    extract = only(list(open_events(tmp_path).extract(DAYS[:1])))
    assert ids(extract, "event_id") == ["e0", "e2"]
    assert [row.place for row in extract.rejected] == [
        "events-20261001.jsonl.gz:2",
        "events-20261001.jsonl.gz:3",
    ]
    assert "13800138000" not in extract.rejected[0].raw


def test_a_truncated_gzip_file_is_broken_and_named(tmp_path: Path) -> None:
    path = write_events(tmp_path, [json.dumps(event(number)) for number in range(1000)])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BrokenContentError, match=r"events-20261001.jsonl.gz: .*cut short"):
        list(open_events(tmp_path).extract(DAYS[:1]))
    path.write_bytes(b"not gzip at all")
    with pytest.raises(BrokenContentError, match=r"events-20261001.jsonl.gz"):
        list(open_events(tmp_path).extract(DAYS[:1]))


def test_a_day_without_its_file_is_not_ready_rather_than_empty(tmp_path: Path) -> None:
    write_events(tmp_path, [json.dumps(event(0))])
    extracts = open_events(tmp_path).extract(DAYS)
    assert next(extracts).day == FIRST_DAY
    with pytest.raises(
        NotReadyError, match=r"2026-10-02: found no file 'events-20261002.jsonl.gz'"
    ):
        next(extracts)


def test_days_after_one_without_its_file_are_landed_all_the_same(tmp_path: Path) -> None:
    for day in (DAYS[0], DAYS[2]):
        write_events(tmp_path, [json.dumps(event(0))], f"{day:%Y%m%d}")
    extracts = open_events(tmp_path).extract(DAYS)
    assert [next(extracts).day, next(extracts).day] == [DAYS[0], DAYS[2]]
    with pytest.raises(NotReadyError, match="2026-10-02"):
        next(extracts)


def test_an_epoch_in_another_unit_than_mapped_is_refused(tmp_path: Path) -> None:
    write_events(tmp_path, [json.dumps(event(0))])
    seconds = EVENT_COLUMNS | {"occurred_at": {"from": "ts", "unit": "seconds"}}
    extract = only(list(open_events(tmp_path, columns=seconds).extract(DAYS[:1])))
    assert extract.rows.num_rows == 0
    assert "allowed: seconds since 1970" in extract.rejected[0].reason


def test_a_required_name_that_no_line_bears_is_a_mistake_in_the_mapping(tmp_path: Path) -> None:
    write_events(tmp_path, [json.dumps(event(0))])
    columns = EVENT_COLUMNS | {"business_line": "bizz"}
    with pytest.raises(PermanentSourceError, match=r"'bizz'.*did you mean 'biz'"):
        list(open_events(tmp_path, columns=columns).extract(DAYS[:1]))


@pytest.mark.parametrize(
    ("written", "fen"),
    [
        ("199.90", 19990), ("0.1", 10), ("-5", -500), ("1,234.50", 123450), ("￥12", 1200),
        ("9999999999999.99", 999999999999999), ("199.90000000000001", 19990),
        ("12.345", None), ("1,5", None), ("十元", None),
    ],
)  # fmt: skip
def test_yuan_become_fen_exactly_or_not_at_all(
    tmp_path: Path, written: str, fen: int | None
) -> None:
    write_events(tmp_path, [json.dumps(event(0, amount=written))])
    extract = only(list(open_events(tmp_path).extract(DAYS[:1])))
    assert extract.rows.column("amount_fen").to_pylist() == ([] if fen is None else [fen])
    assert bool(extract.rejected) == (fen is None)


def test_a_workbook_reads_like_the_plain_export(tmp_path: Path) -> None:
    cells: list[list[Any]] = [line.replace('"', "").split(",") for line in CONTACT_LINES[:2]]
    cells[1][2] = 13800138000
    cells[1][4] = datetime(2026, 9, 1, 8, tzinfo=UTC).replace(tzinfo=None)
    write_workbook(tmp_path / "会员_20261003.xlsx", [["会员"], cells[0], [None], cells[1]])
    settings = {"files": "会员_{day}.xlsx", "sheet": "会员", "header_row": 2}
    extract = only(list(open_contacts(tmp_path, **settings).extract(DAYS[:1])))
    (row,) = extract.rows.to_pylist()
    assert row["contact_id"] == "c1"
    assert row["phone"] == "13800138000"
    assert row["created_at"].astimezone(UTC) == datetime(2026, 9, 1, tzinfo=UTC)
    assert row[PLACE] == "会员_20261003.xlsx:4"
    with pytest.raises(PermanentSourceError, match=r"found no sheet '客户'.*会员"):
        list(open_contacts(tmp_path, **(settings | {"sheet": "客户"})).extract(DAYS[:1]))


def test_order_numbers_that_a_spreadsheet_rounded_are_refused(tmp_path: Path) -> None:
    head = [
        "receipt_no",
        "erp_order_no",
        "transaction_id",
        "amount_fen",
        "received_at",
        "created_at",
    ]
    rows = [head, ["r1", "o1", 4200002345202610010123456789, 100, "2026-10-01", "2026-10-01"]]
    write_workbook(tmp_path / "erp_receipts.xlsx", rows)
    with pytest.raises(
        PermanentSourceError, match=r"erp_receipts.xlsx:2: transaction_id: found 4.2"
    ):
        list(open_files(tmp_path, "erp_receipts", files="erp_receipts.xlsx").extract(DAYS[:1]))
    lines = [",".join(head), "r1,o1,4.2E+27,100,2026-10-01,2026-10-01"]
    (tmp_path / "erp_receipts.csv").write_text("\n".join(lines))
    with pytest.raises(PermanentSourceError, match=r"found 4.2E\+27, allowed: all its digits"):
        list(open_files(tmp_path, "erp_receipts", files="erp_receipts.csv").extract(DAYS[:1]))


def test_what_is_not_a_workbook_or_parquet_is_broken_by_name(tmp_path: Path) -> None:
    for name in ("erp_receipts.xlsx", "erp_receipts.parquet"):
        (tmp_path / name).write_bytes(b"hello")
        with pytest.raises(BrokenContentError, match=name):
            list(open_files(tmp_path, "erp_receipts", files=name).extract(DAYS[:1]))


ORDERS = pd.DataFrame(
    {
        "updated_at": ["2026-10-01T08:00:00+08:00", "2026-10-01 17:00:00", "2026-10-02T16:00:00Z"],
        "erp_order_no": ["S1", "S2", "S3"],
        "order_no": ["O1", None, "O3"],
        "state": ["paid", "draft", "done"],
        "ordered_at": ["2026-10-01T08:00:00+08:00", "2026-10-01 17:00:00", "2026-10-02T16:00:00Z"],
        "created_at": ["2026-10-01T08:00:00+08:00", "2026-10-01 17:00:00", "2026-10-02T16:00:00Z"],
        "amount_fen": [1234.0, 5.0, 7.0],
        "discount_fen": [None, 1.0, None],
        "sales_region": ["华东", "华南", "华北"],
    }
)


def write_orders(folder: Path, suffix: str) -> str:
    name = f"erp_orders.{suffix}"
    if suffix.startswith("csv"):
        ORDERS.to_csv(folder / name, index=False)
    elif suffix == "parquet":
        ORDERS.to_parquet(folder / name)
    else:
        ORDERS.to_json(folder / name, orient="records", lines=True, force_ascii=False)
    return name


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet", "jsonl", "jsonl.gz"])
def test_a_canonical_drop_lands_as_it_is_day_by_day(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = open_files(tmp_path, "erp_orders", files=write_orders(tmp_path, suffix))
    landing = Landing(tmp_path / "landing", hash_key=b"0123456789abcdef")
    with caplog.at_level(logging.WARNING):
        extracts = list(source.extract(DAYS))
        source.probe()
    batches = [landing.land(source.table, extract, connector="files") for extract in extracts]
    assert [ids(extract, "erp_order_no") for extract in extracts] == [["S1"], ["S2"], ["S3"]]
    assert [batch.sums["amount_fen"] for batch in batches] == [1234, 5, 7]
    assert [batch.quarantined for batch in batches] == [0, 0, 0]
    told = [message for message in caplog.messages if "sales_region" in message]
    assert told == [
        f"erp_orders.{suffix}: ignored sales_region, not of the landed table erp_orders"
    ]


def test_a_drop_without_a_manifest_is_complete_until_its_greatest_instant(tmp_path: Path) -> None:
    source = open_files(tmp_path, "erp_orders", files=write_orders(tmp_path, "csv"))
    greatest = datetime(2026, 10, 2, 16, tzinfo=UTC)
    extracts = list(source.extract([*DAYS, date(2026, 10, 4)]))
    assert [extract.complete_until for extract in extracts] == [
        day_end(DAYS[0]), day_end(DAYS[1]), greatest, greatest,
    ]  # fmt: skip
    assert extracts[-1].rows.num_rows == 0
    assert source.last_day() == DAYS[2]


def test_a_manifest_tells_how_far_a_drop_is_complete_and_later_rows_still_land(
    tmp_path: Path,
) -> None:
    name = write_orders(tmp_path, "csv")
    manifest = tmp_path / "_manifest.csv"
    manifest.write_text("table,complete_until\nerp_orders,2026-10-02T12:00:00+08:00\n")
    told = datetime(2026, 10, 2, 4, tzinfo=UTC)
    extracts = list(open_files(tmp_path, "erp_orders", files=name).extract(DAYS))
    assert [extract.complete_until for extract in extracts] == [day_end(DAYS[0]), told, told]
    assert ids(extracts[2], "erp_order_no") == ["S3"]
    manifest.write_text("table,complete_until\nerp_orders,yesterday\n")
    with pytest.raises(PermanentSourceError, match=r"_manifest.csv:2: .* found 'yesterday'"):
        list(open_files(tmp_path, "erp_orders", files=name).extract(DAYS))


def test_a_row_after_the_last_day_lands_with_that_day_and_beyond_its_watermark(
    tmp_path: Path,
) -> None:
    tables = {"erp_orders": {"files": write_orders(tmp_path, "csv")}}
    company = make_company(tmp_path, tables, last_day=DAYS[1])
    extracts = list(open_source("erp_orders", company).extract(DAYS[:2]))
    assert [ids(extract, "erp_order_no") for extract in extracts] == [["S1"], ["S2", "S3"]]
    assert extracts[-1].complete_until == day_end(DAYS[1]), "S3 is later, so it is not judged"


def test_words_that_a_data_frame_made_floats_are_still_known(tmp_path: Path) -> None:
    frame = ORDERS.assign(state=[1.0, None, 2.0], sold=[0.1, 199.9, 7.0])
    frame.to_parquet(tmp_path / "orders.parquet")
    columns = {name: name for name in ("erp_order_no", "ordered_at", "created_at", "updated_at")}
    mapping = columns | {
        "state": {"from": "state", "values": {"1": "paid", "2": "done"}},
        "amount_fen": {"from": "sold", "unit": "yuan"},
    }
    source = open_files(tmp_path, "erp_orders", files="orders.parquet", columns=mapping)
    extracts = list(source.extract(DAYS))
    assert [extract.rows.column("state").to_pylist() for extract in extracts] == [
        ["paid"], [None], ["done"],
    ]  # fmt: skip
    assert [extract.rows.column("amount_fen").to_pylist() for extract in extracts] == [
        [10], [19990], [700],
    ]  # fmt: skip


def test_the_last_day_of_a_drop_carries_the_whole_of_what_its_manifest_tells(
    tmp_path: Path,
) -> None:
    name = write_orders(tmp_path, "csv")
    (tmp_path / "_manifest.csv").write_text("table,complete_until\nerp_orders,2026-10-05\n")
    company = make_company(tmp_path, {"erp_orders": {"files": name}}, last_day=DAYS[-1])
    extracts = list(open_source("erp_orders", company).extract(DAYS))
    assert [extract.complete_until for extract in extracts] == [
        day_end(DAYS[0]), day_end(DAYS[1]), datetime(2026, 10, 5, tzinfo=UTC),
    ]  # fmt: skip


def test_tables_without_a_dated_row_reach_as_far_as_the_drop_does(tmp_path: Path) -> None:
    lines = ["erp_order_no,line_no,sku,quantity,amount_fen", "S1,1,a,2.5,100", "S9,1,a,1,100"]
    (tmp_path / "erp_order_lines.csv").write_text("\n".join(lines))
    (tmp_path / "erp_refunds.csv").write_text("refund_doc_no,amount_fen,posted_at\n")
    tables = {
        name: {"files": f"{name}.csv"} for name in ("erp_orders", "erp_order_lines", "erp_refunds")
    }
    write_orders(tmp_path, "csv")
    company = make_company(tmp_path, tables)
    for table, rows in (("erp_order_lines", [2, 0, 0]), ("erp_refunds", [0, 0, 0])):
        extracts = list(open_source(table, company).extract(DAYS))
        assert [extract.rows.num_rows for extract in extracts] == rows
        assert extracts[-1].complete_until == datetime(2026, 10, 2, 16, tzinfo=UTC)
        assert open_source(table, company).last_day() == DAYS[2]


def test_a_table_may_be_a_folder_of_parts(tmp_path: Path) -> None:
    folder = tmp_path / "erp_orders"
    folder.mkdir()
    ORDERS[:1].to_csv(folder / "part-0.csv", index=False)
    ORDERS[1:].drop(columns=["discount_fen"]).to_csv(folder / "part-1.csv", index=False)
    (folder / ".hidden").write_text("x")
    for files in ("erp_orders", "erp_orders/*.csv"):
        extracts = list(open_files(tmp_path, "erp_orders", files=files).extract(DAYS))
        assert [ids(extract, "erp_order_no") for extract in extracts] == [["S1"], ["S2"], ["S3"]]
        assert extracts[1].rows.column(PLACE).to_pylist() == ["erp_orders/part-1.csv:2"]


def test_a_row_of_a_drop_that_fits_no_day_waits_in_quarantine_of_the_first(tmp_path: Path) -> None:
    lines = ["erp_order_no,state,ordered_at,created_at,updated_at,amount_fen"]
    lines += [f"S{number},paid,{at},{at},{at},1" for number, at in enumerate(["x", "9999-12-31"])]
    (tmp_path / "erp_orders.csv").write_text("\n".join(lines))
    source = open_files(tmp_path, "erp_orders", files="erp_orders.csv")
    first, *_ = source.extract(DAYS)
    batch = Landing(tmp_path / "landing", hash_key=b"0123456789abcdef").land(
        source.table, first, connector="files"
    )
    assert (first.rows.num_rows, batch.rows, batch.quarantined) == (2, 1, 1)
    assert first.complete_until == day_start(FIRST_DAY)


def test_a_drop_lacking_a_required_column_says_which(tmp_path: Path) -> None:
    (tmp_path / "erp_orders.csv").write_text("erp_order_no,status\nS1,paid\n")
    with pytest.raises(PermanentSourceError, match=r"'state', 'ordered_at'"):
        list(open_files(tmp_path, "erp_orders", files="erp_orders.csv").extract(DAYS))


def test_missing_folders_and_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "erp_order.csv").write_text("x")
    with pytest.raises(PermanentSourceError, match=r"did you mean 'erp_order.csv'"):
        open_files(tmp_path, "erp_orders", files="erp_orders.csv").probe()
    with pytest.raises(SourceError, match=r"found no folder"):
        open_files(tmp_path / "nowhere", "erp_orders", files="erp_orders.csv").probe()


def test_only_files_written_since_then_have_changed(tmp_path: Path) -> None:
    paths = [write_events(tmp_path, [json.dumps(event(0))], f"{day:%Y%m%d}") for day in DAYS[:2]]
    source = open_events(tmp_path)
    known = dict.fromkeys(DAYS[:2], "sha")
    written = datetime.fromtimestamp(paths[0].stat().st_ctime, UTC)
    assert source.changed_days(None, known) == set(DAYS[:2])
    assert source.changed_days(written + timedelta(seconds=60), known) == set(DAYS[:2])
    first, last = (datetime.fromtimestamp(path.stat().st_ctime, UTC) for path in paths)
    while datetime.now(UTC) <= max(first, last) + timedelta(seconds=2 * CLOCK_TICK_SECONDS):
        pass  # a moment, in which no file is written
    later = datetime.now(UTC)
    assert source.changed_days(later, known) == set()
    os.utime(paths[1])
    assert source.changed_days(later, known) == {DAYS[1]}


def test_a_probe_says_what_the_newest_file_holds(tmp_path: Path) -> None:
    write_contacts(tmp_path, "\n".join([*CONTACT_LINES, "x"]).encode("gbk"))
    assert open_contacts(tmp_path).probe() == "会员_20261003.csv: 3 rows, 1 refused"


def test_every_landed_table_can_be_dropped_with_its_landed_names(tmp_path: Path) -> None:
    for table in TABLES.values():
        (tmp_path / f"{table.name}.csv").write_text(",".join(table.schema.names) + "\n")
        extract = only(
            list(open_files(tmp_path, table.name, files=f"{table.name}.csv").extract(DAYS[:1]))
        )
        assert extract.rows.num_rows == 0
