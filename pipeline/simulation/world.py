"""The simulated company's days: who came, what they ordered, what went wrong, and its truth.

Everything follows from the options; no clock and no other chance is read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from random import Random

from pipeline.landing import SHANGHAI, business_day, day_end, day_start
from pipeline.simulation.cases import (
    FLASH_SALE,
    INTERFACE,
    LINES,
    Case,
    ErpOrder,
    Line,
    Made,
    Receipt,
    in_working_hours,
    plan_booking,
    plan_payment,
    plan_refund,
    plan_submit,
    stop_shipping,
)
from pipeline.simulation.faults import plant_faults
from pipeline.simulation.interface import Interface
from pipeline.simulation.people import Person, enrol, meet_people
from pipeline.simulation.sabotage import Bench, refund_after_shipping
from pipeline.simulation.truth import Expected

FIRST_DAY = date(2026, 10, 1)
CHANNEL_SHARES = {"mini_program": 50, "h5": 14, "mobile_site": 8, "app": 18, "pc": 10}
HOUR_WEIGHTS = (
    3, 1, 1, 1, 1, 2, 5, 10, 18, 26, 34, 32, 30, 24, 22, 24, 26, 28, 30, 38, 46, 44, 30, 10,
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """How large a company, over how many days. The same options give the same company.

    With `hide_actors`, its back ends tell of no record who made it; all else is the same.
    """

    seed: int = 1
    days: int = 30
    orders: int = 3000
    hide_actors: bool = False

    @property
    def last_day(self) -> date:
        return FIRST_DAY + timedelta(days=self.days - 1)

    @property
    def business_days(self) -> list[date]:
        return [FIRST_DAY + timedelta(days=number) for number in range(self.days)]

    @property
    def closed_day(self) -> date | None:
        """The day of stock-taking: no order is taken, no money moves, no bill exists."""
        return FIRST_DAY + timedelta(days=self.days // 2) if self.days >= 4 else None


@dataclass(frozen=True)
class Visit:
    """A session that ended before an order was submitted, after `steps` steps of the funnel."""

    line: Line
    channel: str
    person: Person
    started_at: datetime
    steps: int


@dataclass
class World:
    """The whole company; what happens at or after `end` has not happened yet."""

    options: Options
    start: datetime
    end: datetime
    cases: list[Case]
    visits: list[Visit]
    shop_orders: list[ErpOrder]
    shop_receipts: list[Receipt]
    people: list[Person]
    expected: list[Expected] = field(default_factory=list)


def build_world(options: Options) -> World:
    """Invent the company: its people and paid orders, then its faults, then everything else."""
    random = Random(f"bihuan {options.seed}")
    start, end = day_start(FIRST_DAY), day_end(options.last_day)
    met = meet_people(Random(f"people {options.seed}"), before=start)
    serials = count(1)
    customers = _settle(met, max(20, options.orders * 3 // 5), start, random)
    submits = _submits(options, customers, random)
    paid = submits[: options.orders]
    interface = Interface.over(random, options.days, [case.submitted_at for case in paid])
    for case in sorted(paid, key=lambda case: case.submitted_at):
        plan_payment(case, next(serials), random)
        plan_booking(case, interface.books_at(case), random)
    unpaid = submits[options.orders :]
    for case in unpaid:
        _leave_unpaid(case, random)
    bench = Bench(random, serials, met)
    _vary_lawfully(paid, bench)
    expected = plant_faults(paid, end, bench)
    for case in paid:
        _move_refunds_off(options.closed_day, case)
    cases = sorted(submits, key=lambda case: case.number)
    _enrol_newcomers(cases, customers, random)
    visits = _visits(options, customers, met, random)
    shop_orders, shop_receipts = _shop_counter(options, random)
    people = {person.number: person for person in customers}
    people |= {case.person.number: case.person for case in cases}
    return World(
        options=options, start=start, end=end, cases=cases, visits=visits,
        shop_orders=shop_orders, shop_receipts=shop_receipts,
        people=[people[number] for number in sorted(people)], expected=expected,
    )  # fmt: skip


def _settle(met: Iterator[Person], number: int, start: datetime, random: Random) -> list[Person]:
    """The customers; two in three are members since before the first day."""
    customers = [next(met) for _ in range(number)]
    for person in customers:
        if random.random() < 0.66:
            age = random.randrange(int((start - person.bound_at).total_seconds()))
            enrol(person, random, person.bound_at + timedelta(seconds=age))
    return customers


def _submits(options: Options, customers: Sequence[Person], random: Random) -> list[Case]:
    """Every submitted order, numbered in the order of time, then shuffled."""
    moments = _moments(options, int(options.orders * 1.14), random)
    cases = []
    for serial, submitted_at in enumerate(moments, start=1):
        line = random.choices(LINES, [line.share for line in LINES])[0]
        day = business_day(submitted_at)
        cases.append(
            plan_submit(
                number=f"{line.letter}{day:%Y%m%d}{serial:08d}",
                line=line,
                channel=_channel(random),
                # Some come often: the square makes the first customers the frequent ones.
                person=customers[int(len(customers) * random.random() ** 2)],
                submitted_at=submitted_at,
                random=random,
            )
        )
    random.shuffle(cases)
    return cases


def _moments(
    options: Options, number: int, random: Random, *, latest_hour: int = 24
) -> list[datetime]:
    """Instants of trade: more at weekends and in the evening, none on the closed day."""
    days = [day for day in options.business_days if day != options.closed_day]
    weights = [1.3 if day.weekday() >= 5 else 1.0 for day in days]
    starts = [day_start(day) for day in days]
    hours = random.choices(range(latest_hour), HOUR_WEIGHTS[:latest_hour], k=number)
    moments = []
    for start, hour in zip(random.choices(starts, weights, k=number), hours, strict=True):
        # A quarter of an hour before midnight is left free: who pays slowly still pays that day.
        second = random.randrange(2700 if hour == 23 else 3600)
        moments.append(start + timedelta(hours=hour, seconds=second))
    return sorted(moments)


def _channel(random: Random) -> str:
    return random.choices(list(CHANNEL_SHARES), list(CHANNEL_SHARES.values()))[0]


def _leave_unpaid(case: Case, random: Random) -> None:
    """Submitted and left: after a failed payment, or before any. Nothing is owed.

    The flash sale's ERP opens a document at submission and closes it when nobody pays.
    """
    case.variant = "abandoned"
    if random.random() < 0.35:
        case.failed_at = case.submitted_at + timedelta(seconds=random.randint(10, 120))
    if case.line is FLASH_SALE and random.random() < 0.25:
        created_at = case.submitted_at + timedelta(seconds=random.randint(5, 60))
        case.orders.append(
            ErpOrder(
                number=f"XSDD{case.number[1:]}", created_at=created_at, channel=case.channel,
                fen=case.order_fen, freight_fen=case.freight_fen, discount_fen=case.coupon_fen,
                made=Made(INTERFACE), is_paid=False,
                cancelled_at=created_at + timedelta(minutes=30) if random.random() < 0.6 else None,
            )
        )  # fmt: skip


def _vary_lawfully(paid: Sequence[Case], bench: Bench) -> None:
    """What looks unusual and is right: refunds, parts, a payment the front end never showed."""
    random = bench.random
    for case in paid:
        if random.random() < case.line.refund_rate:
            if random.random() < 0.5:
                _cancel_before_shipping(case, bench)
                case.variant = "cancelled_and_refunded"
            else:
                refund_after_shipping(case, bench)
                if case.refunds[0].fen == case.order_fen and random.random() < 0.5:
                    _send_back(case)
                case.variant = "refunded"
        elif random.random() < 0.03:
            whole = case.receipts[0]
            part = Receipt(
                f"{whole.number}-2", whole.at + timedelta(minutes=random.randint(1, 50)),
                case.order_fen // 3, whole.made,
            )  # fmt: skip
            whole.fen -= part.fen
            case.receipts.append(part)
            case.variant = "received_in_two_parts"
        elif random.random() < 0.008:
            case.claimed_at = None
            case.variant = "success_never_shown"


def _cancel_before_shipping(case: Case, bench: Bench) -> None:
    """Refunded in full, then cancelled in the ERP, before the parcel left."""
    stop_shipping(case)
    case.views = []
    at = max(case.paid_at, case.booked_at) + timedelta(minutes=bench.random.randint(15, 150))
    posted_at = at + timedelta(minutes=bench.random.randint(1, 90))
    plan_refund(case, at, case.order_fen, next(bench.serials), posted_at=posted_at)
    case.orders[0].cancelled_at = at + timedelta(seconds=bench.random.randint(20, 600))


def _send_back(case: Case) -> None:
    """Refused at the door: the parcel came back, and was refunded for that."""
    case.views = [view for view in case.views if view.shown != "delivered"]
    if case.shipment is not None:
        case.shipment.delivered_at = None
        case.shipment.returned_at = case.refunds[0].at - timedelta(minutes=20)


def _move_refunds_off(closed_day: date | None, case: Case) -> None:
    """What would be refunded on the day without trade is refunded, and posted, a day later."""
    if all(business_day(refund.at) != closed_day for refund in case.refunds):
        return
    for refund in case.refunds:
        refund.at += timedelta(days=1)
    for credit in case.credits:
        credit.at += timedelta(days=1)
    for order in case.orders:
        if order.cancelled_at is not None:
            order.cancelled_at += timedelta(days=1)


def _enrol_newcomers(cases: Sequence[Case], customers: Sequence[Person], random: Random) -> None:
    """The CRM meets a new buyer within an hour and a half of the first order."""
    numbers = {person.number for person in customers}
    first_at: dict[int, datetime] = {}
    for case in cases:
        if case.person.number in numbers:
            seen = first_at.get(case.person.number, case.submitted_at)
            first_at[case.person.number] = min(seen, case.submitted_at)
    for person in customers:
        if person.contact_at is None and person.number in first_at:
            wait = timedelta(seconds=random.randint(30, 90 * 60))
            enrol(person, random, first_at[person.number] + wait)


def _visits(
    options: Options, customers: Sequence[Person], met: Iterator[Person], random: Random
) -> list[Visit]:
    """Sessions without an order: most look around, some fill a cart, few reach the checkout."""
    passers_by = [next(met) for _ in range(max(20, options.orders // 2))]
    visits = []
    for started_at in _moments(options, int(options.orders * 2.2), random):
        line = random.choices(LINES, [line.share for line in LINES])[0]
        visits.append(
            Visit(
                line=line,
                channel=_channel(random),
                person=random.choice(customers if random.random() < 0.4 else passers_by),
                started_at=started_at,
                steps=random.choices((1, 2, 3, 4, 5), (5, 25, 40, 20, 10))[0],
            )
        )
    return visits


def _shop_counter(options: Options, random: Random) -> tuple[list[ErpOrder], list[Receipt]]:
    """Orders of the shop counter, which nobody tracks: typed by the shop, paid in cash."""
    moments = [
        in_working_hours(moment)
        for moment in _moments(options, options.orders // 20, random, latest_hour=19)
    ]
    orders, receipts = [], []
    for serial, at in enumerate(moments, start=1):
        fen = random.choice((2500, 4990, 12800, 38000))
        local = at.astimezone(SHANGHAI)
        made = Made("shop.counter", "MANUAL")
        orders.append(ErpOrder(f"MD{local:%Y%m%d}{serial:05d}", at, "store", fen, 0, 0, made))
        receipts.append(Receipt(f"SKMD{serial:06d}", at, fen, made, has_transaction=False))
    return orders, receipts
