"""Reading a trade bill: from its text to payments, refunds and totals. Opens no line.

Columns are found by name: the bills ALL (27 columns), SUCCESS (20), REFUND (29) and the legacy
layouts (24, and 26 for refunds) differ.
"""

from decimal import Decimal
from typing import Any

from pipeline.landing import Control
from pipeline.sources.wechat.statement import (
    FEN_OF_YUAN,
    Lines,
    Statement,
    UnreadableError,
    read_header,
    read_summary,
    read_time,
    read_yuan,
    reject,
    require_count,
    require_tie,
    require_whole_fen,
    split_cells,
    split_lines,
    whole,
)

TEXTS = {
    "微信订单号": "transaction_id",
    "商户订单号": "order_no",
    "公众账号ID": "app_id",
    "商户号": "mch_id",
    "用户标识": "openid",
    "交易类型": "trade_type",
    "交易状态": "trade_state",
    "微信退款单号": "refund_id",
    "商户退款单号": "refund_no",
    "退款状态": "refund_state",
    "费率": "rate",
    "商品名称": "description",
    "商户数据包": "attach",
}
# The merchant's own words. A comma in them is written "\ ": the blank belongs to it.
VERBATIM = ("商品名称", "商户数据包")
MONIES = {
    "订单金额": "order_amount_fen",
    "应结订单金额": "settled_amount_fen",
    "代金券金额": "coupon_fen",
    "退款金额": "refund_amount_fen",
    "申请退款金额": "refund_requested_fen",
}
FEE, TIME, REFUND_TIME = "手续费", "交易时间", "退款申请时间"
COUPON_REFUND, CURRENCY = "充值券退款金额", "货币种类"
SUMMARY_COUNT = "总交易单数"
# Summary name to the column that it sums.
SUMMARY_SUMS = {
    "订单总金额": "订单金额",
    "应结订单总金额": "应结订单金额",
    "退款总金额": "退款金额",
    "申请退款总金额": "申请退款金额",
    "充值券退款总金额": COUPON_REFUND,
    "手续费总金额": FEE,
}
# Names of the layout before coupons without recharge, still sent to some merchants.
LEGACY_NAMES = {
    "总金额": "订单金额",
    "代金券或立减优惠金额": "代金券金额",
    "企业红包金额": "代金券金额",
    "代金券或立减优惠退款金额": COUPON_REFUND,
    "企业红包退款金额": COUPON_REFUND,
    "总交易额": "订单总金额",
    "总退款金额": "退款总金额",
    "总代金券或立减优惠退款金额": "充值券退款总金额",
    "总企业红包退款金额": "充值券退款总金额",
}
REQUIRED = (TIME, "微信订单号", "商户订单号", "交易状态", "订单金额")
TRADE_STATES = {"SUCCESS": "payment", "REFUND": "refund", "REVOKED": "refund"}
# Fees come with five decimals of a yuan.
MILLI_FEN_OF_YUAN = 100_000


def read_bill(text: bytes, *, name: str) -> Statement:
    """Read a bill whole. Lines that cannot be read are set aside with their reason; merchant texts
    stay as the bill escapes them.

    Raises BrokenContentError where header or summary are missing or the rows do not tie to the
    summary: the count always, the sums to the fen wherever every row's money could be read.
    """
    lines = split_lines(text, name=name)
    header = read_header(lines.header, REQUIRED, LEGACY_NAMES, name=name)
    summary = _read_summary(lines, name)
    rows, rejected, amounts = [], [], []
    for number, line in lines.details:
        try:
            cells = split_cells(line, header, VERBATIM)
            yuan = read_yuan(cells, (*MONIES, COUPON_REFUND, FEE))
            require_whole_fen(yuan, (*MONIES, COUPON_REFUND))
            amounts.append(yuan)
            rows.append(_read_row(cells, yuan))
        except UnreadableError as error:
            rejected.append(reject(f"{name}, line {number}", str(error), line))
    _require_tie(name, summary, amounts, len(lines.details))
    return Statement(rows, tuple(rejected), _control(summary))


def _read_summary(lines: Lines, name: str) -> dict[str, Decimal]:
    """The count, and the totals under the names of the columns that they sum."""
    told = read_summary(lines, (SUMMARY_COUNT,), SUMMARY_SUMS, LEGACY_NAMES, name=name)
    return {SUMMARY_SUMS.get(column, column): total for column, total in told.items()}


def _read_row(cells: dict[str, str], yuan: dict[str, Decimal]) -> dict[str, Any]:
    state, currency = cells["交易状态"], cells.get(CURRENCY, "CNY")
    if state not in TRADE_STATES:
        allowed = ", ".join(TRADE_STATES)
        raise UnreadableError(f"交易状态: found '{state[:40]}', allowed: {allowed}")
    if currency != "CNY":
        raise UnreadableError(f"{CURRENCY}: found '{currency[:40]}', allowed: CNY")
    kind = TRADE_STATES[state]
    row: dict[str, Any] = {landed: cells.get(column) or None for column, landed in TEXTS.items()}
    for number in ("refund_id", "refund_no"):
        row[number] = None if row[number] == "0" else row[number]
    for column, landed in MONIES.items():
        row[landed] = whole(yuan.get(column), FEN_OF_YUAN)
    # In the REFUND bill the transaction time is that of the payment; what happened is the refund.
    happened = (kind == "refund" and cells.get(REFUND_TIME)) or cells[TIME]
    return row | {
        "row_kind": kind,
        "happened_at": read_time(happened),
        "fee_milli_fen": whole(yuan.get(FEE), MILLI_FEN_OF_YUAN),
    }


def _require_tie(
    name: str, summary: dict[str, Decimal], amounts: list[dict[str, Decimal]], count: int
) -> None:
    require_count(name, SUMMARY_COUNT, summary[SUMMARY_COUNT], count)
    if len(amounts) < count:  # what could not be read may be what is missing from the sums
        return
    for column, declared in summary.items():
        if column != SUMMARY_COUNT:
            found = sum((yuan.get(column, Decimal(0)) for yuan in amounts), Decimal(0))
            require_tie(name, column, declared, found)


def _control(summary: dict[str, Decimal]) -> Control:
    return Control(
        rows=int(summary[SUMMARY_COUNT]),
        sums={
            landed: int(summary[column] * FEN_OF_YUAN)
            for column, landed in MONIES.items()
            if column in summary
        },
    )
