"""The simulated company's days: who came, what they ordered, what went wrong, and its truth.

Everything follows from the options; no clock and no other chance is read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count, pairwise
from random import Random

from pipeline.landing import SHANGHAI, business_day, day_end, day_start
from pipeline.simulation.bookings import (
    Appointment,
    Booking,
    plan_booked_slot,
    plan_walk_in,
    vary_booking_lawfully,
)
from pipeline.simulation.cases import (
    FLASH_SALE,
    INTERFACE,
    LINES,
    Attempt,
    Case,
    ErpOrder,
    Line,
    Made,
    Receipt,
    View,
    in_working_hours,
    pay_under_other_number,
    plan_booking,
    plan_later_parcel,
    plan_payment,
    plan_refund,
    plan_submit,
    stop_shipping,
)
from pipeline.simulation.faults import ORDER_FAULTS
from pipeline.simulation.interface import Interface
from pipeline.simulation.people import Person, enrol, enrol_again, meet_people
from pipeline.simulation.planting import plant_faults
from pipeline.simulation.registrations import (
    REGISTERING_CHANNELS,
    Registration,
    plan_registration,
    plan_return,
)
from pipeline.simulation.sabotage import Bench, refund_after_shipping, refund_in_parts
from pipeline.simulation.service_faults import AFTERSALE_FAULTS, BOOKING_FAULTS, MEMBER_FAULTS
from pipeline.simulation.tickets import (
    Ticket,
    TicketRecord,
    plan_call,
    plan_complaint,
    vary_ticket_lawfully,
)
from pipeline.simulation.truth import Expected

FIRST_DAY = date(2026, 10, 1)
CHANNEL_SHARES = {"mini_program": 50, "h5": 14, "mobile_site": 8, "app": 18, "pc": 10}
HOUR_WEIGHTS = (
    3, 1, 1, 1, 1, 2, 5, 10, 18, 26, 34, 32, 30, 24, 22, 24, 26, 28, 30, 38, 46, 44, 30, 10,
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """How large a company, over how many days. The same options give the same company.

    `fault_rate` None plants the faults at the company's own rates. A number is the share that is
    broken of all cases, over all loops, of which a finding could be due before the end. With
    `hide_actors`, its back ends tell of no record who made it; all else is the same. Faults named
    by `without` are not planted in orders.
    """

    seed: int = 1
    days: int = 30
    orders: int = 3000
    fault_rate: float | None = None
    hide_actors: bool = False
    without: tuple[str, ...] = ()

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

    @property
    def untracked_day(self) -> date | None:
        """The day on which the mini-program's tracker missed who only looked around."""
        return FIRST_DAY + timedelta(days=self.days // 6) if self.days >= 12 else None


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
    """The whole company; what happens at or after `end` has not happened yet.

    `cases` are the orders. Shop orders, walk-ins and calls never had a front end.
    """

    options: Options
    start: datetime
    end: datetime
    cases: list[Case]
    bookings: list[Booking]
    tickets: list[Ticket]
    registrations: list[Registration]
    visits: list[Visit]
    shop_orders: list[ErpOrder]
    shop_receipts: list[Receipt]
    walk_ins: list[Appointment]
    calls: list[TicketRecord]
    people: list[Person]
    expected: list[Expected] = field(default_factory=list)

    @property
    def attempts(self) -> list[Attempt]:
        """The cases of all loops."""
        return [*self.cases, *self.bookings, *self.tickets, *self.registrations]


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
    bench, rate = Bench(random, serials, met), options.fault_rate
    _vary_lawfully(paid, bench)
    _mark_lone_amounts(submits)
    faults = [fault for fault in ORDER_FAULTS if fault.name not in options.without]
    expected = plant_faults(paid, faults, end, bench, rate)
    for case in paid:
        _move_refunds_off(options.closed_day, case)
    visits = _visits(options, customers, met, random)
    shop_orders, shop_receipts = _shop_counter(options, random)

    # The other loops have chances of their own, so that orders are the same without them.
    service = Bench(Random(f"services {options.seed}"), serials, met)
    bookings = _bookings(options, customers, service.random)
    tickets = _tickets(options, customers, service.random)
    registrations = _registrations(options, customers, met, service.random)
    expected += plant_faults(bookings, BOOKING_FAULTS, end, service, rate)
    expected += plant_faults(tickets, AFTERSALE_FAULTS, end, service, rate)
    expected += plant_faults(registrations, MEMBER_FAULTS, end, service, rate)
    walk_ins, calls = _counter_and_phone(options, service.random)

    cases = sorted(submits, key=lambda case: case.number)
    attempts: list[Attempt] = [*cases, *bookings, *tickets, *registrations]
    _enrol_newcomers([*cases, *bookings, *tickets], customers, random)
    people = {person.number: person for person in customers}
    people |= {attempt.person.number: attempt.person for attempt in attempts}
    return World(
        options=options, start=start, end=end, cases=cases, bookings=bookings, tickets=tickets,
        registrations=registrations, visits=visits, shop_orders=shop_orders,
        shop_receipts=shop_receipts, walk_ins=walk_ins, calls=calls,
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
                made=Made(INTERFACE), order_no=case.number, is_paid=False,
                cancelled_at=created_at + timedelta(minutes=30) if random.random() < 0.6 else None,
            )
        )  # fmt: skip


