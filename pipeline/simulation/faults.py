"""Which faults are planted in orders, how often on each line, and from when each can be judged.

The rates are what the simulation knows and the pipeline must find out: retail is integrated in
depth, flash_sale is as smooth on the surface and shallow below. The faults of the other loops
stand in `service_faults.py`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from pipeline.simulation import sabotage
from pipeline.simulation.cases import Case
from pipeline.simulation.clerks import ORDER_LIST, PAYMENT_BILL, SHIPPING_LIST
from pipeline.simulation.planting import Fault

Instant = Callable[[Case], datetime]


def _after_submit(hours: float) -> Instant:
    return lambda case: case.submitted_at + timedelta(hours=hours)


def _after_booking(hours: float) -> Instant:
    return lambda case: case.booked_at + timedelta(hours=hours)


def _after_shipping(hours: float) -> Instant:
    return lambda case: case.shipped_at + timedelta(hours=hours)


def _is_plain(case: Case) -> bool:
    """No coupon and no freight: neither can close the equation by chance."""
    return case.coupon_fen == 0 and case.freight_fen == 0


def _is_whole_yuan(case: Case) -> bool:
    return case.order_fen % 100 == 0


def _has_coupon(case: Case) -> bool:
    return case.coupon_fen > 0


def _has_freight_only(case: Case) -> bool:
    return case.freight_fen > 0 and case.coupon_fen == 0


def _has_odd_fen(case: Case) -> bool:
    fee_fen = case.payment.fee_fen if case.payment else 0
    return _is_plain(case) and 9 < case.order_fen % 100 < 91 and case.order_fen % 100 != fee_fen


def _has_lone_amount(case: Case) -> bool:
    return case.has_lone_amount


def _is_mini_program(case: Case) -> bool:
    return case.channel == "mini_program"


def _whole_yuan(fen: int) -> int:
    return fen - fen % 100


# A refund is moved by a day where it falls on the day without trade: hence 24 h more. A sum is
# wrong only once the window has passed after the last row of the larger side, on either side.
_REFUNDED = 12 + 9 + 24
_REFUND_SETTLED = _REFUNDED + 5 * 24 + 1
_CREDIT_SETTLED = _REFUNDED + 5 + 5 * 24 + 1
_RECEIVED = 6
_RECEIPT_SETTLED = _RECEIVED + 48 + 1
_WEEK = 7 * 24

_MISSING = (
    Fault("claim_without_back_end", "submitted", "surface_only",
          sabotage.claim_without_back_end, _after_submit(25), retail=0.001, flash_sale=0.012),
    Fault("lost_order", "booked", "paid_not_booked",
          sabotage.lose_order, _after_submit(25), retail=0.0015, flash_sale=0.035),
    Fault("booked_unpaid", "paid", "booked_not_paid",
          sabotage.book_without_payment, _after_submit(25), flash_sale=0.01),
    Fault("shipped_unpaid", "paid", "shipped_unpaid",
          sabotage.ship_without_payment, _after_booking(30)),
    Fault("untracked_order", "submitted", "backend_only", sabotage.lose_front_end,
          _after_submit(25), retail=0.001, flash_sale=0.008, fits=_is_mini_program),
    Fault("never_received", "received", "not_received",
          sabotage.receive_nothing, _after_booking(49), retail=0.001, flash_sale=0.012),
    Fault("never_shipped", "fulfilled", "not_fulfilled",
          sabotage.ship_nothing, _after_booking(_WEEK + 1), flash_sale=0.008),
    Fault("unknown_buyer", "known", "not_known",
          sabotage.know_nobody, _after_submit(25), retail=0.002, flash_sale=0.03),
    Fault("buyer_known_twice", "known", "identity_conflict",
          sabotage.know_twice, _after_submit(25), retail=0.001, flash_sale=0.012),
    Fault("order_number_lost", "booked", "key_lost",
          sabotage.lose_key, _after_submit(25), flash_sale=0.015, fits=_has_lone_amount),
    Fault("never_reflowed", "reflowed", "not_reflowed",
          sabotage.reflow_nothing, _after_shipping(25), retail=0.0015, flash_sale=0.03),
    Fault("reflowed_late", "reflowed", "late_reflow",
          sabotage.reflow_late, _after_shipping(25), flash_sale=0.02),
    Fault("notice_never_sent", "notified", "not_notified",
          sabotage.notify_nothing, _after_shipping(25), retail=0.002, flash_sale=0.015),
    Fault("notice_failed", "notified", "notify_failed",
          sabotage.fail_notice, _after_shipping(25), retail=0.003, flash_sale=0.01),
)  # fmt: skip

_STATES = (
    Fault("booked_twice", "booked", "duplicate", sabotage.book_twice, _after_booking(6),
          retail=0.001),
    Fault("received_twice", "received", "duplicate", sabotage.receive_twice,
          _after_booking(_RECEIPT_SETTLED + 12),
          at_least=2, flash_sale=0.003),
    Fault("refund_posted_twice", "refunded", "duplicate", sabotage.post_refund_twice,
          _after_booking(_CREDIT_SETTLED + 6), at_least=2, flash_sale=0.002),
    Fault("cancelled_though_paid", "booked", "state_conflict", sabotage.cancel_paid_order,
          _after_booking(3 + 25), at_least=3),
    Fault("cancelled_though_shipped", "fulfilled", "state_conflict",
          sabotage.cancel_shipped_order, _after_booking(60), at_least=2, flash_sale=0.003,
          fits=_is_mini_program),
    Fault("refund_forgotten", "refunded", "refund_missing", sabotage.forget_refund,
          _after_booking(_REFUND_SETTLED)),
    Fault("refund_without_money", "refunded", "refund_unbacked",
          sabotage.back_refund_with_nothing, _after_booking(_REFUND_SETTLED), flash_sale=0.005),
    Fault("wrong_channel", "booked", "channel_mislabelled", sabotage.mislabel_channel,
          _after_booking(1), retail=0.0015, flash_sale=0.015),
)  # fmt: skip

_AMOUNTS = (
    Fault("claim_in_yuan", "paid", "amount_mismatch",
          lambda case, bench: sabotage.claim_less(case, case.order_fen // 100),
          _after_booking(25), flash_sale=0.002, at_least=1, fits=_is_whole_yuan, sub_class="unit"),
    Fault("claim_net_of_coupon", "paid", "amount_mismatch",
          lambda case, bench: sabotage.claim_less(case, case.order_fen - case.coupon_fen),
          _after_booking(25), flash_sale=0.003, at_least=1, fits=_has_coupon, sub_class="coupon"),
    Fault("claim_without_freight", "paid", "amount_mismatch",
          lambda case, bench: sabotage.claim_less(case, case.order_fen - case.freight_fen),
          _after_booking(25), flash_sale=0.003, at_least=1, fits=_has_freight_only,
          sub_class="freight"),
    Fault("claim_rounded", "paid", "amount_mismatch",
          lambda case, bench: sabotage.claim_less(case, _whole_yuan(case.order_fen)),
          _after_booking(25), flash_sale=0.002, at_least=1, fits=_has_odd_fen,
          sub_class="rounding"),
    Fault("claim_odd", "paid", "amount_mismatch",
          lambda case, bench: sabotage.claim_less(
              case, case.order_fen - sabotage.odd_difference(case, bench)),
          _after_booking(25), flash_sale=0.003, at_least=1, sub_class="unexplained"),
    Fault("fen_booked_as_yuan", "booked", "amount_mismatch",
          lambda case, bench: sabotage.book_amount(case, case.order_fen * 100),
          _after_booking(25), flash_sale=0.003, at_least=1, sub_class="unit"),
    Fault("booked_net_of_coupon", "booked", "amount_mismatch",
          lambda case, bench: sabotage.book_amount(case, case.order_fen - case.coupon_fen),
          _after_booking(25), retail=0.001, flash_sale=0.008, at_least=1, fits=_has_coupon,
          sub_class="coupon"),
    Fault("booked_without_freight", "booked", "amount_mismatch",
          lambda case, bench: sabotage.book_amount(case, case.order_fen - case.freight_fen),
          _after_booking(25), flash_sale=0.006, at_least=1, fits=_has_freight_only,
          sub_class="freight"),
    Fault("booked_rounded", "booked", "amount_mismatch",
          lambda case, bench: sabotage.book_amount(case, _whole_yuan(case.order_fen)),
          _after_booking(25), flash_sale=0.005, at_least=1, fits=_has_odd_fen,
          sub_class="rounding"),
    Fault("booked_odd", "booked", "amount_mismatch",
          lambda case, bench: sabotage.book_amount(
              case, case.order_fen + sabotage.odd_difference(case, bench)),
          _after_booking(25), retail=0.0005, flash_sale=0.004, at_least=1,
          sub_class="unexplained"),
    Fault("received_as_fen", "received", "amount_mismatch",
          lambda case, bench: sabotage.receive_amount(case, case.order_fen * 100),
          _after_booking(_RECEIPT_SETTLED), flash_sale=0.002, at_least=1, sub_class="unit"),
    Fault("received_net_of_coupon", "received", "amount_mismatch",
          lambda case, bench: sabotage.receive_amount(case, case.order_fen - case.coupon_fen),
          _after_booking(_RECEIPT_SETTLED), flash_sale=0.004, at_least=1, fits=_has_coupon,
          sub_class="coupon"),
    Fault("received_net_of_fee", "received", "amount_mismatch",
          lambda case, bench: sabotage.receive_amount(
              case, case.order_fen - (case.payment.fee_fen if case.payment else 0)),
          _after_booking(_RECEIPT_SETTLED), flash_sale=0.006, at_least=2, fits=_is_plain,
          sub_class="fee"),
    Fault("received_in_part", "received", "amount_mismatch",
          lambda case, bench: sabotage.receive_amount(case, case.order_fen // 2),
          _after_booking(_RECEIPT_SETTLED), flash_sale=0.005, at_least=2, fits=_is_plain,
          sub_class="partial"),
    Fault("received_odd", "received", "amount_mismatch",
          lambda case, bench: sabotage.receive_amount(
              case, case.order_fen + sabotage.odd_difference(case, bench)),
          _after_booking(_RECEIPT_SETTLED), flash_sale=0.003, at_least=1, sub_class="unexplained"),
    Fault("refund_posted_in_part", "refunded", "amount_mismatch",
          lambda case, bench: sabotage.post_refund_as(case, bench, lambda fen: fen // 2),
          _after_booking(_REFUND_SETTLED), flash_sale=0.003, at_least=1, fits=_is_plain,
          sub_class="partial"),
    Fault("refund_posted_without_freight", "refunded", "amount_mismatch",
          lambda case, bench: sabotage.post_refund_as(
              case, bench, lambda fen: fen - case.freight_fen),
          _after_booking(_REFUND_SETTLED), flash_sale=0.003, at_least=1,
          fits=_has_freight_only, sub_class="freight"),
    Fault("refund_posted_odd", "refunded", "amount_mismatch",
          lambda case, bench: sabotage.post_refund_as(
              case, bench, lambda fen: fen + sabotage.odd_difference(case, bench)),
          _after_booking(_CREDIT_SETTLED), flash_sale=0.002, at_least=1, sub_class="unexplained"),
)  # fmt: skip

_HANDS = (
    Fault("order_typed", "booked", "manual_rekey", sabotage.type_order, _after_submit(27),
          retail=0.002, flash_sale=0.06, chore=ORDER_LIST),
    Fault("order_imported", "booked", "manual_rekey", sabotage.import_order, _after_submit(27),
          flash_sale=0.02, chore=ORDER_LIST),
    Fault("receipt_typed", "received", "manual_rekey", sabotage.type_receipt, _after_booking(41),
          flash_sale=0.03, chore=PAYMENT_BILL),
    Fault("receipt_imported", "received", "manual_rekey", sabotage.import_receipt,
          _after_booking(41), flash_sale=0.01, chore=PAYMENT_BILL),
    Fault("shipment_typed", "fulfilled", "manual_rekey", sabotage.type_shipment,
          _after_booking(48), flash_sale=0.015, chore=SHIPPING_LIST),
    Fault("shipment_imported", "fulfilled", "manual_rekey", sabotage.import_shipment,
          _after_booking(48), flash_sale=0.005, chore=SHIPPING_LIST),
)  # fmt: skip

_DELAYS = (
    Fault("booked_late", "booked", "late", sabotage.book_late, _after_submit(17),
          retail=0.001, flash_sale=0.03),
    Fault("received_late", "received", "late", sabotage.receive_late, _after_booking(47),
          at_least=3, flash_sale=0.01),
    Fault("shipped_late", "fulfilled", "late", sabotage.ship_late, _after_booking(111),
          retail=0.001, flash_sale=0.008, at_least=3),
    Fault("notice_late", "notified", "late", sabotage.notify_late, _after_shipping(21),
          at_least=2, flash_sale=0.004),
    Fault("refund_posted_late", "refunded", "late", sabotage.post_refund_late,
          _after_booking(12 + 9 + 24 + 61), at_least=2, flash_sale=0.002),
)  # fmt: skip

ORDER_FAULTS: tuple[Fault[Case], ...] = _MISSING + _STATES + _AMOUNTS + _HANDS + _DELAYS
"""Every fault that an order can bear; the class `late_reflow` is the lateness of `reflowed`."""
