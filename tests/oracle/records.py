"""Landed rows as the judge sees them: visible ones, gathered by case, people linked.

A row is a dict of landed columns; money is integer fen, instants are aware datetimes, absent is
None. No rule about truth or divergence belongs here.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]
# A table that is not a key is not connected; None: connected, but complete until nobody knows when.
Watermarks = Mapping[str, datetime | None]

SKEW = timedelta(seconds=120)  # "The window opens 120 s before the anchor (clock skew)"
DAY = timedelta(hours=24)  # the window of `booked` in the default contract
EVER = datetime(1900, 1, 1, tzinfo=UTC)
SHARED_LIMIT = 3
TRACKED_CHANNELS = ("mini_program", "h5", "mobile_site", "app", "pc")
# "keyed by the business number that the front end issued": the events of an order that bear it.
# A status_view or a message_click bears numbers of other loops too, so alone it opens no case.
ORDER_ACTS = ("order_submit", "pay_start", "pay_success", "pay_fail")

# "A row belongs to the day of its first present instant" among these.
MOMENTS = {
    "tracking_events": ("occurred_at",),
    "messages": ("due_at", "sent_at", "status_at"),
    "pay_bill": ("happened_at",),
    "mp_orders": ("paid_at", "first_shipped_upload_at"),
    "identities": ("seen_at",),
    "erp_orders": ("ordered_at",),
    "erp_receipts": ("received_at",),
    "erp_shipments": ("created_at",),
    "erp_refunds": ("posted_at",),
    "crm_contacts": ("created_at",),
    "crm_appointments": ("created_at",),
    "crm_cases": ("opened_at",),
}
KEYS = {
    "tracking_events": ("event_id",),
    "messages": ("message_id",),
    "pay_bill": ("row_kind", "transaction_id", "refund_id"),
    "mp_orders": ("transaction_id",),
    "identities": ("left_kind", "left_value", "right_kind", "right_value"),
    "erp_orders": ("erp_order_no",),
    "erp_receipts": ("receipt_no", "erp_order_no", "order_no"),
    "erp_shipments": ("shipment_no",),
    "erp_refunds": ("refund_doc_no",),
    "crm_contacts": ("contact_id",),
    "crm_appointments": ("appointment_no",),
    "crm_cases": ("crm_case_no",),
}


def moment(table: str, row: Row) -> datetime | None:
    """The business instant of a row, None where it bears none."""
    return next((row[name] for name in MOMENTS[table] if row.get(name) is not None), None)


def watermarks_of_drop(rows: Rows, manifest: Mapping[str, datetime]) -> dict[str, datetime | None]:
    """What each delivered table is complete until.

    "`complete_until` comes from an optional `_manifest.csv`, else from the greatest business
    instant in the table".
    """
    found: dict[str, datetime | None] = {}
    for table in rows:
        if table in MOMENTS:
            moments = [at for row in rows[table] if (at := moment(table, row)) is not None]
            found[table] = manifest.get(table, max(moments, default=None))
    return found


def interface_actors(rows: Rows) -> dict[str, frozenset[str]]:
    """Per table the actors seen with created_via = interface, as a drop is wired."""
    return {
        table: frozenset(
            row["created_by"]
            for row in rows[table]
            if row.get("created_via") == "interface" and row.get("created_by") is not None
        )
        for table in rows
    }


def visible(rows: Rows, watermarks: Watermarks) -> dict[str, list[Row]]:
    """One row per key, the latest updated, else the first; those from the watermark on left out.

    "rows at or after it are landed but not judged".
    """
    seen: dict[str, list[Row]] = {}
    for table in MOMENTS:
        latest: dict[tuple[Any, ...], Row] = {}
        for row in rows.get(table, ()):
            key = tuple(row.get(name) for name in KEYS[table])
            if key not in latest or _updated(row) > _updated(latest[key]):
                latest[key] = row
        until = watermarks.get(table)
        seen[table] = [
            row
            for row in latest.values()
            if until is not None and ((at := moment(table, row)) is None or at < until)
        ]
    return seen


def _updated(row: Row) -> float:
    at = row.get("updated_at")
    return at.timestamp() if at is not None else 0.0


@dataclass
class CaseRecords:
    """Every visible row of one case, earliest first.

    `number` is the order number, or the ERP's own number where the ERP order bears no key.
    """

    number: str
    has_key: bool = True
    events: list[Row] = field(default_factory=list)
    payments: list[Row] = field(default_factory=list)
    bill_refunds: list[Row] = field(default_factory=list)
    orders: list[Row] = field(default_factory=list)
    receipts: list[Row] = field(default_factory=list)
    shipments: list[Row] = field(default_factory=list)
    erp_refunds: list[Row] = field(default_factory=list)
    wechat_orders: list[Row] = field(default_factory=list)
    messages: list[Row] = field(default_factory=list)
    identifiers: tuple["Identifier", ...] = ()
    paid_fen: int | None = None  # its part of payments that it may share with others
    is_matched: bool = False  # the ERP order bears no key of the case and was found by what it says
    awaits_match: bool = False  # such an order is there, and a better one may still come
    is_held: bool = False  # a record of the back end alone that may still be another case's
    # Where no ERP is connected, nobody tells which claim a payment under a number of its own pays:
    is_nameless: bool = False  # the case is such a payment
    may_be_paid: bool = False  # such a payment follows the claim of the case

    @property
    def order(self) -> Row | None:
        """The ERP order of the case: "the case is matched to the earliest record"."""
        return self.orders[0] if self.orders else None


class Gathered:
    """The visible rows, looked up by any key that a case may be found by."""

    def __init__(self, rows: Mapping[str, Sequence[Row]], watermarks: Watermarks) -> None:
        self.rows = rows
        self.watermarks = watermarks
        self.people = People(rows)
        self._by: dict[tuple[str, str], dict[Any, list[Row]]] = {}
        self.acted = {
            event["case_no"]
            for event in rows["tracking_events"]
            if event["event"] in ORDER_ACTS and event.get("case_no") is not None
        }
        self.paid_numbers = {row["order_no"] for row in rows["pay_bill"] if _is_payment(row)}
        self.tracked = [row for row in rows["erp_orders"] if self._is_tracked(row)]
        self.payers = self._link_payments()
        self._payments: dict[str, list[Row]] = defaultdict(list)
        for payment in self._all_payments():
            for number in self.payers[payment["transaction_id"]]:
                self._payments[number].append(payment)
        self.matches = Matches(self)

        self._bill_refunds = self._by_case("pay_bill", self._case_of_bill_refund)
        self._receipts = self._by_case("erp_receipts", self._case_of_receipt)
        self._erp_refunds = self._by_case("erp_refunds", self._case_of_erp_refund)
        self._wechat_orders: dict[str, list[Row]] = defaultdict(list)
        for row in rows["mp_orders"]:
            for number in self.payers.get(row["transaction_id"], [row["order_no"]]):
                self._wechat_orders[number].append(row)

    def _by_case(
        self, table: str, case_of: Callable[[Row], str | None]
    ) -> dict[str | None, list[Row]]:
        found: dict[str | None, list[Row]] = defaultdict(list)
        for row in self.rows[table]:
            found[case_of(row)].append(row)
        return found

    def find(self, table: str, column: str, value: Any) -> list[Row]:
        """The rows of `table` whose `column` is `value`; nothing is found by an absent value."""
        if (table, column) not in self._by:
            index: dict[Any, list[Row]] = defaultdict(list)
            for row in self.rows[table]:
                index[row.get(column)].append(row)
            self._by[table, column] = index
        return [] if value is None else self._by[table, column].get(value, [])

    def cases(self) -> Iterable[CaseRecords]:
        """One case per order number known to the front end, the payments or the ERP.

        Plus one per ERP order of a tracked channel that bears no order number. A number that only
        untracked channels (a shop counter) know is no case; a payment under a number of its own is
        the case of the orders that name its transaction.
        """
        numbers = set(self.acted)
        for payment in filter(_is_payment, self.rows["pay_bill"]):
            numbers |= set(self.payers[payment["transaction_id"]])
        numbers |= {row["order_no"] for row in self.rows["erp_orders"] if row.get("order_no")}
        numbers |= {_own_number(row) for row in self.tracked}
        for number in sorted(numbers):
            if not self._bookings(number) and not self._is_case_without_order(number):
                continue
            yield self._gather(number)

    def _is_case_without_order(self, number: str) -> bool:
        """Known to the front end, or paid and not the shop counter's."""
        if number in self.acted:
            return True
        return bool(self._payments[number]) and not self.find("erp_orders", "order_no", number)

    def _all_payments(self) -> Iterable[Row]:
        return filter(_is_payment, self.rows["pay_bill"])

    def _is_tracked(self, order: Row) -> bool:
        channel, number = order.get("channel"), order.get("order_no")
        return (
            number in self.acted
            or channel in TRACKED_CHANNELS
            or (channel is None and number is not None)
        )

    def is_unclaimed(self, order: Row) -> bool:
        """ "whose number is null or known to no front end and no bill", of no shop counter."""
        number = order.get("order_no")
        is_known = number is not None and (number in self.acted or number in self.paid_numbers)
        return not is_known and order.get("channel") in (None, *TRACKED_CHANNELS)

    def _link_payments(self) -> dict[str, list[str]]:
        """Per transaction, the cases that it pays: that of its number, else those naming it."""
        booked = {row["order_no"] for row in self.tracked if row.get("order_no") is not None}
        payers = {}
        for payment in self._all_payments():
            number = payment["order_no"]
            naming = sorted(
                {
                    _own_number(row)
                    for row in self.tracked
                    if row.get("transaction_id") == payment["transaction_id"]
                }
                - self.paid_numbers
            )
            is_orphan = number not in self.acted and number not in booked
            payers[payment["transaction_id"]] = naming if is_orphan and naming else [number]
        return payers

    def _nameless_payments(self) -> list[Row]:
        """Those under a number that no front end knows, where no ERP says what they pay: of each
        number the first, since a number that was paid before a claim is not of that claim."""
        if self.watermarks.get("erp_orders") is not None:
            return []
        payments = _sorted(self._all_payments(), "happened_at")
        first = {row["order_no"]: row for row in reversed(payments)}
        return [row for number, row in first.items() if not self.events_of(number)]

    def payments_of(self, number: str) -> list[Row]:
        return _sorted(self._payments[number], "happened_at")

    def events_of(self, number: str) -> list[Row]:
        other_acts = ("booking_submit", "aftersale_submit", "member_register")
        found = self.find("tracking_events", "case_no", number)
        return _sorted([e for e in found if e["event"] not in other_acts], "occurred_at")

    def _bookings(self, number: str) -> list[Row]:
        """The ERP orders of a case, earliest first: those that bear its number, or the match."""
        matched = self.matches.settled_record(number)
        found = [
            row
            for row in self.tracked
            if _own_number(row) == number and not self.matches.is_taken(row)
        ]
        found += [matched] if matched is not None else []
        return sorted(found, key=lambda row: (row["created_at"], row["erp_order_no"]))

    def _case_of_order(self, erp_order_no: str | None) -> str | None:
        for row in self.find("erp_orders", "erp_order_no", erp_order_no):
            taker = self.matches.taker(row)
            if taker is not None:
                return taker
            if self._is_tracked(row):
                return _own_number(row)
        return None

    def _gather(self, number: str) -> CaseRecords:
        orders = self._bookings(number)
        case = CaseRecords(
            number=number,
            has_key=any(row.get("order_no") == number for row in orders) or not orders,
            events=self.events_of(number),
            payments=self.payments_of(number),
            bill_refunds=_sorted(self._bill_refunds[number], "happened_at"),
            orders=orders,
            shipments=[
                parcel
                for order in orders
                for parcel in self.find("erp_shipments", "erp_order_no", order["erp_order_no"])
            ],
            receipts=_sorted(self._receipts[number], "received_at"),
            erp_refunds=_sorted(self._erp_refunds[number], "posted_at"),
            wechat_orders=self._wechat_orders[number],
            messages=self.find("messages", "case_no", number),
        )
        case.paid_fen = self._paid_fen(case)
        case.is_matched = self.matches.settled_record(number) is not None
        case.awaits_match = self.matches.is_open(number)
        case.is_held = not case.events and self._is_held(case)
        nameless = self._nameless_payments()
        case.is_nameless = any(payment in nameless for payment in case.payments)
        if any(event["event"] == "pay_success" for event in case.events):
            opens = submit_of(case.events)["occurred_at"] - SKEW
            case.may_be_paid = any(
                opens <= payment["happened_at"] < opens + SKEW + DAY for payment in nameless
            )
        self._identify(case)
        return case

    def _paid_fen(self, case: CaseRecords) -> int | None:
        """The case's part of its payments."""
        if not case.payments:
            return None
        return sum(self._share(payment, case) for payment in case.payments)

    def _share(self, payment: Row, case: CaseRecords) -> int:
        """ "its claim's amount … where several cases share the payment and their claims sum to
        it, else the ERP order's amount where the ERP orders sum to it, else the whole payment"."""
        whole = int(payment["order_amount_fen"])
        sharers = self.payers[payment["transaction_id"]]
        if len(sharers) == 1:
            return whole
        claims = {number: claim_of(self.events_of(number)) for number in sharers}
        known = [fen for fen in claims.values() if fen is not None]
        if len(known) == len(sharers) and sum(known) == whole:
            return int(claims[case.number] or 0)
        booked = {
            number: min(
                (r for r in self.tracked if _own_number(r) == number
                 and r.get("transaction_id") == payment["transaction_id"]),
                key=lambda r: (r["created_at"], r["erp_order_no"]),
            )["amount_fen"]
            for number in sharers
        }  # fmt: skip
        return int(booked[case.number]) if sum(booked.values()) == whole else whole

    def _is_held(self, case: CaseRecords) -> bool:
        """ "an ERP order may still name its transaction"; a record "may still be" another's."""
        erp = self.watermarks.get("erp_orders")
        if not case.orders:
            paid_at = case.payments[0]["happened_at"] if case.payments else None
            return paid_at is not None and erp is not None and erp < paid_at + DAY
        if not self.is_unclaimed(case.orders[0]):
            return False
        booked_at = case.orders[0]["created_at"]
        others = (self.watermarks.get("pay_bill"), self.watermarks.get("tracking_events"))
        return (erp is not None and erp < booked_at + DAY + SKEW) or any(
            until is not None and until < booked_at + SKEW for until in others
        )

    def _case_of_receipt(self, receipt: Row) -> str | None:
        """ "row with the payment's `transaction_id`, else of the ERP order"; the parts of one
        payment belong each to the order that they name."""
        named = self._named_by(receipt)
        transaction = receipt["transaction_id"]
        document = {
            self._named_by(row)
            for row in self.find("erp_receipts", "receipt_no", receipt["receipt_no"])
            if transaction is not None and row["transaction_id"] == transaction
        } - {None}
        if len(document) > 1 and named is not None:
            return named
        sharers = self.payers.get(transaction, [])
        return sharers[0] if len(sharers) == 1 else named

    def _named_by(self, row: Row) -> str | None:
        case = self._case_of_order(row["erp_order_no"])
        return row["order_no"] if case is None else case

    def _case_of_bill_refund(self, row: Row) -> str | None:
        if row["row_kind"] != "refund":
            return None
        sharers = [
            number
            for payment in self.find("pay_bill", "order_no", row["order_no"])
            if _is_payment(payment)
            for number in self.payers[payment["transaction_id"]]
        ]
        if len(set(sharers)) > 1:
            documents = [
                self._case_of_order(doc["erp_order_no"])
                for doc in self.find("erp_refunds", "refund_id", row.get("refund_id"))
            ]
            return min((d for d in documents if d is not None), default=min(sharers))
        return sharers[0] if sharers else str(row["order_no"])

    def _case_of_erp_refund(self, row: Row) -> str | None:
        """By its ERP order, else its order number, else the bill's refund that it names."""
        named = self._named_by(row)
        if named is not None:
            return named
        for key in ("refund_id", "refund_no"):
            cases = [
                self._case_of_bill_refund(refund)
                for refund in self.find("pay_bill", key, row.get(key))
                if refund["row_kind"] == "refund"
            ]
            if cases:
                return min(case for case in cases if case is not None)
        return None

    def _identify(self, case: CaseRecords) -> None:
        """The buyer's identifiers on the case's rows."""
        case.identifiers = tuple(
            {
                (kind, value)
                for rows, kinds in (
                    (case.events, ("unionid", "openid", "member_no")),
                    ([*case.payments, *case.bill_refunds], ("openid",)),
                    (case.orders, ("phone", "customer_code")),
                )
                for row in rows
                for kind in kinds
                if (value := row.get(kind)) is not None
            }
        )


