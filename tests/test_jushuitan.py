"""聚水潭: signed calls, windows of seven days, orders that move while they are read, payments."""

import json
import logging
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.errors import (
    BrokenContentError,
    ConfigurationError,
    PermanentSourceError,
    TransientSourceError,
)
from pipeline.landed import TABLES
from pipeline.landing import Extract, Landing, day_start
from pipeline.sources import open_source
from pipeline.sources.jushuitan.api import sign
from pipeline.sources.jushuitan.payments import allocate
from pipeline.sources.jushuitan.source import JushuitanRecords
from pipeline.sources.sliced import ROUNDS
from pipeline.sources.wire import Wire
from tests.connector_pages import KEY, example, write_company
from tests.jushuitan_host import APP_SECRET, JushuitanHost
from tests.turning_clock import TurningClock

ORDERS, SHIPMENTS, REFUNDS = (
    "/open/orders/single/query", "/open/orders/out/simple/query", "/open/refund/single/query",
)  # fmt: skip
FIRST_DAY = date(2026, 10, 1)
DAYS = [FIRST_DAY + timedelta(days=count) for count in range(3)]
NOW = datetime(2026, 10, 4, 2, tzinfo=UTC)  # 10:00 in Beijing


@pytest.fixture
def clock() -> TurningClock:
    return TurningClock(NOW)


@pytest.fixture
def host(clock: TurningClock) -> JushuitanHost:
    return JushuitanHost(clock)


def open_table(
    folder: Path,
    host: JushuitanHost,
    clock: TurningClock,
    table: str = "erp_orders",
    *,
    sources: str | None = None,
    secrets: dict[str, str] | None = None,
) -> JushuitanRecords:
    """A table of the company that the page shows, at the stand-in."""
    company = write_company(
        folder / "company",
        sources or example("jushuitan"),
        secrets={"JUSHUITAN_APP_SECRET": APP_SECRET} if secrets is None else secrets,
    )
    wire = Wire(transport=httpx.MockTransport(host), sleep=clock.sleep, now=clock.now)
    settings = company.sources.tables[table]
    connection = company.sources.connections["jushuitan"]
    return JushuitanRecords(TABLES[table], settings, connection, company, wire=wire)


def order(number: int, ordered: str, modified: str | None = None, **changed: Any) -> dict[str, Any]:
    """An order as the platform tells it, with everything that must not land."""
    return {
        "o_id": number, "so_id": f"SO{number}", "shop_name": "小程序", "status": "Sent",
        "order_date": ordered, "created": ordered, "modified": modified or ordered,
        "pay_amount": 199.9, "paid_amount": 199.9, "freight": "0.00", "free_amount": "",
        "outer_pay_id": f"4{number:027}", "receiver_mobile": "13800138000",
        "receiver_name": "子内", "receiver_address": "燕郊9号楼", "order_from": "open",
        "items": [{"oi_id": 1, "sku_id": "SKU1", "qty": 1, "amount": "199.90"}],
        "pays": [payment(f"P{number}", 199.9, pay_date=ordered, o_id=number)],
    } | changed  # fmt: skip


def payment(pay_id: str, amount: Any, **changed: Any) -> dict[str, Any]:
    return {
        "pay_id": pay_id, "amount": amount, "is_order_pay": True,
        "pay_date": "2026-10-01 10:00:00", "outer_pay_id": "4" + "1" * 27,
        "buyer_account": "yike@163.com",
    } | changed  # fmt: skip


def column(extract: Extract, name: str) -> list[Any]:
    found: list[Any] = extract.rows.column(name).to_pylist()
    return found


def numbers(extracts: list[Extract]) -> list[list[str]]:
    return [column(extract, "erp_order_no") for extract in extracts]


def test_the_signature_is_md5_of_the_secret_and_the_sorted_pairs() -> None:
    # `printf 'secretapp_keykbiz{}timestamp1' | md5sum`
    signed = sign({"timestamp": "1", "biz": "{}", "app_key": "k"}, "secret")
    assert signed == "2eafe2fde8939f18ca6559300b672de1"


