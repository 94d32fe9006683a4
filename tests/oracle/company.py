"""A stranger's company when nothing goes wrong: its people, and one healthy order at a time.

Rows are dicts of landed columns with typed values. What goes wrong belongs in faults.py, how it
is written to files in drop.py.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

MutableRow = dict[str, Any]
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)

COLUMNS = {
    "tracking_events": "event_id event occurred_at channel session_id openid unionid member_no "
    "scene page business_line case_no amount_fen message_id shown_state app_id sdk_version",
    "messages": "message_id kind template_id openid unionid business_line case_no node due_at "
    "sent_at status status_at",
    "pay_bill": "row_kind transaction_id order_no app_id mch_id openid trade_type trade_state "
    "happened_at order_amount_fen settled_amount_fen coupon_fen refund_id refund_no "
    "refund_amount_fen refund_requested_fen refund_state fee_milli_fen rate description attach",
    "mp_orders": "transaction_id order_no order_state paid_amount_fen paid_at openid "
    "first_shipped_upload_at shipments",
    "identities": "left_kind left_value right_kind right_value seen_at source",
    "erp_orders": "erp_order_no order_no channel business_line customer_code phone state "
    "ordered_at created_at created_by created_via updated_at amount_fen freight_fen discount_fen "
    "currency transaction_id",
    "erp_order_lines": "erp_order_no line_no sku quantity amount_fen",
    "erp_receipts": "receipt_no erp_order_no order_no transaction_id amount_fen received_at "
    "created_at created_by created_via",
    "erp_shipments": "shipment_no erp_order_no state shipped_at created_at created_by created_via "
    "tracking_no",
    "erp_refunds": "refund_doc_no erp_order_no order_no refund_no refund_id amount_fen posted_at "
    "created_by created_via",
    "crm_contacts": "contact_id unionid openid member_no phone customer_code source created_at "
    "updated_at created_by created_via",
    "crm_appointments": "appointment_no booking_no contact_id business_line state slot_at "
    "created_at updated_at created_by created_via",
    "crm_cases": "crm_case_no ticket_no contact_id business_line state opened_at closed_at "
    "created_by created_via",
}
CHANNELS = ("mini_program", "mini_program", "mini_program", "h5", "mobile_site", "app", "pc")
BRIDGES = {
    "erp_orders": "bridge-orders",
    "erp_receipts": "bridge-cash",
    "erp_shipments": "wms-link",
    "erp_refunds": "bridge-cash",
    "crm_contacts": "member-sync",
    "crm_appointments": "desk-link",
    "crm_cases": "desk-link",
}
CLERKS = ("clerk.wang", "clerk.li", "小赵")


def row(table: str, **values: Any) -> MutableRow:
    """A row with every landed column, absent ones None."""
    return dict.fromkeys(COLUMNS[table].split()) | values


@dataclass
class Person:
    """A buyer and every identifier they could be met under."""

    number: int
    unionid: str
    openid: str
    member_no: str
    phone: str
    customer_code: str


def person(number: int) -> Person:
    return Person(
        number,
        unionid=f"oU{number:08d}xyz",
        openid=f"oP-{number:08d}_mp",
        member_no=f"M{number:06d}",
        phone=f"1{3 + number % 6}{number % 1000:03d}{number:06d}",
        customer_code=f"KH{number:06d}",
    )


@dataclass
class Order:
    """One order, all its rows in every system, and the keys that tie them."""

    number: str
    erp_no: str
    transaction: str
    line: str
    channel: str
    buyer: Person
    amount_fen: int
    submitted_at: datetime
    rows: dict[str, list[MutableRow]] = field(default_factory=lambda: {t: [] for t in COLUMNS})

    def add(self, table: str, **values: Any) -> MutableRow:
        self.rows[table].append(row(table, **values))
        return self.rows[table][-1]

    def shift(self, by: timedelta) -> None:
        """Move the whole order in time."""
        for rows in self.rows.values():
            for each in rows:
                for name, value in each.items():
                    if isinstance(value, datetime):
                        each[name] = value + by


class Company:
    """Hands out numbers and healthy orders; deterministic by its random source."""

    def __init__(self, random: Random, lines: tuple[str, ...]) -> None:
        self.random = random
        self.lines = lines
        self.people: list[tuple[Person, datetime]] = []  # and since when they buy
        self._serial = 0

    def next_number(self) -> int:
        self._serial += 1
        return self._serial

    def between(self, least: timedelta, most: timedelta) -> timedelta:
        return timedelta(
            seconds=self.random.randint(int(least.total_seconds()), int(most.total_seconds()))
        )

    def order(self, at: datetime) -> Order:
        """An order submitted at `at` by which every system does its part in time."""
        serial = self.next_number()
        known = [each for each, since in self.people if since < at]
        is_new = not known or self.random.random() < 0.8
        buyer = person(len(self.people) + 1) if is_new else self.random.choice(known)
        if is_new:
            self.people.append((buyer, at))
        order = Order(
            number=f"WX{at:%y%m}{serial:07d}",
            erp_no=f"SO-{serial:06d}",
            transaction=f"42000{serial:023d}",
            line=self.random.choice(self.lines),
            channel=self.random.choice(CHANNELS),
            buyer=buyer,
            amount_fen=self.random.randint(1, 3000) * 100 + self.random.choice((0, 0, 90, 1, 55)),
            submitted_at=at,
        )
        paid_at = self._front_end(order, at)
        self._bill(order, paid_at)
        self._back_end(order, at, paid_at)
        self._meet(order, at, is_new=is_new)
        return order

    def _front_end(self, order: Order, at: datetime) -> datetime:
        session = f"s-{order.number}"
        steps = (
            ("session_start", -9 * MINUTE), ("page_view", -8 * MINUTE),
            ("product_view", -6 * MINUTE), ("add_to_cart", -4 * MINUTE),
            ("checkout_start", -MINUTE), ("order_submit", timedelta()), ("pay_start", 5 * SECOND),
        )  # fmt: skip
        paid_at = at + self.between(10 * SECOND, 15 * MINUTE)
        timed = [(kind, at + after) for kind, after in steps]
        for kind, when in [*timed, ("pay_success", paid_at + 4 * SECOND)]:
            self.track(order, kind, when, session)
        return paid_at

    def track(
        self, order: Order, kind: str, at: datetime, session: str, shown: str | None = None
    ) -> MutableRow:
        """One tracked event of the buyer."""
        bears_number = kind in ("order_submit", "pay_start", "pay_success", "status_view")
        return order.add(
            "tracking_events",
            event_id=f"ev{self.next_number():08d}",
            event=kind,
            occurred_at=at,
            channel=order.channel,
            session_id=session,
            openid=order.buyer.openid if order.channel == "mini_program" else None,
            unionid=order.buyer.unionid if order.channel in ("mini_program", "h5") else None,
            member_no=order.buyer.member_no if order.channel in ("app", "pc") else None,
            scene=self.random.choice(("1001", "1035", "1058", "1074", None)),
            page="pages/" + kind,
            business_line=order.line,
            case_no=order.number if bears_number else None,
            amount_fen=order.amount_fen if kind in ("order_submit", "pay_success") else None,
            shown_state=shown,
            app_id="wx00stranger0001" if order.channel == "mini_program" else None,
            sdk_version="3.2.1",
        )

    def _bill(self, order: Order, paid_at: datetime) -> None:
        order.add(
            "pay_bill",
            row_kind="payment",
            transaction_id=order.transaction,
            order_no=order.number,
            app_id="wx00stranger0001",
            mch_id="1230000109",
            openid=order.buyer.openid,
            trade_type="JSAPI",
            trade_state="SUCCESS",
            happened_at=paid_at,
            order_amount_fen=order.amount_fen,
            settled_amount_fen=order.amount_fen,
            coupon_fen=0,
            fee_milli_fen=round(order.amount_fen * 0.006) * 1000,
            rate="0.60%",
            description="货品, 一批",
        )

    def _back_end(self, order: Order, at: datetime, paid_at: datetime) -> None:
        booked_at = paid_at + self.between(5 * SECOND, 29 * MINUTE)
        shipped_at = booked_at + self.between(HOUR, 70 * HOUR)
        order.add(
            "erp_orders",
            erp_order_no=order.erp_no,
            order_no=order.number,
            channel=order.channel,
            business_line=order.line,
            customer_code=order.buyer.customer_code,
            phone=order.buyer.phone,
            state="done",
            ordered_at=at,
            created_at=booked_at,
            updated_at=shipped_at,
            amount_fen=order.amount_fen,
            freight_fen=self.random.choice((0, None, 600, 1200)),
            discount_fen=self.random.choice((0, None)),
            currency="CNY",
            transaction_id=order.transaction,
            **self.by_interface("erp_orders"),
        )
        order.add(
            "erp_order_lines",
            erp_order_no=order.erp_no,
            line_no=1,
            sku="SKU-77",
            quantity=1,
            amount_fen=order.amount_fen,
        )
        received_at = booked_at + self.between(MINUTE, 23 * HOUR)
        order.add(
            "erp_receipts",
            receipt_no=f"RC-{self.next_number():07d}",
            erp_order_no=order.erp_no,
            order_no=order.number,
            transaction_id=order.transaction,
            amount_fen=order.amount_fen,
            received_at=received_at,
            created_at=received_at + MINUTE,
            **self.by_interface("erp_receipts"),
        )
        self.ship(order, shipped_at)
        self._show(order, paid_at, shipped_at)

    def ship(self, order: Order, at: datetime) -> MutableRow:
        """A parcel that left at `at`."""
        return order.add(
            "erp_shipments",
            shipment_no=f"DN-{self.next_number():07d}",
            erp_order_no=order.erp_no,
            state=self.random.choice(("shipped", "delivered")),
            shipped_at=at,
            created_at=at - 20 * MINUTE,
            tracking_no=f"SF{self.next_number():010d}",
            **self.by_interface("erp_shipments"),
        )

    def _show(self, order: Order, paid_at: datetime, shipped_at: datetime) -> None:
        shown_at = shipped_at + self.between(MINUTE, 115 * MINUTE)
        if order.channel == "mini_program":
            order.add(
                "mp_orders",
                transaction_id=order.transaction,
                order_no=order.number,
                order_state=self.random.choice((2, 3, 4)),
                paid_amount_fen=order.amount_fen,
                paid_at=paid_at,
                openid=order.buyer.openid,
                first_shipped_upload_at=shown_at,
                shipments=1,
            )
        if order.channel != "mini_program" or self.random.random() < 0.3:
            self.track(order, "status_view", shown_at, f"s2-{order.number}", shown="shipped")
        self.tell(order, shipped_at + self.between(SECOND, 58 * MINUTE), "shipping_notice")

    def tell(
        self, order: Order, at: datetime, node: str | None, status: str | None = "success"
    ) -> MutableRow:
        """A message about the order."""
        return order.add(
            "messages",
            message_id=f"msg{self.next_number():08d}",
            kind="subscribe",
            template_id="TPL-1",
            openid=order.buyer.openid,
            business_line=order.line,
            case_no=order.number,
            node=node,
            due_at=at - 30 * SECOND,
            sent_at=at,
            status=status,
            status_at=at + SECOND,
        )

    def _meet(self, order: Order, at: datetime, *, is_new: bool) -> None:
        """The buyer's contact in the CRM, found by one identifier or by a chain of two."""
        if not is_new:
            return
        buyer = order.buyer
        made_at = at + self.random.choice((-1, 1)) * self.between(MINUTE, 20 * HOUR)
        contact = order.add(
            "crm_contacts",
            contact_id=f"C{buyer.number:06d}",
            source="wechat",
            created_at=made_at,
            updated_at=made_at,
            **self.by_interface("crm_contacts"),
        )
        way = self.random.choice(("phone", "customer_code", "all", "chain"))
        if way in ("phone", "customer_code"):
            contact[way] = getattr(buyer, way)
        elif way == "all":
            for kind in ("unionid", "openid", "member_no", "phone", "customer_code"):
                contact[kind] = getattr(buyer, kind)
        else:
            contact["unionid"] = buyer.unionid
            for kind in ("openid", "member_no"):
                order.add(
                    "identities",
                    left_kind="unionid",
                    left_value=buyer.unionid,
                    right_kind=kind,
                    right_value=getattr(buyer, kind),
                    seen_at=at,
                    source="login",
                )

    def by_interface(self, table: str) -> dict[str, str | None]:
        """Who made a record that an interface made, as completely as this system says it."""
        return {
            "created_by": BRIDGES[table],
            "created_via": "interface" if self.random.random() < 0.9 else None,
        }

    def by_hand(self) -> dict[str, str | None]:
        makers: tuple[dict[str, str | None], ...] = (
            {"created_by": self.random.choice(CLERKS), "created_via": "ui"},
            {"created_by": self.random.choice(CLERKS), "created_via": None},
            {"created_by": None, "created_via": "import"},
            {"created_by": "bridge-orders", "created_via": "ui"},
        )
        return self.random.choice(makers)
