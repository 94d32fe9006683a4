"""What the published file says about every subject: counts per entry day, totals and evidence.

Reads the marts of the published file and nothing else; decides nothing.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from pipeline.alerts.records import Subject
from pipeline.alerts.rules import LOOKBACK_DAYS, DayCount
from pipeline.landing import business_day
from pipeline.warehouse import Warehouse

EVIDENCE_ROWS = 3

# A case is judged at a leg once the leg is not pending. The front end's own leg is never pending,
# but `surface_only` falls only when the window of the next leg has passed: it waits for that one.
# Abandoned cases are interruptions, not divergences. Cases that only the back end knows stay in:
# without them the share of `backend_only` would be nothing of nothing.
STANDING_BY_DAY = """
with recent_cases as (
    select case_id, business_day
    from marts.fct_cases
    where is_abandoned is not true and business_day >= $first_day
),
followed_legs as (
    select
        case_id,
        business_line,
        business_day,
        leg,
        truth,
        divergence,
        lead(truth) over (partition by case_id order by leg_rank, leg) as next_truth,
        row_number() over (partition by case_id order by leg_rank, leg) as position
    from marts.fct_case_legs
    inner join recent_cases using (case_id)
),
standing_legs as (
    select
        business_line,
        leg,
        business_day,
        case
            when divergence <> 'none' then 'judged'
            when truth = 'pending' or (position = 1 and next_truth = 'pending') then 'pending'
            when truth in ('verified', 'late', 'refuted') then 'judged'
        end as standing
    from followed_legs
)
select
    business_line,
    leg,
    business_day,
    count(*) filter (where standing = 'judged') as judged_count,
    count(*) filter (where standing = 'pending') as pending_count
from standing_legs
group by business_line, leg, business_day
"""

FOUND_BY_DAY = """
select
    fct_divergences.business_line,
    fct_divergences.leg,
    fct_divergences.divergence,
    fct_cases.business_day,
    count(*) as found_count,
    cast(coalesce(sum(fct_divergences.amount_at_stake_fen), 0) as bigint) as amount_fen
from marts.fct_divergences
inner join marts.fct_cases using (case_id)
where
    fct_divergences.healed_at is null
    and fct_cases.is_abandoned is not true
    and fct_cases.business_day >= $first_day
group by all
"""

TOTALS = """
select
    fct_divergences.business_line,
    fct_divergences.leg,
    fct_divergences.divergence,
    count(*) filter (where healed_at is null) as open_count,
    count(*) filter (where healed_at is not null) as healed_count,
    cast(sum(amount_at_stake_fen) filter (where healed_at is null) as bigint) as open_fen,
    min(fct_cases.business_day) filter (where healed_at is null) as since_day,
    max(fct_divergences.owner) as owner
from marts.fct_divergences
inner join marts.fct_cases using (case_id)
where fct_cases.is_abandoned is not true
group by all
"""

EVIDENCE = """
with ranked_findings as (
    select
        business_line,
        leg,
        divergence,
        case_id,
        amount_at_stake_fen,
        coalesce(claim_at, evidence_at) as seen_at,
        row_number() over (
            partition by business_line, leg, divergence
            order by amount_at_stake_fen desc nulls last, case_id
        ) as position
    from marts.fct_divergences
    where healed_at is null
)
select business_line, leg, divergence, case_id, amount_at_stake_fen, epoch_us(seen_at)
from ranked_findings
where position <= $rows
order by business_line, leg, divergence, position
"""


@dataclass(frozen=True)
class Totals:
    """All findings of one subject, whatever their day; `open_fen` is None where no money counts."""

    open_count: int
    healed_count: int
    open_fen: int | None
    since_day: date | None
    owner: str | None
    evidence: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Findings:
    """One published file as the rules see it.

    `complete_until`: per connected source table its watermark, None where nothing was landed.
    `days`: per subject and entry day the counts at its leg.
    """

    as_of: datetime | None
    complete_until: Mapping[str, datetime | None]
    standing: Mapping[tuple[str, str], Mapping[date, tuple[int, int]]]
    found: Mapping[Subject, Mapping[date, tuple[int, int]]]
    totals: Mapping[Subject, Totals]

    def count_days(self, subject: Subject) -> dict[date, DayCount]:
        """Per entry day of the subject's line: judged, pending and found cases at its leg."""
        found = self.found.get(subject, {})
        standing = self.standing.get((subject.business_line, subject.leg), {})
        return {
            day: DayCount(judged, pending, *found.get(day, (0, 0)))
            for day, (judged, pending) in standing.items()
        }


