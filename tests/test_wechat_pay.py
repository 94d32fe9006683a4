"""The trade bill: signatures both ways, downloads that arrive broken, every layout, every fen."""

import hashlib
import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from pipeline.company import Company, load_company
from pipeline.errors import (
    BrokenContentError,
    ConfigurationError,
    NotReadyError,
    PermanentSourceError,
    SourceError,
    TransientSourceError,
)
from pipeline.landed import TABLES
from pipeline.landing import Control, Extract, Landing, day_end
from pipeline.sources.wechat.bill import read_bill
from pipeline.sources.wechat.statement import Statement, unpack
from tests.wechat_bills import (
    ALL,
    LEGACY,
    LEGACY_SUMMARY,
    PAYMENT,
    REFUND,
    REFUNDED,
    ROWS,
    SUCCESS,
    SUMMARY,
    TOTALS,
    Platform,
    bill,
    key_of,
    public_pem,
    write_keys,
    zipped,
)
from tests.wechat_world import DAY, NOON_AFTER, Line, source, write_company

ASK, DOWNLOAD = "/v3/bill/tradebill", "/v3/billdownload/file"
NAME = "trade bill of 2026-10-03"


@pytest.fixture
def company(tmp_path: Path) -> Company:
    write_keys(tmp_path)
    return write_company(tmp_path)


def fetch(company: Company, platform: Platform) -> Extract:
    return next(source(company, "pay_bill", platform.line()).extract([DAY]))


def failure(company: Company, platform: Platform) -> SourceError:
    with pytest.raises(SourceError) as caught:
        fetch(company, platform)
    return caught.value


def paths(platform: Platform) -> list[str]:
    return platform._line.paths()


def test_a_bill_lands_as_payments_and_refunds_in_fen_and_utc(
    company: Company, tmp_path: Path
) -> None:
    extract = fetch(company, Platform([zipped(bill())]))
    batch = Landing(tmp_path / "landing", hash_key=b"k" * 16).land(
        TABLES["pay_bill"], extract, connector="wechat_pay"
    )
    assert (batch.rows, batch.quarantined, extract.complete_until) == (2, 0, day_end(DAY))
    refund, payment = extract.rows.to_pylist()
    assert payment == {
        "row_kind": "payment", "transaction_id": "4200000263202610031677001349",
        "order_no": "R20261003015232", "app_id": "wx5a1e0000000001", "mch_id": "1900000109",
        "openid": "ogqztkPsejM9MQAFfwCQSCi4oNg3", "trade_type": "JSAPI", "trade_state": "SUCCESS",
        "happened_at": datetime(2026, 10, 2, 17, 52, 32, tzinfo=UTC), "order_amount_fen": 10_000,
        "settled_amount_fen": 9_500, "coupon_fen": 500, "refund_id": None, "refund_no": None,
        "refund_amount_fen": 0, "refund_requested_fen": 0, "refund_state": None,
        "fee_milli_fen": 57_000, "rate": "0.60%", "description": "水果, 大份", "attach": "a,b",
    }  # fmt: skip
    assert refund["row_kind"] == "refund"
    assert (refund["refund_id"], refund["refund_no"]) == (REFUNDED["微信退款单号"], "REF1")
    assert (refund["refund_amount_fen"], refund["refund_requested_fen"]) == (950, 1_000)
    assert (refund["order_amount_fen"], refund["fee_milli_fen"]) == (0, -6_000)
    assert refund["refund_state"] == "PROCESSING"


def test_the_summary_becomes_the_control_totals(company: Company) -> None:
    assert fetch(company, Platform([zipped(bill())])).control == Control(
        rows=2,
        sums={
            "order_amount_fen": 10_000, "settled_amount_fen": 9_500,
            "refund_amount_fen": 950, "refund_requested_fen": 1_000,
        },
    )  # fmt: skip


