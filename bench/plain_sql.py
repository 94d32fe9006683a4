"""The core of the work as short SQL over the landed Parquet: what the models' time is held against.

One row per event, the three-way match of front end, bill and ERP, and how many cases are in which
state. No windows, watermarks, classes, people, evidence, tests: only what no solution could spare.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

# is claimed, is paid, is booked: how many cases
Counts = Mapping[tuple[bool, bool, bool], int]

_EVENTS = """
    create table events as
    select * exclude (version) from (
        select
            *,
            row_number() over (partition by event_id order by business_day desc) as version
        from {tracking_events}
    )
    where version = 1
"""
_CLAIMS = """
    create table claims as
    select
        case_no,
        min(case when event = 'pay_success' then occurred_at end) as claimed_at,
        min(case when event = 'order_submit' then amount_fen end) as claim_amount_fen
    from events
    where case_no is not null
    group by case_no
    having max(case when event = 'status_view' then 0 else 1 end) = 1
"""
_PAYMENTS = """
    create table payments as
    select order_no, min(happened_at) as paid_at, sum(order_amount_fen) as paid_amount_fen
    from {pay_bill}
    where row_kind = 'payment'
    group by order_no
"""
_BOOKINGS = """
    create table bookings as
    select
        order_no,
        min(created_at) as booked_at,
        arg_min(amount_fen, created_at) as booked_amount_fen,
        count(*) as bookings_count
    from {erp_orders}
    group by order_no
"""
_MATCHED = """
    create table matched as
    select
        coalesce(claims.case_no, payments.order_no, bookings.order_no) as case_no,
        claims.claimed_at is not null as is_claimed,
        payments.order_no is not null as is_paid,
        bookings.order_no is not null as is_booked,
        paid_amount_fen - claim_amount_fen as paid_difference_fen,
        booked_amount_fen - paid_amount_fen as booked_difference_fen,
        bookings_count
    from claims
    full join payments on claims.case_no = payments.order_no
    full join bookings on coalesce(claims.case_no, payments.order_no) = bookings.order_no
"""
_COUNTED = """
    select is_claimed, is_paid, is_booked, count(*) from matched
    group by is_claimed, is_paid, is_booked
"""
_COUNTED_IN_MARTS = """
    select is_claimed, is_paid, is_booked, count(*) from (
        select
            fct_cases.is_claimed,
            bool_or(fct_case_legs.leg = 'paid' and fct_case_legs.has_evidence) as is_paid,
            bool_or(fct_case_legs.leg = 'booked' and fct_case_legs.has_evidence) as is_booked
        from marts.fct_cases
        inner join marts.fct_case_legs using (case_id)
        group by fct_cases.case_id, fct_cases.is_claimed
    )
    group by is_claimed, is_paid, is_booked
"""


def match_plainly(
    batches: Mapping[str, Sequence[Path]], spill: Path, memory_limit: str
) -> tuple[int, Counts]:
    """Do the core of the work in memory; return the events and the cases per state.

    `batches` are the files of the current batches per landed table.
    """
    tables = {
        name: f"read_parquet({[str(file) for file in files]}, hive_partitioning = true)"
        for name, files in batches.items()
    }
    with duckdb.connect() as connection:
        connection.execute(f"set memory_limit = '{memory_limit}'")
        connection.execute(f"set temp_directory = '{spill}'")
        for statement in (_EVENTS, _CLAIMS, _PAYMENTS, _BOOKINGS, _MATCHED):
            connection.execute(statement.format(**tables))
        ((events,),) = connection.execute("select count(*) from events").fetchall()
        return events, _counts(connection, _COUNTED)


def count_in_marts(connection: duckdb.DuckDBPyConnection) -> tuple[int, Counts]:
    """The same figures from what the models built."""
    ((events,),) = connection.execute(
        "select count(*) from staging.stg_tracking__events"
    ).fetchall()
    return events, _counts(connection, _COUNTED_IN_MARTS)


def _counts(connection: duckdb.DuckDBPyConnection, sql: str) -> Counts:
    found: Counter[tuple[bool, bool, bool]] = Counter()
    for is_claimed, is_paid, is_booked, cases in connection.execute(sql).fetchall():
        found[is_claimed, is_paid, is_booked] += cases
    return found
