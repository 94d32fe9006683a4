with contacts as (
    select * from {{ ref('stg_crm__contacts') }}
),

people as (
    select * from {{ ref('int_people__resolved') }}
),

identified as (
    select
        contacts.contact_id,
        contacts.created_at,
        contacts.source_ref,
        people.person_id
    from contacts
    inner join people on 'contact:' || contacts.contact_id = people.identifier
),

ranked as (
    select
        *,
        row_number() over (partition by person_id order by created_at, contact_id) as contact_rank,
        count(*) over (partition by person_id) as contacts_count
    from identified
)

select * from ranked
