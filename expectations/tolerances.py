"""Every threshold of the expectations: its name, its value, its reason and since when."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Tolerance:
    """The least share, from 0 to 1, at which two systems still count as agreeing."""

    least: float
    reason: str
    since: date


PAYMENTS_AGREEING = Tolerance(
    0.995,
    "Money: one case in two hundred is what one person can still clear by hand the same day.",
    date(2026, 11, 22),
)
ORDERS_AGREEING = Tolerance(
    0.99,
    "An order that the back end lacks or holds otherwise is a customer's call; one in a hundred"
    " is the level at which an interface counts as automatic (depth level 2).",
    date(2026, 11, 22),
)
RECEIPTS_AGREEING = Tolerance(
    0.99,
    "Receipts are booked in batches after settlement; the interface's own bar is one in a hundred.",
    date(2026, 11, 22),
)
FULFILMENTS_AGREEING = Tolerance(
    0.98,
    "Shipments have lawful exceptions (split, held, collected in person) that no contract lists.",
    date(2026, 11, 22),
)
BUYERS_KNOWN = Tolerance(
    0.97,
    "Guests who withhold every identifier are lawful; more than three in a hundred means that the"
    " CRM interface drops people.",
    date(2026, 11, 22),
)
STATES_FLOWING_BACK = Tolerance(
    0.95,
    "The bar of depth level 3: two-way integration.",
    date(2026, 11, 22),
)
CUSTOMERS_TOLD = Tolerance(
    0.9,
    "Recipients may block messages or have used up their subscription; one in ten is usual.",
    date(2026, 11, 22),
)
REFUNDS_AGREEING = Tolerance(
    0.99,
    "Money that goes back is audited singly; few cases, so one open refund shows at once.",
    date(2026, 11, 22),
)
MADE_BY_INTERFACE = Tolerance(
    0.95,
    "The bar of depth level 2: below it the integration is a person with two screens.",
    date(2026, 11, 22),
)
ROWS_READABLE = Tolerance(
    0.999,
    "A row in quarantine is a case judged without it; one in a thousand is a typing error, more is"
    " a changed format.",
    date(2026, 11, 22),
)
CASES_KNOWABLE = Tolerance(
    0.95,
    "The data gate of the verdict: above 5 % unknown nothing can be concluded.",
    date(2026, 11, 22),
)
# Sources close their day within hours of each other; one that lags the others by more than a
# working day keeps every leg that reads it pending.
HOURS_BEHIND_THE_NEWEST = 36
# A week holds each weekday once. A loss that was mended shall not warn for ever.
DAYS_OF_TRACKING_JUDGED = 7
