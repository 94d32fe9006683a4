"""The cases of the simulated company: what all loops share, and an order with all its records.

A case is planned whole and healthy; `faults.py` then breaks it, and the systems write down what
of it had happened by the end of the simulated period. Times are UTC, money is integer fen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import ClassVar

from pipeline.landing import SHANGHAI
from pipeline.simulation.people import Person

INTERFACE = "svc_miniprogram_bridge"
FINANCE_INTERFACE = "svc_payment_bridge"
WAREHOUSE_INTERFACE = "svc_warehouse"
FEE_RATE = 0.006
# Goods sold by weight have no list price: the amounts of such orders seldom come twice.
WEIGHED_RATE = 0.06


@dataclass(frozen=True)
class Line:
    """How one business line works when it works. Delays are (least, most) in seconds.

    None of them reaches the point at which the default contract calls a leg late.
    """

    name: str
    letter: str
    share: float
    prices_fen: Sequence[int]
    freights_fen: Sequence[int]
    coupons_fen: Sequence[int]
    coupon_rate: float
    refund_rate: float
    booking: tuple[int, int]
    receipt: tuple[int, int]
    shipping: tuple[int, int]
    upload: tuple[int, int]
    notice: tuple[int, int]


RETAIL = Line(
    name="retail", letter="R", share=0.6,
    prices_fen=(3990, 5900, 8850, 12800, 16990, 23800, 31950, 45900, 68000),
    freights_fen=(0, 0, 0, 800, 1200), coupons_fen=(1000, 2000, 3000),
    coupon_rate=0.2, refund_rate=0.05,
    booking=(3, 50), receipt=(20, 120), shipping=(4 * 3600, 40 * 3600),
    upload=(10, 120), notice=(5, 60),
)  # fmt: skip
FLASH_SALE = Line(
    name="flash_sale", letter="F", share=0.4,
    prices_fen=(990, 1990, 2900, 3950, 4990, 6837, 8800, 9900, 12865),
    freights_fen=(0, 0, 600, 1000), coupons_fen=(500, 900),
    coupon_rate=0.3, refund_rate=0.06,
    booking=(30, 14 * 60), receipt=(5 * 60, 6 * 3600), shipping=(8 * 3600, 50 * 3600),
    upload=(2 * 60, 60 * 60), notice=(10, 20 * 60),
)  # fmt: skip
LINES = (RETAIL, FLASH_SALE)


@dataclass(frozen=True)
class Made:
    """Who made a record: the account, and the source column where the system fills it.

    Written in the ERP's words; the CRM has words of its own for them.
    """

    actor: str
    source: str | None = "API"


@dataclass
class Payment:
    """A payment in WeChat Pay. `order_fen` is gross of coupons.

    `number` is the payment's own where it is not the order's; then it may pay several orders.
    """

    at: datetime
    transaction_id: str
    order_fen: int
    coupon_fen: int
    number: str | None = None

    @property
    def settled_fen(self) -> int:
        return self.order_fen - self.coupon_fen

    @property
    def fee_fen(self) -> int:
        """WeChat Pay's fee, rounded to the fen as the bill shows it."""
        return int(self.settled_fen * FEE_RATE + 0.5)


@dataclass
class Refund:
    """A refund in WeChat Pay."""

    at: datetime
    refund_id: str
    refund_no: str
    fen: int


@dataclass
class ErpOrder:
    """A sales order of the ERP; `channel` is canonical, the ERP has words of its own.

    `order_no` is the front end's number as the ERP carries it, `typed_phone` the buyer's phone as
    a clerk mistook it.
    """

    number: str
    created_at: datetime
    channel: str
    fen: int
    freight_fen: int
    discount_fen: int
    made: Made
    order_no: str | None = None
    is_paid: bool = True
    has_transaction: bool = True
    cancelled_at: datetime | None = None
    typed_phone: str | None = None


