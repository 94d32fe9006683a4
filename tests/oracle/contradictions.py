"""Faults by which records are there but do not agree: twice, otherwise, by hand, at other times."""

from datetime import timedelta

from tests.oracle.company import HOUR, MINUTE, SECOND, Company, Order
from tests.oracle.faults import events, fault, payment, refund, refund_in_bill, refund_in_erp
from tests.oracle.omissions import never_shipped

TIMES = {
    "pay_bill": "happened_at",
    "erp_orders": "created_at",
    "erp_receipts": "received_at",
    "erp_shipments": "shipped_at",
    "crm_contacts": "created_at",
    "messages": "sent_at",
    "mp_orders": "first_shipped_upload_at",
}


# Twice


@fault
def booked_twice(company: Company, order: Order) -> None:
    for each in order.rows["erp_orders"][:1]:
        second = dict(each, erp_order_no=each["erp_order_no"] + "B")
        second["created_at"] += company.between(SECOND, 3 * HOUR)
        second["state"] = company.random.choice(("confirmed", "cancelled", each["state"]))
        order.rows["erp_orders"].append(second)


@fault
def received_twice(company: Company, order: Order) -> None:
    for each in order.rows["erp_receipts"][:1]:
        second = dict(each, receipt_no=each["receipt_no"] + "X")
        second["received_at"] += company.between(SECOND, 20 * HOUR)
        order.rows["erp_receipts"].append(second)


@fault
def refunded_twice_in_the_erp(company: Company, order: Order) -> None:
    refund(company, order, 70 * HOUR, order.amount_fen)
    for each in order.rows["erp_refunds"][-1:]:
        second = dict(each, refund_doc_no=each["refund_doc_no"] + "X")
        second["posted_at"] += HOUR
        order.rows["erp_refunds"].append(second)


@fault
def same_event_sent_twice(company: Company, order: Order) -> None:
    for each in events(order, "order_submit", "pay_success"):
        order.rows["tracking_events"].append(dict(each))
        again = dict(each, event_id=each["event_id"] + "r")
        again["occurred_at"] += 3 * SECOND
        order.rows["tracking_events"].append(again)


@fault
def exported_twice(company: Company, order: Order) -> None:
    for table in ("erp_orders", "pay_bill", "erp_receipts", "erp_shipments", "crm_contacts"):
        for each in order.rows[table][:1]:
            older = dict(each)
            if "updated_at" in each:
                older["updated_at"] = each["created_at"]
            if table == "erp_orders" and older["updated_at"] < each["updated_at"]:
                older["state"] = "draft"
            order.rows[table].insert(0, older)


# Contradictory


