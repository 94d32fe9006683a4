with recursive contacts as (
    select * from {{ ref('stg_crm__contacts') }}
),

links as (
    select * from {{ ref('int_identifiers__linked') }}
),

both_ways as (
    select
        left_identifier as identifier,
        right_identifier as neighbour,
        seen_at
    from links
    union all
    select
        right_identifier,
        left_identifier,
        seen_at
    from links
),

-- A path is known once the latest of its links is, and leads nowhere before the contact is made.
-- Several paths reach the same identifier at several times; equal ones are walked once.
paths as (
    select
        contact_id,
        'contact:' || contact_id as identifier,
        created_at as reached_at
    from contacts
    union
    select
        paths.contact_id,
        both_ways.neighbour,
        greatest(paths.reached_at, both_ways.seen_at)
    from paths
    inner join both_ways on paths.identifier = both_ways.identifier
    where both_ways.neighbour <> 'contact:' || paths.contact_id
),

reached as (
    select
        contact_id,
        identifier,
        min(reached_at) as reached_at
    from paths
    group by contact_id, identifier
)

select * from reached