@dataclass
class Receipt:
    """Money booked in the ERP. Interfaces fill both keys, people sometimes one of them."""

    number: str
    at: datetime
    fen: int
    made: Made
    has_order: bool = True
    has_transaction: bool = True


@dataclass
class Shipment:
    """A delivery document: opened at booking, shipped later, then delivered or sent back."""

    number: str
    created_at: datetime
    shipped_at: datetime | None
    delivered_at: datetime | None
    made: Made
    returned_at: datetime | None = None

    @property
    def tracking_no(self) -> str:
        """The carrier's number, as the ERP and WeChat's order list both bear it."""
        return f"SF{self.number.removeprefix('XSCKD')}"


@dataclass
class Credit:
    """A refund posted in the ERP."""

    number: str
    at: datetime
    fen: int
    refund_no: str | None
    made: Made


@dataclass
class Message:
    """A message that the service account meant to send, or sent."""

    number: str
    node: str
    due_at: datetime
    sent_at: datetime | None
    status: str


@dataclass(frozen=True)
class View:
    """The customer looks at the order; `shown` is the canonical state that the page showed."""

    at: datetime
    shown: str


@dataclass(kw_only=True)
class Attempt:
    """What a case of any loop has: its number, who began it where and when, what was said of it.

    `variant` names the fault that was planted in it, or what is unusual about it and right.
    """

    loop: ClassVar[str]

    number: str
    business_line: str
    channel: str
    person: Person
    entered_at: datetime
    submitted_at: datetime
    retried_at: datetime | None = None
    has_front: bool = True
    variant: str = ""
    messages: list[Message] = field(default_factory=list)

    @property
    def case_id(self) -> str:
        return f"{self.loop}:{self.number}"


@dataclass(kw_only=True)
class Case(Attempt):
    """One attempted order and every record that it leaves."""

    loop = "order"

    line: Line
    order_fen: int
    freight_fen: int
    coupon_fen: int
    claim_fen: int
    claimed_at: datetime | None = None
    failed_at: datetime | None = None
    payment: Payment | None = None
    refunds: list[Refund] = field(default_factory=list)
    orders: list[ErpOrder] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    shipment: Shipment | None = None
    later_shipments: list[Shipment] = field(default_factory=list)
    uploaded_at: datetime | None = None
    views: list[View] = field(default_factory=list)
    credits: list[Credit] = field(default_factory=list)
    has_lone_amount: bool = False
    """Whether no other order is of its amount, as far around as one could be taken for it."""

    @property
    def shipments(self) -> list[Shipment]:
        """The delivery documents, that of the first parcel first."""
        return [self.shipment, *self.later_shipments] if self.shipment else []

    @property
    def paid_at(self) -> datetime:
        """When the money moved; where it never did, when the customer meant it to."""
        return self.payment.at if self.payment else self.submitted_at

    @property
    def booked_at(self) -> datetime:
        return self.orders[0].created_at

    @property
    def shipped_at(self) -> datetime:
        if self.shipment is None or self.shipment.shipped_at is None:
            raise ValueError(f"{self.case_id} was never shipped")
        return self.shipment.shipped_at


def plan_submit(
    number: str, line: Line, channel: str, person: Person, submitted_at: datetime, random: Random
) -> Case:
    """A case up to the tap on "submit order"."""
    goods_fen = sum(random.choices(line.prices_fen, k=random.choice((1, 1, 1, 2, 2, 3))))
    if random.random() < WEIGHED_RATE:
        goods_fen += random.randrange(1_000, 40_000)
    freight_fen = random.choice(line.freights_fen)
    coupon_fen = random.choice(line.coupons_fen) if random.random() < line.coupon_rate else 0
    order_fen = goods_fen + freight_fen
    return Case(
        number=number,
        business_line=line.name,
        line=line,
        channel=channel,
        person=person,
        entered_at=submitted_at - timedelta(seconds=random.randint(40, 900)),
        submitted_at=submitted_at,
        order_fen=order_fen,
        freight_fen=freight_fen,
        coupon_fen=coupon_fen if coupon_fen < order_fen // 2 else 0,
        claim_fen=order_fen,
    )


