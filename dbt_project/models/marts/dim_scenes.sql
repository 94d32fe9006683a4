with scenes as (
    select * from {{ ref('scene_codes') }}
),

access_sources as (
    select * from {{ ref('access_sources') }}
),

sessions as (
    select * from {{ ref('int_sessions') }}
),

entered as (
    select
        entry_scene,
        count(*) as sessions_count
    from sessions
    where entry_scene is not null
    group by entry_scene
),

-- WeChat adds codes several times a year, and counts them under source 10 until it says otherwise.
known as (
    select
        coalesce(scenes.scene, entered.entry_scene) as scene,
        coalesce(scenes.entry_group, 'other') as entry_group,
        coalesce(scenes.name_zh, '未收录') as name_zh,
        coalesce(scenes.name_en, 'Not listed') as name_en,
        coalesce(scenes.access_source_key, 10) as access_source_key,
        coalesce(scenes.is_service_account, false) as is_service_account,
        coalesce(scenes.is_dropped, false) as is_dropped,
        coalesce(scenes.is_obsolete, false) as is_obsolete,
        scenes.scene is not null as is_listed,
        coalesce(entered.sessions_count, 0) as sessions_count
    from scenes
    full join entered on scenes.scene = entered.entry_scene
),

joined as (
    select
        known.scene,
        known.entry_group,
        known.name_zh,
        known.name_en,
        known.access_source_key,
        access_sources.name_zh as access_source_name_zh,
        access_sources.name_en as access_source_name_en,
        known.is_service_account,
        known.is_dropped,
        known.is_obsolete,
        known.is_listed,
        known.sessions_count
    from known
    left join access_sources on known.access_source_key = access_sources.access_source_key
)

select * from joined
