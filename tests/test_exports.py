"""Exports as people make them: titles, totals, spreadsheet marks, archives, half-copied files."""

import csv
import gzip
import io
import json
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest
from file_company import FIRST_DAY, ids, make_company, only, open_files, write_workbook
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.conform import PLACE
from pipeline.errors import BrokenContentError, NotReadyError, PermanentSourceError
from pipeline.landing import Extract, Landing
from pipeline.sources import open_source
from pipeline.sources.files import FileSource

HEADER = "订单号,平台单号,状态,下单时间,更新时间,金额,备注"
COLUMNS = {
    "erp_order_no": "订单号",
    "order_no": "平台单号",
    "state": {"from": "状态", "values": {"已付款": "paid", "已完成": "done"}},
    "ordered_at": "下单时间",
    "created_at": "下单时间",
    "updated_at": "更新时间",
    "amount_fen": {"from": "金额", "unit": "yuan"},
    "transaction_id": [
        "平台支付单号", {"field": "备注", "pattern": r"(\d{28})"},
    ],
}  # fmt: skip
MAPPING = COLUMNS | {"transaction_id": {"from": "备注", "pattern": r"(\d{28})"}}
ROWS = [
    "S1,O1,已付款,2026-10-01 08:00:00,2026-10-01 08:00:00,100.00,",
    "S2,O2,已完成,2026-10-01 09:00:00,2026-10-01 10:00:00,200.50,",
]


def open_orders(folder: Path, **settings: Any) -> FileSource:
    wiring = {"files": "订单_{day}.csv", "holds": "history", "time_zone": "Asia/Shanghai"}
    return open_files(folder, "erp_orders", **({"columns": MAPPING} | wiring | settings))


def write_orders(folder: Path, lines: list[str], name: str = "订单_20261001.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines), encoding="gb18030")
    return path


def extract(source: FileSource) -> Extract:
    return only(list(source.extract([FIRST_DAY])))


def orders(source: FileSource) -> list[str]:
    return ids(extract(source), "erp_order_no")


def test_the_header_is_the_row_that_bears_the_mapped_names(tmp_path: Path) -> None:
    titles = ["销售订单导出,,,,,,", "导出时间: 2026-10-02,订单号段: 全部,,,,,", ""]
    write_orders(tmp_path, [*titles, HEADER, *ROWS])
    found = extract(open_orders(tmp_path))
    assert ids(found, "erp_order_no") == ["S1", "S2"]
    assert ids(found, PLACE) == ["订单_20261001.csv:5", "订单_20261001.csv:6"]


def test_a_header_row_that_is_told_wins(tmp_path: Path) -> None:
    write_orders(tmp_path, [HEADER, "", HEADER, *ROWS])
    assert ids(extract(open_orders(tmp_path, header_row=3)), PLACE) == [
        "订单_20261001.csv:4", "订单_20261001.csv:5",
    ]  # fmt: skip
    with pytest.raises(BrokenContentError, match="no column names in line 2"):
        extract(open_orders(tmp_path, header_row=2))


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_the_delimiter_is_the_one_that_parts_the_mapped_names(
    tmp_path: Path, delimiter: str
) -> None:
    lines = [line.replace(",", delimiter) for line in (HEADER, *ROWS)]
    lines[1] = lines[1].replace("100.00", '"1,100.00"')
    write_orders(tmp_path, ["会员; 订单, 全部", *lines])
    assert ids(extract(open_orders(tmp_path)), "amount_fen") == [110000, 20050]


def test_a_delimiter_that_is_told_wins(tmp_path: Path) -> None:
    write_orders(tmp_path, [HEADER, *ROWS])
    with pytest.raises(PermanentSourceError, match="found no column '订单号'"):
        extract(open_orders(tmp_path, delimiter="tab"))


def test_lines_as_old_macs_end_them_are_lines(tmp_path: Path) -> None:
    path = tmp_path / "订单_20261001.csv"
    path.write_bytes("\r".join([HEADER, *ROWS]).encode("gbk"))
    assert ids(extract(open_orders(tmp_path)), PLACE) == [
        "订单_20261001.csv:2", "订单_20261001.csv:3",
    ]  # fmt: skip
    path.write_bytes("\n".join(["标题\r页", f'"订单\n号"{HEADER[3:]}', *ROWS]).encode("gbk"))
    found = extract(open_orders(tmp_path, columns=MAPPING | {"erp_order_no": "订单\n号"}))
    assert ids(found, PLACE) == ["订单_20261001.csv:4", "订单_20261001.csv:5"]


def test_a_text_of_unicode_as_spreadsheets_save_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "订单_20261001.csv"
    path.write_bytes("\r\n".join([HEADER, *ROWS]).replace(",", "\t").encode("utf-16"))
    assert orders(open_orders(tmp_path)) == ["S1", "S2"]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BrokenContentError, match="UTF-16"):
        extract(open_orders(tmp_path))