def test_days_are_picked_out_of_the_changes(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    host.lists[ORDERS] = [
        order(1, "2026-10-01 23:59:59"),
        order(2, "2026-10-02 00:00:00", "2026-10-03 12:00:00"),
        order(3, "2026-09-20 08:00:00", "2026-10-02 08:00:00"),
    ]
    extracts = list(open_table(tmp_path, host, clock).extract(DAYS))
    assert [sorted(of_day) for of_day in numbers(extracts)] == [["1", "3"], ["2"], []]
    assert [extract.complete_until for extract in extracts] == [
        day_start(day + timedelta(days=1)) for day in DAYS
    ]


def test_one_reading_serves_all_days_of_a_run(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    list(open_table(tmp_path, host, clock).extract([DAYS[0], DAYS[2]]))
    begins = [biz["modified_begin"] for _, biz in host.calls]
    assert begins.count("2026-09-30 00:00:00") == 1
    assert len(begins) == ROUNDS  # what changed meanwhile is read, too


def test_a_long_span_is_read_in_windows_of_seven_days(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    clock.at = datetime(2026, 12, 31, tzinfo=UTC)
    host.lists[ORDERS] = [
        order(count, f"{FIRST_DAY + timedelta(days=count)} 00:00:00") for count in range(90)
    ]
    days = [FIRST_DAY + timedelta(days=count) for count in range(90)]
    extracts = list(open_table(tmp_path, host, clock).extract(days))
    assert numbers(extracts) == [[str(count)] for count in range(90)]
    assert len(host.calls) == 14 + ROUNDS - 1


def test_pages_of_fifty_give_every_order_once(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    host.lists[ORDERS] = [order(count, "2026-10-01 10:00:00") for count in range(120)]
    first, *_ = open_table(tmp_path, host, clock).extract(DAYS)
    assert sorted(map(int, column(first, "erp_order_no"))) == list(range(120))


def test_an_order_that_changes_while_it_is_read_is_neither_missed_nor_doubled(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    host.lists[ORDERS] = [
        order(count, "2026-10-01 10:00:00", f"2026-10-01 10:{count // 60:02}:{count % 60:02}")
        for count in range(120)
    ]

    def change(count: int) -> None:
        """After the first page, one read early and one read late move to the present."""
        if count == 2:
            clock.at += timedelta(seconds=5)
            for number in (3, 118):
                host.lists[ORDERS][number] |= {
                    "modified": "2026-10-04 10:00:03", "status": "Cancelled",
                }  # fmt: skip

    host.before_call = change
    first, *_ = open_table(tmp_path, host, clock).extract(DAYS)
    states = dict(zip(column(first, "erp_order_no"), column(first, "state"), strict=True))
    assert len(column(first, "erp_order_no")) == len(states) == 120
    assert {number for number, state in states.items() if state == "cancelled"} == {"3", "118"}


def test_a_platform_that_gives_less_than_it_counts_lands_nothing(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    host.lists[ORDERS] = [order(count, "2026-10-01 10:00:00") for count in range(120)]
    host.largest_page = 20
    with pytest.raises((TransientSourceError, BrokenContentError), match=r"120 records"):
        list(open_table(tmp_path, host, clock).extract(DAYS))


def test_what_has_changed_names_its_days_and_looks_back_ten_minutes(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    host.lists[ORDERS] = [
        order(1, "2026-10-01 09:00:00", "2026-10-03 11:55:00"),
        order(2, "2026-10-02 09:00:00", "2026-10-03 11:40:00"),
        order(3, "2026-10-03 09:00:00", "2026-10-03 12:00:00", status="Unheard"),
    ]
    source = open_table(tmp_path, host, clock)
    since = datetime(2026, 10, 3, 4, tzinfo=UTC)  # 12:00 in Beijing
    assert source.changed_days(since, dict.fromkeys(DAYS, "")) == {DAYS[0], DAYS[2]}
    assert source.changed_days(None, dict.fromkeys(DAYS, "")) == set(DAYS)


def test_names_addresses_and_phones_do_not_land(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    host.lists[ORDERS] = [
        order(1, "2026-10-01 10:00:00"), order(2, "2026-10-01 11:00:00", status="Unheard"),
    ]  # fmt: skip
    source = open_table(tmp_path, host, clock)
    first, *_ = source.extract(DAYS)
    landing = Landing(tmp_path / "landing", hash_key=KEY.encode())
    batch = landing.land(source.table, first, connector="jushuitan")
    written = repr(first) + batch.path.read_bytes().decode("latin-1") + repr(first.rejected)
    assert batch.rows == 1
    for secret in ("子内", "燕郊", "yike@163.com"):
        assert secret not in written
    assert "13800138000" not in batch.path.read_bytes().decode("latin-1") + repr(first.rejected)


@pytest.mark.parametrize(
    ("told", "via"), [("open", "interface"), ("ERP", "ui"), ("IMPORT", "import"), ("WAP,WAP", None)]
)
def test_the_way_in_is_told_where_the_source_of_an_order_tells_it(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock, told: str, via: str | None
) -> None:
    host.lists[ORDERS] = [order(1, "2026-10-01 10:00:00", order_from=told)]
    first, *_ = open_table(tmp_path, host, clock).extract(DAYS)
    assert column(first, "created_via") == [via]


def test_a_state_that_is_not_listed_is_set_aside_with_its_word(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    host.lists[ORDERS] = [order(1, "2026-10-01 10:00:00", status="Unheard")]
    first, *_ = open_table(tmp_path, host, clock).extract(DAYS)
    (rejected,) = first.rejected
    assert "state: found 'Unheard' in status" in rejected.reason


def test_lines_shipments_and_refunds_land_from_their_lists(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    lines = [
        {"sku_id": "A", "qty": 2, "amount": 0.1}, {"sku_id": "B", "qty": 1, "amount": "199.80"},
    ]  # fmt: skip
    host.lists[ORDERS] = [order(1, "2026-10-02 10:00:00", items=lines)]
    host.lists[SHIPMENTS] = [
        {"io_id": 7, "o_id": 1, "status": "Confirmed", "created": "2026-10-02 12:00:00",
         "io_date": "2026-10-02 12:30:00", "l_id": "SF1", "modified": "2026-10-02 12:30:00"},
    ]  # fmt: skip
    host.lists[REFUNDS] = [
        {"as_id": 9, "o_id": 1, "status": "Confirmed",
         "so_id": "SO1", "outer_as_id": "R1", "refund": 99.95,
         "confirm_date": "", "as_date": "2026-10-03 08:00:00", "modified": "2026-10-03 09:00:00"},
    ]  # fmt: skip
    read = {
        table: list(open_table(tmp_path, host, clock, table).extract(DAYS))
        for table in ("erp_order_lines", "erp_shipments", "erp_refunds")
    }
    assert column(read["erp_order_lines"][1], "amount_fen") == [10, 19980]
    assert column(read["erp_order_lines"][1], "line_no") == ["1", "2"]
    assert column(read["erp_shipments"][1], "state") == ["shipped"]
    assert column(read["erp_refunds"][2], "amount_fen") == [9995]


def test_lines_land_on_the_day_of_their_order_so_that_no_change_has_the_past_read_again(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    host.lists[ORDERS] = [order(1, "2026-10-02 10:00:00", "2026-10-03 10:00:00")]
    source = open_table(tmp_path, host, clock, "erp_order_lines")
    extracts = list(source.extract(DAYS[1:]))
    assert [extract.rows.num_rows for extract in extracts] == [1, 0]
    assert set(extracts[0].rows.column_names) <= {*source.table.schema.names, "_place"}
    assert min(biz["modified_begin"] for _, biz in host.calls) == "2026-10-01 00:00:00"
    since = day_start(DAYS[2])
    assert source.changed_days(since, dict.fromkeys(DAYS, "")) == {DAYS[1]}


def test_each_payment_lands_once_and_refunds_among_them_do_not(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    host.lists[ORDERS] = [
        order(1, "2026-10-01 10:00:00", pays=[
            payment("P1", 199.9), payment("P2", "79.79", is_order_pay=False),
        ]),
        order(2, "2026-10-01 10:00:00", pays=[payment("P1", 199.9, o_id=1)], status="Merged"),
    ]  # fmt: skip
    first, *_ = open_table(tmp_path, host, clock, "erp_receipts").extract(DAYS)
    assert column(first, "receipt_no") == ["P1"]
    assert column(first, "amount_fen") == [19990]


def test_a_payment_of_several_orders_is_split_to_the_fen() -> None:
    orders = [
        {"o_id": 1, "paid_amount": Decimal("33.33"), "pays": [payment("P", Decimal("100.00"))]},
        {"o_id": 2, "paid_amount": "66.67", "pays": [payment("P", Decimal("100.00"))]},
        {"o_id": 3, "paid_amount": "5.00", "pays": [payment("Q", "5.00")]},
        {"o_id": 4, "paid_amount": "5.00", "pays": [payment("Q", "5.00")]},
    ]
    parts = [Decimal(str(of["pays"][0]["amount"])) for of in allocate(orders)]
    assert parts == [Decimal("33.33"), Decimal("66.67"), Decimal("5.00"), Decimal("5.00")]


def test_a_payment_whose_split_is_unclear_has_no_amount_and_is_not_doubled() -> None:
    orders = [
        {"o_id": 1, "paid_amount": "60", "pays": [payment("P", "100")]},
        {"o_id": 2, "paid_amount": "30", "pays": [payment("P", "100")]},
    ]
    assert [of["pays"][0]["amount"] for of in allocate(orders)] == [None, None]


def test_the_token_is_fetched_once_kept_and_renewed_before_it_ends(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    list(open_table(tmp_path, host, clock).extract(DAYS))
    file = tmp_path / "company" / "data" / "tokens" / "jushuitan-1a2b3c4d.json"
    assert json.loads(file.read_text())["access_token"] == "token-0"
    assert file.stat().st_mode & 0o077 == 0
    clock.at += timedelta(days=29, hours=1)
    list(open_table(tmp_path, host, clock).extract(DAYS))
    assert json.loads(file.read_text())["access_token"] == host.token == "token-1"


def test_a_token_that_ended_early_is_renewed_and_the_call_made_again(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    list(open_table(tmp_path, host, clock).extract(DAYS))
    host.token, host.refresh_token = "token-of-another", "refresh-of-another"
    list(open_table(tmp_path, host, clock).extract(DAYS))
    assert {biz["page_index"] for _, biz in host.calls} == {1}


def test_a_token_handed_over_is_used_and_never_renewed(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    sources = example("jushuitan").replace(
        "    app_secret_env:", "    access_token_env: JUSHUITAN_ACCESS_TOKEN\n    app_secret_env:"
    )
    secrets = {"JUSHUITAN_APP_SECRET": APP_SECRET, "JUSHUITAN_ACCESS_TOKEN": "token-0"}
    list(open_table(tmp_path, host, clock, sources=sources, secrets=secrets).extract(DAYS))
    host.token = "token-of-another"
    with pytest.raises(PermanentSourceError, match=r"code 100") as told:
        list(open_table(tmp_path, host, clock, sources=sources, secrets=secrets).extract(DAYS))
    assert host.refresh_token == "refresh-0"
    assert "token-0" not in str(told.value)


def test_a_wrong_secret_is_told_without_it(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    source = open_table(tmp_path, host, clock, secrets={"JUSHUITAN_APP_SECRET": "wr0ng-secret"})
    with pytest.raises(PermanentSourceError, match=r"code 10, .*无效签名") as told:
        source.probe()
    assert "wr0ng-secret" not in str(told.value)
    with pytest.raises(ConfigurationError, match=r"JUSHUITAN_APP_SECRET is not set"):
        open_table(tmp_path, host, clock, secrets={}).probe()


def test_a_permission_that_lacks_is_told_with_what_to_do(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    host.forbidden = {REFUNDS}
    with pytest.raises(PermanentSourceError, match=r"code 190[\s\S]*apply for the permission"):
        open_table(tmp_path, host, clock, "erp_refunds").probe()


def test_fixed_parameters_go_along_as_they_are_written(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    sources = example("jushuitan").replace(
        "  erp_orders:\n", "  erp_orders:\n    parameters: {shop_id: 10116896, page_size: 1}\n"
    )
    open_table(tmp_path, host, clock, sources=sources).probe()
    assert {(biz["shop_id"], biz["page_size"]) for _, biz in host.calls} == {(10116896, 50)}


def test_calls_keep_to_the_rate(tmp_path: Path, host: JushuitanHost, clock: TurningClock) -> None:
    clock.at = datetime(2029, 1, 1, tzinfo=UTC)
    list(open_table(tmp_path, host, clock).extract(DAYS))
    assert len(host.calls) > 110  # more than the platform allows in a minute
    assert max(clock.slept) < 1  # and never refused


def test_a_refused_rate_waits_for_the_next_minute(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    host.called_at += [clock.at] * 100  # another program of the company
    list(open_table(tmp_path, host, clock).extract(DAYS))
    assert max(clock.slept) >= 60


def test_a_probe_tells_the_fields_that_no_order_bears(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    host.lists[ORDERS] = [order(1, "2026-10-04 09:00:00")]
    told = open_table(tmp_path, host, clock).probe()
    assert told == (
        "/open/orders/single/query at https://openapi.jushuitan.com: 1 changed since"
        " 2026-10-03 02:00 UTC; none of them has receiver_phone, free_amount, currency"
    )


def test_a_sample_takes_the_latest_records(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    host.lists[ORDERS] = [order(count, f"2026-09-{count:02} 10:00:00") for count in range(1, 31)]
    mapped = open_table(tmp_path, host, clock).sample(3)
    assert mapped.rows.num_rows == 3


def test_progress_is_told_window_by_window(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.at = datetime(2026, 10, 20, tzinfo=UTC)
    with caplog.at_level(logging.INFO, logger="pipeline.sources.sliced"):
        list(open_table(tmp_path, host, clock).extract(DAYS))
    windows = [line for line in caplog.messages if "read the changes of" in line]
    assert len(windows) == 3 + ROUNDS - 1
    assert "to 2026-10-20 00:00:00 UTC, 0 records so far" in windows[2]
    assert "read the changes of 2026-09-29 16:00:00 to 2026-10-06 15:59:59 UTC" in windows[0]
    assert "token-0" not in caplog.text


def test_a_reply_that_is_none_of_the_platforms_is_told_apart(
    tmp_path: Path, clock: TurningClock
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"errno": 0})

    with pytest.raises(BrokenContentError, match=r"does 聚水潭 answer there"):
        open_table(tmp_path, answer, clock).probe()  # type: ignore[arg-type]


def test_every_table_of_the_page_opens_by_the_connectors_name(tmp_path: Path) -> None:
    company = write_company(tmp_path / "company", example("jushuitan"), secrets={})
    for table in company.sources.tables:
        assert isinstance(open_source(table, company), JushuitanRecords)


def test_refunds_that_were_not_agreed_to_do_not_land_and_one_taken_back_leaves(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    def refund(number: int, status: str, modified: str = "2026-10-02 09:00:00") -> dict[str, Any]:
        return {
            "as_id": number, "o_id": 1, "outer_as_id": f"R{number}", "refund": 10,
            "status": status, "as_date": "2026-10-02 08:00:00", "modified": modified,
        }  # fmt: skip

    host.lists[REFUNDS] = [refund(1, "Confirmed"), refund(2, "Cancelled"), refund(3, "Odd")]
    source = open_table(tmp_path, host, clock, "erp_refunds")
    extracts = list(source.extract(DAYS))
    assert [column(extract, "refund_doc_no") for extract in extracts] == [[], ["1"], []]
    assert ["rows: found 'Odd' in status" in row.reason for row in extracts[1].rejected] == [True]
    known = dict.fromkeys(DAYS, "")
    since = datetime(2026, 10, 3, tzinfo=UTC)
    assert source.changed_days(since, known) == set()
    host.lists[REFUNDS][0] = refund(1, "Cancelled", "2026-10-03 12:00:00")
    assert source.changed_days(since, known) == {DAYS[1]}
    extracts = list(source.extract(DAYS))
    assert [column(extract, "refund_doc_no") for extract in extracts] == [[], [], []]


def test_an_order_dated_ahead_and_not_touched_again_is_found_on_its_day(
    tmp_path: Path, host: JushuitanHost, clock: TurningClock
) -> None:
    host.lists[ORDERS] = [order(1, "2026-10-03 10:00:00", "2026-10-02 12:00:00")]
    (extract,) = open_table(tmp_path, host, clock).extract(DAYS[2:])
    assert column(extract, "erp_order_no") == ["1"]
