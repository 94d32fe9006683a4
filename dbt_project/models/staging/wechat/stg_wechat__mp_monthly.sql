{{ config(materialized='table') }}

with {{ landed('mp_monthly', key=['ref_date']) }},

renamed as (
    select
        ref_date as first_day,
        until_date as last_day,
        session_cnt as sessions_count,
        visit_pv as page_views_count,
        visit_uv as visitors_count,
        visit_uv_new as new_visitors_count,
        stay_time_uv as seconds_per_visitor,
        stay_time_session as seconds_per_session,
        visit_depth as pages_per_session,
        source_ref
    from landed
)

select * from renamed
