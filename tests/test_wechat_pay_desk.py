"""The simulated merchant platform against the client, and both against WeChat Pay's Python SDK."""

import gzip
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from wechatpayv3.core import Core
from wechatpayv3.utils import build_authorization

from pipeline.company import Company, load_company
from pipeline.errors import (
    NotReadyError,
    PermanentSourceError,
    SourceError,
)
from pipeline.landed import TABLES
from pipeline.landing import Extract, Landing
from pipeline.simulation.http_call import Answer, Call
from pipeline.simulation.merchant_desk import DeskHabits, MerchantDesk
from pipeline.simulation.outages import PAY, Fault, every_fault
from pipeline.simulation.trade_bill import BillStyle
from pipeline.simulation.wechat_books import MERCHANT_ID
from pipeline.sources.joined import JoinedSource
from pipeline.sources.wechat import MerchantBills
from pipeline.sources.wechat.signing import MerchantKeys
from tests.simulated_desk import (
    DAY,
    DAY_BEFORE,
    PUBLIC_KEY_ID,
    ROWS,
    SECOND_MERCHANT_ID,
    SECOND_SERIAL,
    line_to,
    open_desk,
)
from tests.wechat_bills import key_of, public_pem, write_keys
from tests.wechat_world import NOON_AFTER, Line

SOURCES = """
connections:
  merchant_a:
    base_url: https://pay.test
    merchant_id: "{first}"
    certificate_serial: 5157F09EFDC096DE15EBE81A47057A7232F1B8E1
    private_key_path: merchant_key.pem
    platform_keys: {{PUB_KEY_ID_0119: platform_key.pem}}
  merchant_b:
    base_url: https://pay.test
    merchant_id: "{second}"
    certificate_serial: {serial}
    private_key_path: second_key.pem
    platform_keys: {{PUB_KEY_ID_0119: platform_key.pem}}
tables:
  pay_bill: {{connector: wechat_pay, connection: [merchant_a, merchant_b], bill_type: {bills}}}
  pay_fund_flow: {{connector: wechat_pay, connection: [merchant_a], account_type: {account}}}
"""
ASK = f"/v3/bill/tradebill?bill_date={DAY}&bill_type=ALL"


def write_company(folder: Path, *, bills: str = "ALL", account: str = "BASIC") -> Company:
    write_keys(folder)
    (folder / "second_key.pem").write_bytes(private_pem("second merchant"))
    (folder / "company.yml").write_text("name: Small company\nfirst_day: 2026-10-01\n")
    (folder / "sources.yml").write_text(
        SOURCES.format(
            first=MERCHANT_ID, second=SECOND_MERCHANT_ID, serial=SECOND_SERIAL,
            bills=bills, account=account,
        )
    )  # fmt: skip
    return load_company(folder, environment={})


def private_pem(owner: str) -> bytes:
    return key_of(owner).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return write_company(tmp_path)


def bills_of(
    company: Company, line: Line, table: str = "pay_bill", merchant: str = "merchant_a"
) -> MerchantBills:
    return MerchantBills(
        TABLES[table],
        company.sources.tables[table],
        company.sources.connections[merchant],
        company,
        wire=line.wire(),
    )


def fetch(company: Company, desk: MerchantDesk, table: str = "pay_bill") -> Extract:
    return next(bills_of(company, line_to(desk), table).extract([DAY]))


def rows_of(extract: Extract) -> list[dict[str, Any]]:
    assert extract.rejected == ()
    rows: list[dict[str, Any]] = extract.rows.to_pylist()
    return rows


def styled(**switches: bool) -> DeskHabits:
    return DeskHabits(style=lambda _: BillStyle(**switches))


STYLES = [{}, {"has_mark_and_crlf": True}, {"is_terse": True}, {"is_short": True}]


@pytest.mark.parametrize("style", STYLES)
def test_every_style_of_bill_lands_the_same_rows(company: Company, style: dict[str, bool]) -> None:
    rows = rows_of(fetch(company, open_desk(habits=styled(**style))))
    assert [row["row_kind"] for row in rows] == [
        "refund", "payment", "refund", "payment", "payment", "payment", "refund",
    ]  # fmt: skip
    assert sum(row["order_amount_fen"] for row in rows) == 16_500
    assert [row["refund_state"] for row in rows[:3]] == ["PROCESSING", None, "SUCCESS"]
    assert {row["app_id"] for row in rows} == {"wx5a1e0000000001", "wxf0e1a00000000002"}
    assert {row["description"] for row in rows} == {"陶瓷马克杯,双只装"}
    assert {row["attach"] for row in rows} == {r"a\ b\nc"}
    assert (rows[6]["trade_state"], rows[6]["refund_requested_fen"]) == ("REVOKED", 700)
    assert rows[0]["fee_milli_fen"] == -12_000


