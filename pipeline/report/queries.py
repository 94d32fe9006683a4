"""What the report reads: SQL over the published marts, and nothing but the marts.

Rates are over mature claimed cases, divergences are the open ones (`healed_at is null`). Nothing is
judged here: findings and figures do that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from pipeline.errors import WarehouseError
from pipeline.report.rows import (
    BlindRow,
    BreakRow,
    BridgeRow,
    ClassDayRow,
    ClassRow,
    DayRow,
    HandRow,
    LegRow,
    LineRow,
    Marts,
    ResidualRow,
    SessionRow,
    SubClassRow,
    WatermarkRow,
)

Row = TypeVar("Row")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


LINES_SQL = """
select
    loop,
    business_line,
    count(*) as cases_count,
    count(*) filter (where is_abandoned) as abandoned_count,
    count(*) filter (where is_backend_only) as backend_only_count,
    count(*) filter (where is_mature) as mature_cases_count,
    count(*) filter (where is_claimed) as all_claimed_count,
    count(*) filter (where is_mature and is_claimed) as claimed_count,
    count(*) filter (where is_mature and is_claimed and is_closed) as closed_count,
    count(*) filter (
        where is_mature and is_claimed and is_closed_untouched
    ) as closed_untouched_count,
    coalesce(
        sum(amount_fen) filter (where is_mature and is_claimed), 0
    ) as claimed_amount_fen,
    coalesce(
        sum(amount_fen) filter (where is_mature and is_claimed and is_closed), 0
    ) as closed_amount_fen,
from marts.fct_cases
group by loop, business_line
order by claimed_count desc, cases_count desc, loop, business_line
"""

LEGS_SQL = """
with claimed as (
    select case_id from marts.fct_cases where is_mature and is_claimed
)
select
    loop,
    business_line,
    leg,
    min(leg_rank) as leg_rank,
    coalesce(bool_or(is_mandatory), false) as is_mandatory,
    count(*) filter (where truth <> 'not_due') as claimed_count,
    count(*) filter (
        where truth in ('verified', 'late') and divergence is distinct from 'surface_only'
    ) as verified_count,
    count(*) filter (where truth = 'late') as late_count,
    count(*) filter (where truth = 'refuted') as refuted_count,
    count(*) filter (where truth in ('pending', 'unverifiable')) as unknown_count,
from marts.fct_case_legs
inner join claimed using (case_id)
group by loop, business_line, leg
order by loop, leg_rank, leg, business_line
"""

BREAKS_SQL = """
with claimed as (
    select
        case_id,
        coalesce(amount_fen, 0) as amount_fen,
    from marts.fct_cases
    where is_mature and is_claimed
),

unmet as (
    select
        case_id,
        loop,
        business_line,
        leg,
        -- The front end's own word is evidence of `submitted` only while the back end answers.
        case when divergence = 'surface_only' then 'refuted' else truth end as truth,
        divergence,
        amount_fen,
        row_number() over (partition by case_id order by leg_rank, leg) as nth,
    from marts.fct_case_legs
    inner join claimed using (case_id)
    where
        is_mandatory
        and (truth not in ('verified', 'late', 'not_due') or divergence = 'surface_only')
)
select
    loop,
    business_line,
    leg,
    truth,
    coalesce(divergence, 'none') as divergence,
    count(*) as cases_count,
    sum(amount_fen) as amount_fen,
from unmet
where nth = 1
group by all
order by loop, business_line, cases_count desc, leg, truth, divergence
"""

HANDS_SQL = """
with claimed as (
    select case_id from marts.fct_cases where is_mature and is_claimed
),

first_unmet as (
    select
        case_id,
        min(leg_rank) as leg_rank,
    from marts.fct_case_legs
    where
        is_mandatory
        and (truth not in ('verified', 'late', 'not_due') or divergence = 'surface_only')
    group by case_id
)
select
    loop,
    business_line,
    leg,
    count(*) as cases_count,
from marts.fct_case_legs
inner join claimed using (case_id)
left join first_unmet using (case_id)
where
    made_by = 'human'
    and truth in ('verified', 'late')
    and (
        first_unmet.leg_rank is null
        or fct_case_legs.leg_rank < first_unmet.leg_rank
    )
group by loop, business_line, leg
order by loop, business_line, leg
"""

BLIND_SQL = """
with claimed as (
    select case_id from marts.fct_cases where is_claimed
)
select
    loop,
    business_line,
    leg,
    count(*) as cases_count,
from marts.fct_case_legs
inner join claimed using (case_id)
where is_mandatory
group by loop, business_line, leg
having bool_and(truth = 'unverifiable')
order by loop, business_line, min(leg_rank), leg
"""

SESSIONS_SQL = """
select
    business_line,
    count(*) as mature_count,
    count(*) filter (where surface_converted) as surface_converted_count,
    count(*) filter (where verified_converted) as verified_converted_count,
from marts.fct_sessions
where is_mature and business_line is not null
group by business_line
order by business_line
"""

CLASSES_SQL = """
with open as (
    select
        *,
        row_number() over (
            partition by divergence
            order by amount_at_stake_fen desc nulls last, case_id, leg
        ) as nth,
    from marts.fct_divergences
    where healed_at is null
)
select
    divergence,
    string_agg(distinct leg, ',' order by leg) as legs,
    coalesce(string_agg(distinct owner, ',' order by owner), '') as owners,
    string_agg(
        distinct loop || ':' || business_line, ',' order by loop || ':' || business_line
    ) as lines,
    count(*) as rows_count,
    count(distinct case_id) as cases_count,
    coalesce(sum(amount_at_stake_fen), 0) as amount_at_stake_fen,
    max(case_id) filter (where nth = 1) as example_case_id,
    max(business_line) filter (where nth = 1) as example_line,
    max(channel) filter (where nth = 1) as example_channel,
    max(leg) filter (where nth = 1) as example_leg,
    max(business_day) filter (where nth = 1) as example_day,
    max(claim_amount_fen) filter (where nth = 1) as example_claim_fen,
    max(evidence_amount_fen) filter (where nth = 1) as example_evidence_fen,
    max(lag_seconds) filter (where nth = 1) as example_lag_seconds,
    bool_or(evidence_at is not null) filter (where nth = 1) as example_has_evidence,
