with recursive shown as (
    select * from {{ ref('int_identifiers__shown') }}
),

pairs as (
    select * from {{ ref('int_identifiers__paired') }}
),

shared as (
    select * from {{ ref('int_identifiers__shared') }}
),

links as (
    select * from {{ ref('int_identifiers__linked') }}
),

seen as (
    {% for kind in match_tiers() -%}
        select {{ kind }} as identifier from shown
        where {{ kind }} is not null
        union
    {% endfor -%}
    select left_identifier from pairs
    union
    select right_identifier from pairs
),

-- A shared identifier names nobody.
identifiers as (
    select seen.identifier from seen
    left join shared on seen.identifier = shared.identifier
    where shared.identifier is null
),

both_ways as (
    select
        left_identifier as identifier,
        right_identifier as neighbour
    from links
    union all
    select
        right_identifier,
        left_identifier
    from links
),

outdone as (
    select distinct identifier from both_ways
    where neighbour < identifier
),

-- The least identifier of a component is less than all its neighbours. Starting only from such
-- heads, of which a component has few, keeps the walk short.
heads as (
    select identifiers.identifier from identifiers
    left join outdone on identifiers.identifier = outdone.identifier
    where outdone.identifier is null
),

components as (
    select
        identifier,
        identifier as head
    from heads
    union
    select
        both_ways.neighbour,
        components.head
    from components
    inner join both_ways on components.identifier = both_ways.identifier
    where components.head < both_ways.neighbour
),

people as (
    select
        identifier,
        'p_' || substr(md5(min(head)), 1, 16) as person_id
    from components
    group by identifier
)

select * from people
