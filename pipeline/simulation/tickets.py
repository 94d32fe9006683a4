"""After-sales of retail: submitted in front, kept as a ticket in the CRM, resolved, then answered.

Planned whole and healthy, as orders are; `sabotage_services.py` breaks them.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from pipeline.simulation.cases import RETAIL, Attempt, Made, Message
from pipeline.simulation.people import Person

SERVICE_INTERFACE = "svc_service_desk"


@dataclass
class TicketRecord:
    """A ticket of the CRM: open, then in work, in the end resolved or cancelled.

    `closed_at` is when the ticket was closed; None where nobody closes it, and not written down
    where it is not `is_dated`.
    """

    number: str
    opened_at: datetime
    worked_at: datetime
    closed_at: datetime | None
    closed_as: str
    made: Made
    is_dated: bool = True


@dataclass(kw_only=True)
class Ticket(Attempt):
    """One after-sales case and every record that it leaves."""

    loop = "aftersale"

    records: list[TicketRecord] = field(default_factory=list)

    @property
    def opened_at(self) -> datetime:
        return self.records[0].opened_at

    @property
    def closed_at(self) -> datetime:
        closed_at = self.records[0].closed_at
        if closed_at is None:
            raise ValueError(f"{self.case_id} was never closed")
        return closed_at


def plan_complaint(
    number: str, channel: str, person: Person, submitted_at: datetime, random: Random
) -> Ticket:
    """A ticket that the interface opens within minutes and that is resolved within three days."""
    ticket = Ticket(
        number=number,
        business_line=RETAIL.name,
        channel=channel,
        person=person,
        entered_at=submitted_at - timedelta(seconds=random.randint(30, 600)),
        submitted_at=submitted_at,
    )
    if random.random() < 0.4:
        # An acknowledgement tells no result: the answer is owed all the same.
        acknowledge(ticket, submitted_at + timedelta(seconds=random.randint(5, 900)))
    plan_ticket(ticket, submitted_at + timedelta(seconds=random.randint(2, 600)), random)
    return ticket


def acknowledge(ticket: Ticket, at: datetime) -> None:
    """Tell the customer at once that the ticket came in."""
    sent_at = at + timedelta(seconds=4)
    ticket.messages = [Message(f"{ticket.number}-1", "service_confirm", at, sent_at, "success")]


def plan_ticket(ticket: Ticket, at: datetime, random: Random) -> None:
    """The CRM opens the ticket at an instant; somebody works on it, resolves it and answers."""
    ticket.records = [
        TicketRecord(
            number=f"GD{ticket.number[1:]}",
            opened_at=at,
            worked_at=at + timedelta(seconds=random.randint(600, 5400)),
            closed_at=None,
            closed_as="resolved",
            made=Made(SERVICE_INTERFACE, None if random.random() < 0.04 else "API"),
        )
    ]
    close_ticket(ticket, at + timedelta(seconds=random.randint(2 * 3600, 60 * 3600)), random)


def close_ticket(ticket: Ticket, at: datetime, random: Random) -> None:
    """The ticket is resolved at an instant, and the customer told within the hour."""
    for record in ticket.records:
        record.closed_at = at
    answer_ticket(ticket, at, random)


def answer_ticket(ticket: Ticket, due_at: datetime, random: Random) -> None:
    """The result goes out, from the instant at which it is due; it is the last message."""
    number = f"{ticket.number}-2"
    ticket.messages = [message for message in ticket.messages if message.number != number]
    node = "refund_notice" if random.random() < 0.3 else "service_confirm"
    sent_at = due_at + timedelta(seconds=random.randint(5, 3000))
    ticket.messages.append(Message(number, node, due_at, sent_at, "success"))


def vary_ticket_lawfully(ticket: Ticket, random: Random) -> None:
    """What looks unusual and is right: submitted twice, or cancelled, with or without a date."""
    if random.random() < 0.04:
        ticket.retried_at = ticket.submitted_at + timedelta(seconds=random.randint(3, 90))
    chance, record = random.random(), ticket.records[0]
    if chance < 0.08:
        record.closed_as, record.is_dated = "cancelled", chance < 0.04
        ticket.messages.pop()
        ticket.variant = "cancelled"
    elif chance < 0.095:
        # The tracker lost it and the desk closed it as soon as it came: nothing is owed.
        record.closed_as, record.closed_at = "cancelled", record.opened_at
        ticket.has_front, ticket.messages, ticket.variant = False, [], "never_accepted"


def plan_call(serial: int, at: datetime, random: Random) -> TicketRecord:
    """A ticket that the service desk opens on the phone: no front end issued a number for it."""
    return TicketRecord(
        number=f"GDDH{serial:06d}",
        opened_at=at,
        worked_at=at,
        closed_at=at + timedelta(minutes=random.randint(10, 600)),
        closed_as="resolved",
        made=Made("service.desk", "MANUAL"),
    )
