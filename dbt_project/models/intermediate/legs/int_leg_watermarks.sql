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

-- What brings identifiers of a buyer, or links one to another, and what takes back that a parcel
-- is owed: as far as it is connected.
telling as (
    select
        leg_sources.loop,
        leg_sources.leg,
        watermarks.table_name
    from leg_sources
    cross join watermarks
    where
        watermarks.is_connected
        and watermarks.complete_until is not null
        and (
            (
                leg_sources.leg = 'known'
                and watermarks.table_name in ('tracking_events', 'erp_orders')
            )
            or (
                leg_sources.loop = 'order'
                and leg_sources.leg = 'known'
                and watermarks.table_name = 'pay_bill'
            )
            or (
                leg_sources.loop = 'order'
                and leg_sources.leg in ('fulfilled', 'reflowed', 'notified')
                and watermarks.table_name in ('pay_bill', 'erp_orders', 'erp_refunds')
            )
        )
    union all
    select
        leg_sources.loop,
        leg_sources.leg,
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
        leg,
        table_name
    from telling
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