@pytest.mark.parametrize("is_legacy", [False, True])
@pytest.mark.parametrize("is_short", [False, True])
def test_the_bills_of_payments_and_of_refunds_part_the_whole_bill(
    tmp_path: Path, is_legacy: bool, is_short: bool
) -> None:
    habits = styled(is_legacy=is_legacy, is_short=is_short)
    found = {
        bills: rows_of(fetch(write_company(tmp_path, bills=bills), open_desk(habits=habits)))
        for bills in ("ALL", "SUCCESS", "REFUND")
    }
    in_parts = [*found["SUCCESS"], *found["REFUND"]]
    told = ("row_kind", "transaction_id", "happened_at", "order_amount_fen", "refund_id")
    assert sorted(str([row[name] for name in told]) for row in in_parts) == sorted(
        str([row[name] for name in told]) for row in found["ALL"]
    )
    assert [row["row_kind"] for row in found["REFUND"]] == ["refund"] * 3


@pytest.mark.parametrize(
    ("bill_type", "is_legacy", "columns"),
    [
        ("ALL", False, 27), ("SUCCESS", False, 20), ("REFUND", False, 29),
        ("ALL", True, 24), ("REFUND", True, 26),
    ],
)  # fmt: skip
def test_the_layouts_have_the_columns_of_the_documentation(
    company: Company, bill_type: str, is_legacy: bool, columns: int
) -> None:
    desk = open_desk(habits=styled(is_legacy=is_legacy))
    target = f"/v3/bill/tradebill?bill_date={DAY}&bill_type={bill_type}"
    text = download(company, desk, target).decode()
    header, *rows, _, _ = text.splitlines()
    assert len(header.split(",")) == columns
    assert {len(row.split(",`")) for row in rows} == {columns}


def test_plain_and_zipped_downloads_hold_the_same_text(company: Company) -> None:
    desk = open_desk()
    plain, zipped = download(company, desk, ASK), download(company, desk, f"{ASK}&tar_type=GZIP")
    assert not plain.startswith(b"\x1f\x8b")
    assert gzip.decompress(zipped) == plain


def test_the_fund_flow_ties_with_the_bill_of_the_same_day(company: Company) -> None:
    desk = open_desk()
    bill, flow = rows_of(fetch(company, desk)), rows_of(fetch(company, desk, "pay_fund_flow"))
    signs = {"income": 1, "expense": -1}
    moved = sum(signs[row["direction"]] * row["amount_fen"] for row in flow)
    assert moved == sum(
        row["settled_amount_fen"] - row["refund_amount_fen"] - row["fee_milli_fen"] // 1_000
        for row in bill
    )
    income = [row for row in flow if row["business_type"] == "交易"]
    assert {row["payment_no"] for row in income} == {
        row["transaction_id"] for row in bill if row["row_kind"] == "payment"
    }
    back = [row for row in flow if row["business_type"] == "退款"]
    assert {row["payment_no"] for row in back} == {row["refund_id"] for row in bill} - {None}
    assert {row["mch_id"] for row in flow} == {MERCHANT_ID}


def test_the_balance_goes_on_from_day_to_day(company: Company) -> None:
    bills = bills_of(company, line_to(open_desk()), "pay_fund_flow")
    flows = [rows_of(extract) for extract in bills.extract([DAY_BEFORE, DAY])]
    signs = {"income": 1, "expense": -1}
    booked = [row for flow in flows for row in flow]
    for before, after in pairwise(booked):
        change = signs[after["direction"]] * after["amount_fen"]
        assert after["balance_fen"] == before["balance_fen"] + change


def test_the_fund_flow_with_wide_parentheses_lands_the_same(company: Company) -> None:
    wide = fetch(company, open_desk(habits=styled(is_legacy=True)), "pay_fund_flow")
    assert rows_of(wide) == rows_of(fetch(company, open_desk(), "pay_fund_flow"))


@pytest.mark.parametrize("account", ["OPERATION", "FEES"])
def test_an_account_in_which_nothing_moved_is_an_empty_day(tmp_path: Path, account: str) -> None:
    company = write_company(tmp_path, account=account)
    assert rows_of(fetch(company, open_desk(), "pay_fund_flow")) == []


def test_bills_of_two_merchants_are_one_day_even_where_one_has_no_trade(
    company: Company, tmp_path: Path
) -> None:
    line = line_to(open_desk())
    sources = [bills_of(company, line, merchant=name) for name in ("merchant_a", "merchant_b")]
    joined = JoinedSource(TABLES["pay_bill"], sources)
    both, alone = joined.extract([DAY_BEFORE, DAY])
    assert {row["mch_id"] for row in rows_of(both)} == {MERCHANT_ID, SECOND_MERCHANT_ID}
    assert {row["mch_id"] for row in rows_of(alone)} == {MERCHANT_ID}
    landing = Landing(tmp_path / "landing", hash_key=b"k" * 16)
    batches = list(landing.land_all(TABLES["pay_bill"], [both, alone], connector="wechat_pay"))
    assert [(batch.rows, batch.repeated) for batch in batches] == [(2, 0), (len(ROWS), 0)]
    assert batches[0].sums["order_amount_fen"] == 10_000


