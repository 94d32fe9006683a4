with quotas as (
    select * from {{ ref('stg_wechat__quota') }}
),

tolerances as (
    select * from {{ ref('mart_tolerances') }}
    where tolerance = 'quota_left_share'
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

-- A call that was left out of the latest asking is not used any more.
ranked as (
    select
        *,
        rank() over (partition by app_id order by business_day desc) as recency_rank
    from quotas
),

judged as (
    select
        ranked.app_id,
        ranked.cgi_path,
        ranked.business_day,
        ranked.asked_at,
        ranked.daily_limit,
        ranked.used_count,
        ranked.remaining_count,
        {{ rate('ranked.remaining_count', 'ranked.daily_limit') }} as remaining_share,
        tolerances.value as least_share,
        {{ rate('ranked.remaining_count', 'ranked.daily_limit') }} < tolerances.value as is_short,
        run.as_of
    from ranked
    cross join tolerances
    cross join run
    where ranked.recency_rank = 1
)

select * from judged
