with people as (
    select * from {{ ref('int_people__resolved') }}
),

contacts as (
    select * from {{ ref('int_contacts__identified') }}
    where contact_rank = 1
),

sessions as (
    select * from {{ ref('int_sessions') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

identifiers as (
    select
        person_id,
        cast(sum(case when identifier like 'contact:%' then 0 else 1 end) as bigint)
            as identifiers_count,
        -- The contact itself is what the others lead to; it stands alone only where none does.
        min(
            case
                when identifier not like 'contact:%'
                    then {{ match_tier_rank("split_part(identifier, ':', 1)") }}
            end
        ) as tier_rank
    from people
    group by person_id
),

first_sessions as (
    select
        person_id,
        min(started_at) as first_session_at
    from sessions
    where person_id is not null
    group by person_id
),

joined as (
    select
        identifiers.person_id,
        least(first_sessions.first_session_at, contacts.created_at) as first_seen_at,
        identifiers.identifiers_count,
        contacts.person_id is not null as is_known_to_crm,
        coalesce(contacts.contacts_count, 0) as contacts_count,
        case
            when identifiers.tier_rank is null then 'contact'
            {%- for tier in match_tiers() %}
                when identifiers.tier_rank = {{ loop.index }} then '{{ tier }}'
            {%- endfor %}
            else 'other'
        end as match_tier,
        run.as_of
    from identifiers
    left join first_sessions on identifiers.person_id = first_sessions.person_id
    left join contacts on identifiers.person_id = contacts.person_id
    cross join run
)

select * from joined
