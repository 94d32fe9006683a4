"""Sample bills of other people, cut, spoilt and as they are: an error, or the rows of the whole."""

import gzip
import hashlib
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from pipeline.errors import BrokenContentError
from pipeline.simulation.fund_flow import movements_of, write_fund_flow
from pipeline.simulation.trade_bill import BillStyle, write_bill
from pipeline.sources.wechat.bill import read_bill
from pipeline.sources.wechat.fund_flow import read_fund_flow
from pipeline.sources.wechat.statement import Statement, unpack
from tests.simulated_desk import ROWS

SAMPLES = Path(__file__).parent / "samples" / "wechat" / "wxjava"
MASKED_TOTALS = {
    "ALL": ["1", "6.00", "0.00", "0.00", "0.04000", "6.00", "0.00"],
    "SUCCESS": ["1", "0.01", "0.00", "0.00", "0.00000", "0.01", "0.00"],
    "REFUND": ["1", "0.00", "0.01", "0.00", "0.00000", "0.00", "0.01"],
}
Read = Callable[[bytes], Statement]
read_trade_bill: Read = partial(read_bill, name="trade bill")
read_flow: Read = partial(
    read_fund_flow, name="fund-flow bill", account_type="BASIC", merchant_id="1900000109"
)


def sample(bill_type: str) -> bytes:
    """A masked sample with the summary of the one row that it shows."""
    lines = (SAMPLES / f"tradebill.{bill_type}.masked.csv").read_text("utf-8").splitlines()
    totals = "`" + ",`".join(MASKED_TOTALS[bill_type])
    return "\n".join([*lines[:-1], totals]).encode()


def test_the_legacy_sample_is_read_whole() -> None:
    text = (SAMPLES / "tradebill.ALL.legacy24.csv").read_bytes()
    found = read_trade_bill(text)
    assert found.rejected == ()
    assert [row["order_amount_fen"] for row in found.rows] == [1, 1]
    assert found.rows[0]["happened_at"] == datetime(2014, 11, 10, 8, 33, 45, tzinfo=UTC)
    assert found.rows[0]["transaction_id"] == "1001690740201411100005734289"


@pytest.mark.parametrize(
    ("bill_type", "kind", "order_fen", "refund_fen"),
    [("ALL", "payment", 600, 0), ("SUCCESS", "payment", 1, None), ("REFUND", "refund", 0, 1)],
)
def test_the_masked_samples_are_read(
    bill_type: str, kind: str, order_fen: int, refund_fen: int | None
) -> None:
    (row,) = read_trade_bill(sample(bill_type)).rows
    assert (row["row_kind"], row["order_amount_fen"]) == (kind, order_fen)
    assert row["refund_amount_fen"] == refund_fen


@pytest.mark.parametrize(("bill_type", "rows"), [("ALL", 48), ("SUCCESS", 31), ("REFUND", 4)])
def test_a_sample_of_one_row_under_the_summary_of_many_is_refused(
    bill_type: str, rows: int
) -> None:
    text = (SAMPLES / f"tradebill.{bill_type}.masked.csv").read_bytes()
    with pytest.raises(BrokenContentError, match=f"declares 总交易单数 {rows}, found 1"):
        read_trade_bill(text)


def texts() -> Iterator[tuple[str, bytes, Read]]:
    """One bill of every layout."""
    yield "legacy sample", (SAMPLES / "tradebill.ALL.legacy24.csv").read_bytes(), read_trade_bill
    for bill_type in MASKED_TOTALS:
        yield f"sample {bill_type}", sample(bill_type), read_trade_bill
        for style in (
            BillStyle(),
            BillStyle(has_mark_and_crlf=True, is_terse=True),
            BillStyle(is_legacy=True),
            BillStyle(is_short=True),
        ):
            yield f"{bill_type} {style}", write_bill(ROWS[:3], bill_type, style), read_trade_bill
    for style in (BillStyle(), BillStyle(has_mark_and_crlf=True, is_terse=True, is_legacy=True)):
        flow = write_fund_flow(movements_of(ROWS[:3]), 100_000, "1900000109", style)
        yield f"fund flow {style}", flow, read_flow


TEXTS = list(texts())
EVERY_TEXT = pytest.mark.parametrize(
    ("text", "read"), [case[1:] for case in TEXTS], ids=[case[0] for case in TEXTS]
)
SPOILT_PER_TEXT = 300


def read_rows(file: bytes, sha1: str, read: Read) -> list[dict[str, object]] | None:
    """The rows of a file, as far as it is not refused. Any other error is a crash."""
    try:
        return read(unpack(file, sha1, name="bill")).rows
    except BrokenContentError:
        return None


def sha1_of(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@EVERY_TEXT
def test_a_bill_cut_at_any_byte_is_refused_or_gives_rows_of_the_whole(
    text: bytes, read: Read
) -> None:
    whole = read(text).rows
    assert whole
    survived = 0
    for size in range(len(text)):
        cut = text[:size]
        assert read_rows(cut, sha1_of(text), read) is None
        # Even where WeChat Pay itself had cut it before it took the digest.
        rows = read_rows(cut, sha1_of(cut), read)
        assert rows is None or rows == whole
        survived += rows is not None
    # What may be missing: the line end, and decimals of the last total that are zero anyway.
    assert survived <= len("0000\r\n")


@EVERY_TEXT
def test_a_zipped_bill_cut_at_any_byte_is_refused(text: bytes, read: Read) -> None:
    file = gzip.compress(text, mtime=0)
    for size in range(len(file)):
        for sha1 in (sha1_of(file), sha1_of(text), sha1_of(file[:size])):
            assert read_rows(file[:size], sha1, read) is None


@EVERY_TEXT
def test_a_spoilt_bill_is_refused_by_its_digest_and_never_crashes_the_reader(
    text: bytes, read: Read
) -> None:
    chance, whole = random.Random(f"spoilt {sha1_of(text)}"), read(text)
    file = gzip.compress(text, mtime=0)
    for _ in range(SPOILT_PER_TEXT):
        for good in (text, file):
            spoilt = bytearray(good)
            for _ in range(chance.choice((1, 1, 2, 8))):
                spoilt[chance.randrange(len(spoilt))] ^= chance.randrange(1, 256)
            if spoilt != good:
                assert read_rows(bytes(spoilt), sha1_of(good), read) is None
            # With a digest of its own nothing tells that a name is wrong: still no crash, and no
            # money that the summary does not bear out.
            _require_same_money(bytes(spoilt), read, whole)


def _require_same_money(spoilt: bytes, read: Read, whole: Statement) -> None:
    try:
        found = read(unpack(spoilt, sha1_of(spoilt), name="bill"))
    except BrokenContentError:
        return
    assert len(found.rows) + len(found.rejected) == found.control.rows
    if not found.rejected and found.control == whole.control:
        name = "amount_fen" if "amount_fen" in whole.rows[0] else "order_amount_fen"
        assert sum(row[name] or 0 for row in found.rows) == sum(r[name] or 0 for r in whole.rows)
