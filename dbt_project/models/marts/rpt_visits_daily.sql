{%- set days_later = [1, 7, 30] -%}

with visits as (
    select * from {{ ref('stg_wechat__mp_daily') }}
),

weeks as (
    select * from {{ ref('stg_wechat__mp_weekly') }}
),

months as (
    select * from {{ ref('stg_wechat__mp_monthly') }}
),

retention as (
    select * from {{ ref('stg_wechat__mp_retention') }}
    where period = 'day' and visitors = 'visit_uv_new'
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

days as (
    select business_day from visits
    union
    select last_day from weeks
    union
    select last_day from months
    union
    select first_day from retention
),

returned as (
    select
        first_day as business_day,
        {%- for days in days_later %}
            max(case when periods_later = {{ days }} then visitors_count end)
                as returned_day_{{ days }}_count,
        {%- endfor %}
        max(case when periods_later = 0 then visitors_count end) as cohort_count
    from retention
    group by first_day
),

joined as (
    select
        days.business_day,
        visits.sessions_count,
        visits.page_views_count,
        visits.visitors_count,
        visits.new_visitors_count,
        visits.seconds_per_visitor,
        visits.seconds_per_session,
        visits.pages_per_session,
        visits.visitors_ever_count,
        visits.shares_count,
        visits.sharers_count,
        weeks.visitors_count as week_visitors_count,
        weeks.new_visitors_count as week_new_visitors_count,
        months.visitors_count as month_visitors_count,
        months.new_visitors_count as month_new_visitors_count,
        returned.cohort_count,
        {%- for days in days_later %}
            returned.returned_day_{{ days }}_count,
            {{ rate('returned.returned_day_' ~ days ~ '_count', 'returned.cohort_count') }}
                as retention_day_{{ days }}_rate,
        {%- endfor %}
        run.as_of
    from days
    left join visits on days.business_day = visits.business_day
    left join weeks on days.business_day = weeks.last_day
    left join months on days.business_day = months.last_day
    left join returned on days.business_day = returned.business_day
    cross join run
)

select * from joined