def test_the_bill_is_asked_for_and_fetched_under_the_address_given(company: Company) -> None:
    platform = Platform([zipped(bill())])
    fetch(company, platform)
    asked, downloaded = platform._line.asked
    assert dict(asked.url.params) == {
        "bill_date": "2026-10-03", "bill_type": "ALL", "tar_type": "GZIP",
    }  # fmt: skip
    assert asked.headers["Wechatpay-Serial"] == "PUB_KEY_ID_0119"
    assert downloaded.url.raw_path == b"/v3/billdownload/file?token=a%2Bb-c_d&tartype=gzip"


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [("pay_bill", "bill_type", "REFUND"), ("pay_fund_flow", "account_type", "OPERATION")],
)
def test_sources_yml_chooses_the_kind_of_bill(
    company: Company, table: str, key: str, value: str
) -> None:
    platform = Platform([], refusals=[(400, "NO_STATEMENT_EXIST")])
    settings = company.sources.tables[table].model_copy(update={key: value})
    company.sources.tables[table] = settings
    next(source(company, table, platform.line()).extract([DAY]))
    (asked,) = platform._line.asked
    assert asked.url.params[key] == value


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("pay_bill: {connector: wechat_pay, account_type: FEES,", "'wechat_pay' does not read"),
        ("pay_fund_flow: {connector: wechat_pay, bill_type: ALL,", "'wechat_pay' does not read"),
        ("pay_bill: {connector: wechat_pay, bill_type: HALF,", "bill_type"),
    ],
)
def test_a_kind_that_the_table_has_not_is_a_mistake_of_sources_yml(
    company: Company, tmp_path: Path, written: str, told: str
) -> None:
    sources = tmp_path / "sources.yml"
    line = written.partition("wechat_pay,")[0] + "wechat_pay,"
    sources.write_text(sources.read_text().replace(line, written))
    with pytest.raises(ConfigurationError) as caught:
        load_company(tmp_path, environment={})
    assert told in str(caught.value)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [True, False])
def test_byte_order_mark_and_line_ends_do_not_matter(newline: str, bom: bool) -> None:
    text = bill(newline=newline, bom=bom)
    assert read_bill(text, name=NAME) == read_bill(bill(), name=NAME)
    assert read_bill(text.rstrip(), name=NAME).rows == read_bill(bill(), name=NAME).rows


def test_the_success_layout_of_20_columns_is_read(company: Company) -> None:
    assert len(SUCCESS) == 20
    totals = ["1", "95.00", "0.00", "0.00", "0.57000", "100.00", "0.00"]
    (row,) = read_bill(bill([PAYMENT], totals, header=SUCCESS), name=NAME).rows
    assert (row["order_amount_fen"], row["fee_milli_fen"]) == (10_000, 57_000)
    assert (row["refund_id"], row["refund_amount_fen"]) == (None, None)


def test_the_refund_layout_of_29_columns_dates_a_refund_by_its_application() -> None:
    assert len(REFUND) == 29
    late = REFUNDED | {
        "交易时间": "2026-09-24 16:16:25",  # when it was paid
        "退款申请时间": "2026-10-03 14:33:21",
        "退款成功时间": "2026-10-03 14:33:24",
    }
    totals = ["1", "0.00", "9.50", "0.00", "-0.06000", "0.00", "10.00"]
    (row,) = read_bill(bill([late], totals, header=REFUND), name=NAME).rows
    assert row["happened_at"] == datetime(2026, 10, 3, 6, 33, 21, tzinfo=UTC)


def test_the_legacy_layout_of_24_columns_and_its_wide_colons_are_read() -> None:
    old = PAYMENT | {"交易时间": "2026-10-03 16：33：45", "应结订单金额": "100.00", "手续费": "0"}
    totals = ["1", "100.0", "0.0", "0.0", "0"]
    text = bill([old], totals, header=LEGACY, summary=LEGACY_SUMMARY)
    (row,) = read_bill(text, name=NAME).rows
    assert row["happened_at"] == datetime(2026, 10, 3, 8, 33, 45, tzinfo=UTC)
    assert (row["order_amount_fen"], row["settled_amount_fen"]) == (10_000, None)
    assert (row["coupon_fen"], row["fee_milli_fen"]) == (500, 0)


def test_the_legacy_refund_layout_of_26_columns_is_read() -> None:
    header = [*LEGACY[:14], "退款申请时间", "退款成功时间", *LEGACY[14:]]
    assert len(header) == 26
    late = REFUNDED | {"交易时间": "2026-09-24 16:16:25", "退款申请时间": "2026-10-03 14:33:21"}
    totals = ["1", "0.00", "9.50", "0.00", "-0.06"]
    text = bill([late], totals, header=header, summary=LEGACY_SUMMARY)
    (row,) = read_bill(text, name=NAME).rows
    assert row["happened_at"] == datetime(2026, 10, 3, 6, 33, 21, tzinfo=UTC)
    assert (row["refund_amount_fen"], row["refund_requested_fen"]) == (950, None)


