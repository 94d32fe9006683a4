"""What is expected of the sources behind the marts: known how far, up to date, readable."""

from expectations import tolerances
from expectations.judging import Expected, Suite, exactly, within

KNOWN = Suite(
    table="source_watermarks",
    frame="""
        select
            count(*) filter (where is_connected) as connected_count,
            count(*) filter (where is_connected and complete_until is null) as unknown_count,
            count(*) filter (where complete_until <= complete_from) as backwards_count
        from marts.source_watermarks
    """,
    expected=(
        Expected(
            "sources_are_connected",
            "At least two systems are read: one alone agrees with itself.",
            **within("connected_count", low=2),
        ),
        Expected(
            "every_connected_source_has_a_watermark",
            "Of every source that is read it is known how far it is complete.",
            **exactly("unknown_count", 0),
        ),
        Expected(
            "watermarks_run_forward",
            "A source is complete over a span, from an earlier to a later instant.",
            **exactly("backwards_count", 0),
        ),
    ),
)

ONE_INSTANT = Suite(
    table="source_watermarks",
    frame="""
        select count(distinct as_of) as instants_count, count(*) - count(as_of) as without_count
        from (
            select as_of from marts.source_watermarks
            union all select as_of from marts.fct_cases
            union all select as_of from marts.fct_case_legs
            union all select as_of from marts.fct_divergences
            union all select as_of from marts.fct_sessions
            union all select as_of from marts.dim_people
            union all select as_of from marts.rpt_bridge_daily
            union all select as_of from marts.rpt_conversion_daily
            union all select as_of from marts.dim_legs
            union all select as_of from marts.fct_checkouts
            union all select as_of from marts.fct_reflows
            union all select as_of from marts.rpt_closure
            union all select as_of from marts.rpt_closure_daily
            union all select as_of from marts.rpt_closure_legs
            union all select as_of from marts.rpt_closure_legs_daily
            union all select as_of from marts.rpt_depth_gates
            union all select as_of from marts.rpt_integration_depth
            union all select as_of from marts.rpt_interfaces
            union all select as_of from marts.rpt_line_depth
            union all select as_of from marts.rpt_node_coverage
            union all select as_of from marts.rpt_surface_trend
            union all select as_of from marts.rpt_tracking_gap
            union all select as_of from marts.rpt_visits_daily
            union all select as_of from marts.rpt_followers_daily
            union all select as_of from marts.rpt_followers_sources_daily
            union all select as_of from marts.rpt_articles
            union all select as_of from marts.rpt_message_ladder
            union all select as_of from marts.rpt_quota
            union all select as_of from marts.rpt_settlement_daily
        )
    """,
    expected=(
        Expected(
            "all_tables_speak_of_one_instant",
            "Every table carries the same as-of instant: they were built together.",
            **exactly("instants_count", 1),
        ),
        Expected(
            "every_row_says_as_of_when",
            "No row is without its as-of instant.",
            **exactly("without_count", 0),
        ),
    ),
)

UP_TO_DATE = Suite(
    table="source_watermarks",
    frame="""
        select
            table_name,
            complete_until,
            date_diff('hour', complete_until, max(complete_until) over ()) as hours_behind
        from marts.source_watermarks
        where is_connected
        order by table_name
    """,
    expected=(
        Expected(
            "sources_are_up_to_date",
            "No source lags the newest one by more than"
            f" **{tolerances.HOURS_BEHIND_THE_NEWEST} hours**.",
            **within("hours_behind", low=0, high=tolerances.HOURS_BEHIND_THE_NEWEST),
        ),
    ),
)

READABLE = Suite(
    table="source_watermarks",
    frame="""
        select
            table_name,
            rows_count,
            quarantined_count,
            round(rows_count / (rows_count + quarantined_count), 5) as readable_share
        from marts.source_watermarks
        where is_connected and rows_count + quarantined_count > 0
        order by table_name
    """,
    expected=(
        Expected(
            "rows_are_readable",
            f"At least **{tolerances.ROWS_READABLE.least:.1%}** of the rows of every source fit."
            f" {tolerances.ROWS_READABLE.reason}",
            **within("readable_share", low=tolerances.ROWS_READABLE.least, high=1),
        ),
    ),
)

TRUSTWORTHY = (KNOWN, ONE_INSTANT)
AGREEING = (UP_TO_DATE, READABLE)
