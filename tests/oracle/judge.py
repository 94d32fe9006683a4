"""A plain reading of the semantics of the `order` loop, rule by rule, over rows in memory.

Slow and simple on purpose. Sentences in quotation marks are those of the written semantics; what
follows "read as" is the reading chosen where they are silent. The classes `identity_conflict` and
`key_lost`, and the score of re-keying, are not judged.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from tests.oracle.records import (
    CaseRecords,
    Gathered,
    Row,
    Rows,
    Watermarks,
    interface_actors,
    visible,
)

SKEW = timedelta(seconds=120)  # "The window opens 120 s before the anchor (clock skew)"
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Leg:
    """One line of the loop contract; `tables` hold its evidence."""

    name: str
    comes_after: str | None
    tables: tuple[str, ...]
    window: timedelta | None = None
    late_after: timedelta | None = None
    is_mandatory: bool = True


CONTRACT = {
    leg.name: leg
    for leg in (
        Leg("submitted", None, ("tracking_events",)),
        Leg("paid", "submitted", ("pay_bill",), 24 * HOUR),
        Leg("booked", "paid", ("erp_orders",), 24 * HOUR, HOUR / 2),
        Leg("received", "booked", ("erp_receipts",), 48 * HOUR, 24 * HOUR),
        Leg("fulfilled", "booked", ("erp_shipments",), 168 * HOUR, 72 * HOUR),
        Leg("known", "submitted", ("crm_contacts",), 24 * HOUR),
        Leg("reflowed", "fulfilled", ("mp_orders", "tracking_events"), 24 * HOUR, 2 * HOUR),
        Leg("notified", "fulfilled", ("messages",), 24 * HOUR, HOUR, is_mandatory=False),
        Leg("refunded", "paid", ("pay_bill", "erp_refunds"), 120 * HOUR, 24 * HOUR,
            is_mandatory=False),
    )
}  # fmt: skip
PAID_STATES = ("paid", "fulfilling", "done")
SHIPPED_STATES = ("shipped", "delivered", "returned")
SHOWN_STATES = ("fulfilling", "shipped", "delivered", "done", "returned")
FAILED_STATUSES = ("user_block", "system_failed", "freq_limit")


def legs_before(name: str) -> list[str]:
    """The legs that a leg comes after, "directly or through others", nearest first."""
    found = []
    parent = CONTRACT[name].comes_after
    while parent is not None:
        found.append(parent)
        parent = CONTRACT[parent].comes_after
    return found


@dataclass
class LegVerdict:
    """One leg of one case. `at` is the evidence time, None where there is none or it is unknown."""

    leg: str
    has_evidence: bool = False
    at: datetime | None = None
    anchor: datetime | None = None
    truth: str = ""
    is_inherited: bool = False  # refuted or pending because of a leg before it
    divergence: str = "none"
    sub_class: str | None = None
    amount_at_stake_fen: int | None = None
    made_by: str = "unknown"


@dataclass
class CaseVerdict:
    """One case: its legs in contract order, its flags and its open divergences."""

    case_id: str
    legs: dict[str, LegVerdict] = field(default_factory=dict)
    is_claimed: bool = False
    is_abandoned: bool = False
    is_backend_only: bool = False
    is_mature: bool = False
    is_closed: bool = False

    @property
    def divergences(self) -> set[tuple[str, str]]:
        """(leg, divergence) of every leg "whose class is not `none`"."""
        return {(leg.leg, leg.divergence) for leg in self.legs.values() if leg.divergence != "none"}


def judge(rows: Rows, watermarks: Watermarks) -> dict[str, CaseVerdict]:
    """Judge every case that the rows hold, by case id."""
    gathered = Gathered(visible(rows, watermarks))
    actors = interface_actors(rows)
    return {
        verdict.case_id: verdict
        for case in gathered.cases()
        for verdict in [_Judgement(case, watermarks, actors).verdict()]
    }


class _Judgement:
    """The judging of one case."""

    def __init__(
        self, case: CaseRecords, watermarks: Watermarks, actors: Mapping[str, frozenset[str]]
    ) -> None:
        self.case = case
        self.watermarks = watermarks
        self.actors = actors
        self.legs = {name: LegVerdict(name) for name in CONTRACT}
        # "A case is claimed when the front end claims its act: `pay_success` in an `order` loop"
        self.is_claimed = any(event["event"] == "pay_success" for event in case.events)
        # "back-end records of a tracked channel exist; no front-end event does"
        self.is_backend_only = not case.events
        self.claim_fen = _first_amount(case.events, "order_submit", "pay_success")
        self.bill_fen = _sum(case.payments, "order_amount_fen")
        self.erp_fen = case.order["amount_fen"] if case.order else None
        self.bill_refund_fen = _refunds_in_bill(case.bill_refunds)
        self.is_abandoned = self._is_abandoned()

    def verdict(self) -> CaseVerdict:
        self._find_evidence()
        self.is_surface_only = self._is_surface_only()
        for name in CONTRACT:  # every leg stands after the legs that it comes after
            leg = self.legs[name]
            leg.anchor = self._anchor(name)
            leg.truth = self._truth(leg)
        for leg in self.legs.values():
            self._classify(leg)
        return CaseVerdict(
            case_id=f"order:{self.case.number}",
            legs=self.legs,
            is_claimed=self.is_claimed,
            is_abandoned=self.is_abandoned,
            is_backend_only=self.is_backend_only,
            is_mature=self._is_mature(),
            is_closed=self._is_closed(),
        )

    # The case

    def _is_abandoned(self) -> bool:
        """ "not claimed, has no bill row and no back-end record in a paid or later state"."""
        case = self.case
        has_paid_record = (
            any(order["state"] in PAID_STATES for order in case.orders)
            or bool(case.receipts)
            or bool(_shipped(case))
            or bool(case.wechat_orders)
        )
        has_bill_row = bool(case.payments or case.bill_refunds)
        return not self.is_claimed and not has_bill_row and not has_paid_record

    def _is_surface_only(self) -> bool:
        """ "the case is claimed and no back-end leg has any evidence, past the first leg's window".

        Read as: paid, booked, received, fulfilled, refunded are the back end; the bill and the ERP
        orders, whichever are connected, must be complete past the window.
        """
        case = self.case
        connected = [name for name in ("pay_bill", "erp_orders") if self._watermark(name)]
        if not self.is_claimed or not connected:
            return False
        if case.payments or case.orders or case.receipts or _shipped(case):
            return False
        if case.bill_refunds or case.erp_refunds:
            return False
        end = self._base() + CONTRACT["paid"].window  # type: ignore[operator]
        return all(self._watermark(name) >= end for name in connected)  # type: ignore[operator]

    def _base(self) -> datetime:
        """The claim, or "for a back-end-only case, the earliest record"."""
        case = self.case
        if case.events:
            submits = [e for e in case.events if e["event"] == "order_submit"]
            acts = [e for e in case.events if e["event"].startswith(("order_", "pay_"))]
            return (submits or acts or case.events)[0]["occurred_at"]  # type: ignore[no-any-return]
        return min(
            row[column]
            for rows, column in (
                (case.payments, "happened_at"),
                (case.bill_refunds, "happened_at"),
                (case.orders, "created_at"),
                (case.receipts, "received_at"),
            )
            for row in rows
        )

    # Evidence

    def _find_evidence(self) -> None:
        """Fill has_evidence, at and made_by: "the record came to be in that system" at `at`."""
        case = self.case
        if case.events:
            self._evidence("submitted", [self._base()])
        self._evidence("paid", [row["happened_at"] for row in case.payments])
        if case.order:
            self._evidence("booked", [case.order["created_at"]], "erp_orders", [case.order])
        self._evidence(
            "received", [r["received_at"] for r in case.receipts], "erp_receipts", case.receipts
        )
        shipped = _shipped(case)
        self._evidence(
            "fulfilled",
            [r["shipped_at"] or r["created_at"] for r in shipped],
            "erp_shipments",
            shipped,
        )
        self._evidence("known", [r["created_at"] for r in case.contacts[:1]])
        self._evidence("reflowed", self._reflow_times())
        self._evidence(
            "notified",
            [m["sent_at"] for m in self._due_messages() if m["status"] == "success"],
        )
        # "both a bill refund row and an `erp_refunds` row"
        if case.bill_refunds and case.erp_refunds:
            both = max(case.bill_refunds[0]["happened_at"], case.erp_refunds[0]["posted_at"])
            self._evidence("refunded", [both])

    def _evidence(
        self,
        name: str,
        times: Sequence[datetime | None],
        table: str | None = None,
        rows: Sequence[Row] = (),
    ) -> None:
        leg = self.legs[name]
        leg.has_evidence = bool(times)
        known = [at for at in times if at is not None]
        # a record whose time nobody noted cannot be shown to be late
        leg.at = min(known) if known and len(known) == len(times) else None
        if table and rows:
            leg.made_by = self._made_by(table, rows)

    def _reflow_times(self) -> list[datetime | None]:
        """ "`mp_orders.order_state` >= 2, or a tracked `status_view`" that shows it moved."""
        uploads = [
            row["first_shipped_upload_at"]
            for row in self.case.wechat_orders
            if row["order_state"] >= 2
        ]
        views = [
            event["occurred_at"]
            for event in self.case.events
            if event["event"] == "status_view" and event.get("shown_state") in SHOWN_STATES
        ]
        return uploads + views

    def _due_messages(self) -> list[Row]:
        """ "`messages` row for this case and a due node".

        Read as: the shipping notice whenever sent; any other node but marketing when sent since
        the window opened.
        """
        opens = self._anchor("notified") - SKEW
        return [
            row
            for row in self.case.messages
            if row.get("node") == "shipping_notice"
            or (
                row.get("node") not in (None, "marketing")
                and row.get("sent_at") is not None
                and row["sent_at"] >= opens
            )
        ]

    def _made_by(self, table: str, rows: Sequence[Row]) -> str:
        """ "A record is `human` made when its actor is not in the contract's list of interface
        actors, or its `created_via` is `ui` or `import`"."""
        actors = self.actors.get(table, frozenset())
        makers = []
        for row in rows:
            via, actor = row.get("created_via"), row.get("created_by")
            if via in ("ui", "import") or (actor is not None and actors and actor not in actors):
                makers.append("human")
            elif via == "interface" or actor in actors:
                makers.append("interface")
            else:
                makers.append("unknown")
        return next((m for m in ("human", "unknown") if m in makers), "interface")

    # Truth

    def _anchor(self, name: str) -> datetime:
        """ "the latest evidence time among the legs that it comes after"."""
        if name == "refunded":  # "anchor: the earlier of the two"
            sides = [r["happened_at"] for r in self.case.bill_refunds]
            sides += [r["posted_at"] for r in self.case.erp_refunds]
            if sides:
                return min(sides)
        times = [at for before in legs_before(name) if (at := self.legs[before].at) is not None]
        return max(times, default=self._base())

    def _watermark(self, table: str) -> datetime | None:
        return self.watermarks.get(table)

    def _judged_at(self, name: str) -> datetime | None:
        """ "A leg's judged_at is the watermark of its evidence table", None: cannot be judged.

        Where two tables may hold the evidence, the lesser; a refund of the bill is looked for in the
        ERP, and the other way round.
        """
        tables = CONTRACT[name].tables
        if name == "refunded":
            tables = ("erp_refunds",) if self.case.bill_refunds else ("pay_bill",)
        marks = [self._watermark(table) for table in tables]
        return None if None in marks else min(m for m in marks if m is not None)

    def _is_window_over(self, name: str) -> bool:
        """ "`judged_at >= anchor + window`"."""
        window, judged_at = CONTRACT[name].window, self._judged_at(name)
        if window is None:
            return True
        return judged_at is not None and judged_at >= self._anchor(name) + window

    def _truth(self, leg: LegVerdict) -> str:
        if self._is_not_due(leg.leg):
            return "not_due"
        if leg.has_evidence:
            return "late" if self._is_late(leg) else "verified"
        if self._judged_at(leg.leg) is None or self._is_key_absent(leg.leg):
            return "unverifiable"
        if leg.leg == "submitted":  # nothing is claimed: the front end has the skew to say it
            judged_at = self._judged_at("submitted")
            return "refuted" if judged_at >= self._base() + SKEW else "pending"  # type: ignore[operator]
        before = [self.legs[name].truth for name in legs_before(leg.leg)]
        leg.is_inherited = True
        if "pending" in before:  # "it is `pending` if a leg that it comes after is pending"
            return "pending"
        if "refuted" in before or self.is_surface_only:
            return "refuted"
        leg.is_inherited = False  # "else it is judged by its own window and watermark"
        return "refuted" if self._is_window_over(leg.leg) else "pending"

    def _is_not_due(self, name: str) -> bool:
        """ "the leg is not owed"."""
        case = self.case
        if self.is_abandoned and name != "submitted":
            return True  # "every leg after `submitted` of an abandoned case"
        if name == "refunded":
            return not case.bill_refunds and not case.erp_refunds
        if name in ("fulfilled", "reflowed", "notified") and not _shipped(case):
            # "of a case cancelled or fully refunded before shipment"
            is_cancelled = case.order is not None and case.order["state"] == "cancelled"
            is_refunded = (
                self.bill_fen is not None
                and self.bill_refund_fen is not None
                and self.bill_refund_fen >= self.bill_fen
            )
            return is_cancelled or is_refunded
        return False

    def _is_late(self, leg: LegVerdict) -> bool:
        """ "evidence found, but later than `late after`"; read as: without one, than its window."""
        contract = CONTRACT[leg.leg]
        if leg.at is None or contract.window is None:
            return False
        if any(self.legs[name].truth == "pending" for name in legs_before(leg.leg)):
            return False  # read as: its anchor may still come, and late data is no alarm
        lag = leg.at - self._anchor(leg.leg)  # "Lateness is evidence time minus anchor"
        if contract.late_after is not None:
            return lag > contract.late_after
        return lag >= contract.window

    def _is_key_absent(self, name: str) -> bool:
        """ "the key needed for the join is absent"."""
        if name == "known":
            return not self.case.has_identifiers
        if name == "fulfilled":  # found by the ERP order, which nobody can look for
            return self.case.order is None and self.legs["booked"].truth == "unverifiable"
        # found by the order number, which the ERP order lacks
        return not self.case.has_key and name not in ("submitted", "booked", "received")

    # Classes

    def _classify(self, leg: LegVerdict) -> None:
        """ "exactly one class per (case, leg) … First match wins, in this order"."""
        if leg.truth == "not_due":
            return
        rules: tuple[Callable[[LegVerdict], tuple[str, str | None, int | None] | None], ...] = (
            self._duplicate,
            self._missing_side,
            self._amount_mismatch,
            self._state_conflict,
            self._refund_one_sided,
            self._channel_mislabelled,
            self._refuted,
            self._by_hand_or_late,
        )
        for rule in rules:
            if (found := rule(leg)) is not None:
                leg.divergence, leg.sub_class, leg.amount_at_stake_fen = found
                return

    def _duplicate(self, leg: LegVerdict) -> tuple[str, None, int | None] | None:
        """Rule 2: "more than one back-end record carries the case's key".

        "for `received` and `refunded`, where parts are lawful: the rows sum to more than the bill
        and one of them alone equals it".
        """
        case = self.case
        if leg.leg == "booked" and len(case.orders) > 1:
            return "duplicate", None, sum(row["amount_fen"] for row in case.orders[1:])
        due, rows = {
            "received": (self.bill_fen, case.receipts),
            "refunded": (self.bill_refund_fen, case.erp_refunds),
        }.get(leg.leg, (None, []))
        amounts = [row["amount_fen"] for row in rows]
        if due is not None and len(rows) > 1 and sum(amounts) > due and due in amounts:
            return "duplicate", None, sum(amounts) - due
        return None

    def _missing_side(self, leg: LegVerdict) -> tuple[str, None, int | None] | None:
        """Rules 4 to 8, which compare what one side has with what the other lacks."""
        case = self.case
        is_own = leg.truth == "refuted" and not leg.is_inherited
        if leg.leg == "submitted" and self.is_surface_only:
            return "surface_only", None, self.claim_fen
        if leg.leg == "booked" and is_own and case.payments:
            return "paid_not_booked", None, self.bill_fen  # "bill payment, no ERP order"
        if leg.leg == "paid" and is_own:
            if _shipped(case):  # "shipment evidence and no bill row (replaces `booked_not_paid`)"
                return "shipped_unpaid", None, self.erp_fen
            # "the ERP order is in a paid or later state, or the case is claimed and the ERP has it"
            if case.order and (case.order["state"] in PAID_STATES or self.is_claimed):
                return "booked_not_paid", None, self.erp_fen
        if leg.leg == "submitted" and self.is_backend_only and leg.truth == "refuted":
            return "backend_only", None, self.bill_fen if self.erp_fen is None else self.erp_fen
        return None

    def _amount_mismatch(self, leg: LegVerdict) -> tuple[str, str, int] | None:
        """Rule 9: "amounts differ by more than the tolerance (default 0 fen)"."""
        bill_or_claim = self.claim_fen if self.bill_fen is None else self.bill_fen
        sides: tuple[int | None, int | None] = {
            "paid": (self.bill_fen, self.claim_fen),
            "booked": (self.erp_fen, bill_or_claim),
            "received": (_sum(self.case.receipts, "amount_fen"), self.bill_fen),
            "refunded": (_sum(self.case.erp_refunds, "amount_fen"), self.bill_refund_fen),
        }.get(leg.leg, (None, None))
        found, due = sides
        if found is None or due is None or found == due:
            return None
        is_in_parts = leg.leg in ("received", "refunded")
        if is_in_parts and found < due and not self._is_window_over(leg.leg):
            return None  # the other parts may still come
        return "amount_mismatch", self._closing_term(leg.leg, found, due), abs(found - due)

    def _closing_term(self, name: str, found: int, due: int) -> str:
        """ "the term that closes the equation"."""
        gap = abs(found - due)
        fees = [row["fee_milli_fen"] for row in self.case.payments if row.get("fee_milli_fen")]
        fee = (Decimal(sum(fees)) / 1000).quantize(Decimal(1), ROUND_HALF_UP)
        freight = self.case.order.get("freight_fen") if self.case.order else None
        if found == 100 * due or due == 100 * found:
            return "unit"  # "ratio exactly 100 or 1/100"
        if gap == (_sum(self.case.payments, "coupon_fen") or 0):
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

    def _state_conflict(self, leg: LegVerdict) -> tuple[str, None, int | None] | None:
        """Rule 10: "states that cannot hold together"."""
        if self.case.order is None or self.case.order["state"] != "cancelled":
            return None
        is_kept = bool(self.case.payments) and not self.case.bill_refunds
        if leg.leg == "booked" and is_kept:
            return "state_conflict", None, self.bill_fen
        if leg.leg == "fulfilled" and leg.has_evidence:
            return "state_conflict", None, self.erp_fen
        return None

    def _refund_one_sided(self, leg: LegVerdict) -> tuple[str, None, int | None] | None:
        """Rule 11: "bill refund without ERP refund / ERP refund without bill refund"."""
        if leg.leg != "refunded" or leg.truth != "refuted" or leg.is_inherited:
            return None
        if self.case.bill_refunds:
            return "refund_missing", None, self.bill_refund_fen
        return "refund_unbacked", None, _sum(self.case.erp_refunds, "amount_fen")

    def _channel_mislabelled(self, leg: LegVerdict) -> tuple[str, None, None] | None:
        """Rule 12: "the ERP names another channel than the front end"."""
        if leg.leg != "booked" or not self.case.order or not self.case.events:
            return None
        named = self.case.order.get("channel")
        if named is not None and named != self._front_end_channel():
            return "channel_mislabelled", None, None
        return None

    def _front_end_channel(self) -> str:
        events = self.case.events
        submits = [event for event in events if event["event"] == "order_submit"]
        return str((submits or events)[0]["channel"])

    def _refuted(self, leg: LegVerdict) -> tuple[str, None, int | None] | None:
        """Rules 13 to 15: the leg's own window is over and nothing is there."""
        if leg.truth != "refuted" or leg.is_inherited:
            return None
        if leg.leg == "notified":
            is_failed = any(m["status"] in FAILED_STATUSES for m in self._due_messages())
            return "notify_failed" if is_failed else "not_notified", None, None
        if leg.leg in ("received", "fulfilled"):
            return f"not_{leg.leg}", None, self.bill_fen
        return (f"not_{leg.leg}", None, None) if leg.leg in ("known", "reflowed") else None

    def _by_hand_or_late(self, leg: LegVerdict) -> tuple[str, None, None] | None:
        """Rules 14, 16 and 17."""
        if leg.leg == "reflowed" and leg.truth == "late":
            return "late_reflow", None, None
        if leg.leg in ("booked", "received", "fulfilled") and leg.made_by == "human":
            return "manual_rekey", None, None  # "before `late`, because it is the cause"
        return ("late", None, None) if leg.truth == "late" else None

    # Flags

    def _is_mature(self) -> bool:
        """ "every mandatory leg's window has passed under its source's watermark, or every
        mandatory leg is verified or late".

        Read as: a leg that is not owed has no window to wait for, nor has one whose source is not
        connected, which no waiting can settle.
        """
        owed = self._owed()
        is_over = all(
            self._is_window_over(leg.leg) or self._judged_at(leg.leg) is None for leg in owed
        )
        return is_over or all(leg.truth in ("verified", "late") for leg in owed)

    def _is_closed(self) -> bool:
        """ "all mandatory legs verified or late"; an abandoned case is "outside closure"."""
        return not self.is_abandoned and all(
            leg.truth in ("verified", "late") for leg in self._owed()
        )

    def _owed(self) -> list[LegVerdict]:
        return [
            leg
            for leg in self.legs.values()
            if CONTRACT[leg.leg].is_mandatory and leg.truth != "not_due"
        ]


def _shipped(case: CaseRecords) -> list[Row]:
    """ "`erp_shipments` row in a shipped state for that ERP order"."""
    return [row for row in case.shipments if row["state"] in SHIPPED_STATES]


def _sum(rows: Iterable[Row], column: str) -> int | None:
    """The sum over the rows that bear the column, None where none does."""
    amounts = [row[column] for row in rows if row.get(column) is not None]
    return sum(amounts) if amounts else None


def _refunds_in_bill(rows: Sequence[Row]) -> int | None:
    asked = [row.get("refund_requested_fen") for row in rows]
    given = [row.get("refund_amount_fen") for row in rows]
    amounts = [b if a is None else a for a, b in zip(asked, given, strict=True)]
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _first_amount(events: Sequence[Row], *kinds: str) -> int | None:
    """The amount of the earliest event of the first kind that bears one."""
    for kind in kinds:
        for event in events:
            if event["event"] == kind and event.get("amount_fen") is not None:
                return int(event["amount_fen"])
    return None
