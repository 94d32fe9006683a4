"""旺店通: its documented signature, closed windows of an hour, archives, orders that move."""

from datetime import UTC, date, datetime, timedelta
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
from pipeline.landing import Extract, Landing
from pipeline.sources import open_source
from pipeline.sources.sliced import LOOKED_AT_READINGS, OUTAGE_PAUSE_SECONDS, OUTAGE_PAUSES
from pipeline.sources.wangdian.api import sign
from pipeline.sources.wangdian.source import WangdianRecords
from pipeline.sources.wire import TRIES, Wire
from tests.connector_pages import KEY, example, write_company
from tests.turning_clock import TurningClock
from tests.wangdian_host import APP_SECRET, WangdianHost

TRADES, ARCHIVED = "trade_query.php", "his_trade_query.php"
SHIPMENTS, REFUNDS = "stockout_order_query_trade.php", "refund_query.php"
DAYS = [date(2026, 10, 1), date(2026, 10, 2)]
NOW = datetime(2026, 10, 2, 17, tzinfo=UTC)  # 01:00 of the third in Beijing


@pytest.fixture
def clock() -> TurningClock:
    return TurningClock(NOW)


@pytest.fixture
def host(clock: TurningClock) -> WangdianHost:
    return WangdianHost(clock)


def open_table(
    folder: Path,
    host: Any,
    clock: TurningClock,
    table: str = "erp_orders",
    *,
    sources: str | None = None,
    secret: str = APP_SECRET,
) -> WangdianRecords:
    """A table of the company that the page shows, at the stand-in."""
    company = write_company(
        folder / "company",
        sources or example("wangdian"),
        secrets={"WANGDIAN_APP_SECRET": secret} if secret else {},
    )
    wire = Wire(transport=httpx.MockTransport(host), sleep=clock.sleep, now=clock.now)
    connection = company.sources.connections["wangdian"]
    return WangdianRecords(
        TABLES[table], company.sources.tables[table], connection, company, wire=wire
    )


def trade(number: int, ordered: str, modified: str | None = None, **changed: Any) -> dict[str, Any]:
    """An order as 旺店通 tells it, with everything that must not land."""
    return {
        "trade_no": f"JY{number}", "src_tids": f"SO{number}", "trade_status": 95,
        "trade_time": ordered, "created": ordered, "modified": modified or ordered,
        "receivable": "199.9000", "post_amount": "0.0000", "discount": "0.1000",
        "trade_from": 1, "receiver_mobile": "13800138000", "receiver_name": "子内",
        "receiver_address": "燕郊9号楼", "goods_list": [
            {"spec_no": "SKU1", "num": "1.0000", "share_amount": "199.9000",
             "pay_id": f"4{number:027}"},
        ],
    } | changed  # fmt: skip


def column(extract: Extract, name: str) -> list[Any]:
    found: list[Any] = extract.rows.column(name).to_pylist()
    return found


def test_the_signature_is_that_of_the_documentation() -> None:
    parameters = {
        "appkey": "test2-xx", "page_no": "0", "end_time": "2016-08-01 13:00:00",
        "start_time": "2016-08-01 12:00:00", "page_size": "40", "sid": "test2",
        "timestamp": "1470042310",
    }  # fmt: skip
    assert sign(parameters, "12345") == "ad4e6fe037ea6e3ba4768317be9d1309"


def test_lengths_are_counted_in_characters() -> None:
    # `printf '02-no:0002-店铺secret' | md5sum`
    assert sign({"no": "店铺"}, "secret") == "7aa47fa0db6c01fa636c38834589f170"


