with cases as (
    select * from {{ ref('fct_cases') }}
    where is_mature
),

legs as (
    select * from {{ ref('fct_case_legs') }}
),

leg_gates as (
    select * from {{ ref('leg_gates') }}
),

ancestors as (
    select * from {{ ref('leg_ancestors') }}
    where distance = 1
),

-- The leg by which a loop shows its customer what the back end did.
return_legs as (
    select distinct
        loop,
        return_leg
    from leg_gates
    where return_leg is not null
),

-- The back end's own move: without one there is nothing to show.
moves as (
    select
        legs.case_id,
        return_legs.return_leg
    from legs
    inner join return_legs on legs.loop = return_legs.loop
    inner join ancestors
        on
            return_legs.loop = ancestors.loop
            and return_legs.return_leg = ancestors.leg
            and legs.leg = ancestors.ancestor
    where legs.has_evidence
),

joined as (
    select
        legs.case_id,
        legs.loop,
        cases.business_line,
        cases.channel,
        cases.business_day,
        legs.leg as return_leg,
        cases.is_claimed,
        legs.truth in ('verified', 'late') as is_shown,
        legs.truth = 'verified' as is_shown_in_time,
        legs.as_of
    from legs
    inner join moves on legs.case_id = moves.case_id and legs.leg = moves.return_leg
    inner join cases on legs.case_id = cases.case_id
    where legs.truth in ('verified', 'late', 'refuted')
)

select * from joined