class Matches:
    """ERP orders without a known key, and the cases that they are found to be: `key_lost`.

    "no record carries the key, but exactly one unclaimed record agrees on amount and falls in the
    window, and on phone hash or customer where both sides have it".
    """

    def __init__(self, gathered: Gathered) -> None:
        self._gathered = gathered
        pairs = [
            (number, record["erp_order_no"], window_end)
            for number, amount_fen, anchor in self._unbooked()
            for window_end in [anchor + DAY]
            for record in gathered.rows["erp_orders"]
            if gathered.is_unclaimed(record)
            and record["amount_fen"] == amount_fen
            and anchor - SKEW <= record["created_at"] < window_end
            and self._may_be_paid_by(record, number)
            and self._is_buyer(record, number)
        ]
        cases = [number for number, _, _ in pairs]
        records = [record for _, record, _ in pairs]
        self._settled: dict[str, Row] = {}
        self._open: set[str] = set()
        for number, erp_order_no, window_end in pairs:
            if cases.count(number) == 1 and records.count(erp_order_no) == 1:
                (record,) = gathered.find("erp_orders", "erp_order_no", erp_order_no)
                if self._is_settled(record, window_end):
                    self._settled[number] = record
                else:
                    self._open.add(number)
        self._takers = {row["erp_order_no"]: number for number, row in self._settled.items()}

    def settled_record(self, number: str) -> Row | None:
        return self._settled.get(number)

    def is_open(self, number: str) -> bool:
        return number in self._open

    def taker(self, record: Row) -> str | None:
        return self._takers.get(record["erp_order_no"])

    def is_taken(self, record: Row) -> bool:
        return record["erp_order_no"] in self._takers

    def _unbooked(self) -> Iterable[tuple[str, int, datetime]]:
        """Claimed or paid, and no ERP order bears the number: with amount and anchor."""
        gathered = self._gathered
        numbers = set(gathered.acted)
        for sharers in gathered.payers.values():
            numbers |= set(sharers)
        tracked = {_own_number(row) for row in gathered.tracked}
        for number in sorted(numbers - tracked):
            if gathered.find("erp_orders", "order_no", number):
                continue
            events = gathered.events_of(number) if number in gathered.acted else []
            payments = gathered.payments_of(number)
            is_claimed = any(event["event"] == "pay_success" for event in events)
            amounts = [payment["order_amount_fen"] for payment in payments]
            amount_fen = sum(amounts) if amounts else claim_of(events)
            times = [payment["happened_at"] for payment in payments[:1]]
            times += [submit_of(events)["occurred_at"]] if events else []
            if (is_claimed or payments) and amount_fen is not None:
                yield number, amount_fen, max(times)

    def _may_be_paid_by(self, record: Row, number: str) -> bool:
        """Its transaction pays no other case, and not the one that it would be by itself."""
        payers = self._gathered.payers
        return payers.get(record.get("transaction_id") or "", [number]) == [number]

    def _is_buyer(self, record: Row, number: str) -> bool:
        people = self._gathered.people
        buyer = people.everybody_like(
            {
                (kind, row[kind])
                for kinds, rows in (
                    (("unionid", "openid", "member_no"),
                     self._gathered.find("tracking_events", "case_no", number)),
                    (("openid",), self._gathered.payments_of(number)[:1]),
                )
                for row in rows
                for kind in kinds
                if row.get(kind) is not None
            }
        )  # fmt: skip
        for kind in ("phone", "customer_code"):
            value = record.get(kind)
            if value is None or (kind, value) in people.shared:
                continue
            if any(known == kind for known, _ in buyer) and (kind, value) not in buyer:
                return False
        return True

    def _is_settled(self, record: Row, window_end: datetime) -> bool:
        marks = self._gathered.watermarks
        erp, seen_at = marks.get("erp_orders"), record["created_at"] + SKEW
        others = (marks.get("pay_bill"), marks.get("tracking_events"))
        return (
            erp is not None
            and erp >= window_end
            and all(until is None or until >= seen_at for until in others)
        )


