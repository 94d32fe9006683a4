"""The verdict on every case: its divergences, first match first, and its flags.

Built on truth.py, which says how to read the quotation marks; the loops beside orders are judged
in services.py. Left out: the score of re-keying.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from tests.oracle.records import (
    SKEW,
    CaseRecords,
    Gathered,
    Row,
    Rows,
    Watermarks,
    interface_actors,
    visible,
)
from tests.oracle.services import judge_services
from tests.oracle.truth import (
    CONTRACT,
    FAILED_STATUSES,
    HOUR,
    PAID_STATES,
    CaseTruth,
    CaseVerdict,
    LegVerdict,
    shipped,
    total,
)

Class = tuple[str, str | None, int | None]  # divergence, sub_class, amount at stake in fen


def judge(rows: Rows, watermarks: Watermarks, first_day: datetime) -> dict[str, CaseVerdict]:
    """Judge every case that the rows hold, by case id. `first_day`: the instant it begins."""
    gathered = Gathered(visible(rows, watermarks), watermarks)
    actors = interface_actors(rows)
    growing = grows(watermarks, first_day)
    verdicts = judge_services(gathered, watermarks, actors, growing=growing, first_day=first_day)
    for case in gathered.cases():
        people = gathered.people
        contacts = people.contacts_of(case.identifiers)
        has_identifier = any(i not in people.shared for i in case.identifiers)
        truth = CaseTruth(case, contacts, has_identifier, growing, watermarks, actors)
        if _is_from_before(truth, watermarks, first_day):
            continue
        for leg in truth.legs.values():
            _classify(truth, leg)
        verdicts[f"order:{case.number}"] = CaseVerdict(
            legs=truth.legs,
            is_claimed=truth.is_claimed,
            is_abandoned=truth.is_abandoned,
            is_backend_only=truth.is_backend_only,
            is_mature=_is_mature(truth),
            is_closed=_is_closed(truth),
        )
    return verdicts


def _is_from_before(truth: CaseTruth, watermarks: Watermarks, first_day: datetime) -> bool:
    """Read as: nobody could have seen the claim, so it is not judged."""
    is_watched = watermarks.get("tracking_events") is not None
    return is_watched and truth.is_backend_only and truth.base() < first_day


def grows(watermarks: Watermarks, first_day: datetime) -> bool:
    """Whether pairs of identifiers go on coming after the first day."""
    until = watermarks.get("identities")
    return until is not None and until > first_day


def _classify(truth: CaseTruth, leg: LegVerdict) -> None:
    """ "exactly one class per (case, leg) … First match wins, in this order"."""
    if leg.truth == "not_due" or truth.is_abandoned:
        return  # abandoned: "an interruption, not a divergence"
    if truth.legs["submitted"].truth == "pending":
        return  # read as: its records may turn out to be another case's
    rules: tuple[Callable[[CaseTruth, LegVerdict], Class | None], ...] = (
        _identity_conflict,
        _duplicate,
        _key_lost,
        _missing_side,
        _amount_mismatch,
        _state_conflict,
        _refund_one_sided,
        _channel_mislabelled,
        _refuted,
        _by_hand_or_late,
    )
    for rule in rules:
        if (found := rule(truth, leg)) is not None:
            leg.divergence, leg.sub_class, leg.amount_at_stake_fen = found
            return


def _identity_conflict(truth: CaseTruth, leg: LegVerdict) -> Class | None:
    """Rule 1: "the person's identifiers lead to more than one CRM contact"."""
    return (
        ("identity_conflict", None, None)
        if leg.leg == "known" and leg.truth == "unverifiable" and truth.is_in_conflict
        else None
    )


def _key_lost(truth: CaseTruth, leg: LegVerdict) -> Class | None:
    """Rule 3: "matched by fallback, never silently"."""
    if leg.leg == "booked" and truth.case.is_matched:
        return "key_lost", None, truth.erp_fen
    return None


def _is_bill_known_past(truth: CaseTruth, rows: Sequence[Row], column: str, by: timedelta) -> bool:
    """Read as: parts may still come, so the bill must be known past the other side's last row."""
    until = truth.watermark("pay_bill")
    return until is not None and until >= max(row[column] for row in rows) + by


def _duplicate(truth: CaseTruth, leg: LegVerdict) -> Class | None:
    """Rule 2: "more than one back-end record carries the case's key".

    "for `received` and `refunded`, where parts are lawful: the rows sum to more than the bill
    and one of them alone equals it".
    """
    case = truth.case
    if leg.leg == "booked" and len(case.orders) > 1:
        return "duplicate", None, sum(row["amount_fen"] for row in case.orders[1:])
    due, rows = {
        "received": (truth.bill_fen, case.receipts),
        "refunded": (truth.bill_refund_fen, case.erp_refunds),
    }.get(leg.leg, (None, []))
    amounts = [row["amount_fen"] for row in rows]
    column = "received_at" if leg.leg == "received" else "posted_at"
    if rows and not _is_bill_known_past(truth, rows, column, SKEW):
        return None
    if due is not None and len(rows) > 1 and sum(amounts) > due and due in amounts:
        return "duplicate", None, sum(amounts) - due
    return None