def read_findings(published: Path) -> Findings:
    """Read the published file `<data>/bihuan.duckdb`. Raises WarehouseError where there is none."""
    with Warehouse(published.parent).read() as connection:
        as_of, complete_until = _read_watermarks(connection)
        if as_of is None:  # a source has delivered nothing yet, so no case was judged
            return Findings(None, complete_until, {}, {}, {})
        first_day = business_day(as_of) - timedelta(days=LOOKBACK_DAYS)
        return Findings(
            as_of=as_of,
            complete_until=complete_until,
            standing=_read_standing(connection, first_day),
            found=_read_found(connection, first_day),
            totals=_read_totals(connection),
        )


def _read_watermarks(
    connection: duckdb.DuckDBPyConnection,
) -> tuple[datetime | None, dict[str, datetime | None]]:
    rows = connection.execute(
        "select table_name, is_connected, epoch_us(complete_until), epoch_us(as_of)"
        " from marts.source_watermarks order by table_name"
    ).fetchall()
    as_of = max((_instant(row[3]) for row in rows if row[3] is not None), default=None)
    return as_of, {
        name: None if until is None else _instant(until)
        for name, is_connected, until, _ in rows
        if is_connected
    }


def _read_standing(
    connection: duckdb.DuckDBPyConnection, first_day: date
) -> dict[tuple[str, str], dict[date, tuple[int, int]]]:
    standing: dict[tuple[str, str], dict[date, tuple[int, int]]] = defaultdict(dict)
    rows = connection.execute(STANDING_BY_DAY, {"first_day": first_day}).fetchall()
    for line, leg, day, judged, pending in rows:
        standing[line, leg][day] = (judged, pending)
    return standing


def _read_found(
    connection: duckdb.DuckDBPyConnection, first_day: date
) -> dict[Subject, dict[date, tuple[int, int]]]:
    found: dict[Subject, dict[date, tuple[int, int]]] = defaultdict(dict)
    rows = connection.execute(FOUND_BY_DAY, {"first_day": first_day}).fetchall()
    for line, leg, divergence, day, count, amount_fen in rows:
        found[_subject(line, leg, divergence)][day] = (count, amount_fen)
    return found


def _read_totals(connection: duckdb.DuckDBPyConnection) -> dict[Subject, Totals]:
    evidence: dict[Subject, list[dict[str, Any]]] = defaultdict(list)
    rows = connection.execute(EVIDENCE, {"rows": EVIDENCE_ROWS}).fetchall()
    for line, leg, divergence, case_id, amount_fen, seen_at in rows:
        seen = None if seen_at is None else _instant(seen_at).isoformat()
        evidence[_subject(line, leg, divergence)].append(
            {"case_id": case_id, "amount_fen": amount_fen, "seen_at": seen}
        )
    totals = {}
    for row in connection.execute(TOTALS).fetchall():
        subject = _subject(*row[:3])
        open_count, healed_count, open_fen, since_day, owner = row[3:]
        totals[subject] = Totals(
            open_count, healed_count, open_fen, since_day, owner, tuple(evidence[subject])
        )
    return totals


def _subject(business_line: str, leg: str, divergence: str) -> Subject:
    return Subject("divergence_share", business_line, leg, divergence)


def _instant(microseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
