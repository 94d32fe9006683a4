"""The trade bill as WeChat Pay writes it: a backtick before every value, a summary at the end.

All, only payments or only refunds; today's columns or the legacy ones. On every other day it comes
with a byte order mark, CRLF and a summary of fewer decimals: all three have been seen in real
bills.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pipeline.landing import SHANGHAI
from pipeline.simulation.wechat_books import MERCHANT_ID

ALL = (
    "交易时间", "公众账号ID", "商户号", "特约商户号", "设备号", "微信订单号",
    "商户订单号", "用户标识", "交易类型", "交易状态", "付款银行", "货币种类",
    "应结订单金额", "代金券金额", "微信退款单号", "商户退款单号", "退款金额",
    "充值券退款金额", "退款类型", "退款状态", "商品名称", "商户数据包", "手续费",
    "费率", "订单金额", "申请退款金额", "费率备注",
)  # fmt: skip
OF_REFUNDS = {*ALL[14:20], "申请退款金额"}
REFUND_TIMES = ("退款申请时间", "退款成功时间")
COLUMNS = {
    "ALL": ALL,
    "SUCCESS": tuple(name for name in ALL if name not in OF_REFUNDS),
    "REFUND": (*ALL[:14], *REFUND_TIMES, *ALL[14:]),
}
SUMMARY = (
    "总交易单数", "应结订单总金额", "退款总金额", "充值券退款总金额", "手续费总金额",
    "订单总金额", "申请退款总金额",
)  # fmt: skip
OF_REFUNDS_TOTAL = {"退款总金额", "充值券退款总金额", "申请退款总金额"}
# Merchants without coupons of the later kind get what there was before: fewer columns, other names.
LATER = ("订单金额", "申请退款金额", "费率备注")
LEGACY_NAMES = {
    "特约商户号": "子商户号",
    "应结订单金额": "总金额",
    "代金券金额": "代金券或立减优惠金额",
    "充值券退款金额": "代金券或立减优惠退款金额",
}
LEGACY_SUMMARY = {
    "总交易单数": "总交易单数",
    "应结订单总金额": "总交易额",
    "退款总金额": "总退款金额",
    "充值券退款总金额": "总代金券或立减优惠退款金额",
    "手续费总金额": "手续费总金额",
}
STATES = {"payment": "SUCCESS", "refund": "REFUND", "revoked": "REVOKED"}
RATE = "0.60%"


@dataclass(frozen=True)
class BillStyle:
    """How a bill is written. `is_terse` drops decimals of the summary, `is_short` all of its totals
    that a bill of payments does not need."""

    has_mark_and_crlf: bool = False
    is_terse: bool = False
    is_legacy: bool = False
    is_short: bool = False


def usual_style(day: date) -> BillStyle:
    """What a merchant of today gets, in both of the forms that have been seen."""
    is_odd = day.toordinal() % 2 == 0
    return BillStyle(has_mark_and_crlf=is_odd, is_terse=is_odd)


def write_bill(rows: Sequence[Mapping[str, Any]], bill_type: str, style: BillStyle) -> bytes:
    """The bill of one day as the bytes before gzip, of the rows that belong into it."""
    chosen = choose_rows(rows, bill_type)
    columns = [name for name in COLUMNS[bill_type] if not (style.is_legacy and name in LATER)]
    summary = _summary_names(bill_type, style)
    totals = _totals(chosen, style)
    cells = [_cells(row, bill_type, is_legacy=style.is_legacy) for row in chosen]
    return write_text(
        [LEGACY_NAMES.get(name, name) if style.is_legacy else name for name in columns],
        [[values[name] for name in columns] for values in cells],
        list(summary.values()),
        [totals[name] for name in summary],
        has_mark_and_crlf=style.has_mark_and_crlf,
    )


def choose_rows(rows: Sequence[Mapping[str, Any]], bill_type: str) -> list[Mapping[str, Any]]:
    """The rows that a bill of that type lists."""
    if bill_type == "ALL":
        return list(rows)
    return [row for row in rows if (row["kind"] == "payment") == (bill_type == "SUCCESS")]


def write_text(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    summary: Sequence[str],
    totals: Sequence[str],
    *,
    has_mark_and_crlf: bool,
) -> bytes:
    """Names as they are, values each behind a backtick."""
    lines = [",".join(header), *map(_prefixed, rows), ",".join(summary), _prefixed(totals)]
    newline = "\r\n" if has_mark_and_crlf else "\n"
    text = newline.join(lines) + newline
    return text.encode("utf-8-sig" if has_mark_and_crlf else "utf-8")


def yuan(fen: int) -> str:
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def terse(written: str) -> str:
    """A number with the decimals that the summaries of some bills have: 45.0, 0.08."""
    return f"{float(written):.2f}".removesuffix("0")


def beijing(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(SHANGHAI):%Y-%m-%d %H:%M:%S}"


def _cells(row: Mapping[str, Any], bill_type: str, *, is_legacy: bool) -> dict[str, str]:
    is_payment = row["kind"] == "payment"
    settled = row.get("order_fen" if is_legacy else "settled_fen", 0)
    # In the bill of refunds a row's own time is that of the payment.
    at = row.get("paid_at", row["at"]) if bill_type == "REFUND" else row["at"]
    return {
        "交易时间": beijing(at), "公众账号ID": row["app_id"],
        "商户号": row.get("mch_id", MERCHANT_ID), "特约商户号": "0", "设备号": "",
        "微信订单号": row["transaction_id"], "商户订单号": row["order_no"],
        "用户标识": row["openid"], "交易类型": row["trade_type"], "交易状态": STATES[row["kind"]],
        "付款银行": "OTHERS", "货币种类": "CNY",
        "应结订单金额": yuan(settled), "代金券金额": yuan(row.get("coupon_fen", 0)),
        "退款申请时间": beijing(row["at"]),
        "退款成功时间": "" if row.get("refund_state") == "PROCESSING" else beijing(row["at"]),
        "微信退款单号": row.get("refund_id", "0"), "商户退款单号": row.get("refund_no", "0"),
        "退款金额": yuan(row.get("refund_fen", 0)), "充值券退款金额": "0.00",
        "退款类型": "" if is_payment else "ORIGINAL",
        "退款状态": "" if is_payment else row.get("refund_state", "SUCCESS"),
        "商品名称": row["goods"], "商户数据包": row["attach"],
        "手续费": f"{yuan(row['fee_fen'])}000", "费率": RATE,
        "订单金额": yuan(row.get("order_fen", 0)),
        "申请退款金额": yuan(row.get("requested_fen", 0)), "费率备注": "",
    }  # fmt: skip


def _summary_names(bill_type: str, style: BillStyle) -> dict[str, str]:
    """Today's names of the totals that the bill has, to the names that it writes."""
    if style.is_legacy:
        return LEGACY_SUMMARY
    is_short = style.is_short and bill_type == "SUCCESS"
    return {name: name for name in SUMMARY if not (is_short and name in OF_REFUNDS_TOTAL)}


def _totals(rows: Sequence[Mapping[str, Any]], style: BillStyle) -> dict[str, str]:
    is_terse = style.is_terse

    def total(name: str) -> str:
        written = yuan(sum(row.get(name, 0) for row in rows))
        return terse(written) if is_terse else written

    return {
        "总交易单数": f"{len(rows)}.0" if is_terse else f"{len(rows)}",
        "应结订单总金额": total("order_fen" if style.is_legacy else "settled_fen"),
        "退款总金额": total("refund_fen"),
        "充值券退款总金额": "0.0" if is_terse else "0.00",
        "手续费总金额": total("fee_fen") + ("" if is_terse else "000"),
        "订单总金额": total("order_fen"), "申请退款总金额": total("requested_fen"),
    }  # fmt: skip


def _prefixed(values: Sequence[str]) -> str:
    return ",".join(f"`{value}" for value in values)