Identifier = tuple[str, str]
PERSONAL = ("unionid", "openid", "member_no", "phone", "customer_code")


class People:
    """Who is who, since when: "Connected components over those links", "as of the event time"."""

    def __init__(self, rows: Mapping[str, Sequence[Row]]) -> None:
        pairs: dict[tuple[Identifier, Identifier], datetime] = {}
        for table, kinds, since in (
            ("crm_contacts", ("contact_id", *PERSONAL), "created_at"),
            ("tracking_events", ("unionid", "openid", "member_no"), "occurred_at"),
            ("erp_orders", ("phone", "customer_code"), "created_at"),
        ):
            for row in rows[table]:
                shown = [
                    (kind.removesuffix("_id"), row[kind])
                    for kind in kinds
                    if row.get(kind) is not None
                ]
                for left, right in combinations(shown, 2):
                    _learn(pairs, left, right, row[since])
        for row in rows["identities"]:
            left = (row["left_kind"], row["left_value"])
            _learn(pairs, left, (row["right_kind"], row["right_value"]), row["seen_at"])
        self.shared = _shared(pairs)
        self._links: dict[Identifier, list[tuple[Identifier, datetime]]] = defaultdict(list)
        for (left, right), since in pairs.items():
            if left not in self.shared and right not in self.shared:
                self._links[left].append((right, since))
        self._contacts = {row["contact_id"]: row for row in rows["crm_contacts"]}

    def contacts_of(self, identifiers: Iterable[Identifier]) -> list[tuple[datetime, Row]]:
        """The contacts that links lead to, with since when they do, the earliest first."""
        reached = self._reach({i for i in identifiers if i not in self.shared})
        found = [
            (max(since, self._contacts[value]["created_at"]), self._contacts[value])
            for (kind, value), since in reached.items()
            if kind == "contact" and value in self._contacts
        ]
        return sorted(found, key=lambda pair: (pair[0], pair[1]["contact_id"]))

    def everybody_like(self, identifiers: Iterable[Identifier]) -> set[Identifier]:
        """Every identifier that links lead to, whenever they were learned."""
        return set(self._reach({i for i in identifiers if i not in self.shared}))

    def _reach(self, start: set[Identifier]) -> dict[Identifier, datetime]:
        """Since when each identifier is reached: of all paths the one whose last link is first."""
        reached = dict.fromkeys(start, EVER)
        waiting = sorted(start)
        while waiting:
            here = waiting.pop()
            for there, since in self._links[here]:
                at = max(since, reached[here])
                if there not in reached or at < reached[there]:
                    reached[there] = at
                    waiting.append(there)
        return reached


