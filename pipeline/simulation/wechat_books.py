"""What WeChat knows of the simulated company: payments and refunds, orders, visits, followers.

Written as JSON lines beside the keys; `wechat_server.py` answers from nothing else.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline.landing import business_day
from pipeline.simulation.cases import Case, Payment, Refund
from pipeline.simulation.events import Event
from pipeline.simulation.jsonlines import read_lines, write_lines
from pipeline.simulation.people import (
    APP_ID_OF_CHANNEL,
    MINI_PROGRAM_APP_ID,
    SERVICE_ACCOUNT_APP_ID,
)
from pipeline.simulation.service_books import (
    ServiceBooks,
    read_service_books,
    write_service_books,
)
from pipeline.simulation.visits import Session, read_sessions, sessions_of
from pipeline.simulation.world import FIRST_DAY, World

MERCHANT_ID = "1900000109"
CERTIFICATE_SERIAL = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
PLATFORM_KEY_ID = "PUB_KEY_ID_0119000001092026100100000001"
TRADE_TYPES = {
    "mini_program": "JSAPI", "h5": "JSAPI", "mobile_site": "MWEB", "app": "APP", "pc": "NATIVE",
}  # fmt: skip
REFUNDS_PER_SLOW_ONE = 8
GOODS = ("手冲咖啡壶", "陶瓷马克杯,双只装", "挂耳咖啡 10 片", "燕麦奶 1L*6", "咖啡豆 454g")


@dataclass(frozen=True)
class Account:
    """The company's account at WeChat. The secrets also stand in the company's `.env`."""

    app_id: str
    app_secret: str
    service_app_id: str
    service_app_secret: str
    merchant_id: str
    certificate_serial: str
    platform_key_id: str
    robot_key: str
    first_day: date
    last_day: date

    @classmethod
    def open(cls, seed: int, last_day: date) -> "Account":
        drawn = sha256(f"simulated WeChat account {seed}".encode()).hexdigest()
        robot = drawn[32:]
        return cls(
            app_id=MINI_PROGRAM_APP_ID,
            app_secret=drawn[:32],
            service_app_id=SERVICE_ACCOUNT_APP_ID,
            service_app_secret=sha256(drawn.encode()).hexdigest()[:32],
            merchant_id=MERCHANT_ID,
            certificate_serial=CERTIFICATE_SERIAL,
            platform_key_id=PLATFORM_KEY_ID,
            robot_key="-".join((robot[:8], robot[8:12], robot[12:16], robot[16:20], robot[20:])),
            first_day=FIRST_DAY,
            last_day=last_day,
        )


@dataclass(frozen=True)
class Books:
    """The books as the server reads them: bill rows and visits by day, orders by payment time, and
    those of the service account."""

    account: Account
    bill: Mapping[date, Sequence[Mapping[str, Any]]]
    orders: Sequence[Mapping[str, Any]]
    sessions: Mapping[date, Sequence[Session]]
    service: ServiceBooks


def write_books(
    world: World, account: Account, events: Mapping[date, Sequence[Event]], folder: Path
) -> None:
    """Write the books as they stand at the end of the simulated period."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "account.json").write_text(json.dumps(asdict(account), default=str, indent=1) + "\n")
    write_lines(folder / "bill.jsonl", _bill(world))
    write_lines(folder / "orders.jsonl", _orders(world))
    write_lines(folder / "sessions.jsonl", sessions_of(events))
    write_service_books(world, folder)


def read_books(folder: Path) -> Books:
    """Read the books back. Raises FileNotFoundError where no company was simulated."""
    account = json.loads((folder / "account.json").read_text(encoding="utf-8"))
    for bound in ("first_day", "last_day"):
        account[bound] = date.fromisoformat(account[bound])
    bill: dict[date, list[Mapping[str, Any]]] = {}
    for row in read_lines(folder / "bill.jsonl"):
        bill.setdefault(business_day(datetime.fromisoformat(row["at"])), []).append(row)
    return Books(
        account=Account(**account),
        bill=bill,
        orders=read_lines(folder / "orders.jsonl"),
        sessions=read_sessions(read_lines(folder / "sessions.jsonl")),
        service=read_service_books(folder),
    )