def _vary_lawfully(paid: Sequence[Case], bench: Bench) -> None:
    """What looks unusual and is right: refunds, parts, a payment the front end never showed."""
    random = bench.random
    _pay_under_other_numbers(paid, bench)
    for case in paid:
        if case.variant:
            continue
        if random.random() < case.line.refund_rate:
            _refund_lawfully(case, bench)
        elif random.random() < 0.03:
            whole = case.receipts[0]
            part = Receipt(
                f"{whole.number}-2", whole.at + timedelta(minutes=random.randint(1, 50)),
                case.order_fen // 3, whole.made,
            )  # fmt: skip
            whole.fen -= part.fen
            case.receipts.append(part)
            case.variant = "received_in_two_parts"
        elif random.random() < 0.02:
            for _ in range(random.choice((1, 1, 2))):
                plan_later_parcel(case, random)
            case.variant = "sent_in_parcels"
        elif random.random() < 0.008:
            case.claimed_at = None
            case.variant = "success_never_shown"
        elif random.random() < 0.008:
            _meet_again_later(case, bench)
            case.variant = "met_again_later"


def _refund_lawfully(case: Case, bench: Bench) -> None:
    chance = bench.random.random()
    if chance < 0.5:
        _cancel_before_shipping(case, bench)
        case.variant = "cancelled_and_refunded"
    elif chance < 0.7:
        refund_in_parts(case, bench)
        case.variant = "refunded_in_parts"
    else:
        refund_after_shipping(case, bench)
        if case.refunds[0].fen == case.order_fen and bench.random.random() < 0.5:
            _send_back(case)
        case.variant = "refunded"


