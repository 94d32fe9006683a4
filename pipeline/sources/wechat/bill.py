"""Reading a WeChat Pay trade bill: from the bytes downloaded to rows and totals. Opens no line.

A bill is UTF-8 text without quoting. Every value is prefixed by a backtick, so that values part at
",`" and commas inside them are harmless. The last two lines are the summary. Columns are found by
name: the bills ALL (27 columns), SUCCESS (20), REFUND (29) and the legacy layout (24) differ.
"""

import gzip
import hashlib
import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pipeline.errors import BrokenContentError
from pipeline.landing import Control, Rejected

GZIP_MAGIC = b"\x1f\x8b"
# The file itself, and a Content-Encoding around it where some host adds one.
LAYERS_MOST = 2
RUN_AGAIN = "run again: a fresh bill is asked for; if it repeats, ask WeChat Pay for the bill"

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

FEN_OF_YUAN = 100
# Fees come with five decimals of a yuan.
MILLI_FEN_OF_YUAN = 100_000
ONE_FEN = Decimal("0.01")
_YUAN = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,5})?")
_COUNT = re.compile(r"[0-9]{1,12}(\.0+)?")
_PHONE = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")


class _UnreadableError(Exception):
    """A line that is not what its header promises; the text is the reason."""


@dataclass(frozen=True)
class Bill:
    """A bill that ties to its own summary. `rows` bear the names of `pay_bill`; merchant texts stay
    as the bill escapes them."""

    rows: list[dict[str, Any]]
    rejected: tuple[Rejected, ...]
    control: Control


def unpack(data: bytes, sha1: str, *, name: str) -> bytes:
    """The bill's text. The declared SHA1 may be that of the file sent or of the text inside: old
    and new documentation differ. Raises BrokenContentError where it is neither, or gzip is cut."""
    layers = [data]
    while layers[-1].startswith(GZIP_MAGIC) and len(layers) <= LAYERS_MOST:
        layers.append(_gunzip(layers[-1], name))
    found = [hashlib.sha1(layer, usedforsecurity=False).hexdigest() for layer in layers]
    if sha1.strip().lower() not in found:
        raise BrokenContentError(
            f"{name}: SHA1 declared {sha1[:40]}, found {' and, unzipped, '.join(found)}"
            f" over {len(data)} bytes",
            next_step=RUN_AGAIN,
        )
    return layers[-1]


def read_bill(text: bytes, *, name: str) -> Bill:
    """Read a bill whole. Lines that cannot be read are set aside with their reason.

    Raises BrokenContentError where header or summary are missing or the rows do not tie to the
    summary: the count always, the sums to the fen wherever every row's money could be read.
    """
    lines = [
        (number, line.rstrip(b"\r"))
        for number, line in enumerate(text.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1)
        if line.strip()
    ]
    if len(lines) < len(("header", "summary header", "summary")):
        raise _broken(name, f"found {len(lines)} lines, allowed: header, rows and a summary of two")
    header = _read_header(lines[0][1], name)
    summary = _read_summary(lines[-2][1], lines[-1][1], name)
    details = lines[1:-2]
    rows, rejected, amounts = [], [], []
    for number, line in details:
        try:
            cells = _split(line, header)
            yuan = _read_yuan(cells)
            amounts.append(yuan)
            rows.append(_read_row(cells, yuan))
        except _UnreadableError as error:
            rejected.append(_reject(f"{name}, line {number}", str(error), line))
    _require_tie(name, summary, amounts, len(details))
    return Bill(rows, tuple(rejected), _control(summary))


def _gunzip(data: bytes, name: str) -> bytes:
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        found = f"the gzip file of {len(data)} bytes is cut or damaged: {error}"
        raise _broken(name, found) from error


def _broken(name: str, found: str) -> BrokenContentError:
    return BrokenContentError(f"{name}: {found}", next_step=RUN_AGAIN)