def test_rows_that_sum_others_up_are_left_out_and_counted(tmp_path: Path) -> None:
    totals = ["小计,,,,,100.00,", ",,,,,,本页合计：2笔", "合 计,,,,,300.50,", "总计,,300.50"]
    write_orders(tmp_path, [HEADER, ROWS[0], totals[0], ROWS[1], *totals[1:]])
    source = open_orders(tmp_path)
    found = extract(source)
    assert ids(found, "erp_order_no") == ["S1", "S2"]
    assert found.rejected == ()
    assert source.probe() == "订单_20261001.csv: 2 rows, 4 totals left out"


def test_a_row_without_a_key_that_sums_nothing_up_goes_to_quarantine(tmp_path: Path) -> None:
    keyless = ",O3,已付款,2026-10-01 08:00:00,2026-10-01 08:00:00,1.00,合计算错"
    write_orders(tmp_path, [HEADER, *ROWS, keyless])
    source = open_orders(tmp_path)
    landing = Landing(tmp_path / "landing", hash_key=b"0123456789abcdef")
    batch = landing.land(source.table, extract(source), connector="files")
    assert (batch.rows, batch.quarantined) == (2, 1)
    (row,) = landing.rejected(batch)
    assert row.place == "订单_20261001.csv:4"
    assert row.reason.startswith("erp_order_no: found nothing")


def test_an_order_whose_remark_speaks_of_a_total_is_an_order(tmp_path: Path) -> None:
    write_orders(tmp_path, [HEADER, ROWS[0] + "合计：1笔"])
    assert orders(open_orders(tmp_path)) == ["S1"]


def test_marks_that_keep_a_spreadsheet_from_reading_numbers_are_taken_off(tmp_path: Path) -> None:
    marked = ["'S1", "`S2", '"=""S3"""', "S4\t"]
    lines = [ROWS[0].replace("S1", mark) for mark in marked]
    write_orders(tmp_path, [HEADER, *lines, ROWS[0].replace("S1", "S'5")])
    assert orders(open_orders(tmp_path)) == ["S1", "S2", "S3", "S4", "S'5"]


def test_days_that_a_spreadsheet_counts_and_chinese_days_are_read(tmp_path: Path) -> None:
    written = ["46296.3958333333", "46296", "2026年10月1日 9:30", "2026/10/1 9:30", "2026-10-01"]
    lines = [f"S{at},O,已付款,{text},{text},1.00," for at, text in enumerate(written)]
    write_orders(tmp_path, [HEADER, *lines])
    found = [at.astimezone(UTC) for at in ids(extract(open_orders(tmp_path)), "ordered_at")]
    midnight = datetime(2026, 9, 30, 16, tzinfo=UTC)
    half_past_nine = midnight + timedelta(hours=9, minutes=30)
    assert found == [half_past_nine, midnight, half_past_nine, half_past_nine, midnight]


def test_an_epoch_is_not_taken_for_a_counted_day(tmp_path: Path) -> None:
    write_orders(tmp_path, [HEADER, "S1,O,已付款,86400,86400,1.00,"])
    mapping = MAPPING | {
        name: {"from": "下单时间", "unit": "seconds"} for name in ("ordered_at", "created_at")
    }
    found = extract(open_orders(tmp_path, columns=mapping))
    assert found.rows.num_rows == 1
    assert ids(found, "ordered_at")[0].astimezone(UTC) == datetime(1970, 1, 2, tzinfo=UTC)


