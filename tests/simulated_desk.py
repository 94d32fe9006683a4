"""The simulated merchant platform with a few rows of two merchants, answering in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from pipeline.simulation.http_call import Call
from pipeline.simulation.merchant_desk import DeskHabits, Merchant, MerchantDesk
from pipeline.simulation.service_books import ServiceBooks
from pipeline.simulation.wechat_books import Account, Books
from tests.wechat_bills import key_of
from tests.wechat_world import DAY, Line

SECOND_MERCHANT_ID, SECOND_SERIAL = "1900000208", "0A57F09EFDC096DE15EBE81A47057A7232F1B8E2"
PUBLIC_KEY_ID = "PUB_KEY_ID_0119"
DAY_BEFORE = DAY - timedelta(days=1)


def payment(number: int, at: datetime, fen: int, **changes: Any) -> dict[str, Any]:
    return {
        "kind": "payment", "at": at.isoformat(), "transaction_id": f"42000002632026{number:014}",
        "order_no": f"R{number:04}", "app_id": "wx5a1e0000000001", "openid": f"openid-{number}",
        "trade_type": "JSAPI", "goods": "陶瓷马克杯,双只装", "attach": r"a\ b\nc",
        "order_fen": fen, "settled_fen": fen, "coupon_fen": 0, "fee_fen": round(fen * 0.006),
    } | changes  # fmt: skip


def refund(
    number: int, at: datetime, fen: int, paid_at: datetime, **changes: Any
) -> dict[str, Any]:
    paid = payment(number, paid_at, fen)
    shared = ("transaction_id", "order_no", "app_id", "openid", "trade_type", "goods", "attach")
    return {name: paid[name] for name in shared} | {
        "kind": "refund", "at": at.isoformat(), "paid_at": paid_at.isoformat(),
        "refund_id": f"503000{number:023}", "refund_no": f"S{number:04}", "requested_fen": fen,
        "refund_fen": fen, "fee_fen": -round(fen * 0.006), "refund_state": "SUCCESS",
    } | changes  # fmt: skip


def at(hour: int, day: date = DAY) -> datetime:
    """An hour of a Beijing day."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC) - timedelta(hours=8)


ROWS = [
    refund(2, at(15), 2_000, at(10), refund_state="PROCESSING"),
    payment(1, at(9), 10_000, settled_fen=9_500, coupon_fen=500, fee_fen=57),
    refund(9, at(8), 3_000, datetime(2026, 9, 20, 4, tzinfo=UTC)),  # paid weeks ago
    payment(2, at(10), 5_000),  # of which a part is refunded at three
    payment(3, at(11), 800, app_id="wxf0e1a00000000002"),  # another app of the merchant
    payment(4, at(12), 700, trade_type="MICROPAY"),
    refund(4, at(13), 700, at(12), kind="revoked", trade_type="MICROPAY"),
]
BEFORE = [
    payment(5, at(20, DAY_BEFORE), 4_000),
    payment(6, at(21, DAY_BEFORE), 6_000, mch_id=SECOND_MERCHANT_ID),
]


def open_desk(
    rows: Sequence[Mapping[str, Any]] = ROWS,
    *,
    habits: DeskHabits | None = None,
    platform_key_id: str = PUBLIC_KEY_ID,
) -> MerchantDesk:
    account = Account.open(1, DAY)
    return MerchantDesk(
        books=Books(
            account=replace(account, platform_key_id=platform_key_id),
            bill={DAY_BEFORE: BEFORE, DAY: rows},
            orders=[],
            sessions={},
            service=ServiceBooks(0, [], [], [], []),
        ),
        merchant_key=key_of("merchant").public_key(),
        platform_key=key_of("platform"),
        now=lambda: 0.0,
        address="https://api2.pay.test",
        habits=habits or DeskHabits(),
        others=[
            Merchant(SECOND_MERCHANT_ID, SECOND_SERIAL, key_of("second merchant").public_key())
        ],
    )


def line_to(desk: MerchantDesk) -> Line:
    """A line whose clock is the desk's, too."""

    def answer(request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode()
        replied = desk.answer(Call(request.method, target, request.headers, request.content))
        assert replied is not None, f"no such path: {target}"
        stream = httpx.ByteStream(replied.body)
        return httpx.Response(replied.status, stream=stream, headers=dict(replied.headers))

    line = Line(answer)
    desk.now = lambda: line.now.timestamp()
    return line
