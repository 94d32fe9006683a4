with cases as (
    select * from {{ ref('fct_cases') }}
    where is_mature and is_claimed
),

legs as (
    select * from {{ ref('fct_case_legs') }}
    where is_mandatory
),

-- A leg that is not owed stands in no case's way.
passed as (
    select
        legs.*,
        case when legs.truth in ('verified', 'late', 'not_due') then 1 else 0 end as is_passed
    from legs
),

chained as (
    select
        passed.*,
        coalesce(
            min(passed.is_passed) over (
                partition by passed.case_id order by passed.leg_rank
                rows between unbounded preceding and 1 preceding
            ),
            1
        ) as is_reached
    from passed
),

counted as (
    select
        cases.business_day,
        cases.business_line,
        cases.loop,
        cases.channel,
        chained.leg,
        min(chained.leg_rank) as leg_rank,
        cast(sum(chained.is_reached) as bigint) as reached_count,
        cast(sum(chained.is_reached * chained.is_passed) as bigint) as passed_count,
        min(chained.as_of) as as_of
    from chained
    inner join cases on chained.case_id = cases.case_id
    group by
        cases.business_day, cases.business_line, cases.loop, cases.channel, chained.leg
),

rated as (
    select
        business_day,
        business_line,
        loop,
        channel,
        leg,
        leg_rank,
        reached_count,
        passed_count,
        {{ rate('passed_count', 'reached_count') }} as pass_rate,
        as_of
    from counted
)

select * from rated