def test_commas_between_thousands_are_taken_out_of_amounts_and_quantities(tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text(
        'so,no,sku,qty,fen\nS1,1,a,"1,234.5","12,345"\nS1,2,a,"1,23","1,2345"\n'
    )
    columns = {
        "erp_order_no": "so", "line_no": "no", "sku": "sku", "quantity": "qty",
        "amount_fen": {"from": "fen", "unit": "fen"},
    }  # fmt: skip
    source = open_files(tmp_path, "erp_order_lines", files="lines.csv", columns=columns)
    landing = Landing(tmp_path / "landing", hash_key=b"0123456789abcdef")
    batch = landing.land(source.table, extract(source), connector="files")
    assert (batch.rows, batch.quarantined, batch.sums) == (1, 1, {"amount_fen": 12345})
    assert ids(extract(source), "quantity") == ["1234.5", "1,23"]


@pytest.mark.parametrize("lost", ["4.2E+27", "4.20000234520261e27", "4200002345202610000000000000"])
def test_numbers_that_lost_digits_are_refused_in_every_candidate(tmp_path: Path, lost: str) -> None:
    write_orders(tmp_path, [HEADER + ",平台支付单号", ROWS[0] + ",", ROWS[1] + f",{lost}"])
    with pytest.raises(PermanentSourceError, match=r"csv:3: 平台支付单号: found 4.?2"):
        extract(open_orders(tmp_path, columns=COLUMNS))


def test_a_number_that_only_looks_like_a_rounded_one_is_kept(tmp_path: Path) -> None:
    rows = [ROWS[0].replace("O1", "1E10"), ROWS[1].replace("O2", "202610010000001000")]
    write_orders(tmp_path, [HEADER, *rows])
    assert ids(extract(open_orders(tmp_path)), "order_no") == ["1E10", "202610010000001000"]


def test_numbers_of_eighteen_digits_that_all_end_in_three_zeros_were_rounded(
    tmp_path: Path,
) -> None:
    numbers = ["810610010830150000", "810610010831160000"]
    rows = [row.replace(f"O{n}", numbers[n - 1]) for n, row in enumerate(ROWS, start=1)]
    write_orders(tmp_path, [HEADER, *rows])
    with pytest.raises(PermanentSourceError, match="a spreadsheet has rounded this number"):
        extract(open_orders(tmp_path))
    # The same one twice is one: of several lines of an order.
    rows = [row.replace(f"O{n}", numbers[0]) for n, row in enumerate(ROWS, start=1)]
    write_orders(tmp_path, [HEADER, *rows])
    assert ids(extract(open_orders(tmp_path)), "order_no") == [numbers[0]] * 2
    # A time with milliseconds that nobody counts, or with a counter that begins with each second.
    for numbers in (
        ["20261001083015000", "20261001083116000"], ["202610010830150000", "202610010831160000"],
    ):  # fmt: skip
        rows = [row.replace(f"O{n}", numbers[n - 1]) for n, row in enumerate(ROWS, start=1)]
        write_orders(tmp_path, [HEADER, *rows])
        assert ids(extract(open_orders(tmp_path)), "order_no") == numbers


def test_one_number_that_ends_in_zeros_among_others_is_kept(tmp_path: Path) -> None:
    numbers = ["20261001123400100000", "20261001123400100001"]
    rows = [row.replace(f"O{n}", numbers[n - 1]) for n, row in enumerate(ROWS, start=1)]
    write_orders(tmp_path, [HEADER, *rows])
    assert ids(extract(open_orders(tmp_path)), "order_no") == numbers


def test_a_repeated_column_matters_only_where_it_is_wanted(tmp_path: Path) -> None:
    write_orders(tmp_path, [HEADER + ",来源,来源", *(row + ",a,b" for row in ROWS)])
    assert orders(open_orders(tmp_path)) == ["S1", "S2"]
    write_orders(tmp_path, [HEADER + ",金额", *(row + ",1" for row in ROWS)])
    with pytest.raises(PermanentSourceError, match="column 金额 found more than once"):
        extract(open_orders(tmp_path))


def test_a_repeated_column_of_a_sheet_is_refused_as_well(tmp_path: Path) -> None:
    rows = [[*HEADER.split(","), "金额"], *([*row.split(","), "1"] for row in ROWS)]
    write_workbook(tmp_path / "orders.xlsx", rows)
    with pytest.raises(PermanentSourceError, match="column 金额 found more than once"):
        extract(open_orders(tmp_path, files="orders.xlsx"))


def sheet_rows() -> list[list[Any]]:
    return [line.split(",") for line in (HEADER, *ROWS)]


def test_a_workbook_needs_no_row_number_and_its_totals_are_left_out(tmp_path: Path) -> None:
    header, *rows = sheet_rows()
    rows[0][3] = rows[0][4] = 46296.3958333333
    rows[0][5], rows[1][5] = 1234.5, "1,234.50"
    total = ["合计", None, None, None, None, 2469, None]
    write_workbook(
        tmp_path / "订单_20261001.xlsx", [["销售订单"], [None], header, *rows, total, ["制表人"]]
    )
    source = open_orders(tmp_path, files="订单_{day}.xlsx")
    found = extract(source)
    assert ids(found, "amount_fen")[:2] == [123450, 123450]
    assert ids(found, "ordered_at")[0].astimezone(UTC) == datetime(2026, 10, 1, 1, 30, tzinfo=UTC)
    assert ids(found, PLACE)[:2] == ["订单_20261001.xlsx:4", "订单_20261001.xlsx:5"]
    landing = Landing(tmp_path / "landing", hash_key=b"0123456789abcdef")
    batch = landing.land(source.table, found, connector="files")
    (signed,) = landing.rejected(batch)
    assert (batch.rows, signed.place) == (2, "订单_20261001.xlsx:7")
    assert "1 totals left out" in source.probe()


def test_cells_merged_over_several_rows_stand_in_each_of_them(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["订单号", "明细", None, None],
        [None, "行号", "货号", "数量"],
        ["S1", 1, "a", 1],
        [None, 2, "b", 2],
        ["S2", 1, "a", 3],
    ]
    write_workbook(tmp_path / "lines.xlsx", rows, merged=("A1:A2", "B1:D1", "A3:A4"))
    columns = {
        "erp_order_no": "订单号", "line_no": "行号", "sku": "货号", "quantity": "数量",
        "amount_fen": {"value": "0"},
    }  # fmt: skip
    source = open_files(tmp_path, "erp_order_lines", files="lines.xlsx", columns=columns)
    found = extract(source)
    assert ids(found, "erp_order_no") == ["S1", "S1", "S2"]
    assert ids(found, "quantity") == ["1", "2", "3"]


def test_an_amount_merged_over_several_lines_does_not_count_once_for_each(
    tmp_path: Path,
) -> None:
    rows: list[list[Any]] = [
        ["订单号", "行号", "货号", "数量", "金额"],
        ["S1", 1, "a", 1, "100.00"],
        [None, 2, "b", 2, None],
        ["S2", 1, "a", 3, "7.00"],
    ]
    columns = {
        "erp_order_no": "订单号", "line_no": "行号", "sku": "货号", "quantity": "数量",
        "amount_fen": {"from": "金额", "unit": "yuan"},
    }  # fmt: skip
    write_workbook(tmp_path / "lines.xlsx", rows, merged=("A2:A3", "E2:E3"))
    source = open_files(tmp_path, "erp_order_lines", files="lines.xlsx", columns=columns)
    assert ids(extract(source), "erp_order_no") == ["S1", "S1", "S2"]
    assert ids(extract(source), "amount_fen") == [None, None, 700]
    header = [["订单号", "行号", "货号", "数量", "金额"], [None, None, None, None, None]]
    write_workbook(tmp_path / "lines.xlsx", [*header, *rows[1:]], merged=("E1:E2", "A1:A2"))
    source = open_files(tmp_path, "erp_order_lines", files="lines.xlsx", columns=columns)
    assert ids(extract(source), "amount_fen") == [10000, None, 700]


def test_an_array_of_json_keeps_every_digit(tmp_path: Path) -> None:
    row = json.dumps(
        dict(zip(HEADER.split(","), ROWS[0].split(","), strict=True)), ensure_ascii=False, indent=1
    )
    path = tmp_path / "订单_20261001.json"
    path.write_text(f"\n[ {row},\n{row.replace('S1', 'S9').replace('100.00', '100.10')} ]\n")
    found = extract(open_orders(tmp_path, files="订单_{day}.json"))
    assert ids(found, "erp_order_no") == ["S1", "S9"]
    assert ids(found, "amount_fen") == [10000, 10010]
    assert ids(found, PLACE) == ["订单_20261001.json:1", "订单_20261001.json:2"]
    path.write_text(path.read_text()[:-20])
    with pytest.raises(BrokenContentError, match="cut short after 1 elements"):
        extract(open_orders(tmp_path, files="订单_{day}.json"))


def zipped(members: dict[str, bytes]) -> bytes:
    """An archive as Windows writes one: names in GBK, and no word of that."""
    content = io.BytesIO()
    written = {name.encode("gbk"): f"{at}" for at, name in enumerate(members)}
    spare = {raw: mark.ljust(len(raw), "#") for raw, mark in written.items()}
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in zip(members, spare, strict=True):
            archive.writestr(spare[raw], members[name])
    archived = content.getvalue()
    for raw, name in spare.items():
        archived = archived.replace(name.encode(), raw)
    return archived


def body(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows]).encode("gbk")


