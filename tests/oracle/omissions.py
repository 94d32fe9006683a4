"""Faults by which something is absent, and lawful ways of an order that look odd."""

from datetime import timedelta

from tests.oracle.company import HOUR, MINUTE, SECOND, Company, Order
from tests.oracle.faults import clear, events, fault, forget_events, payment, refund

BACK_END = ("pay_bill", "mp_orders", "erp_orders", "erp_order_lines", "erp_receipts",
            "erp_shipments", "erp_refunds", "messages")  # fmt: skip
DOWNSTREAM = ("erp_receipts", "erp_shipments", "mp_orders", "messages", "erp_order_lines")


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


@fault
def only_a_view_is_tracked(company: Company, order: Order) -> None:
    """The customer looks at an order that the tracker never saw submitted."""
    forget_events(order, "order_submit", "pay_start", "pay_success")


@fault
def paid_before_the_data_begins(company: Company, order: Order) -> None:
    """Only the refund of an old order is in the bill and the ERP."""
    refund(company, order, 30 * HOUR, order.amount_fen)
    clear(order, "tracking_events", "erp_orders", *DOWNSTREAM)
    for each in payment(order):
        order.rows["pay_bill"].remove(each)


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
