{{ config(materialized='table') }}

with {{ landed('oa_article_days', key=['ref_date', 'msgid', 'scene_desc']) }},

renamed as (
    select
        ref_date as business_day,
        msgid as article_id,
        scene_desc as scene,
        read_user as readers_count,
        share_user as sharers_count,
        source_ref
    from landed
)

select * from renamed
