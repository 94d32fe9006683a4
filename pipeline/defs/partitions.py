"""The business days that can be landed: one partition each, Asia/Shanghai, half-open."""

from datetime import date, datetime, timedelta

import dagster as dg

from pipeline.company import Company
from pipeline.landing import SHANGHAI


def business_days(
    company: Company, *, until: date | None = None, now: datetime | None = None
) -> dg.DailyPartitionsDefinition:
    """Every day from the company's first to its last, or to yesterday where it goes on.

    `until` extends a company that goes on to the last day that its files hold. Days may lie ahead
    of the clock: a simulated month, or a machine whose clock is wrong.
    """
    last_day = company.last_day or until
    today = (now or datetime.now(SHANGHAI)).astimezone(SHANGHAI).date()
    days_ahead = (last_day - today).days + 1 if last_day else 0
    return dg.DailyPartitionsDefinition(
        start_date=company.first_day.isoformat(),
        end_date=(last_day + timedelta(days=1)).isoformat() if last_day else None,
        timezone="Asia/Shanghai",
        end_offset=max(days_ahead, 0),
    )
