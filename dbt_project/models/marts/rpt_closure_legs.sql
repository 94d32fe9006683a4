with days as (
    select * from {{ ref('rpt_closure_legs_daily') }}
),

summed as (
    select
        business_line,
        loop,
        leg,
        min(leg_rank) as leg_rank,
        cast(sum(reached_count) as bigint) as reached_count,
        cast(sum(passed_count) as bigint) as passed_count,
        min(as_of) as as_of
    from days
    group by business_line, loop, leg
),

factored as (
    select
        *,
        {{ rate('passed_count', 'reached_count') }} as pass_rate
    from summed
),

{{ bottleneck('factored', ['business_line', 'loop']) }},

rated as (
    select
        business_line,
        loop,
        leg,
        leg_rank,
        reached_count,
        passed_count,
        pass_rate,
        is_bottleneck,
        points_gained,
        as_of
    from bottleneck_rated
)

select * from rated
