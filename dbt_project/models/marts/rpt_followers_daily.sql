with followers as (
    select * from {{ ref('stg_wechat__oa_users') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

-- All followers stand in one row of the day; the largest of its rows is that one.
days as (
    select
        business_day,
        cast(coalesce(sum(new_followers_count), 0) as bigint) as new_followers_count,
        cast(coalesce(sum(lost_followers_count), 0) as bigint) as lost_followers_count,
        cast(max(followers_count) as bigint) as followers_count
    from followers
    group by business_day
),

counted as (
    select
        business_day,
        new_followers_count,
        lost_followers_count,
        new_followers_count - lost_followers_count as net_followers_count,
        followers_count
    from days
),

reconciled as (
    select
        counted.business_day,
        counted.new_followers_count,
        counted.lost_followers_count,
        counted.net_followers_count,
        counted.followers_count,
        day_before.followers_count + counted.net_followers_count as followers_expected_count,
        counted.followers_count - day_before.followers_count - counted.net_followers_count
            as unexplained_count,
        run.as_of
    from counted
    left join counted as day_before
        on counted.business_day = day_before.business_day + 1
    cross join run
)

select * from reconciled