from open
left join (select case_id, business_day from marts.fct_cases) using (case_id)
group by divergence
order by amount_at_stake_fen desc, cases_count desc, divergence
"""

SUB_CLASSES_SQL = """
select
    divergence,
    sub_class,
    count(distinct case_id) as cases_count,
from marts.fct_divergences
where healed_at is null and sub_class is not null and sub_class <> ''
group by divergence, sub_class
order by divergence, cases_count desc, sub_class
"""

CLASS_DAYS_SQL = """
select
    divergence,
    fct_cases.business_day,
    count(distinct case_id) as cases_count,
from marts.fct_divergences
inner join marts.fct_cases using (case_id)
where healed_at is null
group by divergence, fct_cases.business_day
order by divergence, fct_cases.business_day
"""

DAYS_SQL = """
with diverging as (
    select distinct case_id from marts.fct_divergences where healed_at is null
)
select
    business_day,
    count(*) as cases_count,
    count(*) filter (where is_mature) as mature_cases_count,
    count(*) filter (where is_mature and is_claimed) as claimed_count,
    count(*) filter (where is_mature and is_claimed and is_closed) as closed_count,
    count(*) filter (
        where is_mature and is_claimed and diverging.case_id is not null
    ) as diverging_count,
from marts.fct_cases
left join diverging using (case_id)
where business_day is not null
group by business_day
order by business_day
"""

BRIDGE_SQL = """
select
    step,
    min(step_rank) as step_rank,
    coalesce(sum(amount_fen), 0) as amount_fen,
    coalesce(sum(cases_count), 0) as cases_count,
from marts.rpt_bridge_daily
group by step
order by step_rank, step
"""

RESIDUAL_SQL = """
with cells as (
    select distinct
        business_day,
        business_line,
        channel,
        residual_fen,
        residual_count,
    from marts.rpt_bridge_daily
)
select
    count(*) as cells_count,
    coalesce(sum(abs(residual_fen)), 0) as residual_fen,
    coalesce(sum(abs(residual_count)), 0) as residual_count,
from cells
"""

WATERMARKS_SQL = """
select
    table_name,
    coalesce(is_connected, false) as is_connected,
    epoch_us(complete_from) as complete_from,
    epoch_us(complete_until) as complete_until,
    coalesce(rows_count, 0) as rows_count,
    coalesce(quarantined_count, 0) as quarantined_count,
from marts.source_watermarks
order by table_name
"""

AS_OF_SQL = "select epoch_us(max(as_of)) from marts.source_watermarks"
HEALED_SQL = "select count(*) from marts.fct_divergences where healed_at is not null"


def read_marts(published: Path) -> Marts:
    """Read everything the report needs from the published DuckDB file, read-only.

    Raises WarehouseError where the file is missing, is no DuckDB file or lacks a mart or column.
    """
    with _open(published) as connection:
        return Marts(
            as_of=_instant(_scalar(connection, AS_OF_SQL)),
            lines=_rows(connection, LINES_SQL, LineRow),
            legs=_rows(connection, LEGS_SQL, LegRow),
            breaks=_rows(connection, BREAKS_SQL, BreakRow),
            hands=_rows(connection, HANDS_SQL, HandRow),
            blind=_rows(connection, BLIND_SQL, BlindRow),
            sessions=_rows(connection, SESSIONS_SQL, SessionRow),
            classes=_rows(connection, CLASSES_SQL, ClassRow),
            sub_classes=_rows(connection, SUB_CLASSES_SQL, SubClassRow),
            class_days=_rows(connection, CLASS_DAYS_SQL, ClassDayRow),
            healed_count=_scalar(connection, HEALED_SQL) or 0,
            days=_rows(connection, DAYS_SQL, DayRow),
            bridge=_rows(connection, BRIDGE_SQL, BridgeRow),
            residual=_rows(connection, RESIDUAL_SQL, ResidualRow)[0],
            watermarks=_rows(connection, WATERMARKS_SQL, WatermarkRow),
        )


@contextmanager
def _open(published: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    if not published.is_file():
        raise WarehouseError(
            f"no published file at {published}", next_step="run `bihuan build`, then try again"
        )
    try:
        with duckdb.connect(str(published), read_only=True) as connection:
            yield connection
    except duckdb.Error as error:
        raise WarehouseError(
            f"{published.name} cannot be read for the report: {error}",
            next_step="publish it again with `bihuan build`",
        ) from error


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, row: type[Row]) -> list[Row]:
    """Fetch whole; columns are matched to fields by name, so their order in the SQL is free."""
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description or ()]
    instants = {field.name for field in fields(row) if field.type == datetime | None}  # type: ignore[arg-type]
    return [
        row(**{n: _instant(v) if n in instants else v for n, v in zip(names, values, strict=True)})
        for values in cursor.fetchall()
    ]


def _scalar(connection: duckdb.DuckDBPyConnection, sql: str) -> Any:
    row = connection.execute(sql).fetchone()
    return row[0] if row else None


def _instant(microseconds: int | None) -> datetime | None:
    """Instants travel as microseconds of the epoch: DuckDB's own follow the machine's zone."""
    return None if microseconds is None else EPOCH + timedelta(microseconds=microseconds)