def test_a_summary_of_four_columns_ties_what_it_has() -> None:
    short = ["总交易单数", "应结订单总金额", "手续费总金额", "订单总金额"]
    totals = ["1", "95.00", "0.57000", "100.00"]
    read = read_bill(bill([PAYMENT], totals, header=SUCCESS, summary=short), name=NAME)
    assert read.control == Control(
        rows=1, sums={"order_amount_fen": 10_000, "settled_amount_fen": 9_500}
    )
    with pytest.raises(BrokenContentError, match=r"declares 手续费 0\.58000"):
        read_bill(
            bill([PAYMENT], [*totals[:2], "0.58000", "100.00"], header=SUCCESS, summary=short),
            name=NAME,
        )


@pytest.mark.parametrize("words", ["大份\\ ", r"a\ b\nc", "`a`b", " a, b "])
def test_the_merchants_words_stay_as_the_bill_escapes_them(words: str) -> None:
    text = bill([REFUNDED, PAYMENT | {"商品名称": words, "商户数据包": words}])
    row = read_bill(text, name=NAME).rows[1]
    assert (row["description"], row["attach"]) == (words, words)


def test_columns_are_found_by_name_whatever_their_order() -> None:
    shuffled = [*reversed(ALL), "新列"]
    assert read_bill(bill(header=shuffled), name=NAME).rows == read_bill(bill(), name=NAME).rows


def test_a_reversal_is_a_refund_and_an_unknown_state_is_set_aside() -> None:
    reversed_one = REFUNDED | {"交易状态": "REVOKED"}
    read = read_bill(bill([reversed_one, PAYMENT | {"交易状态": "CLOSED"}]), name=NAME)
    assert [row["row_kind"] for row in read.rows] == ["refund"]
    assert read.rejected[0].place == f"{NAME}, line 3"
    assert read.rejected[0].reason == "交易状态: found 'CLOSED', allowed: SUCCESS, REFUND, REVOKED"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"订单金额": "1e2"}, "订单金额: found '1e2', allowed: yuan such as 12.34"),
        ({"订单金额": "100.005"}, "订单金额: found '100.005', allowed: whole fen"),
        ({"退款金额": "１.00"}, "退款金额: found '１.00'"),
        ({"手续费": "0.570001"}, "手续费: found '0.570001'"),
        ({"交易时间": "2026-10-03"}, "time: found '2026-10-03', allowed: yyyy-MM-dd HH:mm:ss"),
        ({"交易时间": "0001-01-01 00:00:00"}, "time: found '0001-01-01 00:00:00'"),
        ({"货币种类": "HKD"}, "货币种类: found 'HKD', allowed: CNY"),
        ({"商品名称": "a,`b"}, "found 28 values, allowed: 27, each after a backtick"),
    ],
)
def test_a_malformed_row_is_set_aside_and_the_others_land(
    company: Company, tmp_path: Path, changes: dict[str, str], reason: str
) -> None:
    broken = PAYMENT | {"微信订单号": "4200000263202610031677009999"} | changes
    totals = ["3", "190.00", "9.50", "0.00", "1.08", "200.00", "10.00"]
    extract = fetch(company, Platform([zipped(bill([*ROWS, broken], totals))]))
    assert extract.rows.num_rows == 2
    (rejected,) = extract.rejected
    assert rejected.reason.startswith(reason)
    assert rejected.place == f"{NAME}, line 4"
    assert PAYMENT["用户标识"] not in rejected.reason + rejected.place
    batch = Landing(tmp_path / "landing", hash_key=b"k" * 16).land(
        TABLES["pay_bill"], extract, connector="wechat_pay"
    )
    assert (batch.rows, batch.quarantined) == (2, 1)


def test_text_that_is_no_utf_8_spoils_its_row_only() -> None:
    text = bill().replace("水果".encode(), "水果".encode("gbk"), 1)
    read = read_bill(text, name=NAME)
    assert (len(read.rows), len(read.rejected)) == (1, 1)
    assert "no UTF-8 at byte" in read.rejected[0].reason


