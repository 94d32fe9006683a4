with mp_days as (
    select * from {{ ref('stg_wechat__mp_daily') }}
),

mp_sources as (
    select * from {{ ref('stg_wechat__mp_sources') }}
    where distribution = 'access_source_session_cnt'
),

events as (
    select * from {{ ref('stg_tracking__events') }}
    where event = 'session_start' and channel = 'mini_program'
),

batches as (
    select * from {{ ref('stg_company__batches') }}
),

tracking as (
    select * from {{ ref('stg_company__watermarks') }}
    where table_name = 'tracking_events'
),

scenes as (
    select * from {{ ref('scene_codes') }}
),

sources as (
    select * from {{ ref('access_sources') }}
),

source_groups as (
    select * from {{ ref('access_source_groups') }}
),

tolerances as (
    select
        max(case when tolerance = 'tracking_gap_rate' then value end) as allowed_rate,
        max(case when tolerance = 'tracking_gap_opens' then value end) as allowed_opens
    from {{ ref('mart_tolerances') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

-- A landed day without a row is a day without an opening: landing refuses an empty day until it
-- may be believed. A day that is not landed is unknown.
landed_days as (
    select
        business_day,
        max(case when table_name = 'mp_daily' then 1 else 0 end) = 1 as has_opens,
        max(case when table_name = 'mp_sources' then 1 else 0 end) = 1 as has_opens_by_source
    from batches
    where table_name in ('mp_daily', 'mp_sources', 'tracking_events')
    group by business_day
),

days as (
    select
        landed_days.*,
        coalesce(
            {{ day_start('landed_days.business_day', 0) }} >= tracking.complete_from
            and {{ day_start('landed_days.business_day', 1) }} <= tracking.complete_until,
            false
        ) as is_tracked
    from landed_days
    cross join tracking
),

-- The session begins with the first of its starts that names a scene.
ranked_starts as (
    select
        {{ business_day('events.occurred_at') }} as business_day,
        case
            when events.scene is null then 'no_scene'
            else coalesce(sources.source_group, 'other')
        end as source_group,
        row_number() over (
            partition by events.session_id, {{ business_day('events.occurred_at') }}
            order by
                case when events.scene is null then 1 else 0 end,
                events.occurred_at,
                events.event_id
        ) as start_rank
    from events
    left join scenes on events.scene = scenes.scene
    left join sources on scenes.access_source_key = sources.access_source_key
    where scenes.is_dropped is not true
),

tracked_groups as (
    select
        business_day,
        source_group,
        count(*) as tracked_count
    from ranked_starts
    where start_rank = 1
    group by business_day, source_group
),

grouped_opens as (
    select
        mp_sources.business_day,
        coalesce(sources.source_group, 'other') as source_group,
        mp_sources.value_count
    from mp_sources
    left join sources on mp_sources.item_key = sources.access_source_key
),

wechat_groups as (
    select
        business_day,
        source_group,
        sum(value_count) as wechat_count
    from grouped_opens
    group by business_day, source_group
),

cells as (
    select
        business_day,
        source_group
    from tracked_groups
    union
    select
        business_day,
        source_group
    from wechat_groups
),

grouped as (
    select
        cells.business_day,
        cells.source_group,
        -- WeChat has no opening without a scene, so there is nothing to hold such sessions against.
        case
            when days.has_opens_by_source and cells.source_group <> 'no_scene'
                then coalesce(wechat_groups.wechat_count, 0)
        end as wechat_count,
        case when days.is_tracked then coalesce(tracked_groups.tracked_count, 0) end
            as tracked_count
    from cells
    inner join days on cells.business_day = days.business_day
    left join wechat_groups
        on
            cells.business_day = wechat_groups.business_day
            and cells.source_group = wechat_groups.source_group
    left join tracked_groups
        on
            cells.business_day = tracked_groups.business_day
            and cells.source_group = tracked_groups.source_group
),

explained as (
    select
        grouped.business_day,
        grouped.source_group,
        grouped.wechat_count,
        grouped.tracked_count,
        case
            when source_groups.explains_more_opens
                then greatest(grouped.wechat_count - grouped.tracked_count, 0)
            else 0
        end as definition_count
    from grouped
    left join source_groups on grouped.source_group = source_groups.source_group
),

tracked_days as (
    select
        business_day,
        sum(tracked_count) as tracked_count
    from tracked_groups
    group by business_day
),

explained_days as (
    select
        business_day,
        sum(definition_count) as definition_count
    from explained
    group by business_day
),

-- The opens of all groups are WeChat's own total, not the sum of its sources.
totals as (
    select
        days.business_day,
        'all' as source_group,
        -- A day that has a row without the figure is not a day without an opening.
        case
            when mp_days.business_day is not null then mp_days.sessions_count
            when days.has_opens then 0
        end as wechat_count,
        case when days.is_tracked then coalesce(tracked_days.tracked_count, 0) end
            as tracked_count,
        coalesce(explained_days.definition_count, 0) as definition_count
    from days
    left join mp_days on days.business_day = mp_days.business_day
    left join tracked_days on days.business_day = tracked_days.business_day
    left join explained_days on days.business_day = explained_days.business_day
),

counted as (
    select * from totals
    union all
    select * from explained
),

compared as (
    select
        counted.*,
        counted.wechat_count - counted.tracked_count as gap_count,
        floor(
            greatest(tolerances.allowed_rate * counted.wechat_count, tolerances.allowed_opens)
        ) as allowed_count
    from counted
    cross join tolerances
),

judged as (
    select
        compared.business_day,
        compared.source_group,
        cast(compared.wechat_count as bigint) as wechat_count,
        cast(compared.tracked_count as bigint) as tracked_count,
        cast(compared.gap_count as bigint) as gap_count,
        {{ rate('compared.gap_count', 'compared.wechat_count') }} as gap_rate,
        cast(compared.allowed_count as bigint) as allowed_count,
        case
            when compared.gap_count is not null then cast(compared.definition_count as bigint)
        end as definition_count,
        source_groups.definition,
        case
            when compared.gap_count is null then 'not_comparable'
            when abs(compared.gap_count) <= compared.allowed_count then 'agrees'
            when compared.gap_count < 0 then 'tracked_more'
            when compared.gap_count - compared.definition_count <= compared.allowed_count
                then 'definition'
            else 'tracking_lost'
        end as verdict,
        run.as_of
    from compared
    left join source_groups on compared.source_group = source_groups.source_group
    cross join run
)

select * from judged
