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
        count(*) as identifiers_count,
        min(
            case split_part(identifier, ':', 1)
                when 'unionid' then 1
                when 'openid' then 2
                when 'member_no' then 3
                when 'phone' then 4
                else 5
            end
        ) as tier_rank
    from people
    where identifier not like 'contact:%'
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
        case identifiers.tier_rank
            when 1 then 'unionid'
            when 2 then 'openid'
            when 3 then 'member_no'
            when 4 then 'phone'
            else 'customer_code'
        end as match_tier,
        run.as_of
    from identifiers
    left join first_sessions on identifiers.person_id = first_sessions.person_id
    left join contacts on identifiers.person_id = contacts.person_id
    cross join run
)

select * from joined