def test_a_row_without_an_order_amount_is_refused_by_landing(
    company: Company, tmp_path: Path
) -> None:
    totals = ["2", "95.00", "9.50", "0.00", "0.51", "0.00", "10.00"]
    extract = fetch(
        company, Platform([zipped(bill([REFUNDED, PAYMENT | {"订单金额": ""}], totals))])
    )
    batch = Landing(tmp_path / "landing", hash_key=b"k" * 16).land(
        TABLES["pay_bill"], extract, connector="wechat_pay"
    )
    assert (batch.rows, batch.quarantined) == (1, 1)


@pytest.mark.parametrize("column", range(1, len(SUMMARY)))
def test_a_summary_that_names_a_total_must_tell_it(column: int) -> None:
    totals = [*TOTALS[:column], "", *TOTALS[column + 1 :]]
    with pytest.raises(BrokenContentError, match="found nothing, allowed: yuan"):
        read_bill(bill(totals=totals), name=NAME)


@pytest.mark.parametrize("column", range(len(SUMMARY)))
def test_a_summary_that_is_a_fen_off_refuses_the_bill(company: Company, column: int) -> None:
    totals = list(TOTALS)
    totals[column] = "3" if column == 0 else f"{float(totals[column]) + 0.01:.2f}"
    platform = Platform([zipped(bill(totals=totals))])
    error = failure(company, platform)
    assert isinstance(error, BrokenContentError)
    assert "the summary declares" in error.message
    assert paths(platform) == [ASK, DOWNLOAD, ASK, DOWNLOAD]


def test_a_sum_is_held_even_where_a_row_is_set_aside_for_its_time() -> None:
    rows = [REFUNDED, PAYMENT | {"交易时间": "soon"}]
    assert len(read_bill(bill(rows), name=NAME).rejected) == 1
    with pytest.raises(BrokenContentError, match=r"declares 订单金额 100\.01"):
        read_bill(bill(rows, [*TOTALS[:5], "100.01", "10.00"]), name=NAME)


def test_a_missing_column_or_one_that_comes_twice_is_named() -> None:
    without = [name for name in ALL if name != "微信订单号"]
    with pytest.raises(BrokenContentError, match="missing 微信订单号"):
        read_bill(bill(header=without), name=NAME)
    with pytest.raises(BrokenContentError, match="a name comes twice"):
        read_bill(bill(header=[*ALL, "费率"]), name=NAME)


def test_a_day_without_trade_is_an_empty_day(company: Company) -> None:
    platform = Platform([], refusals=[(400, "NO_STATEMENT_EXIST")])
    extract = fetch(company, platform)
    assert (extract.rows.num_rows, extract.control) == (0, Control(rows=0))
    assert extract.complete_until == day_end(DAY)
    assert paths(platform) == [ASK]
    none = bill([], ["0", "0.00", "0.00", "0.00", "0.00000", "0.00", "0.00"])
    assert fetch(company, Platform([zipped(none)])).rows.num_rows == 0


def test_no_bill_before_ten_is_not_yet_a_day_without_trade(company: Company) -> None:
    line = Platform([], refusals=[(400, "NO_STATEMENT_EXIST")] * 2).line()
    line.now = datetime(2026, 10, 4, 1, 59, 59, tzinfo=UTC)
    with pytest.raises(NotReadyError, match="too early") as caught:
        next(source(company, "pay_bill", line).extract([DAY]))
    assert "10:00" in caught.value.next_step
    assert not (company.data / "bills").exists()
    line.now += timedelta(seconds=1)
    assert next(source(company, "pay_bill", line).extract([DAY])).rows.num_rows == 0


def test_a_last_day_ahead_of_the_clock_makes_no_day_without_trade(company: Company) -> None:
    line = Platform([], refusals=[(400, "NO_STATEMENT_EXIST")]).line()
    line.now = day_end(DAY) - timedelta(seconds=1)
    ends_later = company.model_copy(update={"last_day": DAY + timedelta(days=60)})
    with pytest.raises(NotReadyError, match="too early"):
        next(source(ends_later, "pay_bill", line).extract([DAY]))


def test_a_bill_that_is_being_built_is_not_ready(company: Company) -> None:
    platform = Platform([], refusals=[(400, "STATEMENT_CREATING")])
    error = failure(company, platform)
    assert isinstance(error, NotReadyError)
    assert "Request-ID 08F78BB5AF0610" in error.message
    assert paths(platform) == [ASK]


