"""How a healthy case is broken: one function per fault, each leaving exactly one finding.

What is planted where and how often stands in `faults.py`. A function changes the records of the
case that it is given; everything that would not have happened either goes with them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from pipeline.landed import CHANNELS
from pipeline.simulation.cases import (
    FINANCE_INTERFACE,
    INTERFACE,
    WAREHOUSE_INTERFACE,
    Attempt,
    Case,
    Made,
    View,
    in_working_hours,
    plan_booking,
    plan_receipt,
    plan_refund,
    plan_shipping,
    stop_shipping,
)
from pipeline.simulation.clerks import (
    CLERKS,
    ORDER_LIST,
    PAYMENT_BILL,
    SHIPPING_LIST,
    Desk,
    mistype,
)
from pipeline.simulation.people import Person, enrol, enrol_again

FAILED_STATUSES = ("user_block", "system_failed", "freq_limit")


@dataclass
class Bench:
    """What a fault needs besides the case: chance, serial numbers, people whom no CRM knows."""

    random: Random
    serials: Iterator[int]
    strangers: Iterator[Person]
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Desk(self.random)

    def hours(self, least: float, most: float) -> timedelta:
        return timedelta(seconds=self.random.randint(int(least * 3600), int(most * 3600)))


# Halves of the loop that never happened.


def claim_without_back_end(case: Case, bench: Bench) -> None:
    """The front end shows success; nothing stands behind it."""
    lose_order(case, bench)
    case.payment = None
    case.messages = []


def lose_order(case: Case, bench: Bench) -> None:
    """Paid, and the ERP never heard of it."""
    stop_shipping(case)
    case.orders, case.receipts, case.shipment, case.views = [], [], None, []


def book_without_payment(case: Case, bench: Bench) -> None:
    """The ERP has the order, WeChat Pay no payment. One time in three a receipt was faked."""
    receipts = case.receipts
    _book_unpaid(case, bench)
    stop_shipping(case)
    case.views, case.messages = [], []
    case.orders[0].is_paid = bench.random.random() < 0.7
    if bench.random.random() < 0.33:
        case.receipts = [
            replace(receipt, at=case.booked_at + bench.hours(0.1, 2), has_transaction=False)
            for receipt in receipts
        ]


def ship_without_payment(case: Case, bench: Bench) -> None:
    """As above, and the parcel left."""
    _book_unpaid(case, bench)
    seen_at = case.shipped_at + bench.hours(0.1, 1.5)
    case.views, case.uploaded_at = [View(seen_at, "shipped")], None
    case.messages = [message for message in case.messages if message.node == "shipping_notice"]


def lose_events(case: Attempt, bench: Bench) -> None:
    """Every system has the case but the tracker."""
    case.has_front = False


def lose_front_end(case: Case, bench: Bench) -> None:
    """As above, for an order: nor was its state ever shown."""
    case.has_front, case.views = False, []


def ship_nothing(case: Case, bench: Bench) -> None:
    """Booked and never shipped; the delivery document may stand open."""
    stop_shipping(case)
    if bench.random.random() < 0.4:
        case.shipment = None


def receive_nothing(case: Case, bench: Bench) -> None:
    case.receipts = []


def know_nobody(case: Attempt, bench: Bench) -> None:
    """The buyer is somebody whom the CRM never meets."""
    case.person = next(bench.strangers)


def know_twice(case: Attempt, bench: Bench) -> None:
    """The CRM holds two contacts of the buyer, who has nothing but this case.

    Another case of the same buyer would be in conflict as well, and be a second finding.
    """
    case.person = next(bench.strangers)
    enrol(case.person, bench.random, case.submitted_at + bench.hours(-200, 1.5))
    enrol_again(case.person, bench.random, case.submitted_at + bench.hours(-100, 20))


def lose_key(case: Case, bench: Bench) -> None:
    """The interface books the order without the front end's number, or with one that it spoilt.

    Nor does it hand over the transaction; amount, time and buyer alone tell whose order it is.
    """
    order, number = case.orders[0], case.number
    order.order_no = bench.random.choice((None, number[1:], f"{number[0]}-{number[1:]}"))
    order.has_transaction = False


# Records that are there twice.


def book_twice(case: Case, bench: Bench) -> None:
    """A retry, or a clerk who did not see the first: two ERP orders bear one number."""
    first = case.orders[0]
    if bench.random.random() < 0.6:
        again, made = timedelta(seconds=bench.random.randint(20, 90)), first.made
    else:
        again, made = bench.hours(1, 5), _clerk(bench)
    case.orders.append(
        replace(first, number=f"{first.number}B", created_at=first.created_at + again, made=made)
    )


def receive_twice(case: Case, bench: Bench) -> None:
    first = case.receipts[0]
    case.receipts.append(
        replace(first, number=f"{first.number}B", at=first.at + bench.hours(0.2, 12))
    )


def post_refund_twice(case: Case, bench: Bench) -> None:
    refund_after_shipping(case, bench)
    first = case.credits[0]
    case.credits.append(
        replace(first, number=f"{first.number}B", at=first.at + bench.hours(0.1, 6))
    )


# Money that differs. Each leaves one term that closes the equation.


def claim_less(case: Case, fen: int) -> None:
    case.claim_fen = fen


def book_amount(case: Case, fen: int) -> None:
    case.orders[0].fen = fen


def receive_amount(case: Case, fen: int) -> None:
    case.receipts[0].fen = fen


def post_refund_as(case: Case, bench: Bench, posted: Callable[[int], int]) -> None:
    """A full refund after shipping that the ERP posts with another amount."""
    refund_after_shipping(case, bench, full=True)
    case.credits[0].fen = posted(case.refunds[0].fen)


def odd_difference(case: Case, bench: Bench) -> int:
    """A difference above one yuan that no coupon, freight or fee explains."""
    terms = {case.coupon_fen, case.freight_fen, case.payment.fee_fen if case.payment else 0}
    while (fen := bench.random.randrange(211, max(212, case.order_fen // 2))) in terms:
        pass
    return fen


# States that cannot hold together, and refunds with one side.


def cancel_paid_order(case: Case, bench: Bench) -> None:
    """Cancelled in the ERP, the money kept."""
    case.orders[0].cancelled_at = case.booked_at + bench.hours(0.5, 3)
    ship_nothing(case, bench)
    case.views = []


def cancel_shipped_order(case: Case, bench: Bench) -> None:
    """The parcel left, then the order was refunded and cancelled as if it had not."""
    refund_after_shipping(case, bench, full=True)
    case.orders[0].cancelled_at = case.credits[0].at + bench.hours(0.05, 0.3)
    case.views = [view for view in case.views if view.shown != "delivered"]
    if case.shipment is not None:
        case.shipment.delivered_at = None


def refund_after_shipping(case: Case, bench: Bench, *, full: bool | None = None) -> None:
    """A refund as it should be: the parcel leaves soon, money back and ERP agree within hours."""
    ship_soon(case, bench)
    if full is None:
        full = bench.random.random() < 0.5
    fen = case.order_fen if full else max(300, case.order_fen * 3 // 10)
    at = case.shipped_at + bench.hours(3, 9)
    posted_at = at + bench.hours(0.1, 5)
    if bench.random.random() < 0.2:
        posted_at = at - timedelta(minutes=bench.random.randint(1, 30))
    plan_refund(case, at, fen, next(bench.serials), posted_at=posted_at)


def refund_in_parts(case: Case, bench: Bench) -> None:
    """Two or three refunds of a part each, as it should be: the ERP posts each within hours."""
    ship_soon(case, bench)
    at = case.shipped_at + bench.hours(3, 9)
    for _ in range(bench.random.choice((2, 2, 3))):
        posted_at = at + bench.hours(0.1, 5)
        fen = max(100, case.order_fen // 5)
        plan_refund(case, at, fen, next(bench.serials), posted_at=posted_at)
        at += bench.hours(6, 30)


def forget_refund(case: Case, bench: Bench) -> None:
    """Refunded in WeChat Pay, not in the ERP."""
    refund_after_shipping(case, bench)
    case.credits = []


def back_refund_with_nothing(case: Case, bench: Bench) -> None:
    """Refunded in the ERP, not in WeChat Pay."""
    refund_after_shipping(case, bench)
    case.refunds = []


def post_refund_late(case: Case, bench: Bench) -> None:
    refund_after_shipping(case, bench)
    case.credits[0].at = case.refunds[0].at + bench.hours(26, 60)


def mislabel_channel(case: Case, bench: Bench) -> None:
    """The ERP names another channel; one time in five the shop counter."""
    others = [channel for channel in CHANNELS if channel != case.channel]
    case.orders[0].channel = "store" if bench.random.random() < 0.2 else bench.random.choice(others)


# What does not come back, or late.


def reflow_nothing(case: Case, bench: Bench) -> None:
    """Shipped, and the front end still says that it waits."""
    case.uploaded_at = None
    case.views = [view for view in case.views if view.shown == "waiting"]
    if bench.random.random() < 0.5:
        case.views.append(View(case.shipped_at + bench.hours(1, 20), "waiting"))


def reflow_late(case: Case, bench: Bench) -> None:
    at = case.shipped_at + bench.hours(2.5, 20)
    case.views = [view for view in case.views if view.shown == "waiting"]
    if case.channel == "mini_program":
        case.uploaded_at = at
    else:
        case.views.append(View(at, "shipped"))


def notify_nothing(case: Attempt, bench: Bench) -> None:
    """The last notice is missing: none was planned, or it stands as not sent."""
    notice = case.messages.pop()
    if bench.random.random() < 0.5:
        case.messages.append(replace(notice, sent_at=None, status="not_sent"))


def fail_notice(case: Attempt, bench: Bench) -> None:
    case.messages.append(replace(case.messages.pop(), status=bench.random.choice(FAILED_STATUSES)))


def notify_late(case: Attempt, bench: Bench) -> None:
    notice = case.messages.pop()
    case.messages.append(replace(notice, sent_at=notice.due_at + bench.hours(1.5, 20)))


def book_late(case: Case, bench: Bench) -> None:
    plan_booking(case, case.paid_at + bench.hours(0.75, 16), bench.random)


def receive_late(case: Case, bench: Bench) -> None:
    plan_receipt(case, case.booked_at + bench.hours(25, 46))


def ship_late(case: Case, bench: Bench) -> None:
    plan_shipping(case, case.booked_at + bench.hours(75, 110), bench.random)


def ship_soon(case: Case, bench: Bench) -> None:
    plan_shipping(case, case.booked_at + bench.hours(3, 12), bench.random)


# Matching records, made by hand: typed under a person's account, or loaded from a sheet under the
# interface's own. Hours after the fact, some so late that the hand is the cause. The acts of one
# sitting must come in the order of its list.


def type_order(case: Case, bench: Bench) -> None:
    """Half the time without the payment's number; one phone in ten is mistyped."""
    at, made = bench.desk.type("orders typed", ORDER_LIST.sitting(case))
    plan_booking(case, at, bench.random)
    order = case.orders[0]
    order.made = made
    order.has_transaction = bench.random.random() < 0.5
    if bench.random.random() < 0.1:
        order.typed_phone = mistype(case.person.phone, bench.random)