def test_a_bill_is_there_from_ten_on_of_the_next_day(company: Company) -> None:
    desk = open_desk(habits=DeskHabits(is_by_clock=True))
    line = line_to(desk)
    line.now = datetime(2026, 10, 4, 1, 59, tzinfo=UTC)
    with pytest.raises(NotReadyError, match="STATEMENT_CREATING"):
        next(bills_of(company, line).extract([DAY]))
    line.now += timedelta(minutes=1)
    assert len(rows_of(next(bills_of(company, line).extract([DAY])))) == len(ROWS)


def test_an_address_that_ages_while_it_waits_is_asked_for_once_more(company: Company) -> None:
    line = line_to(open_desk())
    answer, is_first = line.answer, [True]

    def late(request: httpx.Request) -> httpx.Response:
        if "billdownload" in request.url.path and is_first:
            is_first.clear()
            line.now += timedelta(minutes=5)
        return answer(request)

    line.answer = late
    assert len(rows_of(next(bills_of(company, line).extract([DAY])))) == len(ROWS)
    assert [path.rpartition("/")[2] for path in line.paths()] == ["tradebill", "file"] * 2
    assert {request.url.host for request in line.asked} == {"pay.test", "api2.pay.test"}


def test_a_file_of_another_merchant_is_not_given_out(company: Company) -> None:
    desk = open_desk()
    told = ask(company, desk, ASK)
    target = told["download_url"].removeprefix(desk.address)
    refused = call(company, desk, target, merchant="merchant_b")
    assert (refused.status_code, refused.json()["code"]) == (403, "NO_AUTH")


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (ASK.replace("ALL", "SOME"), "PARAM_ERROR"),
        (f"{ASK}&tar_type=ZIP", "PARAM_ERROR"),
        (ASK.replace(str(DAY), "20261003"), "PARAM_ERROR"),
        (ASK.replace(str(DAY), "soon"), "PARAM_ERROR"),
        (ASK.replace(str(DAY), "2026-10-05"), "INVALID_REQUEST"),
        (ASK.replace(str(DAY), "2026-06-30"), "INVALID_REQUEST"),
        (f"/v3/bill/fundflowbill?bill_date={DAY}&account_type=ALL", "PARAM_ERROR"),
    ],
)
def test_what_is_out_of_bounds_is_refused_with_its_code(
    company: Company, target: str, code: str
) -> None:
    refused = call(company, open_desk(habits=DeskHabits(days_given=92)), target)
    assert (refused.status_code, refused.json()["code"]) == (400, code)


def test_three_fund_flows_a_second_are_asked_for_and_no_more(company: Company) -> None:
    desk = open_desk(habits=DeskHabits(fund_flow_calls_per_second=3))
    line = line_to(desk)
    days = [DAY - timedelta(days=number) for number in range(7)]
    assert len(list(bills_of(company, line, "pay_fund_flow").extract(days))) == 7
    assert line.pauses == pytest.approx([1.1 / 3] * 6, abs=0.01)
    target = f"/v3/bill/fundflowbill?bill_date={DAY}"
    statuses = [call(company, desk, target, line=line).status_code for _ in range(4)]
    assert 429 in statuses


# Both modes of platform keys, and a clock that is off.


def test_a_clock_that_is_off_is_named_with_how_far(company: Company) -> None:
    (skewed,) = [fault for fault in every_fault() if fault.name == "their clock is 400 s off"]
    desk = open_desk()
    line = line_to(desk)

    def answer(request: httpx.Request) -> httpx.Response:
        asked = Call(request.method, request.url.raw_path.decode(), request.headers)
        replied = skewed.answer(asked, lambda call: desk.answer(call) or pytest.fail("no path"))
        return httpx.Response(replied.status, content=replied.body, headers=dict(replied.headers))

    line.answer = answer
    with pytest.raises(PermanentSourceError, match=r"clock is \+400 s off") as caught:
        next(bills_of(company, line).extract([DAY]))
    assert "NTP" in caught.value.next_step


def test_certificate_mode_serves_as_well_and_a_renewed_certificate_is_asked_for(
    company: Company,
) -> None:
    serial = "7132D72A03E93CDDF8C03BBD1F37EEDF9A22B1C5"
    desk = open_desk(platform_key_id=serial)
    with pytest.raises(PermanentSourceError, match=f"platform key '{serial}'") as caught:
        fetch(company, desk)
    assert "add it to platform_keys" in caught.value.next_step
    connection = company.sources.connections["merchant_a"]
    connection.platform_keys[serial] = connection.platform_keys.pop(PUBLIC_KEY_ID)
    assert len(rows_of(fetch(company, desk))) == len(ROWS)


