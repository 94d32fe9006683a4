"""The fund-flow bill: rows in fen and UTC, both directions tied, no applicant anywhere."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.company import Company
from pipeline.errors import BrokenContentError
from pipeline.landed import TABLES
from pipeline.landing import Control, Landing
from pipeline.sources.wechat.fund_flow import read_fund_flow
from pipeline.sources.wechat.statement import Statement
from tests.wechat_bills import (
    FLOW,
    FLOW_ROWS,
    FLOW_SUMMARY,
    FLOW_TOTALS,
    Platform,
    flow,
    write_keys,
    zipped,
)
from tests.wechat_world import DAY, source, write_company

NAME = "fund-flow bill of 2026-10-03"
APPLICANT = "1900000109王小明"


@pytest.fixture
def company(tmp_path: Path) -> Company:
    write_keys(tmp_path)
    return write_company(tmp_path)


def read(text: bytes) -> Statement:
    return read_fund_flow(text, name=NAME, account_type="BASIC", merchant_id="1900000109")


def test_a_fund_flow_lands_as_income_and_expense(company: Company, tmp_path: Path) -> None:
    platform = Platform([zipped(flow())])
    extract = next(source(company, "pay_fund_flow", platform.line()).extract([DAY]))
    batch = Landing(tmp_path / "landing", hash_key=b"k" * 16).land(
        TABLES["pay_fund_flow"], extract, connector="wechat_pay"
    )
    assert (batch.rows, batch.quarantined, batch.sums["amount_fen"]) == (3, 0, 9_500 + 57 + 944)
    income, fee, refund = extract.rows.to_pylist()
    assert income == {
        "account_type": "BASIC", "booked_at": datetime(2026, 10, 2, 17, 52, 33, tzinfo=UTC),
        "payment_no": "4200000263202610031677001349", "flow_no": "4200000263202610031677001349",
        "business_name": "交易", "business_type": "交易", "direction": "income",
        "amount_fen": 9_500, "balance_fen": 109_500, "remark": None,
        "voucher_no": "R20261003015232", "mch_id": "1900000109",
    }  # fmt: skip
    assert (fee["direction"], fee["business_type"]) == ("expense", "扣除交易手续费")
    assert refund["remark"] == "退款总金额9.50元;含手续费0.06元"
    (asked, _) = platform._line.asked
    assert dict(asked.url.params) == {
        "bill_date": "2026-10-03", "account_type": "BASIC", "tar_type": "GZIP",
    }  # fmt: skip
    assert asked.url.path == "/v3/bill/fundflowbill"


def test_the_applicant_lands_nowhere(company: Company, tmp_path: Path) -> None:
    broken = [FLOW_ROWS[0] | {"收支金额(元)": "95.001"}, FLOW_ROWS[1] | {"业务名称": "a,`b"}]
    text = flow([*broken, FLOW_ROWS[2]])
    assert text.decode().count(APPLICANT) == 3
    extract = next(source(company, "pay_fund_flow", Platform([zipped(text)]).line()).extract([DAY]))
    assert len(extract.rejected) == 2
    assert APPLICANT not in str([asdict(row) for row in extract.rejected])
    assert APPLICANT not in str(extract.rows.to_pylist())
    assert "2026-10-03 01:52:33" in extract.rejected[1].raw


def test_parentheses_line_ends_and_decimals_do_not_matter() -> None:
    wide = [name.replace("(", "（").replace(")", "）") for name in FLOW]
    terse = ["3.0", "1.0", "95.0", "2.0", "10.01"]
    assert read(flow(header=wide)) == read(flow())
    assert read(flow(totals=terse, newline="\r\n", bom=True)) == read(flow())


def test_the_totals_of_both_directions_are_the_control(company: Company) -> None:
    assert read(flow()).control == Control(rows=3, sums={"amount_fen": 10_501})


@pytest.mark.parametrize("column", range(len(FLOW_TOTALS)))
def test_a_total_that_is_off_by_one_refuses_the_bill(column: int) -> None:
    totals = list(FLOW_TOTALS)
    is_money = "." in totals[column]
    totals[column] = f"{float(totals[column]) + 0.01:.2f}" if is_money else "9"
    with pytest.raises(BrokenContentError, match=f"declares {FLOW_SUMMARY[column]}"):
        read(flow(totals=totals))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"收支类型": "冻结"}, "收支类型: found '冻结', allowed: 收入, 支出"),
        ({"收支金额(元)": ""}, "收支金额: found nothing"),
        ({"账户结余(元)": "much"}, "账户结余: found 'much'"),
        ({"记账时间": "2026-10-03"}, "time: found '2026-10-03'"),
        ({"备注": "a,`b"}, "found 12 values, allowed: 11"),
    ],
)
def test_a_malformed_movement_is_set_aside_and_the_others_are_read(
    changes: dict[str, str], reason: str
) -> None:
    found = read(flow([FLOW_ROWS[0] | changes, *FLOW_ROWS[1:]]))
    assert len(found.rows) == 2
    (rejected,) = found.rejected
    assert rejected.reason.startswith(reason)
    assert rejected.place == f"{NAME}, line 2"


def test_a_missing_column_and_a_trade_bills_summary_are_refused() -> None:
    with pytest.raises(BrokenContentError, match="missing 收支金额"):
        read(flow(header=[name for name in FLOW if not name.startswith("收支金额")]))
    with pytest.raises(BrokenContentError, match="found no 资金流水总笔数"):
        read(flow(summary=["总交易单数", *FLOW_SUMMARY[1:]]))
