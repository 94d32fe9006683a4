"""Which faults are planted in bookings, after-sales and registrations, and how often.

The fitting line and the after-sales of retail are integrated, and neither is spotless.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from pipeline.simulation import sabotage
from pipeline.simulation import sabotage_services as services
from pipeline.simulation.bookings import Booking
from pipeline.simulation.cases import Attempt
from pipeline.simulation.clerks import BOOKING_LIST, TICKET_LIST
from pipeline.simulation.planting import Fault
from pipeline.simulation.registrations import Registration
from pipeline.simulation.tickets import Ticket


def _after_submit(hours: float) -> Callable[[Attempt], datetime]:
    return lambda case: case.submitted_at + timedelta(hours=hours)


def _after_slot(hours: float) -> Callable[[Booking], datetime]:
    return lambda booking: booking.slot_at + timedelta(hours=hours)


def _after_opening(hours: float) -> Callable[[Ticket], datetime]:
    return lambda ticket: ticket.opened_at + timedelta(hours=hours)


def _after_closing(hours: float) -> Callable[[Ticket], datetime]:
    return lambda ticket: ticket.closed_at + timedelta(hours=hours)


def _can_wait_for_a_clerk(booking: Booking) -> bool:
    """Whether the clerk comes to it well before the slot."""
    return BOOKING_LIST.sitting(booking) + timedelta(hours=3) <= booking.slot_at


BOOKING_FAULTS: tuple[Fault[Booking], ...] = (
    Fault("booked_on_the_surface", "submitted", "surface_only", services.book_on_the_surface,
          _after_submit(25), fitting=0.01, at_least=2),
    Fault("never_confirmed", "confirmed", "not_confirmed", services.confirm_nothing,
          _after_submit(25), fitting=0.01),
    Fault("confirmed_twice", "confirmed", "duplicate", services.confirm_twice,
          _after_submit(3), fitting=0.005, at_least=1),
    Fault("confirmed_by_hand", "confirmed", "manual_rekey", services.confirm_by_hand,
          _after_submit(23), fitting=0.03, fits=_can_wait_for_a_clerk, chore=BOOKING_LIST),
    Fault("confirmed_late", "confirmed", "late", services.confirm_late,
          _after_submit(10), fitting=0.008, at_least=2),
    Fault("never_served", "served", "not_served", services.leave_open,
          _after_slot(25), fitting=0.02),
    Fault("attended_too_early", "served", "state_conflict", services.close_before_slot,
          _after_slot(0), fitting=0.005, at_least=2),
    Fault("closed_late", "served", "late", services.close_late,
          _after_slot(61), fitting=0.008, at_least=2),
    Fault("unknown_guest", "known", "not_known", sabotage.know_nobody,
          _after_submit(25), fitting=0.01, at_least=2),
    Fault("guest_known_twice", "known", "identity_conflict", sabotage.know_twice,
          _after_submit(25), fitting=0.005, at_least=1),
    Fault("confirmation_never_sent", "notified", "not_notified", sabotage.notify_nothing,
          _after_submit(25), fitting=0.008, at_least=2),
    Fault("confirmation_failed", "notified", "notify_failed", sabotage.fail_notice,
          _after_submit(25), fitting=0.008, at_least=2),
    Fault("confirmation_late", "notified", "late", sabotage.notify_late,
          _after_submit(22), fitting=0.005, at_least=1),
    Fault("untracked_booking", "submitted", "backend_only", sabotage.lose_events,
          _after_submit(25), fitting=0.008, at_least=2),
)  # fmt: skip

AFTERSALE_FAULTS: tuple[Fault[Ticket], ...] = (
    Fault("complained_on_the_surface", "submitted", "surface_only",
          services.complain_on_the_surface, _after_submit(25), retail=0.01, at_least=2),
    Fault("never_ticketed", "ticketed", "not_ticketed", services.ticket_nothing,
          _after_submit(25), retail=0.01),
    Fault("ticketed_twice", "ticketed", "duplicate", services.ticket_twice,
          _after_submit(3), retail=0.005, at_least=1),
    Fault("ticketed_by_hand", "ticketed", "manual_rekey", services.ticket_by_hand,
          _after_submit(23), retail=0.03, chore=TICKET_LIST),
    Fault("ticketed_late", "ticketed", "late", services.ticket_late,
          _after_submit(17), retail=0.008, at_least=2),
    Fault("never_resolved", "resolved", "not_resolved", services.resolve_nothing,
          _after_opening(7 * 24 + 1), retail=0.015),
    Fault("resolved_late", "resolved", "late", services.resolve_late,
          _after_opening(151), retail=0.01, at_least=2),
    Fault("closed_before_opening", "resolved", "state_conflict", services.close_before_opening,
          _after_opening(1), retail=0.005, at_least=2),
    Fault("answer_never_sent", "notified", "not_notified", sabotage.notify_nothing,
          _after_closing(25), retail=0.01, at_least=2),
    Fault("answer_failed", "notified", "notify_failed", sabotage.fail_notice,
          _after_closing(25), retail=0.008, at_least=2),
    Fault("answer_late", "notified", "late", sabotage.notify_late,
          _after_closing(21), retail=0.005, at_least=1),
    Fault("untracked_ticket", "submitted", "backend_only", sabotage.lose_events,
          _after_submit(25), retail=0.008, at_least=2),
)  # fmt: skip

MEMBER_FAULTS: tuple[Fault[Registration], ...] = (
    Fault("registered_on_the_surface", "submitted", "surface_only",
          services.register_on_the_surface, _after_submit(25), membership=0.015, at_least=2),
    Fault("registered_late", "known", "late", services.register_late,
          _after_submit(21), membership=0.02, at_least=2),
    Fault("registered_twice", "known", "identity_conflict", services.register_twice,
          _after_submit(25), membership=0.01, at_least=2),
)  # fmt: skip
