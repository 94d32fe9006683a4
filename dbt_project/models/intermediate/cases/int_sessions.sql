{{ config(materialized='table') }}

with sessions as (
    select * from {{ ref('int_sessions__tracked') }}
),

scenes as (
    select * from {{ ref('scene_codes') }}
),

people as (
    select * from {{ ref('int_people__resolved') }}
),

joined as (
    select
        sessions.*,
        case
            when sessions.entry_scene is not null then coalesce(scenes.entry_group, 'other')
        end as entry_group,
        coalesce(by_unionid.person_id, by_openid.person_id, by_member_no.person_id) as person_id
    from sessions
    left join scenes on sessions.entry_scene = scenes.scene
    left join people as by_unionid on 'unionid:' || sessions.unionid = by_unionid.identifier
    left join people as by_openid on 'openid:' || sessions.openid = by_openid.identifier
    left join people as by_member_no
        on 'member_no:' || sessions.member_no = by_member_no.identifier
)

select * from joined
