"""What became of every leg of one case: its evidence, its anchor and its truth.

Slow and simple on purpose. Sentences in quotation marks are those of the written semantics; what
follows "read as" is the reading chosen where they are silent. The classes of divergence belong in
judge.py.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.oracle.records import SKEW, CaseRecords, Row, Watermarks, claim_of, submit_of

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

    legs: dict[str, LegVerdict]
    is_claimed: bool
    is_abandoned: bool
    is_backend_only: bool
    is_mature: bool
    is_closed: bool

    @property
    def divergences(self) -> set[tuple[str, str]]:
        """(leg, divergence) of every leg "whose class is not `none`"."""
        return {(leg.leg, leg.divergence) for leg in self.legs.values() if leg.divergence != "none"}


class CaseTruth:
    """One case: who claims what, and the truth of each leg in `legs`."""

    def __init__(
        self,
        case: CaseRecords,
        contacts: Sequence[tuple[datetime, Row]],
        has_identifier: bool,
        growing_identities: bool,
        watermarks: Watermarks,
        actors: Mapping[str, frozenset[str]],
    ) -> None:
        self.case = case
        self.contacts = contacts
        self.has_identifier = has_identifier
        self.growing_identities = growing_identities
        self.watermarks = watermarks
        self.actors = actors
        self.legs = {name: LegVerdict(name) for name in CONTRACT}
        # "A case is claimed when the front end claims its act: `pay_success` in an `order` loop"
        self.is_claimed = any(event["event"] == "pay_success" for event in case.events)
        # "back-end records of a tracked channel exist; no front-end event does"
        self.is_backend_only = not case.events
        self.claim_fen = claim_of(case.events)
        self.bill_fen = case.paid_fen
        self.erp_fen = case.order["amount_fen"] if case.order else None
        self.bill_refund_fen = _refunds_in_bill(case.bill_refunds)
        self.is_abandoned = self._is_abandoned()
        self._find_evidence()
        self.is_surface_only = self._is_surface_only()
        for name in CONTRACT:  # every leg stands after the legs that it comes after
            leg = self.legs[name]
            leg.anchor = self._anchor(name)
            leg.truth = self._truth(leg)

    # The case

    def _is_abandoned(self) -> bool:
        """ "not claimed, has no bill row and no back-end record in a paid or later state"."""
        case = self.case
        has_paid_record = (
            any(order["state"] in PAID_STATES for order in case.orders)
            or bool(case.receipts)
            or bool(shipped(case))
        )
        return not self.is_claimed and not case.payments and not has_paid_record

    def _is_surface_only(self) -> bool:
        """ "the case is claimed and no back-end leg has any evidence, past the first leg's window".

        Read as: paid, booked, received, fulfilled, refunded are the back end; the sources of their
        records, whichever are connected, must be complete past the window.
        """
        return self._is_without_records() and self._is_back_end_known()

    def _is_without_records(self) -> bool:
        """Claimed, and not a record of it in any back end that could judge it."""
        case = self.case
        if not self.is_claimed or not (self.watermark("pay_bill") or self.watermark("erp_orders")):
            return False
        if case.payments or case.orders or case.receipts or shipped(case):
            return False
        return not (case.bill_refunds or case.erp_refunds or case.awaits_match or case.may_be_paid)

    def _is_back_end_known(self) -> bool:
        end = self.base() + CONTRACT["paid"].window  # type: ignore[operator]
        tables = ("pay_bill", "erp_orders", "erp_receipts", "erp_refunds")
        marks = [self.watermark(table) for table in tables]
        return all(until is None or until >= end for until in marks)

    def base(self) -> datetime:
        """The claim, or "for a back-end-only case, the earliest record"."""
        case = self.case
        if case.events:
            first: datetime = submit_of(case.events)["occurred_at"]
            return first
        earliest: datetime = min(
            row[column]
            for rows, column in (
                (case.payments, "happened_at"),
                (case.bill_refunds, "happened_at"),
                (case.orders, "created_at"),
                (case.receipts, "received_at"),
            )
            for row in rows
        )
        return earliest

    # Evidence

    def _find_evidence(self) -> None:
        """Fill has_evidence, at and made_by: "the record came to be in that system" at `at`."""
        case = self.case
        if case.events:
            self._evidence("submitted", [self.base()])
        self._evidence("paid", [row["happened_at"] for row in case.payments])
        if case.order:
            self._evidence("booked", [case.order["created_at"]], "erp_orders", [case.order])
        self._evidence(
            "received", [r["received_at"] for r in case.receipts], "erp_receipts", case.receipts
        )
        parcels = shipped(case)
        self._evidence(
            "fulfilled",
            [parcel["shipped_at"] or parcel["created_at"] for parcel in parcels],
            "erp_shipments",
            parcels,
        )
        self._evidence("known", [since for since, _ in self.contacts[:1]])
        self._evidence("reflowed", self._reflow_times())
        self._evidence(
            "notified",
            [m["sent_at"] for m in self.due_messages() if m["status"] == "success"],
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

    def due_messages(self) -> list[Row]:
        """ "`messages` row for this case and a due node".

        Read as: the shipping notice whenever sent; any other message but marketing that was sent
        (or, never sent, was due) since the parcel left.
        """
        left_at = self.legs["fulfilled"].at
        due = []
        for row in self.case.messages:
            at = row["sent_at"] or row["due_at"] or row["status_at"]
            is_since = left_at is not None and at is not None and at >= left_at - SKEW
            if row["node"] == "shipping_notice" or (is_since and row["node"] != "marketing"):
                due.append(row)
        return due

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
                earlier: datetime = min(sides)
                return earlier
        times = [at for before in legs_before(name) if (at := self.legs[before].at) is not None]
        return max(times, default=self.base())

    def watermark(self, table: str) -> datetime | None:
        return self.watermarks.get(table)

    def judged_at(self, name: str) -> datetime | None:
        """ "A leg's judged_at is the watermark of its evidence table", None: cannot be judged.

        Where two tables may hold the evidence, the lesser; a refund of the bill is looked for in
        the ERP, and the other way round.
        """
        tables = CONTRACT[name].tables
        if name == "refunded":
            tables = ("erp_refunds",) if self.case.bill_refunds else ("pay_bill",)
        if name == "known":  # a link may still come, or a record that names the buyer
            linking = ("tracking_events", "pay_bill", "erp_orders")
            tables = (*tables, *(table for table in linking if self.watermark(table)))
            tables = (*tables, "identities") if self.growing_identities else tables
        if name in ("fulfilled", "reflowed", "notified"):  # a refund may take back that it is owed
            ending = ("pay_bill", "erp_orders", "erp_refunds")
            tables = (*tables, *(table for table in ending if self.watermark(table)))
        marks = [self.watermark(table) for table in tables]
        return None if None in marks else min(m for m in marks if m is not None)

    @property
    def is_in_conflict(self) -> bool:
        """ "more than one CRM contact", as of the end of the window of `known`."""
        end = self._anchor("known") + CONTRACT["known"].window  # type: ignore[operator]
        return sum(since < end for since, _ in self.contacts) > 1

    def is_window_over(self, name: str) -> bool:
        """ "`judged_at >= anchor + window`"."""
        window, judged_at = CONTRACT[name].window, self.judged_at(name)
        if window is None:
            return True
        return judged_at is not None and judged_at >= self._anchor(name) + window

    def _truth(self, leg: LegVerdict) -> str:
        if self._is_not_due(leg.leg):
            return "not_due"
        if leg.leg == "known" and self.is_in_conflict:
            # read as: one contact more may show that the phone is a shop's
            return "unverifiable" if self.is_window_over("known") else "pending"
        if leg.has_evidence:
            return "late" if self._is_late(leg) else "verified"
        before = [self.legs[name].truth for name in legs_before(leg.leg)]
        leg.is_inherited = True
        if "pending" in before:  # "it is `pending` if a leg that it comes after is pending"
            return "pending"
        if "refuted" in before or self.is_surface_only:
            return "refuted"
        leg.is_inherited = False  # "else it is judged by its own window and watermark"
        if self._is_unanswerable(leg.leg) or self._is_key_absent(leg.leg):
            return "unverifiable"
        if leg.leg == "submitted" and self.case.is_held:  # whether a front end is connected or not
            return "pending"
        if self.judged_at(leg.leg) is None:
            return "unverifiable"
        return "pending" if self._may_still_come(leg.leg) else "refuted"

    def _is_open(self, leg: LegVerdict) -> bool:
        """No evidence, and by its own window and watermark not refuted."""
        if leg.has_evidence or leg.truth == "not_due":
            return False
        is_unknown = (
            self.judged_at(leg.leg) is None
            or self._is_key_absent(leg.leg)
            or (leg.leg in ("submitted", "paid") and self._is_unanswerable(leg.leg))
        )
        return is_unknown or self._may_still_come(leg.leg)

    def _may_still_come(self, name: str) -> bool:
        """ "no evidence, and `judged_at < anchor + window`", or more is needed to be sure."""
        judged_at = self.judged_at(name)
        if name == "submitted":  # nothing is claimed: the front end has the skew to say it
            is_over = judged_at is not None and judged_at >= self.base() + SKEW
            return self.case.is_held or not is_over
        if name == "booked" and self.case.awaits_match:
            return True
        if name == "refunded" and self.legs["booked"].truth == "pending":
            return True  # read as: a refund may name nothing but the ERP order
        if name == "known" and self._is_without_records() and not self._is_back_end_known():
            return True  # it would be one finding with `surface_only`
        # read as: the order may still bring the phone that the CRM knows
        return (name == "known" and self._may_be_booked()) or not self.is_window_over(name)

    def _may_be_booked(self) -> bool:
        """No ERP order yet, and by the bill's window or its own one may still come."""
        booked = self.legs["booked"]
        if booked.has_evidence or self.judged_at("booked") is None:
            return False
        return booked.truth == "pending" or self._is_open(booked)

    def _is_not_due(self, name: str) -> bool:
        """ "the leg is not owed"."""
        case = self.case
        if self.is_abandoned and name != "submitted":
            return True  # "every leg after `submitted` of an abandoned case"
        if name == "refunded":
            return not case.bill_refunds and not case.erp_refunds
        if name in ("fulfilled", "reflowed", "notified") and not shipped(case):
            # "of a case cancelled or fully refunded before shipment"
            is_cancelled = case.order is not None and case.order["state"] == "cancelled"
            # read as: by the bill, or in the ERP though the bill does not show it
            erp_refund_fen = total(case.erp_refunds, "amount_fen")
            is_refunded = _reaches(self.bill_refund_fen, self.bill_fen) or _reaches(
                erp_refund_fen, self.bill_fen if self.erp_fen is None else self.erp_fen
            )
            return is_cancelled or is_refunded
        return False

    def _is_late(self, leg: LegVerdict) -> bool:
        """ "evidence found, but later than `late after`"; read as: without one, than its window."""
        contract = CONTRACT[leg.leg]
        if leg.at is None or contract.window is None:
            return False
        if leg.leg != "refunded" and any(
            self._is_open(self.legs[name]) for name in legs_before(leg.leg)
        ):
            return False  # read as: its anchor is not known, and late data is no alarm
        if leg.leg == "known" and self._may_be_booked():
            return False  # read as: the order may still bring the phone of an old contact
        if not self._is_known_past_due(leg.leg):
            return False  # read as: another source, or row, may still show it in time
        lag = leg.at - self._anchor(leg.leg)  # "Lateness is evidence time minus anchor"
        if contract.late_after is not None:
            return lag > contract.late_after
        return lag >= contract.window

    def _is_known_past_due(self, name: str) -> bool:
        """Every source of the leg is known past the time when its evidence is late."""
        contract = CONTRACT[name]
        due_at = self._anchor(name) + (contract.late_after or contract.window or timedelta())
        marks = [self.watermark(table) for table in contract.tables]
        marks += [self.judged_at(name)] if name != "refunded" else []
        return all(until is not None and until >= due_at for until in marks)

    def _is_key_absent(self, name: str) -> bool:
        """ "the key needed for the join is absent"."""
        return name == "known" and not self.has_identifier

    def _is_unanswerable(self, name: str) -> bool:
        """Read as: where no ERP is connected, it takes with it what only its orders could tell."""
        is_without_erp = self.watermark("erp_orders") is None
        return (
            self._is_cause_unverifiable(name)
            or (name in ("submitted", "known") and self.case.is_nameless)
            or (name == "paid" and self.case.may_be_paid)
            or (name == "received" and is_without_erp)
        )

    def _is_cause_unverifiable(self, name: str) -> bool:
        """Read as: what would make it due cannot be asked for, and nothing nearer shows it."""
        if name not in ("fulfilled", "reflowed", "notified"):
            return False
        for before in legs_before(name):  # nearest first
            leg = self.legs[before]
            if leg.has_evidence:
                return False
            if leg.truth == "unverifiable" and before not in ("submitted", "paid"):
                return True
        return False


def shipped(case: CaseRecords) -> list[Row]:
    """ "`erp_shipments` row in a shipped state for that ERP order"."""
    return [row for row in case.shipments if row["state"] in SHIPPED_STATES]


def _reaches(part_fen: int | None, whole_fen: int | None) -> bool:
    return part_fen is not None and whole_fen is not None and part_fen >= whole_fen


def total(rows: Iterable[Row], column: str) -> int | None:
    """The sum over the rows that bear the column, None where none does."""
    amounts = [row[column] for row in rows if row.get(column) is not None]
    return sum(amounts) if amounts else None


def _refunds_in_bill(rows: Sequence[Row]) -> int | None:
    asked = [row.get("refund_requested_fen") for row in rows]
    given = [row.get("refund_amount_fen") for row in rows]
    amounts = [b if a is None else a for a, b in zip(asked, given, strict=True)]
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None