def _bill(world: World) -> list[dict[str, Any]]:
    """One row per payment and refund, in no order that means anything, as WeChat Pay lists them."""
    rows = []
    for payment, case in _payments(world):
        shared = _shared(case) | {"transaction_id": payment.transaction_id}
        if payment.at < world.end:
            rows.append(shared | {
                "kind": "payment", "at": payment.at.isoformat(), "order_fen": payment.order_fen,
                "settled_fen": payment.settled_fen, "coupon_fen": payment.coupon_fen,
                "fee_fen": payment.fee_fen,
            })  # fmt: skip
        for refund in case.refunds:
            if refund.at < world.end:
                # The coupon's part of a full refund goes back to the coupon, not to the payer.
                is_full = refund.fen == payment.order_fen
                net_fen = refund.fen - (payment.coupon_fen if is_full else 0)
                rows.append(shared | {
                    "kind": "refund", "at": refund.at.isoformat(), "refund_id": refund.refund_id,
                    "refund_no": refund.refund_no, "requested_fen": refund.fen,
                    "paid_at": payment.at.isoformat(), "refund_state": _refund_state(refund),
                    "refund_fen": net_fen, "fee_fen": -int(net_fen * 0.006 + 0.5),
                })  # fmt: skip
    return sorted(rows, key=_without_order)


def _refund_state(refund: Refund) -> str:
    """As it stood when the refund was accepted: some are under way, and no later bill says more."""
    is_slow = sha256(refund.refund_id.encode()).digest()[0] % REFUNDS_PER_SLOW_ONE == 0
    return "PROCESSING" if is_slow else "SUCCESS"


def _payments(world: World) -> list[tuple[Payment, Case]]:
    """Every payment with the first case that it pays: one may pay several orders."""
    first: dict[str, tuple[Payment, Case]] = {}
    for case in world.cases:
        if case.payment is not None:
            first.setdefault(case.payment.transaction_id, (case.payment, case))
    return list(first.values())


def _without_order(row: Mapping[str, Any]) -> bytes:
    return sha256(f"{row['kind']} {row['order_no']}".encode()).digest()


def _shared(case: Case) -> dict[str, Any]:
    return {
        "order_no": _number(case),
        "app_id": APP_ID_OF_CHANNEL[case.channel],
        "openid": case.person.openid(case.channel),
        "trade_type": TRADE_TYPES[case.channel],
        "goods": GOODS[case.person.number % len(GOODS)],
        "attach": json.dumps({"biz": case.line.name, "v": 2}, separators=(",", ":")),
    }


def _number(case: Case) -> str:
    """The merchant's number of the payment: its own, else the order's."""
    return (case.payment.number if case.payment else None) or case.number


def _orders(world: World) -> list[dict[str, Any]]:
    """The orders paid inside the mini-program, as get_order_list gives them, by payment time."""
    paid = [
        (payment, case)
        for payment, case in _payments(world)
        if payment.at < world.end and case.channel == "mini_program"
    ]
    return [
        {
            "transaction_id": payment.transaction_id,
            "merchant_trade_no": _number(case),
            "merchant_id": MERCHANT_ID,
            "sub_merchant_id": "",
            "description": GOODS[case.person.number % len(GOODS)],
            "paid_amount": payment.settled_fen,
            "openid": case.person.openid(case.channel),
            "trade_create_time": int(case.submitted_at.timestamp()),
            "pay_time": int(payment.at.timestamp()),
            "order_state": _order_state(case, world.end),
            "in_complaint": False,
            "shipping": _shipping(case, world.end),
        }
        for payment, case in sorted(paid, key=lambda pair: (pair[0].at, pair[1].number))
    ]


def _order_state(case: Case, end: datetime) -> int:
    """1 to ship, 2 shipped, 3 receipt confirmed, 5 refunded in full."""
    refunded_fen = sum(refund.fen for refund in case.refunds if refund.at < end)
    if refunded_fen >= case.order_fen:
        return 5
    if case.uploaded_at is None or case.uploaded_at >= end:
        return 1
    delivered_at = case.shipment.delivered_at if case.shipment else None
    return 3 if delivered_at is not None and case.uploaded_at < delivered_at < end else 2


def _shipping(case: Case, end: datetime) -> dict[str, Any]:
    if case.uploaded_at is None or case.uploaded_at >= end:
        return {}
    # A later parcel is uploaded as long after it left as the first was.
    delay = case.uploaded_at - case.shipped_at
    uploads = [
        (shipment, shipment.shipped_at + delay)
        for shipment in case.shipments
        if shipment.shipped_at is not None
    ]
    uploaded = [(shipment, at) for shipment, at in uploads if at < end]
    return {
        "delivery_mode": 1 if len(uploads) == 1 else 2, "logistics_type": 1,
        "finish_shipping": len(uploaded) == len(uploads),
        "finish_shipping_count": len(uploaded), "goods_desc": "咖啡器具",
        "shipping_list": [{
            "tracking_no": shipment.tracking_no, "express_company": "SF",
            "goods_desc": "咖啡器具", "upload_time": int(at.timestamp()),
            "contact": {"consignor_contact": "189****1234", "receiver_contact": "177****5678"},
        } for shipment, at in uploaded],
    }  # fmt: skip