def test_every_member_of_an_archive_is_read_and_named(tmp_path: Path) -> None:
    members = {
        "订单/一.csv": body(ROWS[0]), "订单/二.csv": body(ROWS[1]), "__MACOSX/._一.csv": b"\0",
        "订单/~$二.csv": b"",
    }  # fmt: skip
    (tmp_path / "订单_20261001.zip").write_bytes(zipped(members))
    found = extract(open_orders(tmp_path, files="订单_{day}.zip"))
    assert ids(found, "erp_order_no") == ["S1", "S2"]
    assert set(ids(found, PLACE)) == {
        "订单_20261001.zip/订单/一.csv:2", "订单_20261001.zip/订单/二.csv:2",
    }  # fmt: skip


def test_the_members_of_one_table_are_named_by_a_pattern(tmp_path: Path) -> None:
    members = {"订单.csv": body(*ROWS), "会员.csv": b"a\n1\n"}
    (tmp_path / "订单_20261001.zip").write_bytes(zipped(members))
    assert orders(open_orders(tmp_path, files="订单_{day}.zip", members="订单*")) == ["S1", "S2"]
    with pytest.raises(PermanentSourceError, match=r"no file '定单\*' in it.*订单.csv"):
        extract(open_orders(tmp_path, files="订单_{day}.zip", members="定单*"))


