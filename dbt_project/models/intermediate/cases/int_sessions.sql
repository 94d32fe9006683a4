{{ config(materialized='table') }}

with events as (
    select * from {{ ref('stg_tracking__events') }}
),

scenes as (
    select * from {{ ref('scene_codes') }}
),

people as (
    select * from {{ ref('int_people__resolved') }}
),

totals as (
    select
        session_id,
        business_line,
        min(occurred_at) as started_at,
        count(*) as events_count,
        max(case when event = 'product_view' then 1 else 0 end) = 1 as has_product_view,
        max(case when event = 'add_to_cart' then 1 else 0 end) = 1 as has_add_to_cart,
        max(case when event = 'checkout_start' then 1 else 0 end) = 1 as has_checkout,
        max(case when event = 'order_submit' then 1 else 0 end) = 1 as has_order_submit,
        max(case when event = 'pay_start' then 1 else 0 end) = 1 as has_pay_start,
        max(case when event = 'pay_success' then 1 else 0 end) = 1 as has_pay_success,
        min(unionid) as unionid,
        min(openid) as openid,
        min(member_no) as member_no
    from events
    group by session_id, business_line
),

-- How the session began: its first event, and the first scene that any of its events names.
ranked as (
    select
        session_id,
        business_line,
        channel,
        scene,
        row_number() over (
            partition by session_id, business_line order by occurred_at, event_id
        ) as event_rank,
        row_number() over (
            partition by session_id, business_line
            order by case when scene is null then 1 else 0 end, occurred_at, event_id
        ) as scene_rank
    from events
),

first_events as (
    select * from ranked
    where event_rank = 1
),

first_scenes as (
    select * from ranked
    where scene_rank = 1
),

joined as (
    select
        totals.*,
        first_events.channel,
        first_scenes.scene as entry_scene,
        case
            when first_scenes.scene is not null then coalesce(scenes.entry_group, 'other')
        end as entry_group,
        coalesce(by_unionid.person_id, by_openid.person_id, by_member_no.person_id) as person_id
    from totals
    inner join first_events
        on
            totals.session_id = first_events.session_id
            and totals.business_line = first_events.business_line
    inner join first_scenes
        on
            totals.session_id = first_scenes.session_id
            and totals.business_line = first_scenes.business_line
    left join scenes on first_scenes.scene = cast(scenes.scene as varchar)
    left join people as by_unionid on 'unionid:' || totals.unionid = by_unionid.identifier
    left join people as by_openid on 'openid:' || totals.openid = by_openid.identifier
    left join people as by_member_no on 'member_no:' || totals.member_no = by_member_no.identifier
)

select * from joined
