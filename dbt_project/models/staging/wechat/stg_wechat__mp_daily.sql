{{ config(materialized='table') }}

with {{ landed('mp_daily', key=['ref_date']) }},

renamed as (
    select
        ref_date as business_day,
        session_cnt as sessions_count,
        visit_pv as page_views_count,
        visit_uv as visitors_count,
        visit_uv_new as new_visitors_count,
        stay_time_uv as seconds_per_visitor,
        stay_time_session as seconds_per_session,
        visit_depth as pages_per_session,
        visit_total as visitors_ever_count,
        share_pv as shares_count,
        share_uv as sharers_count,
        source_ref
    from landed
)

select * from renamed
