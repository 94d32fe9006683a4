"""K3Cloud's bills: signing, caps that nobody tells, one row per bill or entry, and refusals."""

import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from k3cloud_webapi_sdk.core.webapi_client import WebApiClient
from k3cloud_webapi_sdk.model.identity import Identify

from pipeline.company import Company
from pipeline.errors import (
    BrokenContentError,
    ConfigurationError,
    PermanentSourceError,
    TransientSourceError,
)
from pipeline.landed import TABLES
from pipeline.landing import Extract, Landing, day_start
from pipeline.sources import open_source
from pipeline.sources.kingdee.api import SERVICE
from pipeline.sources.kingdee.bills import KingdeeBills
from pipeline.sources.kingdee.filters import window
from pipeline.sources.kingdee.signing import Caller, sign
from pipeline.sources.wire import TRIES, Wire
from tests.connected_company import DAYS, company_of_page, connected, still_wire
from tests.kingdee_server import (
    APP_ID,
    APP_SECRET,
    BASE_URL,
    DATABASE,
    USER,
    KingdeeServer,
)

CONNECTION = {
    "base_url": BASE_URL, "database": DATABASE, "user": USER, "app_id": APP_ID,
    "app_secret_env": "KINGDEE_SECRET",
}  # fmt: skip
SECRETS = {"KINGDEE_SECRET": APP_SECRET}
ORDERS: dict[str, Any] = {
    "connector": "kingdee",
    "object": "SAL_SaleOrder",
    "columns": {
        "erp_order_no": "FBillNo",
        "order_no": ["F_SHOP_OrderNo", {"field": "FNote", "pattern": r"(O\d+)"}],
        "customer_code": "FCustId.FNumber",
        "state": {
            "from": [
                {"field": "FCancelStatus", "values": {"B": "cancelled"}},
                {"field": "FCloseStatus", "values": {"B": "done"}},
                {
                    "field": "FDocumentStatus",
                    "values": {"Z": "draft", "A": "draft", "B": "draft", "C": "confirmed",
                               "D": "draft"},
                },
            ]
        },
        "ordered_at": "FDate",
        "created_at": "FCreateDate",
        "created_by": "FCreatorId.FName",
        "updated_at": "FModifyDate",
        "amount_fen": {"from": "FBillAllAmount", "unit": "yuan"},
    },
}  # fmt: skip
LINES: dict[str, Any] = {
    "connector": "kingdee",
    "object": "SAL_SaleOrder",
    "each": "FSaleOrderEntry",
    "columns": {
        "erp_order_no": "FBillNo",
        "line_no": "FSaleOrderEntry_FEntryID",
        "sku": "FMaterialId.FNumber",
        "quantity": "FQty",
        "amount_fen": {"from": "FAllAmount", "unit": "yuan"},
    },
}
RECEIPTS: dict[str, Any] = {
    "connector": "kingdee",
    "object": "AR_RECEIVEBILL",
    "each": "FRECEIVEBILLSRCENTRY",
    "where": "FDocumentStatus = 'C'",
    "columns": {
        "receipt_no": "FBillNo",
        "erp_order_no": "FSRCBILLNO",
        "transaction_id": {"from": "FREMARK", "pattern": r"(42\d+)"},
        "amount_fen": {"from": "FREALRECAMOUNT_S", "unit": "yuan"},
        "received_at": "FDATE",
        "created_at": "FCreateDate",
    },
}


def order(number: int, **more: Any) -> dict[str, Any]:
    day = DAYS[(number - 1) % 3]
    return {
        "FBillNo": f"XSDD{number}", "FDate": f"{day} 09:00:00", "FDocumentStatus": "C",
        "FCancelStatus": "A", "FCloseStatus": "A", "FCustId.FNumber": "C7",
        "FCreatorId.FName": "接口用户", "FCreateDate": f"{day} 09:00:05",
        "FModifyDate": f"{day} 09:00:05", "FNote": f"小程序 O{number}", "F_SHOP_OrderNo": "",
    } | more  # fmt: skip


