with brought as (
    select * from {{ ref('int_case_identifiers') }}
),

people as (
    select * from {{ ref('int_people__resolved') }}
),

shared as (
    select * from {{ ref('int_identifiers__shared') }}
),

contacts as (
    select * from {{ ref('stg_crm__contacts') }}
),

reached as (
    select * from {{ ref('int_case_contacts__reached') }}
),

-- Who the case is by the strongest identifier that it brings. A shared one brings nobody.
identified as (
    select
        brought.case_id,
        people.person_id,
        row_number() over (
            partition by brought.case_id
            order by
                case when people.person_id is null then 1 else 0 end,
                brought.tier_rank,
                people.person_id,
                brought.identifier
        ) as person_rank
    from brought
    left join people on brought.identifier = people.identifier
    left join shared on brought.identifier = shared.identifier
    where shared.identifier is null
),

ranked as (
    select
        *,
        row_number() over (
            partition by case_id order by reached_at, tier_rank, contact_id
        ) as contact_rank
    from reached
),

counted as (
    select
        case_id,
        cast(sum(case when is_in_window then 1 else 0 end) as bigint) as contacts_count
    from reached
    group by case_id
),

known as (
    select
        identified.case_id,
        identified.person_id,
        ranked.contact_id,
        ranked.reached_at as known_at,
        contacts.source_ref as known_ref,
        ranked.match_tier,
        coalesce(counted.contacts_count, 0) as contacts_count,
        coalesce(counted.contacts_count > 1, false) as is_in_conflict
    from identified
    left join ranked
        on identified.case_id = ranked.case_id and ranked.contact_rank = 1
    left join contacts on ranked.contact_id = contacts.contact_id
    left join counted on identified.case_id = counted.case_id
    where identified.person_rank = 1
)

select * from known
