{{ config(materialized='table') }}

with {{ landed('oa_account_days', key=['ref_date', 'scene_desc']) }},

renamed as (
    select
        ref_date as business_day,
        scene_desc as scene,
        read_user as readers_count,
        share_user as sharers_count,
        zaikan_user as hearts_count,
        like_user as likes_count,
        comment_count as comments_count,
        collection_user as collectors_count,
        redirect_ori_page_user as original_page_readers_count,
        send_page_count as articles_published_count,
        source_ref
    from landed
)

select * from renamed