def write_orders(server: KingdeeServer, count: int, **more: Any) -> KingdeeServer:
    """So many orders, the days in turn, each of two entries of 60.00 and 139.90."""
    for number in range(1, count + 1):
        server.write(
            "SAL_SaleOrder",
            number,
            order(number, **more),
            FSaleOrderFinance=[{"FBillAllAmount": 199.9, "FSettleCurrId.FNumber": "PRE001"}],
            FSaleOrderEntry=[
                {"FMaterialId.FNumber": "SKU1", "FQty": 2.5, "FAllAmount": 60.0},
                {"FMaterialId.FNumber": "SKU2", "FQty": 1, "FAllAmount": 139.9},
            ],
        )
    return server


def open_table(
    folder: Path,
    server: KingdeeServer,
    settings: Mapping[str, Any] = ORDERS,
    *,
    table: str = "erp_orders",
    waited: list[float] | None = None,
    secret: str = APP_SECRET,
    **connection: Any,
) -> KingdeeBills:
    company = connected(
        folder, CONNECTION | connection, {table: settings}, {"KINGDEE_SECRET": secret}
    )
    return open_at(company, table, server, waited)


def open_at(
    company: Company, table: str, server: KingdeeServer, waited: list[float] | None = None
) -> KingdeeBills:
    return KingdeeBills(
        TABLES[table],
        company.sources.tables[table],
        company.sources.connections["erp"],
        company,
        wire=still_wire(server.transport(), waited),
    )


def column(extracts: list[Extract], name: str) -> list[Any]:
    return [value for extract in extracts for value in extract.rows.column(name).to_pylist()]


def with_columns(settings: Mapping[str, Any], **columns: Any) -> dict[str, Any]:
    return {**settings, "columns": settings["columns"] | columns}


def test_the_company_folder_opens_it(tmp_path: Path) -> None:
    source = open_source(
        "erp_orders", connected(tmp_path, CONNECTION, {"erp_orders": ORDERS}, SECRETS)
    )
    assert isinstance(source, KingdeeBills)


