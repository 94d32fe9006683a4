"""When a subject is bad, when it is clean again, and what follows: every threshold, pure functions.

Two rules. `divergence_share`: of the cases judged at a leg, the share with an open finding of one
class; bad when the 95 % Wilson interval lies above the threshold on RUNNING_DAYS judged days
running, with enough cases and money behind it. `source_not_ready`: a connected source lags behind
the newest one; it mutes the legs that read it and is itself one alert.

Nothing here reads a clock: an alert opens, worsens and resolves by what the data shows. What the
file holds is read in `findings`, what was decided is kept in `state`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

from pipeline.alerts.records import Alert, Kind, Severity, Subject
from pipeline.decisions.intervals import wilson_interval

# The trailing entry days that are judged together. A week holds every weekday once, and a line
# with 50 cases a day shows a share of 1 % in 350 cases where 50 could not. 2026-11-22.
WINDOW_DAYS = 7

# Judged days running before an alert opens, or the upper bound resolves one. A finding that heals
# on the next run (a late file, a corrected posting) is over before the third. 2026-11-22.
RUNNING_DAYS = 3

# Share of cases still pending at a leg up to which a window counts as judged. Good cases are
# verified sooner than bad ones are refuted, so a younger window flatters. 2026-11-22.
PENDING_ALLOWED = 0.05

# How far back entry days are read. An alert that was last bad earlier is judged on this. 2026-11-22
LOOKBACK_DAYS = 90

# Daily sources are complete at the end of their day: one day missing is 24 h behind. 2026-11-22.
LAG_ALLOWED = timedelta(hours=24)

# An open alert that nobody acknowledged is told once more after three days of data. 2026-11-22.
ESCALATE_AFTER = timedelta(days=3)


@dataclass(frozen=True)
class Threshold:
    """From where on a class is worth waking somebody.

    `share` in 0..1, `floor_fen` the money at stake in the window, `least_cases` the findings in it.
    """

    share: float
    floor_fen: int
    least_cases: int
    severity: Severity
    reason: str
    since: date


MONEY_AT_RISK = Threshold(
    0.005, 20_000, 3, "critical",
    "money or goods may be gone, and a customer waits: small baskets count, so 200 yuan a week is "
    "enough; one or two cases belong to their owner's list, not to everybody's telephone",
    date(2026, 11, 22),
)  # fmt: skip
BOOKS_DIFFER = Threshold(
    0.01, 100_000, 3, "warning",
    "the books of the two sides differ, the goods and the money are where they belong; under 1,000 "
    "yuan a week it costs more to ask than it saves",
    date(2026, 11, 22),
)  # fmt: skip
LOOP_OPEN = Threshold(
    0.02, 0, 3, "warning",
    "a hand-off is missing; 2 % is what manual follow-up absorbs, and no money is claimed",
    date(2026, 11, 22),
)  # fmt: skip
SERVICE_POOR = Threshold(
    0.05, 0, 5, "warning",
    "it arrived, but late or by hand: a matter for the month unless one case in twenty suffers",
    date(2026, 11, 22),
)  # fmt: skip

THRESHOLDS: dict[str, Threshold] = {
    "paid_not_booked": MONEY_AT_RISK,
    "booked_not_paid": MONEY_AT_RISK,
    "shipped_unpaid": MONEY_AT_RISK,
    "surface_only": BOOKS_DIFFER,
    "duplicate": BOOKS_DIFFER,
    "backend_only": BOOKS_DIFFER,
    "amount_mismatch": BOOKS_DIFFER,
    "state_conflict": BOOKS_DIFFER,
    "refund_missing": BOOKS_DIFFER,
    "refund_unbacked": BOOKS_DIFFER,
    "not_received": BOOKS_DIFFER,
    "not_fulfilled": BOOKS_DIFFER,
    "late_reflow": SERVICE_POOR,
    "not_notified": SERVICE_POOR,
    "notify_failed": SERVICE_POOR,
    "manual_rekey": SERVICE_POOR,
    "late": SERVICE_POOR,
}

# The tables whose lag can turn the truth of a leg or the class of its finding: the evidence of the
# leg, and what its money or its anchor is compared with.
TABLES_OF_LEG: dict[str, tuple[str, ...]] = {
    "submitted": ("tracking_events", "pay_bill", "erp_orders"),
    "paid": ("tracking_events", "pay_bill", "erp_orders", "erp_shipments"),
    "booked": ("pay_bill", "erp_orders"),
    "received": ("pay_bill", "erp_receipts"),
    "fulfilled": ("erp_orders", "erp_shipments"),
    "known": ("crm_contacts",),
    "reflowed": ("tracking_events", "mp_orders", "erp_shipments"),
    "notified": ("messages", "erp_shipments"),
    "refunded": ("pay_bill", "erp_refunds"),
    "confirmed": ("crm_appointments", "messages"),
    "served": ("crm_appointments",),
    "ticketed": ("crm_cases", "messages"),
    "resolved": ("crm_cases",),
}


@dataclass(frozen=True)
class DayCount:
    """The cases of one entry day at one leg. `found` are the judged ones with an open finding."""

    judged: int = 0
    pending: int = 0
    found: int = 0
    amount_fen: int = 0


@dataclass(frozen=True)
class DayJudgement:
    """One judged day of one subject; see `records.Evaluation` for the fields."""

    business_day: date
    found_count: int
    judged_count: int
    amount_fen: int
    value: float
    low: float
    high: float
    clean_high: float | None
    verdict: Literal["bad", "quiet", "clean"]


@dataclass(frozen=True)
class Outcome:
    """What a rule says of one subject now. Neither bad nor clean: nothing changes."""

    is_bad: bool
    is_clean: bool
    value: float
    low: float
    business_day: date
    facts: dict[str, Any]


def choose_threshold(divergence: str) -> Threshold:
    """The threshold of a class; a class without one of its own is a missing hand-off."""
    return THRESHOLDS.get(divergence, LOOP_OPEN)


def judge_days(
    days: Mapping[date, DayCount], threshold: Threshold, last_bad_day: date | None
) -> list[DayJudgement]:
    """The newest RUNNING_DAYS judged days of a subject, newest first; fewer where data is short.

    A day is judged when at most PENDING_ALLOWED of the cases of its window wait for their verdict.
    """
    judged: list[DayJudgement] = []
    for day in sorted(days, reverse=True):
        window = _add_up(days, day - timedelta(days=WINDOW_DAYS - 1), day)
        if window.pending > PENDING_ALLOWED * (window.pending + window.judged):
            continue
        interval = wilson_interval(window.found, window.judged)
        if interval is None:
            continue
        is_bad = (
            interval.low > threshold.share
            and window.found >= threshold.least_cases
            and window.amount_fen >= threshold.floor_fen
        )
        clean_high = _find_clean_bound(days, last_bad_day, day)
        is_clean = clean_high is not None and clean_high < threshold.share
        judged.append(
            DayJudgement(
                business_day=day,
                found_count=window.found,
                judged_count=window.judged,
                amount_fen=window.amount_fen,
                value=interval.rate,
                low=interval.low,
                high=interval.high,
                clean_high=clean_high,
                verdict="bad" if is_bad else "clean" if is_clean else "quiet",
            )
        )
        if len(judged) == RUNNING_DAYS:
            break
    return judged


def find_unready(
    complete_until: Mapping[str, datetime | None],
) -> dict[str, datetime | None]:
    """The connected source tables that lag LAG_ALLOWED or more behind the newest, or hold nothing.

    The newest source is the measure, not the least watermark (`as_of`), which a late source drags
    down with itself, and not the wall clock.
    """
    needed = {table for tables in TABLES_OF_LEG.values() for table in tables}
    frontier = find_frontier(complete_until)
    return {
        table: until
        for table, until in complete_until.items()
        if table in needed
        and (until is None or (frontier is not None and frontier - until >= LAG_ALLOWED))
    }


def find_frontier(complete_until: Mapping[str, datetime | None]) -> datetime | None:
    """The watermark of the newest connected source."""
    return max((until for until in complete_until.values() if until is not None), default=None)


def find_muted_legs(unready: Iterable[str]) -> tuple[str, ...]:
    """The legs that read a source which is not ready."""
    late = set(unready)
    return tuple(leg for leg, tables in TABLES_OF_LEG.items() if late & set(tables))


def choose_step(alert: Alert | None, outcome: Outcome, as_of: datetime) -> Kind | None:
    """What happens to an alert now; None where nothing does."""
    if alert is None or alert.state == "resolved":
        return None if not outcome.is_bad else "reopened" if alert else "opened"
    if outcome.is_clean:
        return "resolved"
    if alert.state == "silenced":
        is_over = alert.silenced_until is not None and as_of >= alert.silenced_until
        return "silence_ended" if is_over else None
    if not outcome.is_bad:
        return None
    if outcome.low > alert.told_value:  # the whole interval lies above the share last told
        return "worsened"
    is_overdue = alert.escalated_at is None and as_of - alert.opened_at >= ESCALATE_AFTER
    return "escalated" if alert.state == "open" and is_overdue else None


def take_step(
    alert: Alert | None,
    step: Kind | None,
    outcome: Outcome,
    as_of: datetime,
    *,
    subject: Subject,
    severity: Severity,
) -> Alert | None:
    """The alert after `step`; None where the subject never was bad."""
    if step in ("opened", "reopened"):
        return Alert(
            fingerprint=subject.fingerprint,
            subject=subject,
            severity=severity,
            state="open",
            episode=alert.episode + 1 if alert else 1,
            opened_at=as_of,
            last_bad_at=as_of,
            last_bad_day=outcome.business_day,
            told_value=outcome.value,
            owner=outcome.facts.get("owner"),
            facts=outcome.facts,
        )
    if alert is None:
        return None
    if outcome.is_bad:
        alert = replace(
            alert,
            last_bad_at=as_of,
            last_bad_day=outcome.business_day,
            facts=outcome.facts,
        )
    if step == "resolved":
        return replace(alert, state="resolved", resolved_at=as_of, facts=outcome.facts)
    if step == "worsened":
        return replace(alert, told_value=outcome.value)
    if step == "escalated":
        return replace(alert, escalated_at=as_of, told_value=outcome.value)
    if step == "silence_ended":
        return replace(
            alert,
            state="open",
            told_value=outcome.value,
            escalated_at=as_of,  # being told of again is the reminder
            silence_reason=None,
            silenced_until=None,
        )
    return alert


def _add_up(days: Mapping[date, DayCount], first: date, last: date) -> DayCount:
    span = range((last - first).days + 1)
    counts = [days[day] for n in span if (day := first + timedelta(days=n)) in days]
    return DayCount(
        judged=sum(count.judged for count in counts),
        pending=sum(count.pending for count in counts),
        found=sum(count.found for count in counts),
        amount_fen=sum(count.amount_fen for count in counts),
    )


def _find_clean_bound(
    days: Mapping[date, DayCount], last_bad_day: date | None, day: date
) -> float | None:
    """The upper bound over the entry days after the last bad one: it falls as good cases come in.

    The trailing window would not do: with 350 cases and none bad its bound is 1.1 %, above every
    money threshold, and no small line could ever show that it is well again.
    """
    if last_bad_day is None or day <= last_bad_day:
        return None
    first = max(last_bad_day + timedelta(days=1), min(days))
    since = _add_up(days, first, day)
    interval = wilson_interval(since.found, since.judged)
    return None if interval is None else interval.high
