"""Bookings of the fitting line: submitted in front, kept as appointments in the CRM, then served.

Planned whole and healthy, as orders are; `sabotage_services.py` breaks them.
"""

from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from random import Random

from pipeline.landing import SHANGHAI
from pipeline.simulation.cases import Attempt, Made, Message
from pipeline.simulation.people import Person

FITTING = "fitting"
BOOKING_INTERFACE = "svc_booking_bridge"


@dataclass
class Appointment:
    """An appointment in the CRM: requested when it is made, then confirmed, in the end closed.

    `closed_as` is the state that it is closed with, at `closed_at`; None where nobody closes it.
    """

    number: str
    created_at: datetime
    confirmed_at: datetime | None
    closed_at: datetime | None
    closed_as: str
    made: Made


@dataclass(kw_only=True)
class Booking(Attempt):
    """One booking and every record that it leaves."""

    loop = "booking"

    slot_at: datetime
    appointments: list[Appointment] = field(default_factory=list)

    @property
    def created_at(self) -> datetime:
        return self.appointments[0].created_at


def plan_booked_slot(
    number: str, channel: str, person: Person, submitted_at: datetime, random: Random
) -> Booking:
    """A booking that the interface brings to the CRM within minutes, and that is kept."""
    day = submitted_at.astimezone(SHANGHAI).date() + timedelta(days=random.randint(1, 4))
    slot = time(random.randint(10, 18), random.choice((0, 30)), tzinfo=SHANGHAI)
    booking = Booking(
        number=number,
        business_line=FITTING,
        channel=channel,
        person=person,
        entered_at=submitted_at - timedelta(seconds=random.randint(20, 300)),
        submitted_at=submitted_at,
        slot_at=datetime.combine(day, slot).astimezone(submitted_at.tzinfo),
    )
    plan_appointment(booking, submitted_at + timedelta(seconds=random.randint(2, 600)), random)
    return booking


def plan_appointment(booking: Booking, at: datetime, random: Random) -> None:
    """The CRM holds the appointment from an instant; it is confirmed, told, and kept."""
    confirmed_at = at + timedelta(seconds=random.randint(30, 1200))
    booking.appointments = [
        Appointment(
            number=f"YY{booking.number[1:]}",
            created_at=at,
            confirmed_at=confirmed_at,
            closed_at=booking.slot_at + timedelta(seconds=random.randint(300, 6 * 3600)),
            closed_as="attended",
            made=Made(BOOKING_INTERFACE, None if random.random() < 0.04 else "API"),
        )
    ]
    sent_at = confirmed_at + timedelta(seconds=random.randint(3, 60))
    booking.messages = [
        Message(f"{booking.number}-1", "service_confirm", confirmed_at, sent_at, "success")
    ]


def vary_booking_lawfully(booking: Booking, random: Random) -> None:
    """What looks unusual and is right: submitted twice, cancelled in time, nobody came."""
    if random.random() < 0.04:
        booking.retried_at = booking.submitted_at + timedelta(seconds=random.randint(3, 90))
    chance, appointment = random.random(), booking.appointments[0]
    confirmed_at = appointment.confirmed_at or appointment.created_at
    if chance < 0.07:
        appointment.closed_at = confirmed_at + (booking.slot_at - confirmed_at) * random.random()
        appointment.closed_as = "cancelled"
        booking.variant = "cancelled_in_time"
    elif chance < 0.16:
        appointment.closed_at = booking.slot_at + timedelta(minutes=random.randint(30, 20 * 60))
        appointment.closed_as = "no_show"
        booking.variant = "nobody_came"
    elif chance < 0.17:
        # The tracker lost it and the shop never accepted it: nothing is owed.
        appointment.confirmed_at = None
        appointment.closed_at = appointment.created_at + timedelta(hours=random.randint(1, 9))
        appointment.closed_as = "cancelled"
        booking.has_front, booking.messages, booking.variant = False, [], "never_accepted"


def plan_walk_in(serial: int, at: datetime, random: Random) -> Appointment:
    """An appointment that the shop writes down itself: no front end issued a number for it."""
    return Appointment(
        number=f"YYMD{serial:06d}",
        created_at=at,
        confirmed_at=at,
        closed_at=at + timedelta(minutes=random.randint(30, 240)),
        closed_as="attended",
        made=Made("shop.counter", "MANUAL"),
    )
