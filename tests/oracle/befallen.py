"""What a company does beside orders: bookings, tickets and registrations, healthy or not.

One fault at most befalls each. What it is called, only the judge says.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from tests.oracle.company import (
    HOUR,
    MINUTE,
    SECOND,
    Company,
    MutableRow,
    Person,
    person,
    row,
)

Rows = dict[str, list[MutableRow]]
DAY = timedelta(days=1)


def add_services(company: Company, rows: Rows, at: datetime, line: str, fault_rate: float) -> None:
    """Add the rows of one booking, ticket or registration that begins at `at`."""
    make = company.random.choice((_booking, _ticket, _registration))
    own: Rows = {table: [] for table in rows}
    make(company, own, at, line)
    if company.random.random() < fault_rate:
        company.random.choice(FAULTS)(company, own)
    for table, made in own.items():
        rows[table].extend(made)


def _buyer(company: Company) -> Person:
    return person(500_000 + company.next_number())


def _submit(
    company: Company, rows: Rows, event: str, at: datetime, line: str, buyer: Person, number: str
) -> None:
    rows["tracking_events"].append(
        row(
            "tracking_events",
            event_id=f"ev{company.next_number():08d}",
            event=event,
            occurred_at=at,
            channel="mini_program",
            session_id=f"o-{number}",
            openid=buyer.openid,
            unionid=buyer.unionid,
            business_line=line,
            case_no=number,
        )
    )


def _contact(company: Company, rows: Rows, buyer: Person, at: datetime) -> str:
    contact_id = f"C{buyer.number:06d}"
    rows["crm_contacts"].append(
        row(
            "crm_contacts",
            contact_id=contact_id,
            unionid=buyer.unionid,
            phone=buyer.phone,
            created_at=at,
            updated_at=at,
            **company.by_interface("crm_contacts"),
        )
    )
    return contact_id


def _message(company: Company, rows: Rows, number: str, node: str, at: datetime) -> None:
    rows["messages"].append(
        row(
            "messages",
            message_id=f"msg{company.next_number():08d}",
            kind="subscribe",
            case_no=number,
            node=node,
            due_at=at,
            sent_at=at + 20 * SECOND,
            status="success",
            status_at=at + 25 * SECOND,
        )
    )


def _booking(company: Company, rows: Rows, at: datetime, line: str) -> None:
    buyer, number = _buyer(company), f"BO{company.next_number():06d}"
    _submit(company, rows, "booking_submit", at, line, buyer, number)
    contact_id = _contact(company, rows, buyer, at + company.between(-5 * DAY, 20 * HOUR))
    made_at = at + company.between(SECOND, 25 * MINUTE)
    slot_at = at + company.between(3 * HOUR, 6 * DAY)
    state = company.random.choice(("attended", "attended", "attended", "no_show", "cancelled"))
    closed_at = slot_at + company.between(timedelta(), 20 * HOUR)
    if state == "cancelled":
        closed_at = made_at + company.between(MINUTE, 2 * HOUR)
    rows["crm_appointments"].append(
        row(
            "crm_appointments",
            appointment_no=f"AP{company.next_number():06d}",
            booking_no=number,
            contact_id=contact_id,
            business_line=line,
            state=state,
            slot_at=slot_at,
            created_at=made_at,
            updated_at=closed_at,
            **company.by_interface("crm_appointments"),
        )
    )
    _message(company, rows, number, "service_confirm", made_at + MINUTE)


def _ticket(company: Company, rows: Rows, at: datetime, line: str) -> None:
    buyer, number = _buyer(company), f"AF{company.next_number():06d}"
    _submit(company, rows, "aftersale_submit", at, line, buyer, number)
    opened_at = at + company.between(SECOND, 25 * MINUTE)
    closed_at = opened_at + company.between(HOUR, 70 * HOUR)
    rows["crm_cases"].append(
        row(
            "crm_cases",
            crm_case_no=f"TK{company.next_number():06d}",
            ticket_no=number,
            business_line=line,
            state=company.random.choice(("resolved", "resolved", "cancelled")),
            opened_at=opened_at,
            closed_at=closed_at,
            **company.by_interface("crm_cases"),
        )
    )
    _message(company, rows, number, "refund_notice", closed_at + MINUTE)


def _registration(company: Company, rows: Rows, at: datetime, line: str) -> None:
    buyer = _buyer(company)
    _submit(company, rows, "member_register", at, line, buyer, f"ME{buyer.number:06d}")
    _contact(company, rows, buyer, at + company.between(SECOND, 29 * MINUTE))


# What befalls one of them: the rows are changed in one way.


def _lose(table: str) -> Callable[[Company, Rows], None]:
    def lose(company: Company, rows: Rows) -> None:
        rows[table].clear()

    return lose


def _lose_record_and_message(company: Company, rows: Rows) -> None:
    for table in ("crm_appointments", "crm_cases", "messages"):
        rows[table].clear()


def _record_twice(company: Company, rows: Rows) -> None:
    for table, key, made in (
        ("crm_appointments", "appointment_no", "created_at"),
        ("crm_cases", "crm_case_no", "opened_at"),
    ):
        for each in rows[table][:1]:
            second = dict(each, **{key: each[key] + "B"})
            second[made] += company.between(SECOND, 3 * HOUR)
            rows[table].append(second)


def _record_late(company: Company, rows: Rows) -> None:
    for table, made in (("crm_appointments", "created_at"), ("crm_cases", "opened_at")):
        for each in rows[table]:
            each[made] += company.random.choice((30 * MINUTE, 5 * HOUR, 25 * HOUR))


def _record_by_hand(company: Company, rows: Rows) -> None:
    for table in ("crm_appointments", "crm_cases"):
        for each in rows[table]:
            each.update(company.by_hand())


def _never_end(company: Company, rows: Rows) -> None:
    for each in rows["crm_appointments"]:
        each.update(state="confirmed", updated_at=each["created_at"])
    for each in rows["crm_cases"]:
        each.update(state="in_progress", closed_at=None)


def _end_late(company: Company, rows: Rows) -> None:
    for each in rows["crm_appointments"]:
        each.update(state="attended", updated_at=each["slot_at"] + 24 * HOUR)
    for each in rows["crm_cases"]:
        each["closed_at"] = each["opened_at"] + 72 * HOUR + company.random.choice((0, 1)) * SECOND


def _end_before_it_began(company: Company, rows: Rows) -> None:
    for each in rows["crm_appointments"]:
        early = company.random.choice((120, 121)) * SECOND
        each.update(state="attended", updated_at=each["slot_at"] - early)
    for each in rows["crm_cases"]:
        each["closed_at"] = each["opened_at"] - SECOND


def _no_slot(company: Company, rows: Rows) -> None:
    for each in rows["crm_appointments"]:
        each["slot_at"] = None
        if company.random.random() < 0.5:
            each["state"] = "confirmed"


def _only_asked_for(company: Company, rows: Rows) -> None:
    """The back end has it, not yet accepted, and the front end may not know of it."""
    for each in rows["crm_appointments"]:
        each.update(state="requested", updated_at=each["created_at"])
    if company.random.random() < 0.5:
        rows["tracking_events"].clear()


def _two_contacts(company: Company, rows: Rows) -> None:
    for each in rows["crm_contacts"][:1]:
        second = dict(each, contact_id=each["contact_id"] + "B", phone=None)
        second["created_at"] += company.random.choice((HOUR, 40 * HOUR))
        rows["crm_contacts"].append(second)


def _known_late(company: Company, rows: Rows) -> None:
    for each in rows["crm_contacts"]:
        each["created_at"] += company.random.choice((30 * MINUTE, 24 * HOUR, 5 * DAY))


def _message_fails(company: Company, rows: Rows) -> None:
    for each in rows["messages"]:
        each["status"] = company.random.choice(("user_block", "system_failed", "freq_limit"))


def _message_late(company: Company, rows: Rows) -> None:
    for each in rows["messages"]:
        each["sent_at"] += company.random.choice((-3 * HOUR, HOUR, 26 * HOUR))


def _submit_twice(company: Company, rows: Rows) -> None:
    for each in rows["tracking_events"][:1]:
        second = dict(each, event_id=each["event_id"] + "b")
        second["occurred_at"] += company.between(-MINUTE, MINUTE)
        rows["tracking_events"].append(second)


FAULTS: tuple[Callable[[Company, Rows], None], ...] = (
    _lose("tracking_events"), _lose("crm_contacts"), _lose("messages"), _lose("crm_appointments"),
    _lose("crm_cases"), _lose_record_and_message, _record_twice, _record_late, _record_by_hand,
    _never_end, _end_late, _end_before_it_began, _no_slot, _only_asked_for, _two_contacts,
    _known_late, _message_fails, _message_late, _submit_twice,
)  # fmt: skip
