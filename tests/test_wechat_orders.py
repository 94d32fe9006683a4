"""WeChat's own order list: windows, paging, instants, and what does not fit."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from pipeline.company import Company
from pipeline.errors import BrokenContentError, NotReadyError, PermanentSourceError, SourceError
from pipeline.landed import TABLES
from pipeline.landing import Landing, day_end
from tests.wechat_world import DAY, NOON_AFTER, Line, refuse, source, token, write_company

TOKEN, ORDERS = "/cgi-bin/stable_token", "/wxa/sec/order/get_order_list"
PAID_AT = 1790956800  # 2026-10-03T00:00:00+08:00
OPENID = "ogqztkPsejM9MQAFfwCQSCi4oNg3"
SHIPPED = {
    "delivery_mode": 2, "logistics_type": 1, "finish_shipping": True, "finish_shipping_count": 1,
    "goods_desc": "🍌*1",
    "shipping_list": [
        {"tracking_no": "JT2", "express_company": "JTSD", "upload_time": PAID_AT + 90_000,
         "contact": {"receiver_contact": "138****1234"}},
        {"tracking_no": "JT1", "express_company": "JTSD", "upload_time": PAID_AT + 80_000},
    ],
}  # fmt: skip


def order(number: int, **changes: object) -> dict[str, Any]:
    return {
        "transaction_id": f"42000000{number:020d}", "merchant_trade_no": f"R{number:08d}",
        "merchant_id": "1900000109", "sub_merchant_id": "", "description": "", "paid_amount": 4353,
        "openid": OPENID, "trade_create_time": PAID_AT, "pay_time": PAID_AT + number,
        "order_state": 1, "in_complaint": False, "shipping": {},
    } | changes  # fmt: skip


def serving(*pages: list[Any], then: Callable[[], httpx.Response] | None = None) -> Line:
    """A line that serves these pages, each found by the last_index of the one before."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKEN:
            return token()
        asked = json.loads(request.content).get("last_index", "page-0")
        number = int(asked.removeprefix("page-"))
        if number == len(pages) and then is not None:
            return then()
        more = number + 1 < len(pages) or then is not None
        page = {"errcode": 0, "errmsg": "ok", "order_list": pages[number], "has_more": more}
        return httpx.Response(200, json=page | {"last_index": f"page-{number + 1}"})

    return Line(answer)


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return write_company(tmp_path)


