{%- set recent_days = 28 -%}

with legs as (
    select * from {{ ref('dim_legs') }}
),

leg_sources as (
    select * from {{ ref('leg_sources') }}
    where table_name <> 'tracking_events'
),

case_legs as (
    select * from {{ ref('fct_case_legs') }}
    where has_evidence
),

cases as (
    select * from {{ ref('fct_cases') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

-- An interface: a leg whose evidence another system than the front end brings.
interfaces as (
    select
        loop,
        leg,
        min(table_name) as first_table,
        case when count(*) > 1 then max(table_name) end as second_table
    from leg_sources
    group by loop, leg
),

periods as (
    select
        'whole' as period,
        cast(null as date) as first_day,
        as_of
    from run
    union all
    select
        'last_28_days',
        {{ business_day('as_of') }} - {{ recent_days }},
        as_of
    from run
),

records as (
    select
        case_legs.business_line,
        case_legs.loop,
        case_legs.leg,
        case_legs.truth,
        case_legs.divergence,
        case_legs.made_by,
        case_legs.lag_seconds,
        cases.business_day
    from case_legs
    inner join cases on case_legs.case_id = cases.case_id
),

counted as (
    select
        legs.business_line,
        legs.loop,
        legs.leg,
        legs.leg_rank,
        interfaces.first_table,
        interfaces.second_table,
        periods.period,
        periods.first_day,
        periods.as_of,
        cast(count(records.leg) as bigint) as records_count,
        percentile_disc(0.5) within group (order by records.lag_seconds) as latency_p50_seconds,
        percentile_disc(0.95) within group (order by records.lag_seconds) as latency_p95_seconds,
        sum(case when records.divergence <> 'key_lost' then 1 else 0 end) as key_carried_count,
        sum(case when records.divergence = 'duplicate' then 1 else 0 end) as duplicates_count,
        sum(case when records.made_by = 'human' then 1 else 0 end) as manual_count,
        sum(case when records.made_by = 'unknown' then 1 else 0 end) as unknown_maker_count,
        sum(case when records.truth = 'late' then 1 else 0 end) as late_count
    from legs
    inner join interfaces on legs.loop = interfaces.loop and legs.leg = interfaces.leg
    cross join periods
    left join records
        on
            legs.business_line = records.business_line
            and legs.loop = records.loop
            and legs.leg = records.leg
            and (periods.first_day is null or periods.first_day <= records.business_day)
    group by
        legs.business_line, legs.loop, legs.leg, legs.leg_rank, interfaces.first_table,
        interfaces.second_table, periods.period, periods.first_day, periods.as_of
),

rated as (
    select
        business_line,
        loop,
        leg,
        leg_rank,
        period,
        first_day,
        first_table || coalesce(', ' || second_table, '') as table_names,
        records_count,
        latency_p50_seconds,
        latency_p95_seconds,
        {{ rate('key_carried_count', 'records_count') }} as key_carried_rate,
        {{ rate('duplicates_count', 'records_count') }} as duplicates_rate,
        {{ rate('manual_count', 'records_count') }} as manual_rate,
        {{ rate('unknown_maker_count', 'records_count') }} as unknown_maker_rate,
        {{ rate('late_count', 'records_count') }} as late_rate,
        as_of
    from counted
)

select * from rated