def test_an_archive_that_is_cut_short_or_locked_is_named(tmp_path: Path) -> None:
    path = tmp_path / "订单_20261001.zip"
    whole = zipped({"订单.csv": body(*ROWS)})
    source = open_orders(tmp_path, files="订单_{day}.zip")
    path.write_bytes(whole[:-30])
    with pytest.raises(BrokenContentError, match=r"订单_20261001.zip: .*cut short"):
        extract(source)
    damaged = bytearray(whole)
    damaged[60] ^= 0xFF
    path.write_bytes(bytes(damaged))
    with pytest.raises(BrokenContentError, match=r"订单_20261001.zip"):
        extract(source)
    locked = bytearray(whole)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[whole.index(mark) + offset] |= 1
    path.write_bytes(bytes(locked))
    with pytest.raises(PermanentSourceError, match="locked with a password"):
        extract(source)


def test_a_gzipped_export_reads_like_the_plain_one(tmp_path: Path) -> None:
    (tmp_path / "订单_20261001.csv.gz").write_bytes(gzip.compress(body(*ROWS)))
    assert orders(open_orders(tmp_path, files="订单_{day}.csv.gz")) == ["S1", "S2"]


@pytest.mark.parametrize(
    "name", ["订单_20261001.csv.part", "订单_20261001.csv.tmp", "~$订单_20261001.csv"]
)
def test_files_that_are_not_whole_yet_are_left_alone(tmp_path: Path, name: str) -> None:
    source = open_orders(tmp_path, files="*订单_{day}.csv*", holds="day")
    write_orders(tmp_path, [HEADER, ROWS[0]], name)
    with pytest.raises(NotReadyError):
        extract(source)
    write_orders(tmp_path, [HEADER, *ROWS])
    assert orders(source) == ["S1", "S2"]


