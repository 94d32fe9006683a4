with pairs as (
    select * from {{ ref('int_identifiers__paired') }}
),

settings as (
    select * from {{ ref('stg_company__settings') }}
),

both_ways as (
    select
        left_identifier as identifier,
        right_identifier as neighbour,
        seen_at
    from pairs
    union all
    select
        right_identifier,
        left_identifier,
        seen_at
    from pairs
),

-- A unionid is one person by WeChat's word, however much hangs on it.
counted as (
    select
        identifier,
        sum(case when neighbour like 'contact:%' then 1 else 0 end) as contacts_count,
        sum(case when neighbour like 'unionid:%' then 1 else 0 end) as unionids_count,
        sum(case when neighbour like 'member_no:%' then 1 else 0 end) as member_nos_count,
        sum(case when neighbour like 'customer_code:%' then 1 else 0 end)
            as customer_codes_count,
        min(seen_at) as first_seen_at
    from both_ways
    where identifier not like 'unionid:%'
    group by identifier
),

shared as (
    select
        counted.identifier,
        split_part(counted.identifier, ':', 1) as identifier_kind,
        cast(counted.contacts_count as bigint) as contacts_count,
        cast(counted.unionids_count as bigint) as unionids_count,
        cast(counted.member_nos_count as bigint) as member_nos_count,
        cast(counted.customer_codes_count as bigint) as customer_codes_count,
        cast(
            greatest(
                counted.contacts_count,
                counted.unionids_count,
                counted.member_nos_count,
                counted.customer_codes_count
            ) as bigint
        ) as people_count,
        settings.shared_limit,
        counted.first_seen_at
    from counted
    cross join settings
)

select * from shared
where people_count > shared_limit
