{{ config(materialized='table') }}

with {{ landed('mp_pages', key=['ref_date', 'page_path']) }},

renamed as (
    select
        ref_date as business_day,
        page_path as page,
        page_visit_pv as page_views_count,
        page_visit_uv as visitors_count,
        page_staytime_pv as seconds_per_view,
        entrypage_pv as entries_count,
        exitpage_pv as exits_count,
        page_share_pv as shares_count,
        page_share_uv as sharers_count,
        source_ref
    from landed
)

select * from renamed