@fault
def refund_missing_in_the_erp(company: Company, order: Order) -> None:
    refund_in_bill(company, order, company.between(HOUR, 100 * HOUR), order.amount_fen // 2 or 1)


@fault
def refund_missing_in_the_bill(company: Company, order: Order) -> None:
    bill = refund_in_bill(company, order, 60 * HOUR, order.amount_fen // 2 or 1)
    made = refund_in_erp(company, order, bill, HOUR)
    made["erp_order_no"] = order.erp_no
    order.rows["pay_bill"].remove(bill)


@fault
def refund_posted_late(company: Company, order: Order) -> None:
    bill = refund_in_bill(company, order, 60 * HOUR, order.amount_fen)
    edge = company.random.choice((24 * HOUR, 24 * HOUR + SECOND, 119 * HOUR, 121 * HOUR))
    refund_in_erp(company, order, bill, edge)


@fault
def refund_posted_with_another_amount(company: Company, order: Order) -> None:
    refund(company, order, 60 * HOUR, max(order.amount_fen // 2, 1))
    for each in order.rows["erp_refunds"][-1:]:
        each["amount_fen"] = _another_amount(company, order, each["amount_fen"])


def _another_amount(company: Company, order: Order, amount: int) -> int:
    freight = next((r["freight_fen"] for r in order.rows["erp_orders"]), None) or 700
    fee = next((r["fee_milli_fen"] or 0 for r in order.rows["pay_bill"]), 0)
    coupon = 500
    for each in payment(order):
        each["coupon_fen"] = company.random.choice((coupon, 0))
    offsets = (coupon, freight, (fee + 500) // 1000, amount % 100, amount % 100 - 100, 50, -50,
               99, 100, 101, 1, -1, amount // 2, 1234)  # fmt: skip
    picked = company.random.randrange(len(offsets) + 2)
    if picked == len(offsets):
        return amount * 100
    if picked == len(offsets) + 1 and amount % 100 == 0:
        return amount // 100
    off = offsets[picked % len(offsets)] * company.random.choice((1, 1, -1))
    return max(amount - off, 1)


@fault
def bill_with_another_amount(company: Company, order: Order) -> None:
    for each in payment(order):
        each["order_amount_fen"] = _another_amount(company, order, each["order_amount_fen"])


@fault
def erp_with_another_amount(company: Company, order: Order) -> None:
    for each in order.rows["erp_orders"][:1]:
        each["amount_fen"] = _another_amount(company, order, each["amount_fen"])


@fault
def receipt_with_another_amount(company: Company, order: Order) -> None:
    for each in order.rows["erp_receipts"][:1]:
        each["amount_fen"] = _another_amount(company, order, each["amount_fen"])


@fault
def claim_without_amount(company: Company, order: Order) -> None:
    for each in events(order, "order_submit", company.random.choice(("pay_success", "none"))):
        each["amount_fen"] = None


@fault
def cancelled_and_money_kept(company: Company, order: Order) -> None:
    if company.random.random() < 0.7:
        never_shipped(company, order)
    for each in order.rows["erp_orders"]:
        each["state"] = "cancelled"


@fault
def cancelled_and_shipped_and_refunded(company: Company, order: Order) -> None:
    refund(company, order, company.between(HOUR, 100 * HOUR), order.amount_fen)
    for each in order.rows["erp_orders"]:
        each["state"] = "cancelled"


@fault
def erp_names_another_channel(company: Company, order: Order) -> None:
    for each in order.rows["erp_orders"]:
        each["channel"] = company.random.choice(("store", "h5", "app", "mini_program", None))


# By hand


@fault
def booked_by_hand(company: Company, order: Order) -> None:
    for each in order.rows["erp_orders"]:
        each.update(company.by_hand())


@fault
def received_by_hand(company: Company, order: Order) -> None:
    for each in order.rows["erp_receipts"]:
        each.update(company.by_hand())


@fault
def shipped_by_hand(company: Company, order: Order) -> None:
    for each in order.rows["erp_shipments"]:
        each.update(company.by_hand())


@fault
def made_by_nobody_knows(company: Company, order: Order) -> None:
    for table in ("erp_orders", "erp_receipts", "erp_shipments"):
        for each in order.rows[table]:
            each.update(created_by=None, created_via=None)


# Late and early, to the second


def _move(company: Company, order: Order, table: str, to: timedelta, origin: str) -> None:
    """Put the evidence of `table` at `to` after the evidence of `origin`."""
    anchors = events(order, "order_submit") if origin == "claim" else order.rows[origin]
    column = "occurred_at" if origin == "claim" else TIMES[origin]
    start = next((each[column] for each in anchors if each[column] is not None), None)
    for each in order.rows[table]:
        if start is not None and each[TIMES[table]] is not None:
            each[TIMES[table]] = start + to
            if table == "messages":
                each["due_at"] = start + to - SECOND


@fault
def paid_at_an_edge(company: Company, order: Order) -> None:
    edge = company.random.choice((24 * HOUR, 24 * HOUR - SECOND, 24 * HOUR + SECOND, -HOUR))
    _move(company, order, "pay_bill", edge, "claim")


@fault
def booked_at_an_edge(company: Company, order: Order) -> None:
    edges = (30 * MINUTE, 30 * MINUTE + SECOND, 5 * HOUR, 24 * HOUR, 40 * HOUR, -120 * SECOND,
             -121 * SECOND, -5 * HOUR)  # fmt: skip
    _move(company, order, "erp_orders", company.random.choice(edges), "pay_bill")


@fault
def received_at_an_edge(company: Company, order: Order) -> None:
    edges = (24 * HOUR, 24 * HOUR + SECOND, 48 * HOUR, 60 * HOUR, -HOUR)
    _move(company, order, "erp_receipts", company.random.choice(edges), "erp_orders")


@fault
def shipped_at_an_edge(company: Company, order: Order) -> None:
    edges = (72 * HOUR, 72 * HOUR + SECOND, 168 * HOUR, 200 * HOUR, -HOUR)
    _move(company, order, "erp_shipments", company.random.choice(edges), "erp_orders")


@fault
def shipped_at_an_unknown_time(company: Company, order: Order) -> None:
    for each in order.rows["erp_shipments"]:
        each["shipped_at"] = None


@fault
def met_at_an_edge(company: Company, order: Order) -> None:
    edge = company.random.choice((24 * HOUR - SECOND, 24 * HOUR, 24 * HOUR + SECOND, 90 * HOUR))
    _move(company, order, "crm_contacts", edge, "claim")


@fault
def shown_at_an_edge(company: Company, order: Order) -> None:
    edge = company.random.choice((2 * HOUR, 2 * HOUR + SECOND, 24 * HOUR, 30 * HOUR, -MINUTE))
    _move(company, order, "mp_orders", edge, "erp_shipments")
    for shipment in order.rows["erp_shipments"][:1]:
        for each in events(order, "status_view"):
            if shipment["shipped_at"] is not None:
                each["occurred_at"] = shipment["shipped_at"] + edge


@fault
def told_at_an_edge(company: Company, order: Order) -> None:
    edges = (HOUR, HOUR + SECOND, 24 * HOUR, 25 * HOUR, -120 * SECOND, -121 * SECOND)
    _move(company, order, "messages", company.random.choice(edges), "erp_shipments")
    if company.random.random() < 0.4:
        for each in order.rows["messages"]:
            each["node"] = company.random.choice(("service_confirm", None))
