{#- The linter does not know `using key` yet. -#}
with recursive links as ( -- noqa: PRS
    select * from {{ ref('int_identifiers__linked') }}
),

events as (
    select * from {{ ref('stg_tracking__events') }}
),

payments as (
    select * from {{ ref('stg_wechat__pay_bill') }}
),

both_ways as (
    select left_identifier as identifier, right_identifier as neighbour from links
    union
    select right_identifier, left_identifier from links
),

identifiers as (
    select identifier from both_ways
    union
    select 'unionid:' || unionid from events where unionid is not null
    union
    select 'openid:' || openid from events where openid is not null
    union
    select 'member_no:' || member_no from events where member_no is not null
    union
    select 'openid:' || openid from payments where openid is not null
),

-- Connected components: every identifier takes the least identifier it can reach.
components (identifier, least_identifier) using key (identifier) as (
    select identifier, identifier from identifiers
    union
    (
        select both_ways.neighbour, min(components.least_identifier)
        from components
        inner join both_ways on components.identifier = both_ways.identifier
        inner join recurring.components as reached
            on both_ways.neighbour = reached.identifier
        where components.least_identifier < reached.least_identifier
        group by both_ways.neighbour
    )
),

people as (
    select
        identifier,
        'p_' || substr(md5(least_identifier), 1, 16) as person_id
    from components
)

select * from people