def test_windows_of_less_than_an_hour_cover_the_days_without_a_gap(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    list(open_table(tmp_path, host, clock).extract(DAYS))
    asked = [form for path, form in host.calls if path == TRADES]
    assert asked[0]["start_time"] == "2026-09-30 00:00:00"
    assert asked[-1]["end_time"] >= "2026-10-03 01:00:00"
    assert [form["end_time"] for form in asked[:-1]] == [form["start_time"] for form in asked[1:]]


@pytest.mark.parametrize("at", ["00:49:59", "00:49:59.700000", "00:50:00"])
def test_a_seam_neither_loses_nor_doubles_an_order(
    tmp_path: Path, host: WangdianHost, clock: TurningClock, at: str
) -> None:
    host.lists[TRADES] = [trade(1, "2026-10-01 00:10:00", f"2026-10-01 {at}")]
    first, _ = open_table(tmp_path, host, clock).extract(DAYS)
    assert column(first, "erp_order_no") == ["JY1"]


def test_archived_orders_are_read_and_one_archived_meanwhile_counts_once(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    host.lists[ARCHIVED] = [trade(1, "2026-10-01 10:00:00", trade_status=110)]
    host.lists[TRADES] = [trade(2, "2026-10-01 10:00:00"), trade(3, "2026-10-01 10:01:00")]

    def archive(count: int) -> None:
        if (
            host.calls
            and host.calls[-1][1]["start_time"] > "2026-10-01 09:20"
            and (host.lists[TRADES] and host.calls[-1][0] == TRADES)
        ):
            host.lists[ARCHIVED].append(host.lists[TRADES].pop())

    host.before_call = archive
    first, _ = open_table(tmp_path, host, clock).extract(DAYS)
    assert sorted(column(first, "erp_order_no")) == ["JY1", "JY2", "JY3"]


def test_an_order_changed_in_the_last_minutes_is_not_missed_on_its_own_day(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    host.lists[TRADES] = [trade(1, "2026-10-01 10:00:00", "2026-10-03 00:58:00")]
    first, second = open_table(tmp_path, host, clock).extract(DAYS)
    assert column(first, "erp_order_no") == ["JY1"]
    assert second.complete_until == datetime(2026, 10, 2, 16, tzinfo=UTC)


def test_an_order_that_moves_while_the_windows_are_read_lands_in_its_last_state(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    host.lists[TRADES] = [
        trade(count, "2026-10-01 10:00:00", f"2026-10-0{1 + count} 11:00:00") for count in range(2)
    ]

    def change(count: int) -> None:
        """Long after the first was read and before the second is."""
        if count == 40:
            for of in host.lists[TRADES]:
                of |= {"modified": "2026-10-03 01:00:41", "trade_status": 5}

    host.before_call = change
    first, _ = open_table(tmp_path, host, clock).extract(DAYS)
    assert sorted(column(first, "erp_order_no")) == ["JY0", "JY1"]
    assert column(first, "state") == ["cancelled", "cancelled"]


def test_pages_are_read_whole(tmp_path: Path, host: WangdianHost, clock: TurningClock) -> None:
    host.lists[TRADES] = [trade(count, "2026-10-01 10:00:00") for count in range(250)]
    first, _ = open_table(tmp_path, host, clock).extract(DAYS)
    assert len(set(column(first, "erp_order_no"))) == first.rows.num_rows == 250
    assert set(column(first, "transaction_id")) == {f"4{count:027}" for count in range(250)}


def test_shipments_are_asked_for_state_by_state_and_kept_in_their_last(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    def shipment(number: str, state: int, modified: str) -> dict[str, Any]:
        return {
            "order_no": number, "src_order_no": "JY1", "status": state, "modified": modified,
            "created": "2026-10-02 09:00:00", "consign_time": "2026-10-02 10:00:00",
            "logistics_no": "SF1",
        }  # fmt: skip

    host.lists[SHIPMENTS] = [
        shipment("CK1", 95, "2026-10-02 10:00:00"), shipment("CK2", 5, "2026-10-02 11:00:00"),
    ]  # fmt: skip
    host.lists["his_" + SHIPMENTS] = [shipment("CK3", 110, "2026-10-02 12:00:00")]
    _, second = open_table(tmp_path, host, clock, "erp_shipments").extract(DAYS)
    states = dict(zip(column(second, "shipment_no"), column(second, "state"), strict=True))
    assert states == {"CK1": "shipped", "CK2": "cancelled", "CK3": "delivered"}


def test_refunds_land_in_pages_of_forty(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    host.lists[REFUNDS] = [
        {"refund_no": f"TK{count}", "process_status": 90,
             "tid": "SO1", "sales_tid": "JY1", "src_no": f"R{count}",
         "actual_refund_amount": "0.0100", "finish_time": "2026-10-01 12:00:00",
         "modified": "2026-10-01 12:00:00"}
        for count in range(90)
    ]  # fmt: skip
    first, _ = open_table(tmp_path, host, clock, "erp_refunds").extract(DAYS)
    assert first.rows.num_rows == 90
    assert sum(column(first, "amount_fen")) == 90


def test_lines_land_in_their_places(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    host.lists[TRADES] = [trade(1, "2026-10-01 10:00:00")]
    first, _ = open_table(tmp_path, host, clock, "erp_order_lines").extract(DAYS)
    assert column(first, "line_no") == ["1"]
    assert column(first, "amount_fen") == [19990]


def test_names_addresses_and_phones_do_not_land(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    host.lists[TRADES] = [trade(1, "2026-10-01 10:00:00")]
    source = open_table(tmp_path, host, clock)
    first, _ = source.extract(DAYS)
    assert "子内" not in repr(first.rows.to_pylist())
    batch = Landing(tmp_path / "landing", hash_key=KEY.encode()).land(
        source.table, first, connector="wangdian"
    )
    assert batch.rows == 1
    assert b"13800138000" not in batch.path.read_bytes()


def test_what_has_changed_names_its_days(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    host.lists[TRADES] = [
        trade(1, "2026-10-01 10:00:00", "2026-10-02 23:55:00"), trade(2, "2026-10-02 10:00:00"),
    ]  # fmt: skip
    since = datetime(2026, 10, 2, 16, tzinfo=UTC)
    source = open_table(tmp_path, host, clock)
    assert source.changed_days(since, dict.fromkeys(DAYS, "")) == {DAYS[0]}


def test_calls_keep_to_sixty_a_minute(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    list(open_table(tmp_path, host, clock).extract(DAYS))
    assert len(host.calls) > 90
    assert max(clock.slept) <= 1  # and was never refused


def test_a_refused_rate_waits_for_the_next_minute(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    host.called_at += [clock.at] * 60  # another program of the company
    open_table(tmp_path, host, clock).probe()
    assert max(clock.slept) >= 60


def test_a_wrong_secret_is_told_without_it(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    with pytest.raises(PermanentSourceError, match=r"签名[\s\S]*check sid, app_key") as told:
        open_table(tmp_path, host, clock, secret="wr0ng-secret").probe()
    assert "wr0ng-secret" not in str(told.value)
    with pytest.raises(ConfigurationError, match=r"WANGDIAN_APP_SECRET is not set"):
        open_table(tmp_path, host, clock, secret="").probe()


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        ({"code": 2000, "message": "系统繁忙,请稍后再试"}, TransientSourceError, "code 2000"),
        ({"code": "1021", "message": "无接口权限"}, PermanentSourceError, "let 旺店通 permit"),
        ({"code": 1100, "message": "时间戳错误"}, PermanentSourceError, "set this machine's clock"),
        ({"code": 77, "message": "?"}, PermanentSourceError, "look the code up"),
        ({"status": 0}, BrokenContentError, "does 旺店通 企业版 answer there"),
        ({"code": 0, "trades": []}, BrokenContentError, "as total_count, allowed: a count"),
        ({"code": 0, "total_count": 1, "trades": "x"}, BrokenContentError, "a list of objects"),
        ({"code": 0, "total_count": 2, "trades": [{}]}, TransientSourceError, "counts 2 records"),
    ],
)
def test_what_it_answers_decides_whether_to_ask_again(
    tmp_path: Path, clock: TurningClock, reply: dict[str, Any], error: type[Exception], said: str
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=reply)

    with pytest.raises(error, match=said):
        open_table(tmp_path, answer, clock).probe()


def test_a_host_that_goes_after_some_windows_lands_nothing(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    host.lists[TRADES] = [trade(1, "2026-10-01 01:00:00")]

    def answer(request: httpx.Request) -> httpx.Response:
        return host(request) if len(host.calls) < 20 else httpx.Response(502, text="bad gateway")

    extracts = open_table(tmp_path, answer, clock).extract(DAYS)
    with pytest.raises(TransientSourceError, match=r"trade_query.php at .*: HTTP 502"):
        next(extracts)
    assert clock.slept.count(OUTAGE_PAUSE_SECONDS) == OUTAGE_PAUSES


def test_a_reading_that_has_begun_outlives_an_outage_of_minutes(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    host.lists[TRADES] = [trade(1, "2026-10-01 01:00:00")]
    refused = iter(range(6 * TRIES))

    def answer(request: httpx.Request) -> httpx.Response:
        is_down = len(host.calls) >= 20 and next(refused, None) is not None
        return httpx.Response(502, text="bad gateway") if is_down else host(request)

    first, *_ = open_table(tmp_path, answer, clock).extract(DAYS)
    assert first.rows.column("erp_order_no").to_pylist() == ["JY1"]
    assert clock.slept.count(OUTAGE_PAUSE_SECONDS) == 6


def test_a_host_that_never_answered_is_not_waited_for(tmp_path: Path, clock: TurningClock) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(502, text="bad gateway")

    with pytest.raises(TransientSourceError, match="HTTP 502"):
        next(open_table(tmp_path, answer, clock).extract(DAYS))
    assert sum(clock.slept) < OUTAGE_PAUSE_SECONDS


@pytest.mark.parametrize("table", ["erp_orders", "erp_shipments"])
def test_a_sample_makes_no_more_calls_than_a_minute_holds(
    tmp_path: Path, host: WangdianHost, clock: TurningClock, table: str
) -> None:
    open_table(tmp_path, host, clock, table).sample(3)
    assert len(host.calls) <= LOOKED_AT_READINGS


def test_fixed_parameters_go_along(tmp_path: Path, host: WangdianHost, clock: TurningClock) -> None:
    sources = example("wangdian").replace(
        "  erp_orders:\n", "  erp_orders:\n    parameters: {shop_nos: '001,002'}\n"
    )
    open_table(tmp_path, host, clock, sources=sources).probe()
    assert {form["shop_nos"] for _, form in host.calls} == {"001,002"}


def test_a_day_that_is_not_over_is_complete_to_ten_minutes_ago(
    tmp_path: Path, host: WangdianHost, clock: TurningClock
) -> None:
    clock.at = began = NOW - timedelta(hours=3)
    _, second = open_table(tmp_path, host, clock).extract(DAYS)
    assert second.complete_until == began - timedelta(minutes=10)


def test_every_table_of_the_page_opens_by_the_connectors_name(tmp_path: Path) -> None:
    company = write_company(tmp_path / "company", example("wangdian"), secrets={})
    for table in company.sources.tables:
        assert isinstance(open_source(table, company), WangdianRecords)