def _missing_side(truth: CaseTruth, leg: LegVerdict) -> Class | None:
    """Rules 4 to 8, which compare what one side has with what the other lacks."""
    case = truth.case
    is_own = leg.truth == "refuted" and not leg.is_inherited
    if leg.leg == "submitted" and truth.is_surface_only:
        return "surface_only", None, truth.claim_fen
    if leg.leg == "booked" and is_own and case.payments:
        return "paid_not_booked", None, truth.bill_fen  # "bill payment, no ERP order"
    if leg.leg == "paid" and is_own:
        if shipped(case):  # "shipment evidence and no bill row (replaces `booked_not_paid`)"
            return "shipped_unpaid", None, truth.erp_fen
        # "the ERP order is in a paid or later state, or the case is claimed and the ERP has it";
        # read as: money booked says as much as the state of the order
        is_booked_as_paid = bool(case.orders) and (
            any(order["state"] in PAID_STATES for order in case.orders) or bool(case.receipts)
        )
        if is_booked_as_paid or (case.order is not None and truth.is_claimed):
            return "booked_not_paid", None, truth.erp_fen
    if leg.leg == "submitted" and truth.is_backend_only and leg.truth == "refuted":
        return "backend_only", None, truth.bill_fen if truth.erp_fen is None else truth.erp_fen
    return None


def _amount_mismatch(truth: CaseTruth, leg: LegVerdict) -> Class | None:
    """Rule 9: "amounts differ by more than the tolerance (default 0 fen)"."""
    bill_or_claim = truth.claim_fen if truth.bill_fen is None else truth.bill_fen
    sides: tuple[int | None, int | None] = {
        "paid": (truth.bill_fen, truth.claim_fen),
        "booked": (truth.erp_fen, bill_or_claim),
        "received": (total(truth.case.receipts, "amount_fen"), truth.bill_fen),
        "refunded": (total(truth.case.erp_refunds, "amount_fen"), truth.bill_refund_fen),
    }.get(leg.leg, (None, None))
    found, due = sides
    if found is None or due is None or found == due:
        return None
    if not _is_sum_settled(truth, leg.leg, found, due):
        return None
    return "amount_mismatch", _closing_term(truth.case, leg.leg, found, due), abs(found - due)


def _is_sum_settled(truth: CaseTruth, name: str, found: int, due: int) -> bool:
    """Read as: "a sum … that is too small, on either side" waits for its other parts."""
    case, window = truth.case, CONTRACT[name].window or timedelta()
    receipts_until = truth.watermark("erp_receipts")
    refunds_until = truth.watermark("erp_refunds")
    if name == "paid":
        return found > due or truth.is_window_over("paid")
    if name == "booked":
        bill_until = truth.watermark("pay_bill")
        if not case.payments:  # the bill may still say otherwise than the claim
            end = (truth.legs[name].anchor or truth.base()) + window
            return bill_until is None or bill_until >= end
        is_short = due < found
        return not is_short or _is_bill_known_past(truth, case.orders[:1], "created_at", window)
    is_short_of_parts = name in ("received", "refunded") and found < due
    may_be_booked = truth.legs["booked"].truth == "pending" or not truth.watermark("erp_orders")
    if is_short_of_parts and may_be_booked:
        return False  # a receipt or refund may name nothing but the ERP order
    if name == "received" and found < due:
        last_paid_at = max(row["happened_at"] for row in case.payments)
        end = max(truth.legs[name].anchor or last_paid_at, last_paid_at) + window
        return receipts_until is not None and receipts_until >= end
    if name == "received":
        return _is_bill_known_past(truth, case.receipts, "received_at", SKEW)
    if found < due:
        last_at = max(row["happened_at"] for row in case.bill_refunds)
        return refunds_until is not None and refunds_until >= last_at + window
    late_after = CONTRACT[name].late_after or window
    return _is_bill_known_past(truth, case.erp_refunds, "posted_at", late_after)


