{{ config(materialized='table') }}

with {{ landed('oa_articles', key=['ref_date', 'msgid', 'stat_date']) }},

renamed as (
    select
        msgid as article_id,
        ref_date as published_on,
        stat_date as stat_on,
        publish_type,
        title,
        content_url as article_url,
        read_user as readers_count,
        share_user as sharers_count,
        zaikan_user as hearts_count,
        like_user as likes_count,
        comment_count as comments_count,
        collection_user as collectors_count,
        praise_money as praise_fen,
        read_subscribe_user as follower_readers_count,
        read_delivery_rate as delivery_rate,
        read_finish_rate as finish_rate,
        read_avg_activetime as minutes_per_reader,
        read_user_source as readers_by_scene,
        read_jump_position as left_at,
        source_ref
    from landed
)

select * from renamed
