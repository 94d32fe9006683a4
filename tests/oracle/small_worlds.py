"""Small worlds: a few cases of any loop, with whatever can befall their rows, to the second.

Many worlds stand side by side in one batch, under one set of watermarks, and never touch: each has
numbers, people and amounts of its own. What the rows mean is not known here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

from tests.oracle.company import BRIDGES, COLUMNS, HOUR, MINUTE, SECOND, MutableRow, row
from tests.oracle.records import KEYS
from tests.oracle.worlds import START

T = TypeVar("T")
Rows = dict[str, list[MutableRow]]

DAY = timedelta(days=1)
NOW = START + 12 * DAY
APP, OTHER_APP = "wx00small000001", "wx00other000001"
LAGS = (0, 0, 0, 1, 10, 24, 31, 72, 120)  # hours by which a source may be behind
# Where a case may be pinned: so long after it begins, something ends.
PINNED_HOURS = (0, 1 / 30, 0.5, 1, 2, 24, 24.5, 48, 72, 96, 120, 168, 192)
# Optional columns that may be empty anywhere, beside those that the cases empty themselves. Who
# made a record stays told: where the source tells neither, a score decides.
OPTIONAL = {
    "tracking_events": "openid unionid member_no scene page case_no amount_fen shown_state app_id",
    "messages": "template_id openid business_line case_no node due_at sent_at status status_at",
    "pay_bill": "app_id openid settled_amount_fen coupon_fen refund_no refund_amount_fen "
    "refund_requested_fen fee_milli_fen",
    "mp_orders": "paid_at openid first_shipped_upload_at shipments",
    "identities": "source",
    "erp_orders": "order_no channel business_line customer_code phone freight_fen discount_fen "
    "currency transaction_id",
    "erp_receipts": "erp_order_no order_no transaction_id",
    "erp_shipments": "shipped_at tracking_no",
    "erp_refunds": "erp_order_no order_no refund_no refund_id",
    "crm_contacts": "unionid openid member_no phone customer_code source",
    "crm_appointments": "booking_no contact_id business_line slot_at",
    "crm_cases": "ticket_no contact_id business_line closed_at",
}
CHANNELS = ("mini_program", "mini_program", "h5", "app", "pc")


@dataclass(frozen=True)
class Batch:
    """Worlds by their prefix, and how far each connected table is known.

    Tables that are not connected are in no world.
    """

    seed: str
    worlds: Mapping[str, Rows]
    watermarks: Mapping[str, datetime]

    @property
    def rows(self) -> Rows:
        """All worlds in one set of tables."""
        return {
            table: [each for world in self.worlds.values() for each in world[table]]
            for table in self.watermarks
        }

    def world_of(self, case_id: str) -> Rows:
        """The world whose prefix the number of a case bears."""
        return next(world for prefix, world in self.worlds.items() if prefix in case_id)


def build_batch(
    seed: str,
    worlds: int,
    watermarks: Mapping[str, datetime] | None = None,
    *,
    are_punctual: bool = False,
) -> Batch:
    """The worlds of that seed under its watermarks, or other ones, as far as tables are connected.

    In a punctual world whatever is recorded at all is recorded in time.
    """
    random = Random(seed)
    if watermarks is None:
        watermarks = _some_watermarks(random)
    made = [_World(random, number, watermarks, are_punctual) for number in range(worlds)]
    return Batch(
        seed,
        {world.prefix: {t: world.rows[t] for t in watermarks} for world in made},
        watermarks,
    )


def _some_watermarks(random: Random) -> dict[str, datetime]:
    """How far each table is known, about windows and days; one in twenty is not connected."""
    known = {
        table: NOW - random.choice(LAGS) * HOUR + random.randint(-1, 1) * SECOND
        for table in KEYS
        if random.randrange(20)
    }
    # pairs of identifiers may be a list that was handed over once
    if "identities" in known and random.randrange(4) == 0:
        known["identities"] = START + random.choice((-1, 0, 1, 3600, 86400)) * SECOND
    return known


def told(rows: Rows) -> str:
    """Rows as a person reads them: what is empty, and what no rule reads, left out."""
    unread = ("session_id", "mch_id", "currency", "trade_type", "settled_amount_fen", "app_id")
    lines = []
    for table, each in ((name, each) for name in rows for each in rows[name]):
        values = (
            f"{name}={value:%m-%dT%H:%M:%S}" if isinstance(value, datetime) else f"{name}={value}"
            for name, value in each.items()
            if value is not None and name not in unread
        )
        lines.append(f"  {table}: {' '.join(values)}")
    return "\n".join(lines)


def smallest(rows: Rows, still: Callable[[Rows], bool], trials: int) -> Rows:
    """The rows without all those that can go, one table or one row at a time, while `still`."""
    kept = {table: list(each) for table, each in rows.items()}
    for table in sorted(kept, key=lambda name: -len(kept[name])):
        if kept[table] and still(kept | {table: []}):
            kept[table] = []
    for table in kept:
        for each in list(kept[table]):
            without = kept | {table: [other for other in kept[table] if other is not each]}
            trials -= 1
            if trials >= 0 and still(without):
                kept = without
    return kept


@dataclass(frozen=True)
class _Buyer:
    openid: str
    unionid: str
    member_no: str
    phone: str
    customer_code: str

    def some(self, random: Random, *kinds: str, percent: int = 75) -> dict[str, str]:
        return {k: getattr(self, k) for k in kinds if random.randrange(100) < percent}


class _World:
    """One to six cases and the people behind them; `rows` holds all of it."""

    def __init__(
        self, random: Random, number: int, watermarks: Mapping[str, datetime], is_punctual: bool
    ) -> None:
        self.random = random
        self.is_punctual = is_punctual
        self.prefix = f"W{number:03d}"  # its numbers and people begin with it
        self.connected = set(watermarks)
        self.marks = tuple(watermarks.values()) or (NOW,)
        self.begun: list[datetime] = []  # when each case began
        self.rows: Rows = {table: [] for table in KEYS}
        self._serial = 0
        # Amounts of other worlds differ by more than any difference that is made within one.
        self._amount = 1_000_000 + number * 24_000
        self.buyers: list[_Buyer] = []
        for position in range(random.randint(1, 3)):
            self.buyers.append(self._buyer(position))
        for _ in range(random.choice((1, 1, 1, 2, 2, 3, 4, 6))):
            kind = random.choice((*[_Order] * 5, _Booking, _Ticket, _Registration))
            kind(self)
        for buyer in self.buyers:
            self._meet(buyer)
        if self.happens(4):
            self._open_a_shop()
        for each in self.rows["crm_appointments"]:
            each["contact_id"] = self.pick(
                None,
                *[
                    contact["contact_id"]
                    for contact in self.rows["crm_contacts"]
                    if not self.is_punctual or contact["created_at"] <= each["created_at"]
                ],
            )
        self._empty_and_repeat()

    # Chance

    def happens(self, percent: int) -> bool:
        return self.random.randrange(100) < percent

    def pick(self, *options: T) -> T:
        return self.random.choice(options)

    def near(self, *hours: float) -> timedelta:
        """One of some spans, or a second less or more."""
        return self.pick(*hours) * HOUR + self.random.randint(-1, 1) * SECOND

    def lag(self, usual: timedelta, edges: Sequence[float]) -> timedelta:
        """Mostly as usual; else about where something ends (the first is the earliest), early, or
        long after."""
        if self.happens(65):
            return usual
        if self.is_punctual:
            return self.pick(edges[0] * HOUR - SECOND, -119 * SECOND)
        early = self.pick(-HOUR, -121 * SECOND, -120 * SECOND, -119 * SECOND, timedelta())
        return self.pick(self.near(*edges), self.near(*edges), early, 9 * DAY)

    def soon_or(self, *others: timedelta) -> timedelta:
        """An hour after the case begins; in a world that is not punctual, or some other time."""
        return HOUR if self.is_punctual else self.pick(HOUR, *others)

    def serial(self, mark: str) -> str:
        self._serial += 1
        return f"{self.prefix}{mark}{self._serial:03d}"

    def amount(self) -> int:
        """The amount of the case before now and then, so that records can be mistaken."""
        if not self.happens(30):
            self._amount += 4_000
        return self._amount

    def other_than(self, amount: int) -> int:
        return self.pick(
            amount + 1, amount - 1, amount + 50, amount - 600, amount + 600, amount - amount % 100,
            amount * 100, amount // 100, amount // 2, amount - 1234,
        )  # fmt: skip

    def moment(self) -> datetime:
        """When a case begins: anywhere, or where one of its windows ends at a watermark."""
        at = START + self.random.randint(0, 11 * 24 * 60) * MINUTE
        pinned = (
            self.pick(*self.marks)
            - self.pick(*PINNED_HOURS) * HOUR
            + self.random.randint(-1, 1) * SECOND
        )
        if self.happens(3):  # some cases begin before anybody looked
            at = START + self.random.randint(-3600, 3600) * SECOND
        elif self.happens(50) and pinned >= START:
            at = pinned
        return at

    def add(self, table: str, **values: Any) -> MutableRow:
        self.rows[table].append(row(table, **values))
        return self.rows[table][-1]

    def maker(self, table: str) -> dict[str, str | None]:
        """Who made a record, as far as the source tells; it always tells something."""
        bridge = BRIDGES[table]
        if self.happens(80):
            return {"created_by": bridge, "created_via": "interface"}
        return self.pick(
            {"created_by": bridge, "created_via": None},
            {"created_by": None, "created_via": "interface"},
            {"created_by": "clerk.wang", "created_via": "ui"},
            {"created_by": "clerk.wang", "created_via": None},
            {"created_by": None, "created_via": "import"},
        )

    # People

    def _buyer(self, number: int) -> _Buyer:
        mark = f"{self.prefix}{number}"
        digits = f"{int(self.prefix[1:]):03d}{number:05d}"
        # A family shares one phone.
        shared = self.buyers[0].phone if number and self.happens(20) else f"138{digits}"
        return _Buyer(f"o-{mark}", f"u-{mark}", f"m-{mark}", shared, f"k-{mark}")

    def _meet(self, buyer: _Buyer) -> None:
        """Contacts and known pairs of identifiers, around the time of the first case."""
        for _ in range(self.pick(0, 1, 1, 1, 1, 2)):
            kinds = ("unionid", "openid", "member_no", "phone", "customer_code")
            made_at = min(self.begun) + self.pick(
                timedelta(), -4 * DAY, self.soon_or(self.near(0.5), self.near(24), 3 * DAY)
            )
            self.add(
                "crm_contacts",
                contact_id=self.serial("C"),
                created_at=made_at,
                updated_at=made_at + HOUR,
                **buyer.some(self.random, *kinds, percent=50),
                **self.maker("crm_contacts"),
            )
        pairs = (("unionid", "openid"), ("unionid", "member_no"), ("openid", "phone"),
                 ("phone", "customer_code"))  # fmt: skip
        for left, right in pairs:
            other = self.pick(*self.buyers) if self.happens(10) else buyer
            pair = {"left_kind": left, "left_value": getattr(buyer, left),
                    "right_kind": right, "right_value": getattr(other, right)}  # fmt: skip
            is_told = any(pair.items() <= row.items() for row in self.rows["identities"])
            if self.happens(20) and not is_told:  # a pair is known since one time
                later = self.soon_or(self.near(0.5, 24), 3 * DAY)
                seen_at = min(self.begun) + self.pick(timedelta(), -4 * DAY, later)
                self.add("identities", seen_at=seen_at, **pair)

    def _open_a_shop(self) -> None:
        """Some contacts by the phone of the first buyer: at, or above, what one person may have."""
        # a shop that grows makes another person of a buyer days later
        for _ in range(4 if self.is_punctual else self.pick(2, 3, 4)):
            at = START - 9 * DAY if self.is_punctual else self.moment()
            self.add(
                "crm_contacts",
                contact_id=self.serial("C"),
                phone=self.buyers[0].phone,
                customer_code=self.serial("k") if self.happens(50) else None,
                created_at=at,
                updated_at=at,
                **self.maker("crm_contacts"),
            )

    # Rows as systems hand them over

    def _empty_and_repeat(self) -> None:
        for table, rows in self.rows.items():
            names = OPTIONAL[table].split()
            for each in rows:
                if self.happens(5):
                    _empty(table, each, self.pick(*names))
            for each in rows[:]:
                if self.happens(3):
                    rows.append(self._again(table, each))
            if self.happens(30):
                rows.reverse()

    def _again(self, table: str, each: MutableRow) -> MutableRow:
        """The same row once more, or an older version of it where versions are told apart."""
        older = dict(each)
        if "updated_at" in each and self.happens(50) and each["updated_at"] > each["created_at"]:
            older["updated_at"] = each["created_at"]
            if "state" in older:
                older["state"] = "cancelled" if table == "erp_orders" else "requested"
        return older


def _empty(table: str, each: MutableRow, name: str) -> None:
    """Empty a column, but for the last instant by which a message has a day."""
    instants = ("due_at", "sent_at", "status_at") if table == "messages" else ()
    if name not in instants or sum(each[instant] is not None for instant in instants) > 1:
        each[name] = None


class _Order:
    """An order, as each system may tell it."""

    def __init__(self, world: _World) -> None:
        self.world = world
        self.buyer = world.pick(*world.buyers)
        self.number = world.serial("N")
        self.transaction = world.serial("T")
        self.erp_no = world.serial("S")
        self.channel = world.pick(*CHANNELS)
        self.line = world.pick("retail", "鲜花")
        self.amount = world.amount()
        self.at = world.moment()
        world.begun.append(self.at)
        # the number under which it is paid, where that is another one
        self.pay_number = world.serial("P") if world.happens(10) else self.number
        self._pay_and_book()
        if world.happens(15):
            self._refund()
        if world.happens(10):
            self._share()

    def _pay_and_book(self) -> None:
        world = self.world
        is_paid = world.happens(82)
        self.paid_at = self.at + self._lag(5 * MINUTE, 24)
        self.paid_up_at = self.paid_at  # with the last part
        self.booked_number: str | None = self.number  # the number that the ERP order bears
        if world.is_punctual and not (is_paid and "pay_bill" in world.connected):
            self.paid_at = self.at  # else nobody could know why it is booked so late
        self.booked_at = self.paid_at + self._lag(10 * MINUTE, 0.5, 24)
        if is_paid:
            self._pay()
        if world.is_punctual:  # it is paid up before, and no two clocks differ by more
            self.booked_at = max(self.booked_at, self.paid_up_at, self.at - 119 * SECOND)
        if not world.happens(12):
            self._track()
        if world.happens(82):
            self._book()

    def _lag(self, usual: timedelta, *edges: float) -> timedelta:
        return self.world.lag(usual, edges)

    def _told(self, percent: int = 12) -> int:
        """The amount as one system tells it."""
        is_other = self.world.happens(percent)
        return self.world.other_than(self.amount) if is_other else self.amount

    def _track(self) -> None:
        world = self.world
        submitted = 100 if world.is_punctual else 92
        steps = [("order_submit", timedelta(), submitted), ("pay_start", 5 * SECOND, 20),
                 ("pay_fail", 9 * SECOND, 8), ("pay_success", 5 * MINUTE + 4 * SECOND, 78),
                 ("order_submit", 3 * SECOND, 4)]  # fmt: skip
        for event, after, percent in steps:
            if world.happens(percent):
                self._event(event, self.at + after)
        if world.happens(35):
            shown_at = self.booked_at + 4 * HOUR + world.pick(HOUR, -3 * HOUR, world.near(2, 24))
            self._event("status_view", shown_at, world.pick("shipped", "shipped", "paid", "done"))

    def _event(self, event: str, at: datetime, shown: str | None = None) -> None:
        bears_amount = event in ("order_submit", "pay_success") and self.world.happens(92)
        self.world.add(
            "tracking_events",
            event_id=self.world.serial("E"),
            event=event,
            occurred_at=at,
            channel=self.channel,
            session_id=f"s-{self.number}",
            business_line=self.line,
            case_no=self.number,
            amount_fen=self.amount if bears_amount else None,
            shown_state=shown,
            app_id=APP,
            **self.buyer.some(self.world.random, "openid", "unionid", "member_no"),
        )

    def _pay(self) -> None:
        world, told = self.world, self._told(8)
        parts = [(told, self.paid_at)]
        is_in_time = self.paid_at < self.at + 22 * HOUR or not world.is_punctual
        if is_in_time and world.happens(6):
            rest_at = self.paid_at + world.soon_or(world.near(24))
            parts = [(told // 3, self.paid_at), (told - told // 3, rest_at)]
        elif world.happens(4):
            parts.append((told, self.paid_at + 90 * SECOND))
        self.paid_up_at = parts[-1][1]
        for position, (amount, at) in enumerate(parts):
            self._payment(amount, at, self.transaction + "b" * position)
        if world.happens(4):
            self._payment(told, self.paid_at, self.transaction + "r", state="REVOKED")
        if world.happens(60):
            world.add(
                "mp_orders",
                transaction_id=self.transaction,
                order_no=self.pay_number,
                order_state=world.pick(1, 2, 2, 3),
                paid_amount_fen=told,
                paid_at=self.paid_at,
                openid=self.buyer.openid,
                first_shipped_upload_at=self.booked_at + 4 * HOUR + self._lag(HOUR, 1, 2, 24),
                shipments="1",
            )

    def _payment(
        self, amount: int, at: datetime, transaction: str, state: str = "SUCCESS"
    ) -> MutableRow:
        return self.world.add(
            "pay_bill",
            row_kind="payment",
            transaction_id=transaction,
            order_no=self.pay_number,
            app_id=APP,
            mch_id="1230000109",
            openid=self.buyer.openid if self.world.happens(60) else None,
            trade_type="JSAPI",
            trade_state=state,
            happened_at=at,
            order_amount_fen=amount,
            settled_amount_fen=amount,
            coupon_fen=self.world.pick(0, 0, 600),
            fee_milli_fen=round(amount * 0.006) * 1000,
        )

    def _book(self) -> None:
        world = self.world
        numbers = [self.number] * 8 + [None, None, world.serial("X")]
        self.booked_number = world.pick(*numbers)
        booked = self._order(self.erp_no, self.booked_at, self.booked_number)
        if world.happens(7):
            again_at = self.booked_at + world.pick(SECOND, world.soon_or(world.near(24)))
            second = self._order(self.erp_no + "b", again_at, world.pick(*numbers))
            second["amount_fen"] = booked["amount_fen"]
        if world.happens(80):
            self._receive()
        if world.happens(75):
            self._ship()

    def _order(self, erp_order_no: str, at: datetime, number: str | None) -> MutableRow:
        world = self.world
        names_transaction = world.happens(90 if self.pay_number != self.number else 50)
        return world.add(
            "erp_orders",
            erp_order_no=erp_order_no,
            order_no=number,
            channel=world.pick(*[self.channel] * 7, None, "h5", "store"),
            business_line=self.line,
            state=world.pick("paid", "done", "done", "done", "confirmed", "draft", "cancelled"),
            ordered_at=at,
            created_at=at,
            updated_at=at + world.pick(timedelta(), HOUR, 26 * HOUR),
            amount_fen=self._told(8),
            freight_fen=world.pick(None, 0, 600),
            currency="CNY",
            transaction_id=self.transaction if names_transaction else None,
            **self.buyer.some(world.random, "phone", "customer_code", percent=60),
            **world.maker("erp_orders"),
        )

    def _keys(self) -> dict[str, str]:
        """What the ERP may call the order by; in a punctual world it does not contradict itself."""
        keys = {"erp_order_no": self.erp_no, "order_no": self.number}
        is_other = {self.booked_number, self.pay_number} != {self.number}
        if self.world.is_punctual and is_other:
            del keys["order_no"]
        return keys

    def _receive(self) -> None:
        world, told = self.world, self._told(8)
        at = self.booked_at + self._lag(2 * HOUR, 24, 48)
        at = max(at, self.paid_up_at) if world.is_punctual else at
        parts = [(told, at)]
        if world.happens(10):
            parts = [(told // 3, at), (told - told // 3, at + self._lag(HOUR, 24, 48))]
        elif world.happens(8):
            parts.append((told, at + self._lag(HOUR, 24, 48)))
        keys = {"transaction_id": self.transaction} | self._keys()
        for amount, received_at in parts:
            self.world.add(
                "erp_receipts",
                receipt_no=world.serial("R"),
                amount_fen=amount,
                received_at=received_at,
                created_at=received_at + MINUTE,
                **_kept(world.random, keys),
                **world.maker("erp_receipts"),
            )

    def _ship(self) -> None:
        world = self.world
        for _ in range(world.pick(1, 1, 1, 1, 2)):
            at = self.booked_at + self._lag(4 * HOUR, 72, 168)
            state = world.pick("shipped", "delivered", "delivered", "waiting", "returned")
            world.add(
                "erp_shipments",
                shipment_no=world.serial("D"),
                erp_order_no=self.erp_no,
                state=state,
                shipped_at=None if state == "waiting" else at,
                created_at=at - 20 * MINUTE,
                **world.maker("erp_shipments"),
            )
        for _ in range(world.pick(0, 1, 1, 1, 2)):
            told_at = self.booked_at + 4 * HOUR + self._lag(20 * MINUTE, 1, 24)
            self.world.add(**_message(world, self.number, told_at, "shipping_notice"))

    def _refund(self) -> None:
        world = self.world
        for _ in range(world.pick(1, 1, 2)):
            amount = world.pick(self.amount, self.amount, self.amount // 2)
            at = self.paid_at + world.soon_or(50 * HOUR, world.near(24, 120))
            refund_id, refund_no = world.serial("G"), world.serial("H")
            if world.happens(80):
                world.add(
                    "pay_bill",
                    row_kind="refund",
                    transaction_id=self.transaction,
                    order_no=self.pay_number,
                    trade_state="REFUND",
                    happened_at=at,
                    order_amount_fen=0,
                    refund_id=refund_id,
                    refund_no=refund_no,
                    refund_amount_fen=amount,
                    refund_requested_fen=world.pick(amount, None),
                    refund_state="SUCCESS",
                )
            keys = {"refund_no": refund_no, "refund_id": refund_id} | self._keys()
            for _ in range(world.pick(0, 1, 1, 1, 1, 2)):
                world.add(
                    "erp_refunds",
                    refund_doc_no=world.serial("F"),
                    amount_fen=world.pick(amount, amount, amount, amount - 600),
                    posted_at=at + self._lag(HOUR, 24, 120),
                    **_kept(world.random, keys),
                    **world.maker("erp_refunds"),
                )

    def _share(self) -> None:
        """A second order under the same payment, which the ERP books and may receive in parts."""
        world, first = self.world, self.amount
        number, erp_no, second = world.serial("N"), world.serial("S"), world.amount()
        if self.pay_number == self.number:
            return
        for each in world.rows["pay_bill"]:
            if each["transaction_id"] == self.transaction and each["row_kind"] == "payment":
                each["order_amount_fen"] = first + second if world.happens(80) else first
        receipts = [r for r in world.rows["erp_receipts"] if r["erp_order_no"] == self.erp_no][:1]
        self.number, self.erp_no, self.amount = number, erp_no, second
        if world.happens(85):
            self._track()
        if world.happens(85):
            order = self._order(erp_no, self.booked_at, number)
            order["transaction_id"] = self.transaction
        for receipt in receipts:
            world.rows["erp_receipts"].append(
                receipt | {"erp_order_no": erp_no, "order_no": number, "amount_fen": second}
            )


def _kept(random: Random, keys: Mapping[str, str]) -> dict[str, str]:
    """Some of the keys, at least one."""
    kept = random.sample(sorted(keys), random.randint(1, len(keys)))
    return {name: keys[name] for name in kept}


def _message(world: _World, number: str, at: datetime, usual: str) -> dict[str, Any]:
    status = world.pick("success", "success", "success", "user_block", "not_sent", None)
    is_sent = status in ("success", "user_block")
    nodes = [usual] * 6 + ["order_notice", "marketing", "refund_notice", None]
    return {
        "table": "messages",
        "message_id": world.serial("M"),
        "kind": "subscribe",
        "business_line": "retail",
        "case_no": number,
        "node": world.pick(*nodes),
        "due_at": at - 30 * SECOND,
        "sent_at": at if is_sent else None,
        "status": status,
        "status_at": at + SECOND if is_sent else None,
    }


class _Service:
    """What the loops beside orders have in common: a submit, and a number that the CRM may bear."""

    event = ""
    mark = ""

    def __init__(self, world: _World) -> None:
        self.world = world
        self.buyer = world.pick(*world.buyers)
        self.number = world.serial(self.mark)
        self.line = world.pick("retail", "鲜花")
        self.at = world.moment()
        world.begun.append(self.at)
        if world.happens(86):
            for after in [timedelta()] + [3 * SECOND] * world.happens(6):
                self._submit(self.at + after)
        self.made_at = self.at + self._lag(5 * MINUTE, 0.5, 24)
        self.follow()

    def follow(self) -> None:
        """What comes after the submit."""

    def _lag(self, usual: timedelta, *edges: float) -> timedelta:
        return self.world.lag(usual, edges)

    def _submit(self, at: datetime) -> None:
        world = self.world
        world.add(
            "tracking_events",
            event_id=world.serial("E"),
            event=self.event,
            occurred_at=at,
            channel=world.pick(*CHANNELS),
            session_id=f"s-{self.number}",
            business_line=self.line,
            case_no=self.number if self.event != "member_register" or world.happens(50) else None,
            app_id=APP,
            **self.buyer.some(world.random, "openid", "unionid", "member_no"),
        )

    def _tell(self, at: datetime, usual: str) -> None:
        for _ in range(self.world.pick(0, 1, 1, 1, 2)):
            self.world.add(**_message(self.world, self.number, at, usual))


class _Booking(_Service):
    event, mark = "booking_submit", "B"

    def follow(self) -> None:
        world = self.world
        slot_at = self.made_at + world.pick(3 * HOUR, 2 * DAY, 6 * DAY)
        if world.happens(80):
            for _ in range(world.pick(1, 1, 1, 1, 1, 2)):
                state = world.pick("attended", "attended", "no_show", "cancelled", "confirmed",
                                   "requested")  # fmt: skip
                ended_at = slot_at + self._lag(2 * HOUR, 24)
                world.add(
                    "crm_appointments",
                    appointment_no=world.serial("A"),
                    booking_no=self.number,
                    business_line=self.line,
                    state=state,
                    slot_at=slot_at if world.happens(92) else None,
                    created_at=self.made_at,
                    updated_at=max(ended_at, self.made_at),
                    **world.maker("crm_appointments"),
                )
        self._tell(self.made_at + self._lag(5 * MINUTE, 1, 24), "service_confirm")


class _Ticket(_Service):
    event, mark = "aftersale_submit", "K"

    def follow(self) -> None:
        world = self.world
        ended_at = self.made_at + self._lag(20 * HOUR, 72, 168)
        if world.happens(80):
            for _ in range(world.pick(1, 1, 1, 1, 1, 2)):
                state = world.pick("resolved", "resolved", "resolved", "cancelled", "open")
                world.add(
                    "crm_cases",
                    crm_case_no=world.serial("A"),
                    ticket_no=self.number,
                    business_line=self.line,
                    state=state,
                    opened_at=self.made_at,
                    closed_at=ended_at if state in ("resolved", "cancelled") else None,
                    **world.maker("crm_cases"),
                )
        self._tell(ended_at + self._lag(5 * MINUTE, 1, 24), "refund_notice")


class _Registration(_Service):
    event, mark = "member_register", "J"

    def _submit(self, at: datetime) -> None:
        """In a punctual world nobody registers again days later, and tells more about himself."""
        before = any(e["event"] == self.event for e in self.world.rows["tracking_events"])
        if not self.world.is_punctual or not before:
            super()._submit(at)


assert set(OPTIONAL) == set(KEYS) <= set(COLUMNS)
