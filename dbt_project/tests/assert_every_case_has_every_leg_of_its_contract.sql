{{ config(meta={'dagster': {'ref': {'name': 'fct_case_legs'}}}) }}

-- A leg that is missing could not diverge. Returns cases whose legs are not those of the contract
-- of their line (or of the default contract).
with contracts as (
    select
        business_line,
        loop,
        count(*) as legs_count
    from {{ ref('stg_company__loop_legs') }}
    group by business_line, loop
),

cases as (
    select
        case_id,
        loop,
        business_line
    from {{ ref('fct_cases') }}
),

legs as (
    select
        case_id,
        count(*) as legs_count
    from {{ ref('fct_case_legs') }}
    group by case_id
)

select
    cases.case_id,
    legs.legs_count
from cases
left join contracts as own_contract
    on cases.business_line = own_contract.business_line and cases.loop = own_contract.loop
left join contracts as default_contract
    on default_contract.business_line is null and cases.loop = default_contract.loop
left join legs on cases.case_id = legs.case_id
where
    coalesce(own_contract.legs_count, default_contract.legs_count)
    is distinct from legs.legs_count
