{{ config(
    incremental_predicates=[
        'session_id in (select number from staging.stg_landing__touched)'
    ]
) }}

with events as (
    select * from {{ ref('stg_tracking__events') }}
    where {{ in_question('session_id', 'stg_landing__touched') }}
),

-- How the session began: its first event, and the first scene that any of its events names.
ranked as (
    select
        *,
        row_number() over (
            partition by session_id, business_line order by occurred_at, event_id
        ) as event_rank,
        row_number() over (
            partition by session_id, business_line
            order by case when scene is null then 1 else 0 end, occurred_at, event_id
        ) as scene_rank
    from events
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
        min(member_no) as member_no,
        min(case when event_rank = 1 then channel end) as channel,
        min(case when scene_rank = 1 then scene end) as entry_scene
    from ranked
    group by session_id, business_line
)

select * from totals
