with cases as (
    select * from {{ ref('int_case_contacts') }}
    where is_in_conflict
),

reached as (
    select * from {{ ref('int_case_contacts__reached') }}
    where is_in_window
),

contacts as (
    select * from {{ ref('stg_crm__contacts') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

-- The second contact makes the conflict of a case.
paths as (
    select
        cases.person_id,
        cases.case_id,
        reached.contact_id,
        reached.reached_at,
        reached.match_tier,
        row_number() over (
            partition by cases.case_id order by reached.reached_at, reached.contact_id
        ) as contact_rank,
        row_number() over (
            partition by cases.person_id, reached.contact_id
            order by reached.tier_rank, reached.reached_at, cases.case_id
        ) as strength_rank
    from cases
    inner join reached on cases.case_id = reached.case_id
),

people as (
    select
        person_id,
        min(reached_at) as in_conflict_since
    from paths
    where contact_rank = 2
    group by person_id
),

claimants as (
    select
        person_id,
        contact_id,
        min(case when strength_rank = 1 then match_tier end) as match_tier,
        min(reached_at) as reached_at,
        count(*) as cases_count
    from paths
    group by person_id, contact_id
),

joined as (
    select
        claimants.person_id,
        contacts.source_ref as contact_ref,
        claimants.match_tier,
        claimants.reached_at,
        people.in_conflict_since,
        claimants.cases_count,
        run.as_of
    from claimants
    inner join people on claimants.person_id = people.person_id
    inner join contacts on claimants.contact_id = contacts.contact_id
    cross join run
)

select * from joined