def plan_payment(case: Case, serial: int, random: Random) -> None:
    """The customer pays and the front end says so, after one failed try in twenty cases."""
    seconds = random.randint(6, 90)
    if random.random() < 0.05:
        case.failed_at = case.submitted_at + timedelta(seconds=seconds)
        seconds += random.randint(30, 600)
    paid_at = case.submitted_at + timedelta(seconds=seconds)
    case.payment = Payment(
        at=paid_at,
        transaction_id=f"4200002{paid_at.astimezone(SHANGHAI):%Y%m%d}{serial:013d}",
        order_fen=case.order_fen,
        coupon_fen=case.coupon_fen,
    )
    # A phone's clock may run a little behind WeChat Pay's.
    shown_at = paid_at + timedelta(seconds=random.choice((-20, 1, 1, 2, 3, 5)))
    case.claimed_at = max(shown_at, (case.failed_at or case.submitted_at) + timedelta(seconds=4))
    sent_at = paid_at + timedelta(seconds=random.randint(3, 15))
    case.messages.append(Message(f"{case.number}-1", "order_notice", paid_at, sent_at, "success"))


def plan_booking(case: Case, at: datetime, random: Random) -> None:
    """The ERP books the order at an instant; receipt, shipment and notices follow."""
    made = Made(INTERFACE, None if random.random() < 0.04 else "API")
    case.orders = [
        ErpOrder(
            number=f"XSDD{case.number[1:]}",
            created_at=at,
            channel=case.channel,
            fen=case.order_fen,
            freight_fen=case.freight_fen,
            discount_fen=case.coupon_fen,
            made=made,
            order_no=case.number,
        )
    ]
    plan_receipt(case, at + _delay(case.line.receipt, random) + queue_for(random))
    plan_shipping(case, in_working_hours(at + _delay(case.line.shipping, random)), random)


def plan_receipt(case: Case, at: datetime) -> None:
    """The ERP books the money in one receipt."""
    case.receipts = [Receipt(f"SKD{case.number[1:]}", at, case.order_fen, Made(FINANCE_INTERFACE))]


def plan_shipping(case: Case, at: datetime, random: Random) -> None:
    """The warehouse ships; the status goes back to the front end and a notice goes out."""
    case.shipment = Shipment(
        number=f"XSCKD{case.number[1:]}",
        created_at=case.booked_at + _delay((60, 1500), random) + queue_for(random),
        shipped_at=at,
        delivered_at=at + timedelta(seconds=random.randint(20 * 3600, 90 * 3600)),
        made=Made(WAREHOUSE_INTERFACE),
    )
    if case.shipment.created_at > at:
        case.shipment.created_at = at
    plan_reflow(case, random)
    notice_at = at + _delay(case.line.notice, random)
    case.messages = [message for message in case.messages if message.node != "shipping_notice"]
    case.messages.append(Message(f"{case.number}-2", "shipping_notice", at, notice_at, "success"))


def plan_reflow(case: Case, random: Random) -> None:
    """The shipped state comes back: WeChat's order list, or the page that the customer opens."""
    shipped_at = case.shipped_at
    seen_at = shipped_at + timedelta(seconds=random.randint(5 * 60, 100 * 60))
    case.views = []
    waiting = (shipped_at - case.booked_at) * random.random()
    if random.random() < 0.25 and waiting > timedelta(minutes=10):
        case.views.append(View(case.booked_at + waiting, "waiting"))
    case.uploaded_at = None
    if case.channel == "mini_program":
        case.uploaded_at = shipped_at + _delay(case.line.upload, random)
        if random.random() < 0.4:
            case.views.append(View(max(seen_at, case.uploaded_at), "shipped"))
    else:
        case.views.append(View(seen_at, "shipped"))
    delivered_at = case.shipment.delivered_at if case.shipment else None
    if delivered_at is not None and random.random() < 0.3:
        opened_at = delivered_at + timedelta(minutes=random.randint(5, 600))
        case.views.append(View(opened_at, "delivered"))