def test_a_file_that_is_written_to_meanwhile_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_orders(tmp_path, [HEADER, ROWS[0], ""])
    read_bytes = Path.read_bytes

    def read_while_it_grows(read: Path) -> bytes:
        content = read_bytes(read)
        with path.open("a", encoding="gb18030") as copied:
            copied.write(ROWS[1])
        return content

    monkeypatch.setattr(Path, "read_bytes", read_while_it_grows)
    with pytest.raises(NotReadyError, match="written to while it was read"):
        extract(open_orders(tmp_path))


def test_a_file_dropped_again_with_the_same_content_changes_nothing(tmp_path: Path) -> None:
    path = write_orders(tmp_path, [HEADER, *ROWS])
    source = open_orders(tmp_path)
    landing = Landing(tmp_path / "landing", hash_key=b"0123456789abcdef")
    first = landing.land(source.table, extract(source), connector="files")
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    assert source.changed_days(first.extracted_at, {FIRST_DAY: first.sha256}) == {FIRST_DAY}
    again = landing.land(source.table, extract(source), connector="files")
    assert again == first
    assert len(list((tmp_path / "landing" / "erp_orders").rglob("*.parquet"))) == 1


def test_a_sample_is_the_end_of_the_newest_file_with_all_that_was_refused(tmp_path: Path) -> None:
    unknown = ROWS[1].replace("S2", "S3").replace("已完成", "部分退款")
    write_orders(tmp_path, [HEADER, *ROWS, unknown])
    sample = open_orders(tmp_path).sample(1)
    assert sample.rows.column("erp_order_no").to_pylist() == ["S2"]
    assert [row.reason for _, row in sample.rejected] == [
        "state: found '部分退款' in 状态, allowed: 已付款, 已完成"
    ]


def test_a_batch_tells_how_many_of_its_rows_have_a_number(tmp_path: Path) -> None:
    rows = [*ROWS, ROWS[0].replace("S1,O1", "S3,")]
    write_orders(tmp_path, [HEADER, *rows])
    source = open_orders(tmp_path)
    landing = Landing(tmp_path / "landing", hash_key=b"0123456789abcdef")
    batch = landing.land(source.table, extract(source), connector="files")
    assert landing.present_count(batch, "order_no") == 2
    assert landing.present_count(batch, "transaction_id") == 0


def test_amounts_stay_exact_to_the_fen(tmp_path: Path) -> None:
    amounts = [Decimal(number) / 100 for number in range(1, 400, 7)]
    rows = [
        f"S{at},O{at},已付款,2026-10-01 08:00:00,2026-10-01 08:00:00,{amount:,.2f},"
        for at, amount in enumerate(amounts)
    ]
    write_orders(tmp_path, [HEADER, *rows])
    found = ids(extract(open_orders(tmp_path)), "amount_fen")
    assert sum(found) == int(sum(amounts) * 100)


def test_two_tables_may_come_from_one_file(tmp_path: Path) -> None:
    write_orders(tmp_path, [HEADER, *ROWS])
    wiring = {"files": "订单_{day}.csv", "holds": "history", "time_zone": "Asia/Shanghai"}
    receipts = {
        "receipt_no": "平台单号", "erp_order_no": "订单号", "received_at": "更新时间",
        "created_at": "更新时间", "amount_fen": {"from": "金额", "unit": "yuan"},
    }  # fmt: skip
    tables = {
        "erp_orders": wiring | {"columns": MAPPING},
        "erp_receipts": wiring | {"columns": receipts},
    }
    company = make_company(tmp_path, tables)
    landed = {name: list(open_source(name, company).extract([FIRST_DAY])) for name in tables}
    assert [extracts[0].rows.num_rows for extracts in landed.values()] == [2, 2]


