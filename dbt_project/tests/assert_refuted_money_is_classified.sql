{{ config(severity='warn', meta={'dagster': {'ref': {'name': 'fct_case_legs'}}}) }}

-- Nothing refuted stays without a name: where paid, booked or received is refuted in a mature
-- claimed case, some leg of that case carries a finding. Returns the cases without one. A
-- warning: an unnamed finding must not hide the named ones.
with refuted as (
    select distinct legs.case_id
    from {{ ref('fct_case_legs') }} as legs
    inner join {{ ref('fct_cases') }} as cases on legs.case_id = cases.case_id
    where
        cases.is_mature
        and cases.is_claimed
        and legs.leg in ('paid', 'booked', 'received')
        and legs.truth = 'refuted'
),

named as (
    select distinct case_id from {{ ref('fct_case_legs') }}
    where divergence <> 'none'
)

select refuted.case_id
from refuted
left join named on refuted.case_id = named.case_id
where named.case_id is null
