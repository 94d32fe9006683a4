{{ config(materialized='table') }}

with cases as (
    select * from {{ ref('int_order_cases') }}
),

people as (
    select * from {{ ref('int_people__resolved') }}
),

contacts as (
    select * from {{ ref('int_contacts__identified') }}
    where contact_rank = 1
),

bookings as (
    select * from {{ ref('int_order_bookings') }}
),

-- Every identifier a case brings, the front end's first.
brought as (
    select
        case_id,
        1 as tier_rank,
        'unionid' as tier,
        'unionid:' || unionid as identifier
    from cases
    union all
    select
        case_id,
        2,
        'openid',
        'openid:' || openid
    from cases
    union all
    select
        case_id,
        2,
        'openid',
        'openid:' || payer_openid
    from cases
    union all
    select
        case_id,
        3,
        'member_no',
        'member_no:' || member_no
    from cases
    union all
    select
        cases.case_id,
        4,
        'phone',
        'phone:' || bookings.phone_hash
    from cases
    inner join bookings on cases.case_no = bookings.case_no
    union all
    select
        cases.case_id,
        5,
        'customer_code',
        'customer_code:' || bookings.customer_code
    from cases
    inner join bookings on cases.case_no = bookings.case_no
),

identified as (
    select
        brought.case_id,
        brought.tier_rank,
        brought.tier,
        people.person_id,
        contacts.contact_id,
        contacts.created_at,
        contacts.source_ref
    from brought
    left join people on brought.identifier = people.identifier
    left join contacts on people.person_id = contacts.person_id
    where brought.identifier is not null
),

-- The earliest contact the case leads to; the person by the strongest identifier.
ranked as (
    select
        *,
        row_number() over (
            partition by case_id
            order by created_at nulls last, tier_rank, person_id, contact_id
        ) as contact_rank,
        first_value(person_id) over (
            partition by case_id
            order by case when person_id is null then 1 else 0 end, tier_rank, person_id
            rows between unbounded preceding and unbounded following
        ) as case_person_id
    from identified
),

known as (
    select
        case_id,
        case_person_id as person_id,
        contact_id,
        created_at as known_at,
        source_ref as known_ref,
        case when contact_id is not null then tier end as match_tier
    from ranked
    where contact_rank = 1
)

select * from known