# WeChat Pay's SDK for Python, as a second opinion.


def test_the_sdk_signs_a_request_as_we_do(company: Company, monkeypatch: Any) -> None:
    keys = MerchantKeys.load(company.sources.connections["merchant_a"])
    ours = keys.authorize("GET", ASK, "", NOON_AFTER)
    nonce = ours.partition('nonce_str="')[2].partition('"')[0]
    monkeypatch.setattr("time.time", NOON_AFTER.timestamp)
    theirs = build_authorization(
        ASK, "GET", keys.merchant_id, keys.certificate_serial, key_of("merchant"), nonce_str=nonce
    )
    assert ours == theirs


def test_the_platform_accepts_what_the_sdk_signs(company: Company, monkeypatch: Any) -> None:
    desk = open_desk()
    desk.now = NOON_AFTER.timestamp
    monkeypatch.setattr("time.time", NOON_AFTER.timestamp)
    serial = desk.books.account.certificate_serial
    for key, status in (("merchant", 200), ("stranger", 401)):
        signed = build_authorization(ASK, "GET", MERCHANT_ID, serial, key_of(key))
        headers = {"Authorization": signed, "User-Agent": "sdk", "Accept": "application/json"}
        answer = desk.answer(Call("GET", ASK, headers))
        assert answer is not None
        assert answer.status == status


def test_the_sdk_believes_the_platforms_replies_and_no_others(company: Company) -> None:
    desk = open_desk()
    response = call(company, desk, ASK)
    serial, private = desk.books.account.certificate_serial, private_pem("merchant").decode()
    sdk = Core(
        MERCHANT_ID, serial, private, "k" * 32,
        public_key=public_pem("platform").decode(), public_key_id=PUBLIC_KEY_ID,
    )  # fmt: skip
    assert sdk._verify_signature(response.headers, response.text)
    assert not sdk._verify_signature(response.headers, response.text + " ")
    file = call(company, desk, response.json()["download_url"].removeprefix(desk.address))
    assert "Wechatpay-Signature" not in file.headers


def call(
    company: Company,
    desk: MerchantDesk,
    target: str,
    *,
    merchant: str = "merchant_a",
    line: Line | None = None,
) -> httpx.Response:
    line = line or line_to(desk)
    keys = MerchantKeys.load(company.sources.connections[merchant])
    headers = {"Authorization": keys.authorize("GET", target, "", line.now)}
    with line.wire().client("https://pay.test") as client:
        return client.get(target, headers=headers)


def ask(company: Company, desk: MerchantDesk, target: str) -> dict[str, Any]:
    told: dict[str, Any] = call(company, desk, target).json()
    return told


def download(company: Company, desk: MerchantDesk, target: str) -> bytes:
    told = ask(company, desk, target)
    return call(company, desk, told["download_url"].removeprefix(desk.address)).content


FAULTS_OF_BILLS = [
    fault for fault in every_fault() if any(path.startswith(PAY) for path in fault.paths)
]


@pytest.mark.parametrize("fault", FAULTS_OF_BILLS, ids=[fault.name for fault in FAULTS_OF_BILLS])
def test_whatever_goes_wrong_a_day_is_an_error_or_the_right_rows(
    company: Company, fault: Fault
) -> None:
    desk = open_desk()
    line = line_to(desk)
    struck: list[str] = []

    def host(asked: Call) -> Answer:
        return desk.answer(asked) or pytest.fail("no such path")

    def answer(request: httpx.Request) -> httpx.Response:
        asked = Call(request.method, request.url.raw_path.decode(), request.headers)
        is_struck = fault.strikes(asked) and len(struck) < fault.calls
        struck.extend([asked.path] * is_struck)
        replied = fault.answer(asked, host) if is_struck else host(asked)
        if replied.hangs_up_after is not None or replied.declared_length is not None:
            raise httpx.RemoteProtocolError("peer closed")
        if replied.waits_seconds:
            raise httpx.ReadTimeout("slow")
        stream = httpx.ByteStream(replied.body)
        return httpx.Response(replied.status, stream=stream, headers=dict(replied.headers))

    line.answer = answer
    bills = bills_of(company, line, "pay_fund_flow")
    try:
        extract = next(bills.extract([DAY]))
    except SourceError as error:
        assert error.can_retry == isinstance(error, NotReadyError), error  # noqa: PT017
        extract = next(bills.extract([DAY]))
    assert struck
    assert extract.rows.equals(fetch(company, open_desk(), "pay_fund_flow").rows)


def test_every_way_in_which_the_platform_fails_is_tried() -> None:
    assert len(FAULTS_OF_BILLS) >= 19