def _closing_term(case: CaseRecords, name: str, found: int, due: int) -> str:
    """ "the term that closes the equation"."""
    gap = abs(found - due)
    fees = [row["fee_milli_fen"] for row in case.payments if row.get("fee_milli_fen")]
    fee = (Decimal(sum(fees)) / 1000).quantize(Decimal(1), ROUND_HALF_UP)
    freight = case.order.get("freight_fen") if case.order else None
    if found == 100 * due or due == 100 * found:
        return "unit"  # "ratio exactly 100 or 1/100"
    if gap == (total(case.payments, "coupon_fen") or 0):
        return "coupon"
    if gap == (freight or 0):
        return "freight"
    if gap == fee:
        return "fee"
    is_below_the_yuan = found // 100 == due // 100 or found % 100 == 0 or due % 100 == 0
    if gap < 100 and is_below_the_yuan:
        return "rounding"  # "<= 1 yuan and only below the yuan"
    if name in ("received", "refunded") and found < due:
        return "partial"
    return "unexplained"


def _state_conflict(truth: CaseTruth, leg: LegVerdict) -> Class | None:
    """Rule 10: "states that cannot hold together"."""
    if truth.case.order is None or truth.case.order["state"] != "cancelled":
        return None
    bill_until = truth.watermark("pay_bill")
    is_kept = (
        bool(truth.case.payments)
        and not truth.case.bill_refunds
        # read as: the bill has had a day since the cancelling to show a refund
        and bill_until is not None
        and bill_until >= truth.case.order["updated_at"] + 24 * HOUR
    )
    if leg.leg == "booked" and is_kept:
        return "state_conflict", None, truth.bill_fen
    is_out = any(row["state"] != "returned" for row in shipped(truth.case))
    if leg.leg == "fulfilled" and is_out:  # what came back may lawfully be cancelled
        return "state_conflict", None, truth.erp_fen
    return None


def _refund_one_sided(truth: CaseTruth, leg: LegVerdict) -> Class | None:
    """Rule 11: "bill refund without ERP refund / ERP refund without bill refund"."""
    if leg.leg != "refunded" or leg.truth != "refuted" or leg.is_inherited:
        return None
    if truth.case.bill_refunds:
        return "refund_missing", None, truth.bill_refund_fen
    return "refund_unbacked", None, total(truth.case.erp_refunds, "amount_fen")


def _channel_mislabelled(truth: CaseTruth, leg: LegVerdict) -> Class | None:
    """Rule 12: "the ERP names another channel than the front end"."""
    if leg.leg != "booked" or not truth.case.order or not truth.case.events:
        return None
    named = truth.case.order.get("channel")
    if named is not None and named != _front_end_channel(truth.case):
        return "channel_mislabelled", None, None
    return None


def _front_end_channel(case: CaseRecords) -> str:
    events = case.events
    submits = [event for event in events if event["event"] == "order_submit"]
    return str((submits or events)[0]["channel"])


def _refuted(truth: CaseTruth, leg: LegVerdict) -> Class | None:
    """Rules 13 to 15: the leg's own window is over and nothing is there."""
    if leg.truth != "refuted" or leg.is_inherited:
        return None
    if leg.leg == "notified":
        is_failed = any(m["status"] in FAILED_STATUSES for m in truth.due_messages())
        return "notify_failed" if is_failed else "not_notified", None, None
    if leg.leg in ("received", "fulfilled"):
        return f"not_{leg.leg}", None, truth.bill_fen
    return (f"not_{leg.leg}", None, None) if leg.leg in ("known", "reflowed") else None


def _by_hand_or_late(truth: CaseTruth, leg: LegVerdict) -> Class | None:
    """Rules 14, 16 and 17."""
    if leg.leg == "reflowed" and leg.truth == "late":
        return "late_reflow", None, None
    if leg.leg in ("booked", "received", "fulfilled") and leg.made_by == "human":
        return "manual_rekey", None, None  # "before `late`, because it is the cause"
    return ("late", None, None) if leg.truth == "late" else None


def _is_mature(truth: CaseTruth) -> bool:
    """ "every mandatory leg's window has passed under its source's watermark, or every
    mandatory leg is verified or late".
    """
    mandatory = [leg for leg in CONTRACT.values() if leg.is_mandatory]
    # read as: a source that is not connected has no window to wait for
    is_over = all(
        truth.judged_at(leg.name) is None or truth.is_window_over(leg.name) for leg in mandatory
    )
    return is_over or _is_done(truth)


def _is_closed(truth: CaseTruth) -> bool:
    """ "claimed cases with all mandatory legs verified or late"."""
    return truth.is_claimed and _is_done(truth)


def _is_done(truth: CaseTruth) -> bool:
    """ "every mandatory leg is verified or late", read as: every one that is owed."""
    return not truth.is_abandoned and all(
        leg.truth in ("verified", "late")
        for leg in truth.legs.values()
        if CONTRACT[leg.leg].is_mandatory and leg.truth != "not_due"
    )
