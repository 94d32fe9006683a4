"""What a column may be read from: candidates in order, patterns, sums, constants; and mistakes."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipeline.company import ColumnSource
from pipeline.conform import PLACE
from pipeline.landed import TABLES
from pipeline.sources.mapping import DAY, Mapped, map_rows, mask_people

ORDERED_AT = "2026-10-01 09:00:00"


def mapped(columns: dict[str, Any], *rows: dict[str, str | None]) -> Mapped:
    """Orders mapped from rows of text; number and time are always there."""
    names = dict.fromkeys(name for row in rows for name in row)
    table = pa.table(
        {"no": [str(number) for number in range(len(rows))], "at": [ORDERED_AT] * len(rows)}
        | {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
    )
    told = {"erp_order_no": "no", "ordered_at": "at"} | columns
    return map_rows(
        table,
        TABLES["erp_orders"],
        {name: ColumnSource.model_validate(source) for name, source in told.items()},
        time_zone="Asia/Shanghai",
        first_day=date(2026, 10, 1),
    )


def column(name: str, source: Any, *rows: dict[str, str | None]) -> list[Any]:
    result = mapped({name: source}, *rows)
    assert not result.rejected
    return list(result.rows.column(name).to_pylist())


def test_the_first_candidate_with_a_value_counts() -> None:
    rows = ({"ref": "O1", "note": "x"}, {"ref": " ", "note": "O2"}, {"ref": None, "note": None})
    assert column("order_no", ["ref", "note"], *rows) == ["O1", "O2", None]


def test_a_pattern_picks_its_group_and_leaves_the_next_candidate_a_chance() -> None:
    source = {"from": [{"field": "note", "pattern": r"订单号[:：]\s*(\w+)"}, "ref"]}
    rows = (
        {"note": "急! 订单号：O1 谢谢", "ref": "R"}, {"note": "谢谢", "ref": "R2"},
    )  # fmt: skip
    assert column("order_no", source, *rows) == ["O1", "R2"]


def test_a_pattern_without_a_group_counts_whole() -> None:
    rows = ({"note": "pays 4200001234 and more"},)
    assert column("transaction_id", {"from": "note", "pattern": r"42\d+"}, *rows) == ["4200001234"]


def test_tax_that_stands_apart_is_added_exactly() -> None:
    source = {"from": "net", "plus": ["tax", "fee"], "unit": "yuan"}
    rows = (
        {"net": "0.10", "tax": "0.20", "fee": None},
        {"net": "1,234.50", "tax": "¥1", "fee": "-0.01"},
        {"net": None, "tax": "1", "fee": None},
    )
    assert column("amount_fen", source, *rows) == [30, 123549, 100]


@pytest.mark.parametrize("written", ["1_000", "1e2", "1.23E+05", "--1", "."])
def test_what_nobody_writes_who_means_an_amount_is_refused(written: str) -> None:
    result = mapped({"amount_fen": {"from": "net", "unit": "yuan"}}, {"net": written})
    assert result.rows.num_rows == 0
    assert len(result.rejected) == 1


def test_the_day_that_stands_for_none_leaves_the_next_candidate_a_chance() -> None:
    source = {"from": ["paid", "made"]}
    rows = ({"paid": "0000-00-00 00:00:00", "made": "2026-10-01 10:00:00"},)
    (instant,) = column("created_at", source, *rows)
    assert instant.isoformat() == "2026-10-01T10:00:00+08:00"


def test_an_addend_that_cannot_be_read_refuses_the_row() -> None:
    source = {"from": "net", "plus": "tax", "unit": "fen"}
    with pytest.raises(ValidationError):
        ColumnSource.model_validate(source)  # a list is meant
    source = {"from": "net", "plus": ["tax"], "unit": "fen"}
    result = mapped({"amount_fen": source}, {"net": "100", "tax": "free"})
    assert result.rows.num_rows == 0
    ((_, rejected),) = result.rejected
    assert "amount_fen: found 'free' in net + tax" in rejected.reason
    assert '"tax": "free"' in rejected.raw


def test_a_constant_stands_where_the_source_has_no_column() -> None:
    assert column("channel", {"value": "mini_program"}, {}, {}) == ["mini_program"] * 2


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ({"from": "a", "pattern": "("}, "no regular expression"),
        ({"from": "a", "pattern": "(a)(b)"}, "2 groups"),
        ({"from": "a", "pattern": "a(?=b)"}, "looking around"),
        ({"from": "a", "pattern": r"(a)\1"}, "back references"),
        ({"from": "a", "value": "b"}, "either `from` or `value`"),
        ({}, "either `from` or `value`"),
    ],
)
def test_a_column_that_cannot_be_meant_is_a_mistake(written: Any, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ColumnSource.model_validate(written)


CHOOSING = ColumnSource.model_validate(
    {"from": "status", "values": {"agreed": "land", "refused": "skip"}}
)


def test_rows_land_by_the_words_of_a_field_and_every_other_word_is_refused() -> None:
    columns = {
        "refund_doc_no": ColumnSource.model_validate("no"),
        "posted_at": ColumnSource.model_validate("at"),
    }
    rows = [
        {"no": "R1", "at": "2026-10-02 08:00:00", "status": "agreed"},
        {"no": "R2", "at": "2026-10-03 08:00:00", "status": "refused"},
        {"no": "R3", "at": "2026-10-03 08:00:00", "status": "refused"},
        {"no": "R4", "at": "2026-10-03 08:00:00", "status": "odd"},
        {"no": "R5", "at": "2026-10-03 08:00:00", "status": ""},
    ]
    found = map_rows(
        pa.Table.from_pylist(rows), TABLES["erp_refunds"], columns,
        time_zone="Asia/Shanghai", first_day=date(2026, 10, 1), choosing=CHOOSING,
    )  # fmt: skip
    assert found.rows.column("refund_doc_no").to_pylist() == ["R1"]
    assert found.rows.column_names == ["refund_doc_no", "posted_at", PLACE, DAY]
    assert found.skipped == {date(2026, 10, 3): 2}
    assert [row.reason for _, row in found.rejected] == [
        "rows: found 'odd' in status, allowed: agreed, refused",
        "rows: found '' in status, allowed: agreed, refused",
    ]


def test_rows_that_are_all_left_out_leave_days_without_rows() -> None:
    columns = {"posted_at": ColumnSource.model_validate("at")}
    rows = [{"at": "2026-10-02 08:00:00", "status": "refused"}]
    found = map_rows(
        pa.Table.from_pylist(rows), TABLES["erp_refunds"], columns,
        time_zone="UTC", first_day=date(2026, 10, 1), choosing=CHOOSING,
    )  # fmt: skip
    assert (found.rows.num_rows, found.rejected) == (0, ())
    # How far the source reaches, it tells all the same.
    assert found.latest == datetime(2026, 10, 2, 8, tzinfo=UTC)


def test_of_a_remark_quarantine_keeps_what_its_patterns_find() -> None:
    columns = {
        "order_no": {"from": [{"field": "memo", "pattern": r"no (\d{4})"}]},
        "transaction_id": {"from": "memo", "pattern": r"(T\d+)"},
        "amount_fen": {"from": "net", "unit": "yuan"},
    }
    result = mapped(
        columns,
        {"memo": "Wang Xiaoming, 9 Long Street, no 4711, T99", "net": "much"},
        {"memo": "Wang Xiaoming", "net": "much"},
    )
    assert [json.loads(row.raw)["memo"] for _, row in result.rejected] == ["… 4711 … T99 …", "…"]


def test_a_broken_row_is_named_by_the_number_in_its_remark_and_by_no_person() -> None:
    columns = {
        "receipt_no": "no", "amount_fen": {"from": "net", "unit": "yuan"}, "received_at": "at",
        "order_no": {"from": "memo", "pattern": r"(O\d+)"},
    }  # fmt: skip
    row = {"no": "R1", "net": "much", "at": "2026-10-01", "memo": "张三 13812345678 O77"}
    found = map_rows(
        pa.Table.from_pylist([row]), TABLES["erp_receipts"],
        {name: ColumnSource.model_validate(of) for name, of in columns.items()},
        time_zone="UTC", first_day=date(2026, 10, 1),
    )  # fmt: skip
    ((_, rejected),) = found.rejected
    assert rejected.place == "key R1/… O77 …"


@pytest.mark.parametrize(
    "written", ["张三", "\\u5f20\\u4e09", "\\xd5\\xc5", "𠮷野", "a.b@example.com"]
)
def test_no_person_stays_in_text_whose_columns_nobody_knows(written: str) -> None:
    assert mask_people(f"A1,{written},100.00") == "A1,…,100.00"
