with followers as (
    select * from {{ ref('stg_wechat__oa_users') }}
),

sources as (
    select * from {{ ref('follower_sources') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

days as (
    select
        business_day,
        sum(new_followers_count) as new_followers_count
    from followers
    group by business_day
),

joined as (
    select
        followers.business_day,
        followers.user_source,
        coalesce(sources.name, 'unlisted') as source_name,
        coalesce(sources.name_zh, '未列出') as source_name_zh,
        coalesce(followers.new_followers_count, 0) as new_followers_count,
        coalesce(followers.lost_followers_count, 0) as lost_followers_count,
        coalesce(followers.new_followers_count, 0) - coalesce(followers.lost_followers_count, 0)
            as net_followers_count,
        {{ rate('coalesce(followers.new_followers_count, 0)', 'days.new_followers_count') }}
            as new_followers_share,
        run.as_of
    from followers
    inner join days on followers.business_day = days.business_day
    left join sources on followers.user_source = sources.user_source
    cross join run
)

select * from joined