def test_every_table_of_the_page_finds_its_fields(
    tmp_path: Path,
) -> None:
    company = company_of_page(tmp_path, "kingdee", SECRETS, **{"204399_" + 32 * "x": APP_ID})
    assert len(company.sources.tables) == 6
    for table in company.sources.tables:
        assert "fields read" in open_at(company, table, KingdeeServer()).probe()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("FCancelStatus, values: {B: cancelled}}", "FCancelStatus, values: {B: canceled}}",
         "from[0].values.B: found 'canceled'"),
        ("{field: FCloseStatus, values: {B: done}}", "FCloseStatus",
         "`values` beside every field of `from`, or one for them all"),
        ("object: BD_Customer", "object: BD_Customer\n    time_zone: UTC",
         "a key that connector 'kingdee' does not read"),
        ("    user: 接口用户\n", "", "missing user, which connector 'kingdee' needs"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_mapping_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        company_of_page(tmp_path, "kingdee", SECRETS, **{old: new})
    assert re.match(r"sources.yml:\d+: ", error.value.mistakes[0])
    assert any(told in mistake for mistake in error.value.mistakes)


def test_orders_land_on_their_shanghai_day_to_the_fen(tmp_path: Path) -> None:
    server = write_orders(KingdeeServer(), 4)
    server.write("SAL_SaleOrder", 5, order(1, FBillNo="XSDD5", FDate=f"{DAYS[0]} 23:59:59"),
                 FSaleOrderFinance=[{"FBillAllAmount": "12345678901.23"}])  # fmt: skip
    server.write("SAL_SaleOrder", 6, order(1, FBillNo="XSDD6", FDate="2025-01-01 00:00:00",
                 F_SHOP_OrderNo="O66"), FSaleOrderFinance=[{"FBillAllAmount": 1}])  # fmt: skip
    extracts = list(open_table(tmp_path, server).extract(DAYS))
    assert [extract.rows.column("erp_order_no").to_pylist() for extract in extracts] == [
        ["XSDD1", "XSDD4", "XSDD5", "XSDD6"], ["XSDD2"], ["XSDD3"],
    ]  # fmt: skip
    assert column(extracts, "amount_fen")[:4] == [19990, 19990, 1234567890123, 100]
    assert column(extracts, "order_no")[:4] == ["O1", "O4", "O1", "O66"]
    assert column(extracts, "ordered_at")[0].astimezone(UTC) == datetime(2026, 10, 1, 1, tzinfo=UTC)
    assert not any(extract.rejected for extract in extracts)


@pytest.mark.parametrize("most_rows", [1, 7, 2000])
@pytest.mark.parametrize("page_size", [None, 10_000, 5])
def test_every_entry_is_read_once_whatever_the_server_gives_at_a_time(
    tmp_path: Path, most_rows: int, page_size: int | None
) -> None:
    server = write_orders(KingdeeServer(most_rows=most_rows), 11)
    settings = LINES | ({"page_size": page_size} if page_size else {})
    source = open_table(tmp_path, server, settings, table="erp_order_lines")
    (extract,) = source.extract(DAYS[:1])
    assert len(set(extract.rows.column("line_no").to_pylist())) == 22
    assert sum(extract.rows.column("amount_fen").to_pylist()) == 11 * 19990


def test_values_are_read_in_the_order_of_the_field_keys_they_were_asked_in(
    tmp_path: Path,
) -> None:
    server = write_orders(KingdeeServer(), 1)
    list(open_table(tmp_path, server, LINES, table="erp_order_lines").extract(DAYS[:1]))
    method, data = server.calls[-1]
    assert method == "ExecuteBillQuery"
    assert data["FieldKeys"] == (
        "FSaleOrderEntry_FEntryID,FBillNo,FMaterialId.FNumber,FQty,FAllAmount"
    )


@pytest.mark.parametrize(
    ("cancelled", "closed", "document", "state"),
    [
        ("B", "B", "C", "cancelled"),
        ("A", "B", "C", "done"),
        ("A", "A", "C", "confirmed"),
        ("", "", "Z", "draft"),
    ],
)
def test_the_state_is_told_by_the_first_of_several_fields_that_has_a_word(
    tmp_path: Path, cancelled: str, closed: str, document: str, state: str
) -> None:
    server = write_orders(
        KingdeeServer(), 1, FCancelStatus=cancelled, FCloseStatus=closed, FDocumentStatus=document
    )
    assert column(list(open_table(tmp_path, server).extract(DAYS)), "state") == [state]


def test_a_state_that_no_field_has_a_word_for_is_set_aside(tmp_path: Path) -> None:
    server = write_orders(KingdeeServer(), 1, FDocumentStatus="Q")
    (extract,) = open_table(tmp_path, server).extract(DAYS[:1])
    assert [row.reason for row in extract.rejected] == [
        "state: found 'A/A/Q' in FCancelStatus or FCloseStatus or FDocumentStatus, allowed: "
        "B in FCancelStatus; B in FCloseStatus; Z, A, B, C, D in FDocumentStatus"
    ]


def test_a_receipt_that_pays_many_orders_lands_once_per_order(tmp_path: Path) -> None:
    server = KingdeeServer()
    head = {
        "FBillNo": "SKD1", "FDATE": "2026-10-02 00:00:00", "FDocumentStatus": "C",
        "FREMARK": "微信支付 4200001", "FCreateDate": "2026-10-02 10:00:00",
        "FModifyDate": "2026-10-02 10:00:00", "FREALRECAMOUNT": 300,
    }  # fmt: skip
    entries = [
        {"FSRCBILLNO": "XSDD1", "FREALRECAMOUNT_S": 100.01},
        {"FSRCBILLNO": "XSDD2", "FREALRECAMOUNT_S": 199.99},
    ]
    server.write("AR_RECEIVEBILL", 1, head, FRECEIVEBILLSRCENTRY=entries)
    server.write("AR_RECEIVEBILL", 2, head | {"FBillNo": "SKD2", "FDocumentStatus": "A"},
                 FRECEIVEBILLSRCENTRY=entries)  # fmt: skip
    source = open_table(tmp_path, server, RECEIPTS, table="erp_receipts")
    extracts = list(source.extract(DAYS))
    landing = Landing(tmp_path / "landing", hash_key=b"0123456789abcdef")
    batches = [landing.land(source.table, extract, connector="kingdee") for extract in extracts]
    assert [(batch.rows, batch.sums["amount_fen"]) for batch in batches] == [
        (0, 0), (2, 30000), (0, 0),
    ]  # fmt: skip
    assert column(extracts, "transaction_id") == ["4200001", "4200001"]


def test_a_receipt_that_pays_an_order_in_equal_parts_lands_with_their_sum(tmp_path: Path) -> None:
    server = KingdeeServer(most_rows=2)
    entries = [
        {"FSRCBILLNO": order, "FREALRECAMOUNT_S": yuan}
        for order, yuan in [("XSDD1", 50.05), ("XSDD2", 9), ("XSDD1", 50.05), ("XSDD1", "-0.10")]
    ]
    head = {
        "FBillNo": "SKD1", "FDATE": "2026-10-02 00:00:00", "FDocumentStatus": "C",
        "FREMARK": "", "FCreateDate": "2026-10-02 10:00:00",
    }  # fmt: skip
    unread = [*entries, {"FSRCBILLNO": "XSDD1", "FREALRECAMOUNT_S": "about 5"}]
    server.write("AR_RECEIVEBILL", 1, head, FRECEIVEBILLSRCENTRY=entries)
    server.write("AR_RECEIVEBILL", 2, head | {"FBillNo": "SKD2"}, FRECEIVEBILLSRCENTRY=unread)
    source = open_table(tmp_path, server, RECEIPTS, table="erp_receipts")
    _, extract, _ = source.extract(DAYS)
    paid = zip(
        *(extract.rows.column(name).to_pylist()
          for name in ("receipt_no", "erp_order_no", "amount_fen")), strict=True
    )  # fmt: skip
    assert sorted(paid) == [
        ("SKD1", "XSDD1", 10000), ("SKD1", "XSDD2", 900),
        ("SKD2", "XSDD1", 10000), ("SKD2", "XSDD2", 900),
    ]  # fmt: skip
    assert ["about 5" in row.reason for row in extract.rejected] == [True]


def test_bills_are_counted_by_their_dates_so_that_a_deleted_or_moved_one_is_missed(
    tmp_path: Path,
) -> None:
    server = write_orders(KingdeeServer(most_rows=2), 7)
    source = open_table(tmp_path, server)
    assert source.counts(DAYS) == {DAYS[1]: 2, DAYS[2]: 2}
    assert server.calls[-1][1]["FieldKeys"] == "FID,FDate"
    server.delete("SAL_SaleOrder", 7)
    server.write("SAL_SaleOrder", 1, order(1, FDate=f"{DAYS[1]} 09:00:00"))
    assert source.counts(DAYS) == {DAYS[1]: 3, DAYS[2]: 2}
    lines = open_table(tmp_path, server, LINES, table="erp_order_lines")
    assert lines.counts(DAYS) == {}


def test_an_amount_of_the_head_is_refused_where_there_is_one_row_per_entry(
    tmp_path: Path,
) -> None:
    settings = with_columns(LINES, amount_fen={"from": "FBillAllAmount", "unit": "yuan"})
    source = open_table(tmp_path, KingdeeServer(), settings, table="erp_order_lines")
    with pytest.raises(PermanentSourceError, match="would count once for each") as error:
        source.probe()
    assert "FBillAllAmount of FSaleOrderFinance" in error.value.message


def test_an_entry_that_multiplies_a_bill_is_refused_before_it_lands(tmp_path: Path) -> None:
    server = write_orders(KingdeeServer(), 1)
    settings = with_columns(ORDERS, channel="FMaterialId.FNumber")
    with pytest.raises(PermanentSourceError, match="one bill came more than once") as error:
        list(open_table(tmp_path, server, settings).extract(DAYS))
    assert "FMaterialId.FNumber of FSaleOrderEntry" in error.value.message
    assert "under `each`" in error.value.next_step


def test_two_entries_that_multiply_each_other_are_refused(tmp_path: Path) -> None:
    server = KingdeeServer()
    server.write("SAL_SaleOrder", 1, order(1), FSaleOrderEntry=[{"FQty": 1, "FAllAmount": 1}],
                 FSaleOrderPlan=[{}, {}])  # fmt: skip
    settings = with_columns(LINES, sku="FRecAdvanceAmount")
    source = open_table(tmp_path, server, settings, table="erp_order_lines")
    with pytest.raises(PermanentSourceError, match="one FSaleOrderEntry came more than once"):
        list(source.extract(DAYS[:1]))


@pytest.mark.parametrize(
    ("columns", "lacking", "near"),
    [
        ({"ordered_at": "FDATE"}, "'FDATE'", "FDate"),
        ({"customer_code": "FCustomerID.FNumber"}, "'FCustomerID.FNumber'", "FCustId"),
        ({"order_no": ["F_shop", "FMemo"]}, "'F_shop', 'FMemo'", "F_SHOP_OrderNo"),
    ],
)
def test_a_field_that_the_form_lacks_is_named_with_those_most_like_it(
    tmp_path: Path, columns: Mapping[str, Any], lacking: str, near: str
) -> None:
    source = open_table(tmp_path, KingdeeServer(), with_columns(ORDERS, **columns))
    with pytest.raises(PermanentSourceError) as error:
        source.probe()
    assert f"found no column {lacking}" in error.value.message
    assert near in error.value.message.partition("allowed: ")[2]


def test_an_entry_that_the_form_lacks_is_named_with_those_most_like_it(tmp_path: Path) -> None:
    source = open_table(
        tmp_path, KingdeeServer(), LINES | {"each": "FSALEORDERENTRY"}, table="erp_order_lines"
    )
    with pytest.raises(PermanentSourceError, match="allowed: FSaleOrderEntry"):
        source.probe()


def test_one_of_several_fields_is_enough(tmp_path: Path) -> None:
    server = write_orders(KingdeeServer(), 1)
    settings = with_columns(ORDERS, order_no=["F_WX_OrderNo", "FNote"])
    assert column(list(open_table(tmp_path, server, settings).extract(DAYS)), "order_no") == [
        "小程序 O1"
    ]


def test_the_days_of_changed_bills_are_found_by_the_servers_own_time(tmp_path: Path) -> None:
    server = write_orders(KingdeeServer(), 3)
    source, known = open_table(tmp_path, server), dict.fromkeys(DAYS, "")
    since = day_start(DAYS[2]) + timedelta(hours=12)
    assert source.changed_days(since, known) == set()
    server.write("SAL_SaleOrder", 2, order(2, FModifyDate="2026-10-03 11:55:00"))
    assert source.changed_days(since, known) == {DAYS[1]}
    assert source.changed_days(since + timedelta(minutes=6), known) == set()
    assert source.changed_days(None, known) == set(DAYS)


def test_a_bill_that_leaves_the_filter_makes_its_day_change(tmp_path: Path) -> None:
    server = write_orders(KingdeeServer(), 3)
    source = open_table(tmp_path, server, ORDERS | {"where": "FDocumentStatus = 'C'"})
    since, known = day_start(DAYS[2]) + timedelta(hours=12), dict.fromkeys(DAYS, "")
    cancelled = order(2, FModifyDate="2026-10-03 12:05:00", FDocumentStatus="D")
    server.write("SAL_SaleOrder", 2, cancelled)
    assert source.changed_days(since, known) == {DAYS[1]}


def test_a_bill_without_a_date_belongs_to_the_first_day(tmp_path: Path) -> None:
    server = KingdeeServer()
    server.write("SAL_SaleOrder", 1, order(1, FDate=None), FSaleOrderFinance=[{}])
    source = open_table(tmp_path, server)
    landing = Landing(tmp_path / "landing", hash_key=b"0123456789abcdef")
    batches = [landing.land(source.table, e, connector="kingdee") for e in source.extract(DAYS)]
    assert [batch.quarantined for batch in batches] == [1, 0, 0]


def test_windows_are_half_open_and_begin_and_end_at_whole_seconds() -> None:
    since = datetime(2026, 9, 30, 16, 0, 0, 5, tzinfo=UTC)
    until = since + timedelta(hours=1)
    assert window(["FDate"], since, until, with_undated=False) == (
        "(FDate >= '2026-10-01 00:00:00' and FDate < '2026-10-01 01:00:01')"
    )


def test_only_the_bills_asked_for_are_read(tmp_path: Path) -> None:
    server = write_orders(KingdeeServer(), 4)
    where = "FBillNo = 'XSDD1' or FBillNo = 'XSDD2'"
    extracts = list(open_table(tmp_path, server, ORDERS | {"where": where}).extract(DAYS[:1]))
    assert column(extracts, "erp_order_no") == ["XSDD1"]
    with pytest.raises(ConfigurationError, match=r"erp_orders\.where: found no filter"):
        list(open_table(tmp_path, server, ORDERS | {"where": [1]}).extract(DAYS))


def test_customers_are_keyed_by_their_own_key_and_land_hashed(tmp_path: Path) -> None:
    settings = {
        "connector": "kingdee",
        "object": "BD_Customer",
        "columns": {"contact_id": "FNumber", "customer_code": "FNumber", "phone": "FTEL",
                    "created_at": "FCreateDate", "updated_at": "FModifyDate"},
    }  # fmt: skip
    server = KingdeeServer()
    server.write("BD_Customer", 7, {"FNumber": "C7", "FName": "王小明", "FTEL": "13800138000",
                 "FCreateDate": "2026-10-01 08:00:00",
                 "FModifyDate": "2026-10-01 08:00:00"})  # fmt: skip
    source = open_table(tmp_path, server, settings, table="crm_contacts")
    landing = Landing(tmp_path / "landing", hash_key=b"0123456789abcdef")
    (batch,) = (
        landing.land(source.table, e, connector="kingdee") for e in source.extract(DAYS[:1])
    )
    assert batch.rows == 1
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*.parquet"))
    assert b"13800138000" not in written


@pytest.mark.parametrize(
    ("settings", "said", "next_step"),
    [
        ({"object": "SAL_Order"}, "MsgCode 4", "SAL_SaleOrder"),
        ({"where": "FGone = 1"}, "MsgCode 9, it says '字段 FGone 不存在'", "`where`"),
    ],
)
def test_what_cannot_get_better_is_told_at_once(
    tmp_path: Path, settings: Mapping[str, Any], said: str, next_step: str
) -> None:
    waited: list[float] = []
    source = open_table(tmp_path, KingdeeServer(), ORDERS | settings, waited=waited)
    with pytest.raises(PermanentSourceError) as error:
        list(source.extract(DAYS))
    assert said in error.value.message
    assert next_step in error.value.next_step
    assert waited == []


@pytest.mark.parametrize("wrong", ["app_id", "user", "secret"])
def test_a_lost_session_means_a_caller_whom_it_does_not_know(tmp_path: Path, wrong: str) -> None:
    server, waited = KingdeeServer(), []
    with pytest.raises(PermanentSourceError, match="MsgCode 1") as error:
        open_table(tmp_path, server, waited=waited, **{wrong: "204399_another"}).probe()
    assert "does not know them" in error.value.next_step
    assert "another" not in str(error.value)
    assert (len(server.calls), waited) == (1, [])


def test_a_sentence_instead_of_rows_is_refused_and_shows_no_secret(tmp_path: Path) -> None:
    waited: list[float] = []
    server = KingdeeServer(text=f"response_error:应用 {APP_ID} 未授权 {APP_SECRET}")
    with pytest.raises(PermanentSourceError, match=r"应用 \*\*\* 未授权 \*\*\*"):
        open_table(tmp_path, server, waited=waited).probe()
    assert waited == []


def test_books_that_the_server_does_not_know_are_told_as_such(tmp_path: Path) -> None:
    waited: list[float] = []
    with pytest.raises(PermanentSourceError, match="数据中心不存在") as error:
        open_table(tmp_path, KingdeeServer(status=500), waited=waited).probe()
    assert "`database`" in error.value.next_step
    assert len(waited) == TRIES - 1


def test_a_server_that_fails_after_it_has_answered_is_asked_again(tmp_path: Path) -> None:
    server, waited = write_orders(KingdeeServer(), 1), []
    source = open_table(tmp_path, server, waited=waited)
    source.probe()
    server.status = 500
    with pytest.raises(TransientSourceError, match="HTTP 500"):
        list(source.extract(DAYS))
    assert len(waited) == TRIES - 1


def test_too_many_calls_are_waited_out(tmp_path: Path) -> None:
    server, waited = write_orders(KingdeeServer(busy_calls=2), 1), []
    source = open_table(tmp_path, server, waited=waited)
    assert column(list(source.extract(DAYS)), "erp_order_no") == ["XSDD1"]
    assert len(waited) == 2


@pytest.mark.parametrize("told", [{"rows": []}, [["only one value"]], 7])
def test_a_reply_of_another_shape_is_broken_content(tmp_path: Path, told: Any) -> None:
    class Odd(KingdeeServer):
        def _query(self, form: str, data: Mapping[str, Any]) -> Any:
            return told

    with pytest.raises(BrokenContentError, match="found no list of rows"):
        list(open_table(tmp_path, Odd()).extract(DAYS))


def test_a_filter_that_is_not_kept_ends_the_reading(tmp_path: Path) -> None:
    class Deaf(KingdeeServer):
        def _query(self, form: str, data: Mapping[str, Any]) -> Any:
            return super()._query(form, {**data, "FilterString": "FID > 0"})

    with pytest.raises(BrokenContentError, match="allowed: above 1, as asked"):
        list(open_table(tmp_path, write_orders(Deaf(), 1)).extract(DAYS))


def test_the_probe_tells_how_many_fields_it_read(tmp_path: Path) -> None:
    told = open_table(tmp_path, write_orders(KingdeeServer(), 3)).probe()
    assert told == f"SAL_SaleOrder at {BASE_URL}: 12 fields read, 1 of {DAYS[2]}"


@pytest.mark.parametrize("app_id", [APP_ID, "204399_short", "without", "a_b_c"])
def test_calls_are_signed_as_the_vendors_own_kit_signs_them(
    monkeypatch: pytest.MonkeyPatch, app_id: str
) -> None:
    now = datetime(2026, 10, 4, 1, 0, 0, 900_000, tzinfo=UTC)
    monkeypatch.setattr(time, "time", now.timestamp)
    kit = WebApiClient()
    kit.identify = Identify(BASE_URL, DATABASE, USER, app_id, APP_SECRET, 100, 2052)
    address = f"{BASE_URL}/{SERVICE}.ExecuteBillQuery.common.kdsvc"
    theirs = kit.BuildHeader(address)
    ours = sign(
        Caller(app_id, APP_SECRET, DATABASE, USER, "2052", "100"), httpx.URL(address).path, now
    )
    assert len(ours) == 9
    assert ours == {name: theirs[name] for name in ours}
    assert set(theirs) - set(ours) == {"Accept-Charset", "User-Agent", "Content-Type"}


def test_the_product_never_loads_the_vendors_kit() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, pipeline.sources.kingdee.bills\n"
         "print('k3cloud_webapi_sdk' in sys.modules, 'requests' in sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert loaded.stdout.split() == ["False", "False"]


@contextmanager
def self_signed(folder: Path, server: KingdeeServer) -> Iterator[str]:
    """The server behind TLS, with a certificate that it made for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            request = httpx.Request("POST", f"{BASE_URL}{self.path}", content=content)
            self.wfile.write(server.answer(request).content)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with HTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.handle_error = lambda *_: None
        listener.socket = context.wrap_socket(listener.socket, server_side=True)
        thread = Thread(target=listener.serve_forever)
        thread.start()
        try:
            yield f"https://127.0.0.1:{listener.server_port}/k3cloud"
        finally:
            listener.shutdown()
            thread.join()


def test_a_server_whose_certificate_nobody_vouches_for_is_not_spoken_to(tmp_path: Path) -> None:
    server = KingdeeServer()
    with self_signed(tmp_path, server) as address:
        company = connected(
            tmp_path, CONNECTION | {"base_url": address}, {"erp_orders": ORDERS}, SECRETS
        )
        source = KingdeeBills(
            TABLES["erp_orders"],
            company.sources.tables["erp_orders"],
            company.sources.connections["erp"],
            company,
            wire=Wire(sleep=lambda _: None),
        )
        with pytest.raises(TransientSourceError, match="CERTIFICATE_VERIFY_FAILED"):
            source.probe()
    assert server.calls == []
