{%- set settle_seconds = 86400 -%}

with sessions as (
    select * from {{ ref('int_sessions') }}
),

scenes as (
    select * from {{ ref('scene_codes') }}
),

cases as (
    select * from {{ ref('fct_cases') }}
),

tracking as (
    select * from {{ ref('stg_company__watermarks') }}
    where table_name = 'tracking_events'
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

acts as (
    select * from {{ ref('int_conversion_loops') }}
),

session_cases as (
    select
        cases.session_id,
        cases.business_line,
        count(*) as cases_count,
        max(case when cases.loop <> 'order' and cases.is_claimed then 1 else 0 end) = 1
            as is_claimed,
        min(case when cases.is_mature then 1 else 0 end) = 1 as is_mature,
        max(case when cases.verified_converted then 1 else 0 end) = 1 as verified_converted,
        max(case when cases.is_unknown then 1 else 0 end) = 1 as is_unknown
    from cases
    inner join acts on cases.business_line = acts.business_line and cases.loop = acts.loop
    where cases.session_id is not null
    group by cases.session_id, cases.business_line
),

-- A session that opened no case is settled a day later: its payment window has passed too. What
-- WeChat's crawler, parsers and tests opened was no customer's.
joined as (
    select
        sessions.session_id,
        sessions.business_line,
        sessions.channel,
        sessions.person_id,
        sessions.started_at,
        {{ business_day('sessions.started_at') }} as business_day,
        sessions.entry_scene,
        sessions.entry_group,
        sessions.events_count,
        sessions.has_product_view,
        sessions.has_add_to_cart,
        sessions.has_checkout,
        sessions.has_order_submit,
        sessions.has_pay_start,
        sessions.has_pay_success,
        coalesce(session_cases.cases_count, 0) as cases_count,
        coalesce(
            session_cases.is_mature,
            tracking.complete_until >= {{ add_seconds('sessions.started_at', settle_seconds) }}
        ) as is_mature,
        sessions.has_pay_success or coalesce(session_cases.is_claimed, false) as surface_converted,
        coalesce(session_cases.verified_converted, false) as verified_converted,
        coalesce(session_cases.is_unknown, false)
        and not coalesce(session_cases.verified_converted, false) as is_unknown,
        run.as_of
    from sessions
    left join session_cases
        on
            sessions.session_id = session_cases.session_id
            and sessions.business_line = session_cases.business_line
    left join scenes on sessions.entry_scene = scenes.scene
    cross join tracking
    cross join run
    where scenes.is_dropped is not true
)

select * from joined
