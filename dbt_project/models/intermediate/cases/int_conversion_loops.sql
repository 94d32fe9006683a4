{{ config(materialized='table') }}

with cases as (
    select * from {{ ref('int_cases') }}
),

-- A line that sells or takes bookings converts by those; one that only enrols, by enrolling.
ranked as (
    select distinct
        business_line,
        loop,
        case loop when 'order' then 1 when 'booking' then 1 when 'member' then 2 else 3 end
            as act_rank
    from cases
),

first_acts as (
    select
        business_line,
        min(act_rank) as act_rank
    from ranked
    group by business_line
),

chosen as (
    select
        ranked.business_line,
        ranked.loop
    from ranked
    inner join first_acts
        on ranked.business_line = first_acts.business_line and ranked.act_rank = first_acts.act_rank
)

select * from chosen
