"""How a healthy booking, ticket or registration is broken: each act leaves exactly one finding.

What breaks an order stands in `sabotage.py`, what is planted where in `service_faults.py`.
"""

from dataclasses import replace
from datetime import timedelta

from pipeline.simulation.bookings import Booking, plan_appointment
from pipeline.simulation.clerks import BOOKING_LIST, TICKET_LIST
from pipeline.simulation.people import enrol_again
from pipeline.simulation.registrations import Registration
from pipeline.simulation.sabotage import Bench
from pipeline.simulation.tickets import Ticket, answer_ticket, close_ticket, plan_ticket

# Bookings. A slot is at least ten hours after the booking, which the delays below stay under.


def book_on_the_surface(booking: Booking, bench: Bench) -> None:
    """The front end shows the booking; the CRM never heard of it and nobody was told."""
    booking.appointments, booking.messages = [], []


def confirm_nothing(booking: Booking, bench: Bench) -> None:
    """The customer was told, and the CRM has no appointment."""
    booking.appointments = []


def confirm_twice(booking: Booking, bench: Bench) -> None:
    first = booking.appointments[0]
    again = _again(bench)
    booking.appointments.append(
        replace(
            first,
            number=f"{first.number}B",
            created_at=first.created_at + again,
            confirmed_at=(first.confirmed_at or first.created_at) + again,
        )
    )


def confirm_by_hand(booking: Booking, bench: Bench) -> None:
    """A clerk makes the appointment from a list, hours after the booking."""
    at, made = bench.desk.type("appointments typed", BOOKING_LIST.sitting(booking))
    plan_appointment(booking, at, bench.random)
    booking.appointments[0].made = made


def confirm_late(booking: Booking, bench: Bench) -> None:
    plan_appointment(booking, booking.submitted_at + bench.hours(0.75, 9), bench.random)


def leave_open(booking: Booking, bench: Bench) -> None:
    """The slot is over, and nobody says who came."""
    booking.appointments[0].closed_at = None


def close_before_slot(booking: Booking, bench: Bench) -> None:
    """Ticked off as attended hours before it can have been."""
    booking.appointments[0].closed_at = booking.slot_at - bench.hours(2, 6)


def close_late(booking: Booking, bench: Bench) -> None:
    booking.appointments[0].closed_at = booking.slot_at + bench.hours(26, 60)


# Tickets.


def complain_on_the_surface(ticket: Ticket, bench: Bench) -> None:
    """The front end shows the ticket; the CRM never heard of it and nobody was told."""
    ticket.records, ticket.messages = [], []


def ticket_nothing(ticket: Ticket, bench: Bench) -> None:
    """The customer was told that it came in, and the CRM has no ticket."""
    answer_ticket(ticket, ticket.submitted_at + bench.hours(0.02, 0.4), bench.random)
    ticket.records = []


def ticket_twice(ticket: Ticket, bench: Bench) -> None:
    first = ticket.records[0]
    again = _again(bench)
    ticket.records.append(
        replace(
            first,
            number=f"{first.number}B",
            opened_at=first.opened_at + again,
            worked_at=first.worked_at + again,
        )
    )


def ticket_by_hand(ticket: Ticket, bench: Bench) -> None:
    """A clerk opens the ticket from a list, hours after the complaint."""
    at, made = bench.desk.type("tickets typed", TICKET_LIST.sitting(ticket))
    plan_ticket(ticket, at, bench.random)
    ticket.records[0].made = made


def ticket_late(ticket: Ticket, bench: Bench) -> None:
    plan_ticket(ticket, ticket.submitted_at + bench.hours(0.75, 16), bench.random)


def resolve_nothing(ticket: Ticket, bench: Bench) -> None:
    """The ticket stays open, so that there is no result to tell."""
    ticket.records[0].closed_at = None
    ticket.messages.pop()


def resolve_late(ticket: Ticket, bench: Bench) -> None:
    close_ticket(ticket, ticket.opened_at + bench.hours(75, 150), bench.random)


def close_before_opening(ticket: Ticket, bench: Bench) -> None:
    """The ticket bears a closing time from before it was opened; the customer was told soon."""
    ticket.records[0].closed_at = ticket.opened_at - bench.hours(1, 20)
    answer_ticket(ticket, ticket.opened_at + timedelta(minutes=5), bench.random)


# Registrations.


def register_on_the_surface(registration: Registration, bench: Bench) -> None:
    """The front end shows the membership; no contact ever comes of it."""
    registration.person.contact_at = None


def register_late(registration: Registration, bench: Bench) -> None:
    registration.person.contact_at = registration.submitted_at + bench.hours(0.75, 20)


def register_twice(registration: Registration, bench: Bench) -> None:
    """A second contact of the same person, within the window."""
    enrol_again(registration.person, bench.random, registration.submitted_at + bench.hours(0.4, 20))


def _again(bench: Bench) -> timedelta:
    """A retry of the interface, or somebody who did not see the first."""
    return bench.hours(0.006, 0.03) if bench.random.random() < 0.6 else bench.hours(0.3, 1.5)