def _pay_under_other_numbers(paid: Sequence[Case], bench: Bench) -> None:
    """A payment that has a number of its own pays one order, or the two or three of a cart.

    The ERP names its transaction in each order, and its receipts are the parts of the payment:
    rows of one receipt, or a receipt for each order.
    """
    random, met = bench.random, dict[tuple[date, str], list[Case]]()
    for case in paid:
        met.setdefault((business_day(case.submitted_at), case.line.name), []).append(case)
    days = [cases for _, cases in sorted(met.items()) if len(cases) >= 3]
    for serial in range(1, 1 + min(len(days), max(4, len(paid) // 200))):
        of_day = days.pop(random.randrange(len(days)))
        together = random.sample(of_day, (1, 2, 3)[serial % 3])
        day = business_day(together[0].submitted_at)
        pay_under_other_number(together, f"ZF{day:%Y%m%d}{serial:08d}")
        for case in together:
            wait = timedelta(seconds=random.randint(*case.line.booking))
            plan_booking(case, case.paid_at + wait, random)
            # WeChat's list knows the payment's number only: the customer sees the order's page.
            seen_at = max(case.shipped_at, case.uploaded_at or case.shipped_at)
            case.views.append(View(seen_at + timedelta(minutes=random.randint(2, 30)), "shipped"))
            case.variant = "paid_under_other_number"
        if serial % 2:
            last = max((case.receipts[0] for case in together), key=lambda receipt: receipt.at)
            for case in together:
                case.receipts[0].number, case.receipts[0].at = last.number, last.at


def _meet_again_later(case: Case, bench: Bench) -> None:
    """The CRM makes a second contact of the buyer after the window of `known`: no conflict yet."""
    case.person = next(bench.strangers)
    enrol(case.person, bench.random, case.submitted_at + bench.hours(-200, 1.5))
    enrol_again(case.person, bench.random, case.submitted_at + bench.hours(30, 90))


# An order is sought for a day after its payment, and customers take minutes to pay.
SOUGHT_AROUND = timedelta(hours=26)


def _mark_lone_amounts(submits: Sequence[Case]) -> None:
    """Find the orders whose amount no other order or payment has within the time around them."""
    amounts = {(case.order_fen, case.submitted_at, case.number) for case in submits}
    amounts |= {
        (case.payment.order_fen, case.submitted_at, case.number)
        for case in submits
        if case.payment is not None
    }
    ranked = sorted(amounts)
    crowded = set()
    for (fen, at, number), (next_fen, next_at, next_number) in pairwise(ranked):
        if fen == next_fen and next_at - at < SOUGHT_AROUND:
            crowded |= {number, next_number}
    for case in submits:
        case.has_lone_amount = case.number not in crowded


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
    while any(business_day(refund.at) == closed_day for refund in case.refunds):
        for refund in case.refunds:
            refund.at += timedelta(days=1)
        for credit in case.credits:
            credit.at += timedelta(days=1)
        for order in case.orders:
            if order.cancelled_at is not None:
                order.cancelled_at += timedelta(days=1)


def _bookings(options: Options, customers: Sequence[Person], random: Random) -> list[Booking]:
    bookings = []
    for serial, at in enumerate(_moments(options, max(60, options.orders // 8), random), start=1):
        number = f"B{business_day(at):%Y%m%d}{serial:08d}"
        person = random.choice(customers)
        bookings.append(plan_booked_slot(number, _channel(random), person, at, random))
    for booking in bookings:
        vary_booking_lawfully(booking, random)
    return bookings


def _tickets(options: Options, customers: Sequence[Person], random: Random) -> list[Ticket]:
    tickets = []
    for serial, at in enumerate(_moments(options, max(60, options.orders // 8), random), start=1):
        number = f"S{business_day(at):%Y%m%d}{serial:08d}"
        person = random.choice(customers)
        tickets.append(plan_complaint(number, _channel(random), person, at, random))
    for ticket in tickets:
        vary_ticket_lawfully(ticket, random)
    return tickets


def _registrations(
    options: Options, customers: Sequence[Person], met: Iterator[Person], random: Random
) -> list[Registration]:
    """New people register; one in ten is a customer whom the CRM has known all along."""
    moments = _moments(options, max(40, options.orders // 10), random)
    known = [person for person in customers if person.contact_at is not None]
    returning = iter(random.sample(known, min(len(known), len(moments))))
    registrations = []
    for at in moments:
        channel = random.choice(REGISTERING_CHANNELS)
        if random.random() < 0.1 and (person := next(returning, None)):
            registrations.append(plan_return(channel, person, at))
        else:
            registrations.append(plan_registration(channel, next(met), at, random))
    return registrations


def _counter_and_phone(
    options: Options, random: Random
) -> tuple[list[Appointment], list[TicketRecord]]:
    """Appointments made in the shop and tickets opened on the phone."""
    moments = _moments(options, max(4, options.orders // 100), random, latest_hour=19)
    walk_ins = [plan_walk_in(serial, at, random) for serial, at in enumerate(moments, start=1)]
    calls = [plan_call(serial, at, random) for serial, at in enumerate(moments, start=1)]
    return walk_ins, calls


def _enrol_newcomers(cases: Sequence[Attempt], customers: Sequence[Person], random: Random) -> None:
    """The CRM meets somebody new within an hour and a half of their first case."""
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
