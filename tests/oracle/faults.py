"""What can befall an order: each function changes one order's rows in one way.

Lawful oddities and faults alike; which of them is a divergence only the judge says. Faults may
meet on one order, so none relies on a row being there.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta

from tests.oracle.company import HOUR, MINUTE, SECOND, Company, MutableRow, Order

Fault = Callable[[Company, Order], None]
FAULTS: dict[str, Fault] = {}
BACK_END = ("pay_bill", "mp_orders", "erp_orders", "erp_order_lines", "erp_receipts",
            "erp_shipments", "erp_refunds", "messages")  # fmt: skip
DOWNSTREAM = ("erp_receipts", "erp_shipments", "mp_orders", "messages", "erp_order_lines")
TIMES = {
    "pay_bill": "happened_at",
    "erp_orders": "created_at",
    "erp_receipts": "received_at",
    "erp_shipments": "shipped_at",
    "crm_contacts": "created_at",
    "messages": "sent_at",
    "mp_orders": "first_shipped_upload_at",
}


def fault(function: Fault) -> Fault:
    FAULTS[function.__name__] = function
    return function


def clear(order: Order, *tables: str) -> None:
    for table in tables:
        order.rows[table].clear()


def events(order: Order, *kinds: str) -> list[MutableRow]:
    return [event for event in order.rows["tracking_events"] if event["event"] in kinds]


def forget_events(order: Order, *kinds: str) -> None:
    order.rows["tracking_events"] = [
        event for event in order.rows["tracking_events"] if event["event"] not in kinds
    ]


def payment(order: Order) -> Iterator[MutableRow]:
    return (r for r in order.rows["pay_bill"][:1] if r["row_kind"] == "payment")


def refund_in_bill(company: Company, order: Order, after: timedelta, amount_fen: int) -> MutableRow:
    start = next((r["happened_at"] for r in payment(order)), order.submitted_at)
    serial = company.next_number()
    return order.add(
        "pay_bill",
        row_kind="refund",
        transaction_id=order.transaction,
        order_no=order.number,
        mch_id="1230000109",
        trade_type="JSAPI",
        trade_state="REFUND",
        happened_at=start + after,
        order_amount_fen=0,
        settled_amount_fen=0,
        coupon_fen=0,
        refund_id=f"50300{serial:020d}",
        refund_no=f"RF{serial:07d}",
        refund_amount_fen=amount_fen,
        refund_requested_fen=company.random.choice((amount_fen, None)),
        refund_state=company.random.choice(("SUCCESS", "PROCESSING")),
        fee_milli_fen=0,
    )


def refund_in_erp(company: Company, order: Order, bill: MutableRow, after: timedelta) -> MutableRow:
    keys = {
        "erp_order_no": order.erp_no,
        "order_no": order.number,
        "refund_no": bill["refund_no"],
        "refund_id": bill["refund_id"],
    }
    kept = company.random.choice((tuple(keys), ("erp_order_no",), ("order_no",), ("refund_id",)))
    return order.add(
        "erp_refunds",
        refund_doc_no=f"CN-{company.next_number():07d}",
        amount_fen=bill["refund_amount_fen"],
        posted_at=bill["happened_at"] + after,
        **{name: keys[name] for name in kept},
        **company.by_interface("erp_refunds"),
    )


def refund(company: Company, order: Order, after: timedelta, amount_fen: int) -> None:
    bill = refund_in_bill(company, order, after, amount_fen)
    refund_in_erp(company, order, bill, company.between(-HOUR, 23 * HOUR))


# Missing


@fault
def only_the_front_end_knows(company: Company, order: Order) -> None:
    clear(order, *BACK_END)
    forget_events(order, "status_view")


@fault
def bill_lost(company: Company, order: Order) -> None:
    clear(order, "pay_bill", "mp_orders")


@fault
def bill_lost_and_erp_waits(company: Company, order: Order) -> None:
    clear(order, "pay_bill", *DOWNSTREAM)
    forget_events(order, "status_view")
    for each in order.rows["erp_orders"]:
        each["state"] = company.random.choice(("draft", "confirmed", "paid"))


@fault
def erp_never_got_it(company: Company, order: Order) -> None:
    clear(order, "erp_orders", *DOWNSTREAM)
    forget_events(order, "status_view")


@fault
def erp_lost_the_key(company: Company, order: Order) -> None:
    for each in order.rows["erp_orders"]:
        each["order_no"] = None


@fault
def receipt_missing(company: Company, order: Order) -> None:
    clear(order, "erp_receipts")


@fault
def never_shipped(company: Company, order: Order) -> None:
    clear(order, "erp_shipments", "messages")
    forget_events(order, "status_view")
    for each in order.rows["mp_orders"]:
        each.update(order_state=1, first_shipped_upload_at=None, shipments=None)
    for each in order.rows["erp_orders"]:
        each["state"] = company.random.choice(("paid", "fulfilling"))


@fault
def parcel_waits(company: Company, order: Order) -> None:
    never_shipped_rows = order.rows["erp_shipments"][:]
    never_shipped(company, order)
    for each in never_shipped_rows:
        each.update(state=company.random.choice(("waiting", "cancelled")), shipped_at=None)
        order.rows["erp_shipments"].append(each)


@fault
def nobody_knows_the_buyer(company: Company, order: Order) -> None:
    clear(order, "crm_contacts")


@fault
def buyer_left_no_name(company: Company, order: Order) -> None:
    clear(order, "crm_contacts", "identities")
    for table in ("tracking_events", "pay_bill", "erp_orders"):
        for each in order.rows[table]:
            for kind in ("unionid", "openid", "member_no", "phone", "customer_code"):
                if kind in each:
                    each[kind] = None


@fault
def never_shown(company: Company, order: Order) -> None:
    forget_events(order, "status_view")
    for each in order.rows["mp_orders"]:
        each.update(order_state=1, first_shipped_upload_at=None)


@fault
def shown_with_an_earlier_state(company: Company, order: Order) -> None:
    never_shown(company, order)
    for each in events(order, "order_submit"):
        company.track(order, "status_view", each["occurred_at"] + HOUR, "s3", shown="paid")


@fault
def shown_at_an_unknown_time(company: Company, order: Order) -> None:
    forget_events(order, "status_view")
    for each in order.rows["mp_orders"]:
        each["first_shipped_upload_at"] = None


@fault
def not_told(company: Company, order: Order) -> None:
    clear(order, "messages")


@fault
def message_not_sent(company: Company, order: Order) -> None:
    for each in order.rows["messages"]:
        each.update(status=company.random.choice(("not_sent", None)), sent_at=None, status_at=None)


@fault
def message_failed(company: Company, order: Order) -> None:
    for each in order.rows["messages"]:
        each["status"] = company.random.choice(("user_block", "system_failed", "freq_limit"))
        each["sent_at"] = company.random.choice((each["sent_at"], None))


@fault
def message_failed_then_came(company: Company, order: Order) -> None:
    for each in order.rows["messages"][:1]:
        if each["sent_at"] is not None:
            company.tell(order, each["sent_at"] - MINUTE, "shipping_notice", "system_failed")


@fault
def told_of_something_else(company: Company, order: Order) -> None:
    for each in order.rows["messages"]:
        each["node"] = company.random.choice(("marketing", "order_notice", "service_confirm"))


@fault
def told_long_before(company: Company, order: Order) -> None:
    clear(order, "messages")
    for each in payment(order):
        company.tell(order, each["happened_at"] + 2 * SECOND, "order_notice")


@fault
def claim_lost(company: Company, order: Order) -> None:
    forget_events(order, "pay_success")


@fault
def submit_lost(company: Company, order: Order) -> None:
    forget_events(order, "order_submit")


@fault
def front_end_never_knew(company: Company, order: Order) -> None:
    clear(order, "tracking_events")


@fault
def only_the_bill_knows(company: Company, order: Order) -> None:
    clear(order, "tracking_events", "erp_orders", *DOWNSTREAM)


@fault
def only_the_erp_knows(company: Company, order: Order) -> None:
    clear(order, "tracking_events", "pay_bill", "mp_orders")
    for each in order.rows["erp_orders"]:
        each["order_no"] = company.random.choice((order.number, order.number, None))


@fault
def only_the_erp_knows_a_draft(company: Company, order: Order) -> None:
    clear(order, "tracking_events", "pay_bill", *DOWNSTREAM)
    for each in order.rows["erp_orders"]:
        each["state"] = company.random.choice(("draft", "confirmed", "cancelled"))


@fault
def sold_at_the_counter(company: Company, order: Order) -> None:
    clear(order, "tracking_events", "mp_orders", "messages")
    if company.random.random() < 0.7:
        clear(order, "pay_bill")
    for each in order.rows["erp_orders"]:
        each.update(channel="store", order_no=company.random.choice((order.number, None)))


# Abandoned and lawful


@fault
def abandoned(company: Company, order: Order) -> None:
    clear(order, "pay_bill", *DOWNSTREAM)
    forget_events(order, "pay_success", "status_view")
    if company.random.random() < 0.5:
        clear(order, "erp_orders")
    for each in order.rows["erp_orders"]:
        each["state"] = company.random.choice(("draft", "confirmed", "cancelled"))
    for each in events(order, "order_submit"):
        company.track(order, "pay_fail", each["occurred_at"] + MINUTE, each["session_id"])


@fault
def unclaimed_and_booked_as_paid(company: Company, order: Order) -> None:
    clear(order, "pay_bill", "mp_orders", "messages")
    forget_events(order, "pay_success")


@fault
def receipt_in_two_parts(company: Company, order: Order) -> None:
    for each in order.rows["erp_receipts"][:1]:
        part = each["amount_fen"] // 3
        second = dict(each, receipt_no=each["receipt_no"] + "-2", amount_fen=part)
        each["amount_fen"] -= part
        second["received_at"] += company.between(timedelta(), 30 * HOUR)
        second["created_at"] = second["received_at"] + MINUTE
        order.rows["erp_receipts"].append(second)


@fault
def parcel_in_two_parts(company: Company, order: Order) -> None:
    for each in order.rows["erp_shipments"][:1]:
        if each["shipped_at"] is not None:
            company.ship(order, each["shipped_at"] + company.between(timedelta(), 90 * HOUR))


@fault
def parcel_returned(company: Company, order: Order) -> None:
    for each in order.rows["erp_shipments"]:
        each["state"] = "returned"


@fault
def receipt_without_transaction(company: Company, order: Order) -> None:
    for each in order.rows["erp_receipts"]:
        each["transaction_id"] = None
        if company.random.random() < 0.5:
            each["erp_order_no"] = None


@fault
def receipt_with_the_transaction_alone(company: Company, order: Order) -> None:
    for each in order.rows["erp_receipts"]:
        each.update(erp_order_no=None, order_no=None)


@fault
def refunded_in_part(company: Company, order: Order) -> None:
    refund(company, order, 5 * 24 * HOUR, max(order.amount_fen // 4, 1))


@fault
def refunded_in_two_parts(company: Company, order: Order) -> None:
    part = max(order.amount_fen // 3, 1)
    refund(company, order, 50 * HOUR, part)
    refund(company, order, 50 * HOUR + company.between(MINUTE, 100 * HOUR), part)


@fault
def refunded_after_shipment(company: Company, order: Order) -> None:
    refund(company, order, 6 * 24 * HOUR, order.amount_fen)


@fault
def refunded_before_shipment(company: Company, order: Order) -> None:
    never_shipped(company, order)
    refund(company, order, 3 * HOUR, order.amount_fen)
    for each in order.rows["erp_orders"]:
        each["state"] = company.random.choice(("cancelled", "paid"))


@fault
def paid_twice(company: Company, order: Order) -> None:
    for each in payment(order):
        second = dict(each, transaction_id=each["transaction_id"] + "9")
        second["happened_at"] += 90 * SECOND
        order.rows["pay_bill"].append(second)


@fault
def paid_after_a_reversal(company: Company, order: Order) -> None:
    for each in payment(order):
        first = dict(each, transaction_id=each["transaction_id"] + "8", trade_state="REVOKED")
        first["happened_at"] -= 9 * SECOND
        order.rows["pay_bill"].append(first)


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