def _learn(
    pairs: dict[tuple[Identifier, Identifier], datetime],
    left: Identifier,
    right: Identifier,
    since: datetime,
) -> None:
    for pair in ((left, right), (right, left)):
        pairs[pair] = min(since, pairs.get(pair, since))


def _shared(pairs: Iterable[tuple[Identifier, Identifier]]) -> set[Identifier]:
    """ "identifiers shared by more people than a configured limit", by default three."""
    seen: dict[Identifier, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for left, (kind, value) in pairs:
        seen[left][kind].add(value)
    counted = ("contact", "unionid", "member_no", "customer_code")
    return {
        identifier
        for identifier, neighbours in seen.items()
        if identifier[0] not in ("unionid", "contact")
        and max(len(neighbours[kind]) for kind in counted) > SHARED_LIMIT
    }


def submit_of(events: Sequence[Row]) -> Row:
    """The event that stands for the claim: the submit, else the earliest that there is."""
    return next((e for e in events if e["event"] == "order_submit"), events[0])


def claim_of(events: Sequence[Row]) -> int | None:
    """The amount that the front end claims: of the submit, else of the shown success."""
    for kind in ("order_submit", "pay_success"):
        for event in events:
            if event["event"] == kind and event.get("amount_fen") is not None:
                return int(event["amount_fen"])
    return None


def _own_number(order: Row) -> str:
    """The number that an ERP order would be a case by."""
    return str(order["order_no"] if order.get("order_no") is not None else order["erp_order_no"])


def _sorted(rows: Iterable[Row], column: str) -> list[Row]:
    return sorted(rows, key=lambda row: row[column])


def _is_payment(row: Row) -> bool:
    """A payment that was not reversed at the counter before it became one."""
    return bool(row["row_kind"] == "payment" and row["trade_state"] != "REVOKED")