def test_the_newest_history_and_the_days_that_are_over_can_be_read(tmp_path: Path) -> None:
    for name in ("订单_20261001.csv", "订单_20261002.csv", "订单_20261003.csv.tmp"):
        write_orders(tmp_path, [HEADER, *ROWS], name)
    newest = [path.name for path in open_orders(tmp_path).arrivals(FIRST_DAY)]
    assert newest == ["订单_20261002.csv"]
    over = open_orders(tmp_path, holds="day").arrivals(date(2026, 10, 1))
    assert [path.name for path in over] == ["订单_20261001.csv"]


# What any export may hold in a text; marks of a spreadsheet at its ends are taken off by design.
TEXTS = st.text(
    st.characters(codec="gbk", exclude_categories=("C", "Z"), exclude_characters="'`=\"")
    | st.sampled_from([",", ";", '"', "\n", " ", "，", "合", "计", "é", "李"]),
    max_size=12,
).map(lambda text: f"x{text}x")
AMOUNTS = st.integers(-(10**11), 10**11)
HEAD = ["receipt_no", "erp_order_no", "amount", "at"]


def delimited(rows: list[list[str]], delimiter: str, encoding: str) -> bytes:
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter).writerows([["收款单"], HEAD, *rows, ["合计"]])
    return written.getvalue().encode(encoding)


def objects(rows: list[list[str]]) -> list[dict[str, str]]:
    return [dict(zip(HEAD, row, strict=True)) for row in rows]


def as_parquet(rows: list[list[str]]) -> bytes:
    content = io.BytesIO()
    pd.DataFrame(objects(rows), columns=HEAD).to_parquet(content)
    return content.getvalue()


def as_workbook(rows: list[list[str]]) -> bytes:
    content = io.BytesIO()
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    assert sheet is not None
    for row in [["收款单"], HEAD, *rows, ["合计"]]:
        sheet.append(row)
    workbook.save(content)
    return content.getvalue()


WRITERS: dict[str, Callable[[list[list[str]]], bytes]] = {
    "utf-8.csv": lambda rows: delimited(rows, ",", "utf-8-sig"),
    "gbk.tsv": lambda rows: delimited(rows, "\t", "gbk"),
    "utf-16.txt": lambda rows: delimited(rows, "\t", "utf-16"),
    "gb18030.csv.gz": lambda rows: gzip.compress(delimited(rows, ";", "gb18030")),
    "xlsx.xlsx": as_workbook,
    "lines.jsonl": lambda rows: "\n".join(map(json.dumps, objects(rows))).encode(),
    "array.json": lambda rows: json.dumps(objects(rows), ensure_ascii=False, indent=1).encode(),
    "parquet.parquet": as_parquet,
}


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(TEXTS, AMOUNTS), max_size=6))
def test_the_same_rows_land_from_every_format(rows: list[tuple[str, int]]) -> None:
    written = [
        [f"R{at}", text, f"{Decimal(fen) / 100:.2f}", "2026-10-01 08:00:00"]
        for at, (text, fen) in enumerate(rows)
    ]
    columns = {
        "receipt_no": "receipt_no", "erp_order_no": "erp_order_no", "received_at": "at",
        "created_at": "at", "amount_fen": {"from": "amount", "unit": "yuan"},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        landing = Landing(Path(folder) / "landing", hash_key=b"0123456789abcdef")
        for name, write in WRITERS.items():
            (Path(folder) / name).write_bytes(write(written))
            source = open_files(Path(folder), "erp_receipts", files=name, columns=columns)
            batch = landing.land(source.table, extract(source), connector="files")
            landed = pq.read_table(batch.path).to_pylist()
            assert batch.quarantined == 0, name
            assert [(row["erp_order_no"], row["amount_fen"]) for row in landed] == [
                (unicodedata.normalize("NFC", text), fen) for text, fen in rows
            ], name