def import_order(case: Case, bench: Bench) -> None:
    at, made = bench.desk.load("orders loaded", ORDER_LIST.sitting(case), INTERFACE)
    plan_booking(case, at, bench.random)
    case.orders[0].made = made


def type_receipt(case: Case, bench: Bench) -> None:
    at, made = bench.desk.type("receipts typed", PAYMENT_BILL.sitting(case))
    plan_receipt(case, at)
    case.receipts[0].made = made
    # A clerk fills in the order or the payment, seldom both.
    if bench.random.random() < 0.5:
        case.receipts[0].has_order = False
    else:
        case.receipts[0].has_transaction = False


def import_receipt(case: Case, bench: Bench) -> None:
    at, made = bench.desk.load("receipts loaded", PAYMENT_BILL.sitting(case), FINANCE_INTERFACE)
    plan_receipt(case, at)
    case.receipts[0].made = made


def type_shipment(case: Case, bench: Bench) -> None:
    _ship_by_hand(case, bench, *bench.desk.type("shipments typed", SHIPPING_LIST.sitting(case)))


def import_shipment(case: Case, bench: Bench) -> None:
    sitting = SHIPPING_LIST.sitting(case)
    _ship_by_hand(case, bench, *bench.desk.load("shipments loaded", sitting, WAREHOUSE_INTERFACE))


def _ship_by_hand(case: Case, bench: Bench, at: datetime, made: Made) -> None:
    """The delivery document is opened at the desk; the parcel leaves within the same day."""
    plan_shipping(case, in_working_hours(at + bench.hours(0.3, 6)), bench.random)
    if case.shipment is not None:
        case.shipment.created_at, case.shipment.made = at, made


def _book_unpaid(case: Case, bench: Bench) -> None:
    plan_booking(case, case.submitted_at + bench.hours(0.02, 0.15), bench.random)
    ship_soon(case, bench)
    case.payment, case.receipts = None, []


def _clerk(bench: Bench) -> Made:
    return Made(bench.random.choice(CLERKS), bench.random.choice(("MANUAL", "MANUAL", None)))