@pytest.mark.parametrize(
    ("status", "code", "kind", "calls"),
    [
        (401, "SIGN_ERROR", PermanentSourceError, 1),
        (403, "NO_AUTH", PermanentSourceError, 1),
        (400, "PARAM_ERROR", PermanentSourceError, 1),
        (404, "SOMETHING_NEW", PermanentSourceError, 1),
        (500, "SYSTEM_ERROR", TransientSourceError, 5),
        (502, "", TransientSourceError, 5),
        (429, "FREQUENCY_LIMITED", TransientSourceError, 5),
        (429, "", TransientSourceError, 5),
    ],
)
def test_a_refusal_is_repeated_only_where_that_can_help(
    company: Company, status: int, code: str, kind: type[SourceError], calls: int
) -> None:
    platform = Platform([zipped(bill())], refusals=[(status, code)] * 9)
    error = failure(company, platform)
    assert isinstance(error, kind)
    assert error.next_step
    assert paths(platform) == [ASK] * calls
    assert max(platform._line.pauses, default=0) >= (60 if status == 429 else 0)


def test_a_busy_platform_is_overcome(company: Company) -> None:
    refusals = [(500, "SYSTEM_ERROR"), (503, ""), (429, "RATELIMIT_EXCEEDED")]
    assert fetch(company, Platform([zipped(bill())], refusals=refusals)).rows.num_rows == 2


@pytest.mark.parametrize("hashed", ["file", "text", "TEXT"])
def test_the_hash_may_be_that_of_the_file_or_of_the_text(company: Company, hashed: str) -> None:
    sha1 = hashlib.sha1(zipped(bill()) if hashed == "file" else bill()).hexdigest()
    platform = Platform([zipped(bill())], sha1=sha1.upper() if hashed == "TEXT" else sha1)
    assert fetch(company, platform).rows.num_rows == 2


def test_gzip_is_told_by_its_first_bytes_not_by_headers(company: Company) -> None:
    assert fetch(company, Platform([bill()])).rows.num_rows == 2
    marked = Platform([zipped(bill())], download_headers={"Content-Encoding": "gzip"})
    assert fetch(company, marked).rows.num_rows == 2


@pytest.mark.parametrize(
    ("broken", "told"),
    [(zipped(bill())[:-9], "is cut or damaged"), (zipped(bill([PAYMENT])), "SHA1 declared")],
)
def test_a_broken_download_is_fetched_afresh_once_and_then_told(
    company: Company, broken: bytes, told: str
) -> None:
    sha1 = hashlib.sha1(zipped(bill())).hexdigest()
    mended = Platform([broken, zipped(bill())], sha1=sha1)
    assert fetch(company, mended).rows.num_rows == 2
    assert paths(mended) == [ASK, DOWNLOAD, ASK, DOWNLOAD]
    hopeless = Platform([broken], sha1=sha1)
    error = failure(company, hopeless)
    assert isinstance(error, BrokenContentError)
    assert told in error.message
    assert "run again" in error.next_step
    assert paths(hopeless) == [ASK, DOWNLOAD, ASK, DOWNLOAD]


def test_an_address_that_has_aged_is_asked_for_anew(company: Company) -> None:
    platform = Platform([zipped(bill())], download_refusals=[400])
    assert fetch(company, platform).rows.num_rows == 2
    assert paths(platform) == [ASK, DOWNLOAD, ASK, DOWNLOAD]
    forbidden = Platform([zipped(bill())], download_refusals=[403])
    assert isinstance(failure(company, forbidden), PermanentSourceError)
    assert paths(forbidden) == [ASK, DOWNLOAD]


def test_a_line_that_is_cut_is_tried_again(company: Company) -> None:
    platform = Platform([zipped(bill())])
    line = platform.line()
    cuts = iter([httpx.RemoteProtocolError("peer closed"), httpx.ReadTimeout("slow")])

    def cut(request: httpx.Request) -> httpx.Response:
        if request.url.path == DOWNLOAD and (error := next(cuts, None)):
            raise error
        return platform._answer(request)

    cutting = Line(cut)
    platform._line = cutting
    assert next(source(company, "pay_bill", cutting).extract([DAY])).rows.num_rows == 2
    assert line.asked == []
    assert cutting.paths() == [ASK, DOWNLOAD, DOWNLOAD, DOWNLOAD]


