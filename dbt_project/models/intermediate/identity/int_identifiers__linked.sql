with events as (
    select distinct
        openid,
        unionid,
        member_no
    from {{ ref('stg_tracking__events') }}
),

contacts as (
    select * from {{ ref('stg_crm__contacts') }}
),

identities as (
    select * from {{ ref('stg_crm__identities') }}
),

orders as (
    select distinct
        customer_code,
        phone_hash
    from {{ ref('stg_erp__orders') }}
),

links as (
    select
        'unionid:' || unionid as left_identifier,
        'openid:' || openid as right_identifier
    from events
    union
    select
        'unionid:' || unionid,
        'member_no:' || member_no
    from events
    union
    select
        'openid:' || openid,
        'member_no:' || member_no
    from events
    union
    select
        'contact:' || contact_id,
        'unionid:' || unionid
    from contacts
    union
    select
        'contact:' || contact_id,
        'openid:' || openid
    from contacts
    union
    select
        'contact:' || contact_id,
        'member_no:' || member_no
    from contacts
    union
    select
        'contact:' || contact_id,
        'phone:' || phone_hash
    from contacts
    union
    select
        'contact:' || contact_id,
        'customer_code:' || customer_code
    from contacts
    union
    select
        'customer_code:' || customer_code,
        'phone:' || phone_hash
    from orders
    union
    select
        left_kind || ':' || left_value,
        right_kind || ':' || right_value
    from identities
),

known_links as (
    select * from links
    where left_identifier is not null and right_identifier is not null
)

select * from known_links
