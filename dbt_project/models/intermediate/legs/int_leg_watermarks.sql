with leg_sources as (
    select * from {{ ref('leg_sources') }}
),

watermarks as (
    select * from {{ ref('stg_company__watermarks') }}
),

joined as (
    select
        leg_sources.loop,
        leg_sources.leg,
        min(watermarks.complete_until) as judged_at,
        count(*) = sum(
            case
                when watermarks.is_connected and watermarks.complete_until is not null then 1 else 0
            end
        ) as is_connected
    from leg_sources
    left join watermarks on leg_sources.table_name = watermarks.table_name
    group by leg_sources.loop, leg_sources.leg
)

select * from joined