def land(company: Company, line: Line, tmp_path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows that landing accepts and the reasons of those that it does not."""
    landing = Landing(tmp_path / "landing", hash_key=b"k" * 16)
    extract = next(source(company, "mp_orders", line).extract([DAY]))
    batch = landing.land(TABLES["mp_orders"], extract, connector="wechat_orders")
    rows: list[dict[str, Any]] = pq.read_table(batch.path).to_pylist()
    return rows, [rejected.reason for rejected in landing.rejected(batch)]


def test_orders_land_with_fen_instants_and_the_first_upload(
    company: Company, tmp_path: Path
) -> None:
    line = serving([order(1), order(2, order_state=2, shipping=SHIPPED)])
    (waiting, shipped), reasons = land(company, line, tmp_path)
    assert reasons == []
    assert waiting["paid_at"] == datetime(2026, 10, 2, 16, 0, 1, tzinfo=UTC)
    assert (waiting["order_no"], waiting["paid_amount_fen"]) == ("R00000001", 4353)
    assert (waiting["first_shipped_upload_at"], waiting["shipments"]) == (None, None)
    assert shipped["order_state"] == 2
    assert shipped["first_shipped_upload_at"] == datetime.fromtimestamp(PAID_AT + 80_000, UTC)
    parcels = json.loads(shipped["shipments"])
    assert [parcel["tracking_no"] for parcel in parcels] == ["JT2", "JT1"]
    assert "138" not in shipped["shipments"]


def test_a_window_is_one_day_of_beijing_with_both_ends_included(company: Company) -> None:
    line = serving([])
    extract = next(source(company, "mp_orders", line).extract([DAY]))
    (body,) = line.bodies(ORDERS)
    assert body["pay_time_range"] == {"begin_time": PAID_AT, "end_time": PAID_AT + 86_399}
    assert (extract.rows.num_rows, extract.complete_until) == (0, day_end(DAY))


def test_pages_are_followed_to_the_end(company: Company, tmp_path: Path) -> None:
    line = serving([order(1), order(2)], [], [order(3)])
    rows, reasons = land(company, line, tmp_path)
    assert [row["order_no"] for row in rows] == ["R00000001", "R00000002", "R00000003"]
    assert reasons == []
    assert [body.get("last_index") for body in line.bodies(ORDERS)] == [None, "page-1", "page-2"]


@pytest.mark.parametrize("index", [None, "", "page-1", 7])
def test_a_list_that_does_not_lead_on_is_broken_and_ends(company: Company, index: object) -> None:
    page = {"order_list": [], "has_more": True, "last_index": index}
    line = serving([order(1)], then=lambda: httpx.Response(200, json=page))
    with pytest.raises(BrokenContentError, match="last_index"):
        list(source(company, "mp_orders", line).extract([DAY]))


def test_a_page_that_fails_leaves_nothing_of_the_day(company: Company) -> None:
    line = serving([order(1)], then=lambda: refuse(10060011, "bad last_index"))
    with pytest.raises(PermanentSourceError, match="10060011"):
        next(source(company, "mp_orders", line).extract([DAY]))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"order_state": 9}, "order_state: found '9', allowed: 1 to ship, 2 shipped"),
        ({"order_state": True}, "order_state: found 'True'"),
        ({"order_state": {}}, "order_state: found '{}'"),
        ({"pay_time": None}, "pay_time: found 'None', allowed: epoch seconds"),
        ({"pay_time": 10**30}, "pay_time: found '1000"),
        ({"pay_time": PAID_AT - 1}, "pay_time: found 2026-10-02T15:59:59+00:00, allowed: within"),
        ({"paid_amount": "43.53"}, "paid_amount_fen: found '43.53', allowed: a whole number"),
        ({"paid_amount": None}, "paid_amount_fen: found nothing"),
        ({"transaction_id": ""}, "transaction_id: found nothing"),
        ({"shipping": {"shipping_list": "x"}}, "shipping_list: allowed: a list"),
        ({"shipping": {"shipping_list": [{}]}}, "upload_time: found 'None'"),
    ],
)
def test_an_order_that_does_not_fit_is_set_aside_with_its_reason(
    company: Company, tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    rows, reasons = land(company, serving([order(1), order(2, **changes)]), tmp_path)
    assert [row["order_no"] for row in rows] == ["R00000001"]
    assert len(reasons) == 1
    assert reasons[0].startswith(reason)
    assert OPENID not in reasons[0]


@pytest.mark.parametrize("odd", [None, "order", 3, [order(1)]])
def test_an_entry_that_is_no_order_is_set_aside(
    company: Company, tmp_path: Path, odd: object
) -> None:
    rows, reasons = land(company, serving([odd]), tmp_path)
    assert (rows, len(reasons)) == ([], 1)


def test_contacts_do_not_even_reach_quarantine(company: Company) -> None:
    bad = order(1, order_state=9, shipping=copy.deepcopy(SHIPPED))
    extract = next(source(company, "mp_orders", serving([bad])).extract([DAY]))
    assert "138" not in extract.rejected[0].raw
    assert "JT2" in extract.rejected[0].raw


def test_upload_times_may_come_as_rfc_3339(company: Company, tmp_path: Path) -> None:
    parcel = {"tracking_no": "JT1", "upload_time": "2026-10-04T09:00:00.000+08:00"}
    bare = {"tracking_no": "JT1", "upload_time": "2026-10-04T09:00:00"}
    orders = [
        order(number, order_state=2, shipping={"shipping_list": [shipped]})
        for number, shipped in enumerate([parcel, bare])
    ]
    (row,), reasons = land(company, serving(orders), tmp_path)
    assert row["first_shipped_upload_at"] == datetime(2026, 10, 4, 1, tzinfo=UTC)
    assert len(reasons) == 1


def test_a_day_that_is_not_over_is_not_ready(company: Company) -> None:
    line = serving([order(1)])
    line.now = day_end(DAY) - timedelta(seconds=1)
    orders = source(company, "mp_orders", line)
    assert orders.last_day() == DAY - timedelta(days=1)
    with pytest.raises(NotReadyError, match="not over"):
        next(orders.extract([DAY]))
    assert ORDERS not in line.paths()
    line.now += timedelta(seconds=1)
    assert next(orders.extract([DAY])).rows.num_rows == 1


def test_ten_days_before_the_newest_are_landed_again(tmp_path: Path) -> None:
    known = {date(2026, 10, day): "sha" for day in range(1, 31)}
    for written, first in ((None, 20), (3, 27)):
        company = write_company(tmp_path, last_day=date(2026, 10, 30), trailing_days=written)
        orders = source(company, "mp_orders", serving([]))
        expected = {date(2026, 10, day) for day in range(first, 31)}
        assert orders.changed_days(NOON_AFTER, known) == expected


def test_the_probe_asks_for_one_order(company: Company) -> None:
    line = serving([order(1)])
    assert source(company, "mp_orders", line).probe() == (
        "https://wechat.test answers wx5a1e0000000001; the order list of 2026-10-03 is there"
    )
    assert line.bodies(ORDERS)[0]["page_size"] == 1
    with pytest.raises(SourceError, match="found no order_list, but 'list'"):
        source(company, "mp_orders", answering_list()).probe()


def answering_list() -> Line:
    return Line(
        lambda asked: token() if asked.url.path == TOKEN else httpx.Response(200, json={"list": []})
    )
