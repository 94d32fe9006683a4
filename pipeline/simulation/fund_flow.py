"""The fund-flow bill as WeChat Pay writes it: every movement of money in the merchant's account.

Derived from the rows of the trade bill, so that both tell of the same money: a payment comes in
whole and its fee goes out, a refund goes out less the fee that WeChat gives back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.simulation.trade_bill import BillStyle, beijing, terse, write_text, yuan

COLUMNS = (
    "记账时间", "微信支付业务单号", "资金流水单号", "业务名称", "业务类型", "收支类型",
    "收支金额(元)", "账户结余(元)", "资金变更提交申请人", "备注", "业务凭证号",
)  # fmt: skip
SUMMARY = ("资金流水总笔数", "收入笔数", "收入金额", "支出笔数", "支出金额")
OPENING_BALANCE_FEN = 100_000_000


@dataclass(frozen=True)
class Movement:
    """One movement: `fen` is what the balance changes by."""

    at: str
    payment_no: str
    flow_no: str
    name: str
    type: str
    fen: int
    applicant: str
    remark: str
    voucher_no: str


def net_fen(row: Mapping[str, Any]) -> int:
    """What a row of the trade bill changes the balance by; fees come negative with refunds."""
    moved: int = row["settled_fen"] if row["kind"] == "payment" else -row["refund_fen"]
    return moved - int(row["fee_fen"])


def movements_of(rows: Sequence[Mapping[str, Any]]) -> list[Movement]:
    """What the rows of a trade bill move, in the order in which it is booked."""
    moved = [movement for row in rows for movement in _movements(row) if movement.fen]
    return sorted(moved, key=lambda movement: (movement.at, movement.flow_no, -movement.fen))


def write_fund_flow(
    movements: Sequence[Movement], balance_fen: int, merchant_id: str, style: BillStyle
) -> bytes:
    """The bill of one day as the bytes before gzip; `balance_fen` is that at its beginning."""
    header = [
        name.replace("(", "（").replace(")", "）") if style.is_legacy else name for name in COLUMNS
    ]
    rows = []
    for movement in movements:
        balance_fen += movement.fen
        rows.append([
            beijing(movement.at), movement.payment_no, movement.flow_no, movement.name,
            movement.type, "收入" if movement.fen > 0 else "支出", yuan(abs(movement.fen)),
            yuan(balance_fen), f"{merchant_id}{movement.applicant}", movement.remark,
            movement.voucher_no,
        ])  # fmt: skip
    return write_text(
        header, rows, SUMMARY, _totals(movements, is_terse=style.is_terse),
        has_mark_and_crlf=style.has_mark_and_crlf,
    )  # fmt: skip


def _movements(row: Mapping[str, Any]) -> list[Movement]:
    transaction, order = row["transaction_id"], row["order_no"]
    if row["kind"] == "payment":
        shared = {"at": row["at"], "payment_no": transaction, "flow_no": transaction,
                  "name": "交易", "applicant": "system", "voucher_no": order}  # fmt: skip
        return [
            Movement(type="交易", fen=row["settled_fen"], remark="", **shared),
            Movement(
                type="扣除交易手续费", fen=-row["fee_fen"],
                remark=f"结算总金额{yuan(row['settled_fen'])}元;手续费{yuan(row['fee_fen'])}元",
                **shared,
            ),
        ]  # fmt: skip
    given_back = -row["fee_fen"]
    return [
        Movement(
            at=row["at"], payment_no=row["refund_id"], flow_no=transaction, name="退款",
            type="退款", fen=given_back - row["refund_fen"], applicant="API",
            remark=f"退款总金额{yuan(row['refund_fen'])}元;含手续费{yuan(given_back)}元",
            voucher_no=row["refund_no"],
        )
    ]  # fmt: skip


def _totals(movements: Sequence[Movement], *, is_terse: bool) -> list[str]:
    income = [movement.fen for movement in movements if movement.fen > 0]
    expense = [-movement.fen for movement in movements if movement.fen < 0]
    told = [
        str(len(movements)), str(len(income)), yuan(sum(income)),
        str(len(expense)), yuan(sum(expense)),
    ]  # fmt: skip
    return [terse(number) for number in told] if is_terse else told
