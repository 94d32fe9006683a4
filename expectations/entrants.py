"""What is expected of sessions and people: who entered is counted once."""

from expectations.judging import Expected, Suite, exactly

SESSIONS = Suite(
    table="fct_sessions",
    frame="""
        select
            -- A company may do without tracking; nothing less than its word takes the check away.
            (count(*) = 0 and not exists (
                select 1 from marts.source_watermarks
                where table_name = 'tracking_events' and not is_connected
            ))::integer as is_lacking,
            count(*) - count(distinct (session_id, business_line)) as repeated_count,
            count(*) filter (
                where session_id is null or started_at is null or is_mature is null
                or surface_converted is null or verified_converted is null
            ) as undecided_count
        from marts.fct_sessions
    """,
    expected=(
        Expected(
            "sessions_exist",
            "Somebody entered, unless the company tracks nothing.",
            **exactly("is_lacking", 0),
        ),
        Expected(
            "a_session_is_counted_once",
            "One row per session and business line.",
            **exactly("repeated_count", 0),
        ),
        Expected(
            "a_session_is_decided",
            "Every session says when it began and whether it converted.",
            **exactly("undecided_count", 0),
        ),
    ),
)

PEOPLE = Suite(
    table="dim_people",
    frame="""
        select
            count(*) - count(distinct person_id) as repeated_count,
            count(*) - count(person_id) as nameless_count
        from marts.dim_people
    """,
    expected=(
        Expected("a_person_has_one_row", "Nobody is two people.", **exactly("repeated_count", 0)),
        Expected("a_person_has_an_id", "Everybody can be told.", **exactly("nameless_count", 0)),
    ),
)

TRUSTWORTHY = (SESSIONS, PEOPLE)
