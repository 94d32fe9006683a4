"""The trade bill as WeChat Pay writes it: 27 columns, a backtick before every value, a summary.

On every other day it comes with a byte order mark, CRLF and a summary of fewer decimals: all three
have been seen in real bills.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from pipeline.landing import SHANGHAI
from pipeline.simulation.wechat_books import MERCHANT_ID

HEADER = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,"
    "付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,"
    "退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
SUMMARY_HEADER = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
)
RATE = "0.60%"


def write_bill(day: date, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The bill of one day as the bytes before gzip."""
    is_old_style = day.toordinal() % 2 == 0
    lines = [HEADER, *(_line(row) for row in rows), SUMMARY_HEADER]
    lines.append(_summary(rows, is_terse=is_old_style))
    newline = "\r\n" if is_old_style else "\n"
    text = newline.join(lines) + newline
    return text.encode("utf-8-sig" if is_old_style else "utf-8")


def _line(row: Mapping[str, Any]) -> str:
    is_payment = row["kind"] == "payment"
    at = datetime.fromisoformat(row["at"]).astimezone(SHANGHAI)
    values = (
        f"{at:%Y-%m-%d %H:%M:%S}", row["app_id"], MERCHANT_ID, "0", "", row["transaction_id"],
        row["order_no"], row["openid"], row["trade_type"], "SUCCESS" if is_payment else "REFUND",
        "OTHERS", "CNY", _yuan(row.get("settled_fen", 0)), _yuan(row.get("coupon_fen", 0)),
        row.get("refund_id", "0"), row.get("refund_no", "0"), _yuan(row.get("refund_fen", 0)),
        "0.00", "" if is_payment else "ORIGINAL", "" if is_payment else "SUCCESS",
        row["goods"], row["attach"], f"{_yuan(row['fee_fen'])}000", RATE,
        _yuan(row.get("order_fen", 0)), _yuan(row.get("requested_fen", 0)), "",
    )  # fmt: skip
    return _prefixed(values)


def _summary(rows: Sequence[Mapping[str, Any]], *, is_terse: bool) -> str:
    def total(name: str) -> int:
        return sum(row.get(name, 0) for row in rows)

    count = f"{len(rows)}.0" if is_terse else f"{len(rows)}"
    money = [
        _yuan(total("settled_fen")), _yuan(total("refund_fen")), "0.00",
        f"{_yuan(total('fee_fen'))}000", _yuan(total("order_fen")), _yuan(total("requested_fen")),
    ]  # fmt: skip
    if is_terse:
        money = [f"{float(yuan):.2f}".removesuffix("0") for yuan in money]
    return _prefixed((count, *money))


def _prefixed(values: Sequence[str]) -> str:
    return ",".join(f"`{value}" for value in values)


def _yuan(fen: int) -> str:
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"