def plan_later_parcel(case: Case, random: Random) -> None:
    """A part of the order leaves with a parcel of its own, hours after the first."""
    first = case.shipments[0]
    shipped_at = case.shipped_at + timedelta(minutes=random.randint(90, 36 * 60))
    number = len(case.shipments) + 1
    case.later_shipments.append(
        replace(
            first,
            number=f"{first.number}-{number}",
            shipped_at=shipped_at,
            delivered_at=shipped_at + timedelta(seconds=random.randint(20 * 3600, 90 * 3600)),
        )
    )
    sent_at = shipped_at + _delay(case.line.notice, random)
    case.messages.append(
        Message(f"{case.number}-{number + 1}", "shipping_notice", shipped_at, sent_at, "success")
    )


def pay_under_other_number(cases: Sequence[Case], number: str) -> None:
    """One payment, issued under a number of its own, pays one order or several of one buyer.

    The first is paid already; the others come into its cart. The ERP orders name its transaction.
    """
    first, payment = cases[0], cases[0].payment
    if payment is None or first.claimed_at is None:
        raise ValueError(f"{first.case_id} was never paid")
    shared = replace(
        payment,
        number=number,
        order_fen=sum(case.order_fen for case in cases),
        coupon_fen=sum(case.coupon_fen for case in cases),
    )
    for place, case in enumerate(cases):
        case.payment, case.person, case.channel = shared, first.person, first.channel
        case.entered_at = first.entered_at
        case.submitted_at = first.submitted_at + timedelta(seconds=place)
        case.failed_at, case.claimed_at = first.failed_at, first.claimed_at
        notice = next(message for message in first.messages if message.node == "order_notice")
        case.messages = [replace(notice, number=f"{case.number}-1")]


def plan_refund(case: Case, at: datetime, fen: int, serial: int, *, posted_at: datetime) -> None:
    """WeChat Pay refunds `fen` at an instant and the ERP posts it at another."""
    number = len(case.refunds) + 1
    refund = Refund(
        at=at,
        refund_id=f"5030{at.astimezone(SHANGHAI):%Y%m%d}{serial:017d}",
        refund_no=f"TK{case.number}{number:02d}",
        fen=fen,
    )
    case.refunds.append(refund)
    case.credits.append(
        Credit(f"XSTKD{case.number[1:]}{number}", posted_at, fen, refund.refund_no, Made(INTERFACE))
    )


def stop_shipping(case: Case) -> None:
    """Nothing was shipped, so nothing came back and no shipping notice was due."""
    if case.shipment is not None:
        case.shipment.shipped_at = None
        case.shipment.delivered_at = None
    case.uploaded_at = None
    case.views = [view for view in case.views if view.shown == "waiting"]
    case.messages = [message for message in case.messages if message.node == "order_notice"]


def in_working_hours(at: datetime) -> datetime:
    """The instant itself, or the next morning: the warehouse ships from 08:00 to 20:00."""
    local = at.astimezone(SHANGHAI)
    minutes = timedelta(minutes=local.minute, seconds=local.second)
    if local.hour < 8:
        return at + timedelta(hours=8 - local.hour) - minutes + minutes // 240 * 60
    if local.hour >= 20:
        return at + timedelta(hours=32 - local.hour) - minutes + minutes // 240 * 60
    return at


def queue_for(random: Random) -> timedelta:
    """What an interface's queue adds: nothing, or now and then some minutes."""
    return timedelta(minutes=random.randint(3, 13)) if random.random() < 0.02 else timedelta()


def _delay(least_most: tuple[int, int], random: Random) -> timedelta:
    return timedelta(seconds=random.randint(*least_most))
