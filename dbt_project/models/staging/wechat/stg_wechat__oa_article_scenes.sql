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
        unnested.article_id,
        unnested.published_on,
        unnested.stat_on,
        unnested.told.scene_desc as scene,
        unnested.told.user_count as readers_count,
        unnested.source_ref
    from unnested
)

select * from renamed
