"""What a fault is, all of them by name, and the ways to lay hands on an order's rows.

A fault changes one order's rows in one way. Lawful oddities count as faults here; which of them is
a divergence only the judge says. Faults may meet on one order, so none relies on a row being there.
The faults themselves are in omissions.py and contradictions.py.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta

from tests.oracle.company import HOUR, Company, MutableRow, Order

Fault = Callable[[Company, Order], None]
FAULTS: dict[str, Fault] = {}


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
