with leg_sources as (
    select * from {{ ref('leg_sources') }}
),

watermarks as (
    select * from {{ ref('stg_company__watermarks') }}
),

settings as (
    select * from {{ ref('stg_company__settings') }}
),

-- Pairs of identifiers that were handed over once, before the first day, are all there is to
-- come. Where they go on, a link that makes a buyer known may still be among them.
growing_identities as (
    select watermarks.table_name
    from watermarks
    cross join settings
    where
        watermarks.table_name = 'identities'
        and watermarks.is_connected
        and watermarks.complete_until > settings.starts_at
),

-- What brings identifiers of a buyer, or links one to another.
identifying as (
    select
        leg_sources.loop,
        watermarks.table_name
    from leg_sources
    cross join watermarks
    where
        leg_sources.leg = 'known'
        and watermarks.is_connected
        and (
            watermarks.table_name in ('tracking_events', 'erp_orders')
            or (watermarks.table_name = 'pay_bill' and leg_sources.loop = 'order')
        )
    union all
    select
        leg_sources.loop,
        growing_identities.table_name
    from leg_sources
    cross join growing_identities
    where leg_sources.leg = 'known'
),

needed as (
    select
        loop,
        leg,
        table_name
    from leg_sources
    union
    select
        loop,
        'known',
        table_name
    from identifying
),

joined as (
    select
        needed.loop,
        needed.leg,
        min(watermarks.complete_until) as judged_at,
        count(*) = sum(
            case
                when watermarks.is_connected and watermarks.complete_until is not null then 1 else 0
            end
        ) as is_connected
    from needed
    left join watermarks on needed.table_name = watermarks.table_name
    group by needed.loop, needed.leg
)

select * from joined
