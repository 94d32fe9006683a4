{%- set stale_seconds = 48 * 3600 -%}

with legs as (
    select * from {{ ref('dim_legs') }}
),

case_legs as (
    select * from {{ ref('fct_case_legs') }}
),

leg_watermarks as (
    select * from {{ ref('int_leg_watermarks') }}
),

watermarks as (
    select * from {{ ref('stg_company__watermarks') }}
    where is_connected
),

newest as (
    select max(complete_until) as newest_until from watermarks
),

checked as (
    select
        business_line,
        loop,
        leg,
        count(*) as checked_count
    from case_legs
    where truth in ('verified', 'late', 'refuted')
    group by business_line, loop, leg
),

-- Stale is what lags the newest source: never measured against the clock, by which a company that
-- is read once a week would always be blind.
judged as (
    select
        legs.business_line,
        legs.loop,
        legs.leg,
        legs.leg_rank,
        legs.is_mandatory,
        coalesce(leg_watermarks.is_connected, false) as is_connected,
        leg_watermarks.judged_at as complete_until,
        {{ seconds_between('leg_watermarks.judged_at', 'newest.newest_until') }} as behind_seconds,
        coalesce(checked.checked_count, 0) as checked_count,
        legs.as_of
    from legs
    cross join newest
    left join leg_watermarks
        on legs.loop = leg_watermarks.loop and legs.leg = leg_watermarks.leg
    left join checked
        on
            legs.business_line = checked.business_line
            and legs.loop = checked.loop
            and legs.leg = checked.leg
),

explained as (
    select
        *,
        case
            when not is_connected then 'not connected'
            when behind_seconds > {{ stale_seconds }} then 'stale'
            when checked_count = 0 then 'no checked case yet'
        end as blind_reason
    from judged
),

shared as (
    select
        business_line,
        loop,
        leg,
        leg_rank,
        is_mandatory,
        is_connected,
        complete_until,
        behind_seconds,
        checked_count,
        blind_reason is not null as is_blind,
        blind_reason,
        avg(case when blind_reason is null then 1.0 else 0.0 end)
            over (partition by business_line) as line_coverage_rate,
        as_of
    from explained
)

select * from shared
