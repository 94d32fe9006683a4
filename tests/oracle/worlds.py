"""Worlds: a stranger's company over some days, with what befell it, as its systems exported it.

Deterministic by seed. A world is typed rows per landed table and the watermarks that its manifest
declares; drop.py writes it to files.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

from tests.oracle import contradictions, omissions
from tests.oracle.befallen import add_services
from tests.oracle.company import HOUR, MINUTE, SECOND, Company, MutableRow, Order, row
from tests.oracle.faults import FAULTS
from tests.oracle.records import KEYS, watermarks_of_drop

EVERYTHING = (omissions, contradictions)  # the modules whose faults a world may hold
START = datetime(2026, 8, 31, 16, tzinfo=UTC)  # 1 September begins in Shanghai
LINES = ("家居", "snacks", "care-plan", "B2B 批发")
# Optional columns that no rule keys on; those that rules key on are emptied by faults, knowingly.
EMPTIED = {
    "tracking_events": "openid unionid member_no scene page app_id sdk_version",
    "messages": "template_id openid unionid business_line node due_at",
    "pay_bill": "app_id mch_id openid trade_type settled_amount_fen coupon_fen fee_milli_fen rate "
    "description refund_requested_fen refund_state",
    "mp_orders": "openid shipments",
    "identities": "source",
    "erp_orders": "channel business_line customer_code phone created_by created_via freight_fen "
    "discount_fen currency transaction_id",
    "erp_receipts": "created_by created_via",
    "erp_shipments": "created_by created_via tracking_no",
    "erp_refunds": "created_by created_via",
    "crm_contacts": "unionid openid member_no phone customer_code source created_by created_via",
    "crm_appointments": "contact_id business_line created_by created_via",
    "crm_cases": "business_line created_by created_via",
}


@dataclass
class World:
    """Rows per delivered table, and `complete_until` per table that the manifest names."""

    rows: dict[str, list[MutableRow]]
    manifest: dict[str, datetime] = field(default_factory=dict)

    @property
    def watermarks(self) -> dict[str, datetime | None]:
        return watermarks_of_drop(self.rows, self.manifest)


@dataclass(frozen=True)
class Shape:
    """What kind of company: its size, which systems it lacks, how it declares completeness."""

    days: int = 20
    orders: int = 1500
    lines: tuple[str, ...] = LINES
    without: tuple[str, ...] = ()
    is_manifest_given: bool = True
    is_maker_told: bool = True
    fault_rate: float = 0.6
    edge_rate: float = 0.12
    emptied_rate: float = 0.02
    browsing_per_order: float = 0.5
    faults: tuple[str, ...] = tuple(FAULTS)


def build_world(seed: int, shape: Shape | None = None) -> World:
    """The company of that seed and shape."""
    shape = shape or Shape()
    random = Random(seed)
    company = Company(random, shape.lines)
    end = START + timedelta(days=shape.days)
    until = {table: end - random.choice(_LAGS) for table in KEYS}
    until["tracking_events"] = end
    orders = []
    for position in range(shape.orders):
        order = company.order(START + company.between(HOUR, timedelta(days=shape.days)))
        if random.random() < shape.fault_rate:
            # each fault in turn, so that a small world holds all of them; a second one by chance
            FAULTS[shape.faults[position % len(shape.faults)]](company, order)
            if random.random() < 0.15:
                FAULTS[random.choice(shape.faults)](company, order)
        if random.random() < shape.edge_rate:
            _end_at_a_watermark(random, order, until)
        orders.append(order)
    rows = {table: [r for o in orders for r in o.rows[table]] for table in orders[0].rows}
    _browse(company, rows, shape)
    _other_loops(company, rows, shape)
    _empty_optional_columns(random, rows, shape.emptied_rate)
    exported = {
        table: at + random.choice((timedelta(), HOUR, 6 * HOUR)) for table, at in until.items()
    }
    rows = {table: _as_exported(table, rows[table], exported.get(table, end)) for table in rows}
    if not shape.is_maker_told:
        for table in (
            "erp_orders",
            "erp_receipts",
            "erp_shipments",
            "crm_appointments",
            "crm_cases",
        ):
            for each in rows[table]:
                each["created_via"] = None
    for table in rows:
        random.shuffle(rows[table])
    kept = {table: rows[table] for table in rows if table not in shape.without}
    manifest = {t: at for t, at in until.items() if t in kept} if shape.is_manifest_given else {}
    return World(kept, manifest)


# Tables whose records somebody made, as the marts tell it.
MADE = ("erp_orders", "erp_receipts", "erp_shipments", "crm_appointments", "crm_cases")
_LAGS = (timedelta(), timedelta(), 10 * HOUR, 31 * HOUR + 7 * MINUTE)
_APPEARS = {
    "tracking_events": "occurred_at",
    "messages": "due_at",
    "pay_bill": "happened_at",
    "mp_orders": "paid_at",
    "identities": "seen_at",
    "erp_orders": "created_at",
    "erp_receipts": "created_at",
    "erp_shipments": "created_at",
    "erp_refunds": "posted_at",
    "crm_contacts": "created_at",
    "crm_appointments": "created_at",
    "crm_cases": "opened_at",
}


def _end_at_a_watermark(random: Random, order: Order, until: dict[str, datetime]) -> None:
    """Move an order so that a window, or a row, ends at a watermark, a second before or after."""
    table, column, after = random.choice(
        (
            ("pay_bill", "happened_at", timedelta()),
            ("pay_bill", "happened_at", 24 * HOUR),  # booked, seen from the payment
            ("erp_orders", "ordered_at", timedelta()),
            ("erp_orders", "created_at", 48 * HOUR),
            ("erp_orders", "created_at", 168 * HOUR),
            ("erp_shipments", "shipped_at", 24 * HOUR),
            ("tracking_events", "occurred_at", timedelta()),
            ("tracking_events", "occurred_at", 24 * HOUR),
            ("erp_receipts", "received_at", timedelta()),
            ("erp_refunds", "posted_at", 120 * HOUR),
        )
    )
    times = [r[column] for r in order.rows[table] if r[column] is not None]
    if table == "tracking_events":
        times = [r["occurred_at"] for r in order.rows[table] if r["event"] == "order_submit"]
    if times:
        target = random.choice(sorted(set(until.values()))) + random.randint(-1, 1) * SECOND
        order.shift(target - after - times[0])


def _browse(company: Company, rows: dict[str, list[MutableRow]], shape: Shape) -> None:
    """Visits that lead to nothing, some by people whom nothing names."""
    for _ in range(int(shape.orders * shape.browsing_per_order)):
        at = START + company.between(timedelta(), timedelta(days=shape.days))
        session = f"b-{company.next_number()}"
        line, channel = company.random.choice(shape.lines), company.random.choice(("h5", "app"))
        for step, kind in enumerate(("session_start", "page_view", "product_view", "add_to_cart")):
            rows["tracking_events"].append(
                row(
                    "tracking_events",
                    event_id=f"ev{company.next_number():08d}",
                    event=kind,
                    occurred_at=at + step * MINUTE,
                    channel=channel,
                    session_id=session,
                    business_line=line,
                )
            )


def _other_loops(company: Company, rows: dict[str, list[MutableRow]], shape: Shape) -> None:
    """Bookings, tickets and registrations, one for every four orders."""
    for _ in range(shape.orders // 4):
        at = START + company.between(HOUR, timedelta(days=shape.days))
        line = company.random.choice(shape.lines)
        add_services(company, rows, at, line, shape.fault_rate)


def _empty_optional_columns(random: Random, rows: dict[str, list[MutableRow]], rate: float) -> None:
    """Empty some of the optional values.

    Copies of one row lose the same values: they are one record, delivered twice.
    """
    for table, names in EMPTIED.items():
        emptied: dict[tuple[object, ...], list[str]] = {}
        for each in rows[table]:
            key = tuple(each[name] for name in KEYS[table])
            if key not in emptied:
                emptied[key] = [name for name in names.split() if random.random() < rate]
            for name in emptied[key]:
                # a message that was never sent keeps the one instant that gives it a day
                each[name] = each[name] if name == "due_at" and not each["sent_at"] else None


def _as_exported(table: str, rows: list[MutableRow], at: datetime) -> list[MutableRow]:
    """The rows as the system showed them at the instant of its export."""
    if table not in _APPEARS:
        return rows
    shown: list[MutableRow] = []
    undo = _NOT_YET.get(table)
    for each in rows:
        appears = next((each[c] for c in (_APPEARS[table], "sent_at") if each.get(c)), None)
        if appears is not None and appears >= at:
            continue
        if undo is not None:
            undo(each, at)
        shown.append(each)
    return shown


def _parcel_not_yet_sent(each: MutableRow, at: datetime) -> None:
    if each["shipped_at"] is not None and each["shipped_at"] >= at:
        each.update(state="waiting", shipped_at=None)


def _shipment_not_yet_uploaded(each: MutableRow, at: datetime) -> None:
    uploaded_at = each["first_shipped_upload_at"]
    if uploaded_at is not None and uploaded_at >= at:
        each.update(order_state=1, first_shipped_upload_at=None)


def _message_not_yet_sent(each: MutableRow, at: datetime) -> None:
    if each["sent_at"] is not None and each["sent_at"] >= at:
        each.update(status="not_sent", sent_at=None, status_at=None)


def _order_not_yet_done(each: MutableRow, at: datetime) -> None:
    if each["state"] == "done" and each["updated_at"] >= at:
        each.update(state="paid", updated_at=max(each["created_at"], at - HOUR))


def _appointment_not_yet_closed(each: MutableRow, at: datetime) -> None:
    if each["updated_at"] >= at:
        each.update(state="confirmed", updated_at=each["created_at"])


def _ticket_not_yet_closed(each: MutableRow, at: datetime) -> None:
    if each["closed_at"] is not None and each["closed_at"] >= at:
        each.update(state="open", closed_at=None)


_NOT_YET: dict[str, Callable[[MutableRow, datetime], None]] = {
    "erp_shipments": _parcel_not_yet_sent,
    "mp_orders": _shipment_not_yet_uploaded,
    "messages": _message_not_yet_sent,
    "erp_orders": _order_not_yet_done,
    "crm_appointments": _appointment_not_yet_closed,
    "crm_cases": _ticket_not_yet_closed,
}