def test_a_bill_cut_at_any_byte_never_gives_a_wrong_row() -> None:
    whole = read_bill(bill(bom=True, newline="\r\n"), name=NAME)
    text = bill(bom=True, newline="\r\n")
    survived = 0
    for size in range(len(text)):
        try:
            read = read_bill(text[:size], name=NAME)
        except BrokenContentError:
            continue
        assert read.rows == whole.rows
        survived += 1
    # What may be missing: line end, and decimals of the last total that are zero anyway.
    assert 2 <= survived <= 5


def test_a_gzip_file_cut_at_any_byte_is_broken_content() -> None:
    text = bill(bom=True, newline="\r\n")
    file = zipped(text)
    for size in range(len(file)):
        # Even where the hash told is that of the cut file.
        for hashed in (file, text, file[:size]):
            with pytest.raises(BrokenContentError):
                read_whole(file[:size], hashlib.sha1(hashed).hexdigest())


def test_a_byte_that_is_changed_never_passes_the_hash() -> None:
    file = zipped(bill())
    for place in range(len(file)):
        spoilt = file[:place] + bytes([file[place] ^ 0x10]) + file[place + 1 :]
        with pytest.raises(BrokenContentError):
            read_whole(spoilt, hashlib.sha1(file).hexdigest())


def read_whole(file: bytes, sha1: str) -> Statement:
    return read_bill(unpack(file, sha1, name=NAME), name=NAME)


def unsigned(response: httpx.Response) -> httpx.Response:
    del response.headers["Wechatpay-Signature"]
    return response


def with_another_body(response: httpx.Response) -> httpx.Response:
    return httpx.Response(200, headers=response.headers, content=response.content + b" ")


def with_a_probe(response: httpx.Response) -> httpx.Response:
    response.headers["Wechatpay-Signature"] = "WECHATPAY/SIGNTEST/" + "A" * 325
    return response


@pytest.mark.parametrize(
    ("changes", "kind", "told"),
    [
        ({"change": unsigned}, BrokenContentError, "no Wechatpay-Signature"),
        ({"change": with_another_body}, BrokenContentError, "does not fit"),
        ({"change": with_a_probe}, BrokenContentError, "does not fit"),
        ({"signer": "stranger"}, BrokenContentError, "does not fit"),
        ({"serial": "7777"}, PermanentSourceError, "'7777', platform_keys holds PUB_KEY_ID_0119"),
        ({"clock_offset": -300}, PermanentSourceError, "clock is +300 s off"),
        ({"clock_offset": 300}, PermanentSourceError, "clock is -300 s off"),
    ],
)
def test_a_reply_that_is_not_proven_is_refused(
    company: Company, changes: dict[str, Any], kind: type[SourceError], told: str
) -> None:
    platform = Platform([zipped(bill())], **changes)
    error = failure(company, platform)
    assert isinstance(error, kind)
    assert told in error.message
    assert DOWNLOAD not in paths(platform)


def test_a_probe_is_not_believed_and_the_genuine_reply_after_it_is(company: Company) -> None:
    probes = [with_a_probe]
    platform = Platform([zipped(bill())])
    platform.change = lambda response: probes.pop()(response) if probes else response
    assert fetch(company, platform).rows.num_rows == 2
    assert paths(platform) == [ASK, ASK, DOWNLOAD]


def test_an_empty_day_that_a_stranger_signed_is_not_believed(company: Company) -> None:
    platform = Platform([], refusals=[(400, "NO_STATEMENT_EXIST")] * 9, signer="stranger")
    assert isinstance(failure(company, platform), BrokenContentError)


def test_a_clock_that_is_off_by_less_is_tolerated(company: Company) -> None:
    assert fetch(company, Platform([zipped(bill())], clock_offset=299)).rows.num_rows == 2


