{{ config(materialized='table') }}

with articles as (
    select * from {{ ref('stg_wechat__oa_articles') }}
),

unnested as (
    select
        article_id,
        published_on,
        stat_on,
        source_ref,
        unnest(
            from_json(readers_by_scene, '[{"scene_desc": "VARCHAR", "user_count": "BIGINT"}]')
        ) as told
    from articles
),

renamed as (
    select
        article_id,
        published_on,
        stat_on,
        told.scene_desc as scene,
        told.user_count as readers_count,
        source_ref
    from unnested
)

select * from renamed
