with legs as (
    select * from {{ ref('rpt_integration_depth') }}
    where is_mandatory
),

levels as (
    select * from {{ ref('depth_levels') }}
),

closure as (
    select * from {{ ref('rpt_closure') }}
),

least as (
    select
        business_line,
        loop,
        min(level) as level,
        min(level_proven) as level_proven
    from legs
    group by business_line, loop
),

ranked as (
    select
        *,
        row_number() over (
            partition by business_line, loop
            order by
                level, level_proven, case when status = 'not met' then 0 else 1 end, leg_rank
        ) as weakness_rank
    from legs
),

weakest as (
    select * from ranked
    where weakness_rank = 1
),

joined as (
    select
        weakest.business_line,
        weakest.loop,
        least.level,
        least.level_proven,
        levels.name_zh as level_name_zh,
        levels.name_en as level_name_en,
        weakest.leg as weakest_leg,
        weakest.status,
        weakest.next_level,
        weakest.blocking_gate,
        weakest.blocking_rate,
        weakest.blocking_rate_low,
        weakest.blocking_bar,
        weakest.cases_needed,
        weakest.cases_still_needed,
        closure.is_smooth_but_shallow,
        weakest.as_of
    from weakest
    inner join least
        on weakest.business_line = least.business_line and weakest.loop = least.loop
    inner join levels on least.level = levels.level
    inner join closure
        on weakest.business_line = closure.business_line and weakest.loop = closure.loop
)

select * from joined
