{%- set examples_shown = 3 -%}

with shared as (
    select * from {{ ref('int_identifiers__shared') }}
),

events as (
    select * from {{ ref('stg_tracking__events') }}
),

contacts as (
    select * from {{ ref('stg_crm__contacts') }}
),

orders as (
    select * from {{ ref('stg_erp__orders') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

-- Rows of `identities` are no examples: their key is the two identifiers themselves.
sightings as (
    {% for kind in ['openid', 'member_no'] -%}
        select
            '{{ kind }}:' || {{ kind }} as identifier,
            occurred_at as seen_at,
            source_ref
        from events
        union all
    {% endfor -%}
    {% for kind, column in [
        ('openid', 'openid'),
        ('member_no', 'member_no'),
        ('phone', 'phone_hash'),
        ('customer_code', 'customer_code'),
    ] -%}
        select
            '{{ kind }}:' || {{ column }},
            created_at,
            source_ref
        from contacts
        union all
    {% endfor -%}
    select
        'phone:' || phone_hash,
        created_at,
        source_ref
    from orders
    union all
    select
        'customer_code:' || customer_code,
        created_at,
        source_ref
    from orders
),

examples as (
    select
        shared.identifier,
        sightings.source_ref,
        row_number() over (
            partition by shared.identifier order by sightings.seen_at, sightings.source_ref
        ) as example_rank
    from shared
    inner join sightings on shared.identifier = sightings.identifier
),

listed as (
    select
        identifier,
        string_agg(source_ref, ', ' order by example_rank) as example_refs
    from examples
    where example_rank <= {{ examples_shown }}
    group by identifier
),

joined as (
    select
        shared.identifier_kind,
        'i_' || substr(md5(shared.identifier), 1, 16) as identifier_id,
        shared.people_count,
        shared.shared_limit,
        shared.first_seen_at,
        listed.example_refs,
        run.as_of
    from shared
    left join listed on shared.identifier = listed.identifier
    cross join run
)

select * from joined