def _decode(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _UnreadableError(f"found no UTF-8 at byte {error.start} of the line") from error


def _read_names(line: bytes) -> list[str]:
    """Column names in today's words, without the remarks that some carry in parentheses."""
    names = [re.split("[(（]", cell.strip(" `"))[0] for cell in _decode(line).split(",")]
    return [LEGACY_NAMES.get(name, name) for name in names]


def _read_header(line: bytes, name: str) -> list[str]:
    try:
        header = _read_names(line)
    except _UnreadableError as error:
        raise _broken(name, f"header: {error}") from error
    missing = [column for column in REQUIRED if column not in header]
    if missing or len(set(header)) < len(header):
        raise _broken(
            name,
            f"header: found {', '.join(header)[:400]};"
            f" missing {', '.join(missing) or 'nothing, but a name comes twice'}",
        )
    return header


def _read_summary(names: bytes, values: bytes, name: str) -> dict[str, Decimal]:
    try:
        header = _read_names(names)
        if header[0] != SUMMARY_COUNT:
            raise _UnreadableError(f"found no {SUMMARY_COUNT}: the end is missing")
        cells = _split(values, header)
        count = cells[SUMMARY_COUNT]
        if not _COUNT.fullmatch(count):
            raise _UnreadableError(f"{SUMMARY_COUNT}: found '{count[:20]}', allowed: a count")
        totals = {column: cells[total] for total, column in SUMMARY_SUMS.items() if total in cells}
        sums = _read_yuan(totals)
    except _UnreadableError as error:
        raise _broken(name, f"summary: {error}") from error
    return {SUMMARY_COUNT: Decimal(count)} | sums


def _split(line: bytes, header: list[str]) -> dict[str, str]:
    text = _decode(line)
    cells = text.removeprefix("`").split(",`")
    if not text.startswith("`") or len(cells) != len(header):
        raise _UnreadableError(
            f"found {len(cells)} values, allowed: {len(header)}, each after a backtick"
        )
    return dict(zip(header, map(str.strip, cells), strict=True))


def _read_yuan(cells: dict[str, str]) -> dict[str, Decimal]:
    """The amounts of a line in yuan; an empty one is left out."""
    yuan = {}
    for column in (*MONIES, COUPON_REFUND, FEE):
        written = cells.get(column, "")
        if not written:
            continue
        if not _YUAN.fullmatch(written):
            raise _UnreadableError(f"{column}: found '{written[:40]}', allowed: yuan such as 12.34")
        yuan[column] = Decimal(written)
        if column != FEE and yuan[column] % ONE_FEN:
            raise _UnreadableError(f"{column}: found '{written}', allowed: whole fen")
    return yuan


def _read_row(cells: dict[str, str], yuan: dict[str, Decimal]) -> dict[str, Any]:
    state, currency = cells["交易状态"], cells.get(CURRENCY, "CNY")
    if state not in TRADE_STATES:
        allowed = ", ".join(TRADE_STATES)
        raise _UnreadableError(f"交易状态: found '{state[:40]}', allowed: {allowed}")
    if currency != "CNY":
        raise _UnreadableError(f"{CURRENCY}: found '{currency[:40]}', allowed: CNY")
    kind = TRADE_STATES[state]
    row: dict[str, Any] = {landed: cells.get(column) or None for column, landed in TEXTS.items()}
    for number in ("refund_id", "refund_no"):
        row[number] = None if row[number] == "0" else row[number]
    for column, landed in MONIES.items():
        row[landed] = _whole(yuan.get(column), FEN_OF_YUAN)
    # In the REFUND bill the transaction time is that of the payment; what happened is the refund.
    happened = (kind == "refund" and cells.get(REFUND_TIME)) or cells[TIME]
    return row | {
        "row_kind": kind,
        "happened_at": _read_time(happened),
        "fee_milli_fen": _whole(yuan.get(FEE), MILLI_FEN_OF_YUAN),
    }


def _whole(yuan: Decimal | None, units: int) -> int | None:
    return None if yuan is None else int(yuan * units)


def _read_time(written: str) -> datetime:
    """A Beijing wall-clock time; legacy bills write it with full-width colons."""
    try:
        beijing = datetime.strptime(f"{written.replace('：', ':')} +0800", "%Y-%m-%d %H:%M:%S %z")
        return beijing.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        allowed = "yyyy-MM-dd HH:mm:ss"
        raise _UnreadableError(f"time: found '{written[:40]}', allowed: {allowed}") from error


def _reject(place: str, reason: str, line: bytes) -> Rejected:
    return Rejected(place, reason, _PHONE.sub("***", line.decode("utf-8", errors="replace")))


def _require_tie(
    name: str, summary: dict[str, Decimal], amounts: list[dict[str, Decimal]], count: int
) -> None:
    if summary[SUMMARY_COUNT] != count:
        raise _broken(name, f"the summary declares {summary[SUMMARY_COUNT]} rows, found {count}")
    if len(amounts) < count:  # what could not be read may be what is missing from the sums
        return
    for column, declared in summary.items():
        found = sum((yuan.get(column, Decimal(0)) for yuan in amounts), Decimal(0))
        if column != SUMMARY_COUNT and abs(found - declared) >= ONE_FEN:
            sums_to = f"the summary declares {column} {declared}, the rows sum to {found}"
            raise _broken(name, sums_to)


def _control(summary: dict[str, Decimal]) -> Control:
    return Control(
        rows=int(summary[SUMMARY_COUNT]),
        sums={
            landed: int(summary[column] * FEN_OF_YUAN)
            for column, landed in MONIES.items()
            if column in summary
        },
    )
