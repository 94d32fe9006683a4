"""Reading a fund-flow bill: from its text to movements of money and totals. Opens no line.

Who asked for a movement (资金变更提交申请人) is a person or an account name: it never lands.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from pipeline.landing import Control, Rejected
from pipeline.sources.wechat.statement import (
    FEN_OF_YUAN,
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
    "微信支付业务单号": "payment_no",
    "资金流水单号": "flow_no",
    "业务名称": "business_name",
    "业务类型": "business_type",
    "备注": "remark",
    "业务凭证号": "voucher_no",
}
VERBATIM = ("备注",)
TIME, DIRECTION, AMOUNT, BALANCE = "记账时间", "收支类型", "收支金额", "账户结余"
APPLICANT = "资金变更提交申请人"
REQUIRED = (TIME, "资金流水单号", DIRECTION, AMOUNT)
DIRECTIONS = {"收入": "income", "支出": "expense"}
COUNT = "资金流水总笔数"
# Per direction, the summary's names of its count and its sum.
TOTALS = {"收入": ("收入笔数", "收入金额"), "支出": ("支出笔数", "支出金额")}
COUNTS = (COUNT, *(count for count, _ in TOTALS.values()))
SUMS = tuple(total for _, total in TOTALS.values())


def read_fund_flow(text: bytes, *, name: str, account_type: str, merchant_id: str) -> Statement:
    """Read a fund-flow bill whole. Lines that cannot be read are set aside with their reason.

    Raises BrokenContentError where header or summary are missing or the rows do not tie to the
    summary: all rows counted always, counts and sums by direction wherever every row could be read.
    """
    lines = split_lines(text, name=name)
    header = read_header(lines.header, REQUIRED, {}, name=name)
    summary = read_summary(lines, COUNTS, SUMS, {}, name=name)
    owner = {"account_type": account_type, "mch_id": merchant_id}
    rows: list[dict[str, Any]] = []
    rejected: list[Rejected] = []
    for number, line in lines.details:
        try:
            rows.append(owner | _read_row(split_cells(line, header, VERBATIM)))
        except UnreadableError as error:
            unread = reject(f"{name}, line {number}", str(error), line)
            rejected.append(replace(unread, raw=_without_applicant(unread.raw, header)))
    require_count(name, COUNT, summary[COUNT], len(lines.details))
    if not rejected:
        _require_tie(name, summary, rows)
    return Statement(rows, tuple(rejected), _control(summary))


def _read_row(cells: dict[str, str]) -> dict[str, Any]:
    direction = cells[DIRECTION]
    if direction not in DIRECTIONS:
        allowed = ", ".join(DIRECTIONS)
        raise UnreadableError(f"{DIRECTION}: found '{direction[:40]}', allowed: {allowed}")
    yuan = read_yuan(cells, (AMOUNT, BALANCE))
    require_whole_fen(yuan, yuan)
    if AMOUNT not in yuan:
        raise UnreadableError(f"{AMOUNT}: found nothing, allowed: yuan such as 12.34")
    return {landed: cells.get(column) or None for column, landed in TEXTS.items()} | {
        "booked_at": read_time(cells[TIME]),
        "direction": DIRECTIONS[direction],
        "amount_fen": whole(yuan[AMOUNT], FEN_OF_YUAN),
        "balance_fen": whole(yuan.get(BALANCE), FEN_OF_YUAN),
    }


def _without_applicant(raw: str, header: list[str]) -> str:
    """A set-aside line with the applicant blanked, and all after it where cells are out of step."""
    cells = raw.split(",`")
    if APPLICANT not in header:
        return raw
    place = header.index(APPLICANT)
    last = place + 1 if len(cells) == len(header) else len(cells)
    return ",`".join("***" if place <= n < last else cell for n, cell in enumerate(cells))


def _require_tie(name: str, summary: dict[str, Decimal], rows: list[dict[str, Any]]) -> None:
    for direction, (count, total) in TOTALS.items():
        moved = [row["amount_fen"] for row in rows if row["direction"] == DIRECTIONS[direction]]
        if count in summary:
            require_count(name, count, summary[count], len(moved))
        if total in summary:
            require_tie(name, total, summary[total], Decimal(sum(moved)) / FEN_OF_YUAN)


def _control(summary: dict[str, Decimal]) -> Control:
    """Rows, and all that moved: income and expense together, as `amount_fen` sums them."""
    totals = [summary[total] for total in SUMS if total in summary]
    is_whole = len(totals) == len(SUMS)
    sums = {"amount_fen": int(sum(totals, Decimal(0)) * FEN_OF_YUAN)} if is_whole else {}
    return Control(rows=int(summary[COUNT]), sums=sums)