def write_certificate(folder: Path, until: datetime) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tenpay.com sign")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key_of("platform").public_key())
        .serial_number(0x7777)
        .not_valid_before(until - timedelta(days=1))
        .not_valid_after(until)
        .sign(key_of("platform"), hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (folder / "platform_key.pem").write_bytes(pem)


def test_a_platform_certificate_serves_until_it_ends(company: Company, tmp_path: Path) -> None:
    write_certificate(tmp_path, NOON_AFTER + timedelta(seconds=1))
    assert fetch(company, Platform([zipped(bill())])).rows.num_rows == 2
    write_certificate(tmp_path, NOON_AFTER)
    error = failure(company, Platform([zipped(bill())]))
    assert isinstance(error, PermanentSourceError)
    assert "ended on 2026-10-04" in error.message
    assert "download the current one" in error.next_step


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("merchant_key.pem", None, "merchant_key.pem cannot be read"),
        ("merchant_key.pem", b"-----BEGIN", "not an unencrypted PEM private key"),
        ("merchant_key.pem", public_pem("platform"), "not an unencrypted PEM private key"),
        ("platform_key.pem", b"", "neither a PEM public key nor a PEM certificate"),
        ("platform_key.pem", b"-----BEGIN CERTIFICATE-----\n", "neither a PEM public key"),
    ],
)
def test_a_key_file_that_does_not_serve_is_named(
    company: Company, tmp_path: Path, file: str, content: bytes | None, told: str
) -> None:
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ConfigurationError, match=told) as caught:
        fetch(company, Platform([zipped(bill())]))
    assert caught.value.next_step


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"download_url": "file:///etc/passwd", "hash_type": "SHA1", "hash_value": "0" * 40},
        {"download_url": 3, "hash_type": "SHA1", "hash_value": "0" * 40},
        {"download_url": "https://pay.test/x", "hash_type": "MD5", "hash_value": "0" * 32},
        {"download_url": "https://pay.test/x", "hash_type": "SHA1"},
    ],
)
def test_a_signed_reply_of_another_shape_is_refused(
    company: Company, reply: dict[str, Any]
) -> None:
    platform = Platform([zipped(bill())])
    platform.change = lambda _: platform._sign(httpx.Response(200, json=reply))
    assert isinstance(failure(company, platform), BrokenContentError | PermanentSourceError)
    assert DOWNLOAD not in paths(platform)


def test_the_address_of_a_bill_is_neither_told_nor_logged(
    company: Company, caplog: pytest.LogCaptureFixture
) -> None:
    platform = Platform([zipped(bill())], download_refusals=[400, 400])
    with caplog.at_level(logging.DEBUG):
        error = failure(company, platform)
    assert DOWNLOAD in caplog.text
    assert "a%2Bb-c_d" not in caplog.text + str(error)


def test_several_days_are_given_one_by_one(company: Company) -> None:
    days: Sequence[date] = [DAY - timedelta(days=1), DAY]
    platform = Platform([zipped(bill())], refusals=[(400, "NO_STATEMENT_EXIST")])
    extracts = source(company, "pay_bill", platform.line()).extract(days)
    assert [(extract.day, extract.rows.num_rows) for extract in extracts] == [
        (days[0], 0), (days[1], 2),
    ]  # fmt: skip


def test_a_bill_is_never_landed_again_unless_sources_yml_asks(tmp_path: Path) -> None:
    known = {date(2026, 10, day): "sha" for day in range(1, 31)}
    line = Platform([]).line()
    assert source(write_company(tmp_path), "pay_bill", line).changed_days(None, known) == set()
    company = write_company(tmp_path, last_day=date(2026, 10, 30), trailing_days=1)
    asking = source(company, "pay_bill", line)
    assert asking.changed_days(None, known) == {date(2026, 10, 29), date(2026, 10, 30)}


def test_the_latest_bill_is_ready_from_ten_on(company: Company) -> None:
    line = Platform([]).line()
    line.now = datetime(2026, 10, 4, 1, 59, 59, tzinfo=UTC)
    assert source(company, "pay_bill", line).last_day() == date(2026, 10, 2)
    line.now += timedelta(seconds=1)
    assert source(company, "pay_bill", line).last_day() == DAY


def test_the_probe_proves_keys_and_permission(company: Company) -> None:
    for refusals, state in (
        ([], "is there"),
        ([(400, "NO_STATEMENT_EXIST")], "has no trade"),
        ([(400, "STATEMENT_CREATING")], "is being built"),
    ):
        platform = Platform([zipped(bill())], refusals=refusals)
        told = source(company, "pay_bill", platform.line()).probe()
        assert told == (
            f"https://pay.test answers merchant 1900000109; the trade bill of 2026-10-03 {state}"
        )
        assert paths(platform) == [ASK]
    refusing = Platform([], refusals=[(401, "SIGN_ERROR")])
    with pytest.raises(PermanentSourceError, match="SIGN_ERROR"):
        source(company, "pay_bill", refusing.line()).probe()
