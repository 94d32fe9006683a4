"""Landed rows as the judge sees them: visible ones, gathered by case, people linked.

A row is a dict of landed columns; money is integer fen, instants are aware datetimes, absent is
None. No rule about truth or divergence belongs here.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]
# A table that is not a key is not connected; None: connected, but complete until nobody knows when.
Watermarks = Mapping[str, datetime | None]

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

    @property
    def order(self) -> Row | None:
        """The ERP order of the case: "the case is matched to the earliest record"."""
        return self.orders[0] if self.orders else None


class Gathered:
    """The visible rows, looked up by any key that a case may be found by."""

    def __init__(self, rows: Mapping[str, Sequence[Row]]) -> None:
        self.rows = rows
        self.people = People(rows)
        self._by: dict[tuple[str, str], dict[Any, list[Row]]] = {}

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
        untracked channels (a shop counter) know is no case.
        """
        numbers = {
            event["case_no"]
            for event in self.rows["tracking_events"]
            if event["event"] in ORDER_ACTS and event.get("case_no") is not None
        }
        acted = frozenset(numbers)
        numbers |= {row["order_no"] for row in self.rows["pay_bill"] if _is_payment(row)}
        numbers |= {row["order_no"] for row in self.rows["erp_orders"] if row.get("order_no")}
        for number in sorted(numbers):
            orders = self.find("erp_orders", "order_no", number)
            is_tracked = not orders or any(
                row.get("channel") is None or row["channel"] in TRACKED_CHANNELS for row in orders
            )
            if number in acted or is_tracked:
                yield self._gather(number, orders, has_key=True)
        for row in self.rows["erp_orders"]:
            if row.get("order_no") is None and row.get("channel") in TRACKED_CHANNELS:
                yield self._gather(row["erp_order_no"], [row], has_key=False)

    def _gather(self, number: str, orders: Sequence[Row], *, has_key: bool) -> CaseRecords:
        key = number if has_key else None
        orders = sorted(orders, key=lambda row: (row["created_at"], row["erp_order_no"]))
        erp_order_no = orders[0]["erp_order_no"] if orders else None
        bill = self.find("pay_bill", "order_no", key)
        case = CaseRecords(
            number=number,
            has_key=has_key,
            events=_sorted(self.find("tracking_events", "case_no", key), "occurred_at"),
            payments=_sorted(filter(_is_payment, bill), "happened_at"),
            bill_refunds=_sorted([r for r in bill if r["row_kind"] == "refund"], "happened_at"),
            orders=list(orders),
            shipments=self.find("erp_shipments", "erp_order_no", erp_order_no),
            wechat_orders=self.find("mp_orders", "order_no", key),
            messages=self.find("messages", "case_no", key),
        )
        case.receipts = self._receipts(case, erp_order_no)
        case.erp_refunds = self._erp_refunds(case, erp_order_no)
        self._identify(case)
        return case

    def _receipts(self, case: CaseRecords, erp_order_no: str | None) -> list[Row]:
        """ "row with the payment's `transaction_id`, else of the ERP order".

        Read as: each row belongs to one case, that of its payment, else that of its ERP order,
        else that of its order number.
        """
        transactions = {payment["transaction_id"] for payment in case.payments}
        found = [
            row
            for transaction in sorted(transactions)
            for row in self.find("erp_receipts", "transaction_id", transaction)
        ]
        found = found or self.find("erp_receipts", "erp_order_no", erp_order_no)
        if not found and case.has_key:
            found = self.find("erp_receipts", "order_no", case.number)
        own = [row for row in found if case.number in self._cases_of(row)]
        return _sorted(own, "received_at")

    def _cases_of(self, receipt: Row) -> set[str]:
        payments = self.find("pay_bill", "transaction_id", receipt["transaction_id"])
        orders = self.find("erp_orders", "erp_order_no", receipt["erp_order_no"])
        return (
            {row["order_no"] for row in payments if _is_payment(row)}
            or {row["order_no"] or row["erp_order_no"] for row in orders}
            or {receipt["order_no"]}
        )

    def _erp_refunds(self, case: CaseRecords, erp_order_no: str | None) -> list[Row]:
        """The ERP's refunds that any key ties to the case, each once."""
        found = list(self.find("erp_refunds", "erp_order_no", erp_order_no))
        if case.has_key:
            found += self.find("erp_refunds", "order_no", case.number)
        for refund in case.bill_refunds:
            found += self.find("erp_refunds", "refund_id", refund.get("refund_id"))
            found += self.find("erp_refunds", "refund_no", refund.get("refund_no"))
        return _sorted({row["refund_doc_no"]: row for row in found}.values(), "posted_at")

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


Identifier = tuple[str, str]
PERSONAL = ("unionid", "openid", "member_no", "phone", "customer_code")


class People:
    """Connected components over identifiers: "Connected components over those links"."""

    def __init__(self, rows: Mapping[str, Sequence[Row]]) -> None:
        self._parent: dict[Identifier, Identifier] = {}
        for table, kinds in (
            ("crm_contacts", PERSONAL),
            ("tracking_events", ("unionid", "openid", "member_no")),
            ("erp_orders", ("phone", "customer_code")),
        ):
            for row in rows[table]:
                self.link([(kind, row[kind]) for kind in kinds if row.get(kind) is not None])
        for row in rows["identities"]:
            self.link(
                [(row["left_kind"], row["left_value"]), (row["right_kind"], row["right_value"])]
            )
        self._rows = rows["crm_contacts"]
        self._contacts: dict[Identifier, list[Row]] | None = None

    def contacts_of(self, identifiers: Sequence[Identifier]) -> list[Row]:
        """The contacts of the person these identifiers lead to, earliest made first.

        To be asked once everything is linked.
        """
        if self._contacts is None:
            self._contacts = defaultdict(list)
            for contact in self._rows:
                own = [(kind, contact[kind]) for kind in PERSONAL if contact.get(kind) is not None]
                if own:
                    self._contacts[self._root(own[0])].append(contact)
        roots = {self._root(identifier) for identifier in identifiers}
        found = [row for root in roots for row in self._contacts.get(root, ())]
        return sorted(found, key=lambda row: (row["created_at"], row["contact_id"]))

    def _root(self, identifier: Identifier) -> Identifier:
        while (parent := self._parent.get(identifier, identifier)) != identifier:
            identifier = parent
        return identifier

    def link(self, identifiers: Sequence[Identifier]) -> None:
        for other in identifiers[1:]:
            left, right = self._root(identifiers[0]), self._root(other)
            if left != right:
                self._parent[max(left, right)] = min(left, right)


def _sorted(rows: Iterable[Row], column: str) -> list[Row]:
    return sorted(rows, key=lambda row: row[column])


def _is_payment(row: Row) -> bool:
    """A payment that was not reversed at the counter before it became one."""
    return bool(row["row_kind"] == "payment" and row["trade_state"] != "REVOKED")
