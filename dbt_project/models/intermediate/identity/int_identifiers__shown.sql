with events as (
    select * from {{ ref('stg_tracking__events') }}
),

payments as (
    select * from {{ ref('stg_wechat__pay_bill') }}
),

contacts as (
    select * from {{ ref('stg_crm__contacts') }}
),

orders as (
    select * from {{ ref('stg_erp__orders') }}
),

-- A person is seen by the same identifiers again and again: only the earliest row tells anything.
event_identifiers as (
    select
        unionid,
        openid,
        member_no,
        min(occurred_at) as seen_at
    from events
    group by unionid, openid, member_no
),

payer_identifiers as (
    select
        openid,
        min(happened_at) as seen_at
    from payments
    group by openid
),

order_identifiers as (
    select
        phone_hash,
        customer_code,
        min(created_at) as seen_at
    from orders
    group by phone_hash, customer_code
),

shown as (
    select
        cast(null as varchar) as contact,
        'unionid:' || unionid as unionid,
        'openid:' || openid as openid,
        'member_no:' || member_no as member_no,
        cast(null as varchar) as phone,
        cast(null as varchar) as customer_code,
        seen_at
    from event_identifiers
    union all
    select
        null,
        null,
        'openid:' || openid,
        null,
        null,
        null,
        seen_at
    from payer_identifiers
    union all
    select
        null,
        null,
        null,
        null,
        'phone:' || phone_hash,
        'customer_code:' || customer_code,
        seen_at
    from order_identifiers
    union all
    select
        'contact:' || contact_id,
        'unionid:' || unionid,
        'openid:' || openid,
        'member_no:' || member_no,
        'phone:' || phone_hash,
        'customer_code:' || customer_code,
        created_at
    from contacts
)

select * from shown
where coalesce(contact, unionid, openid, member_no, phone, customer_code) is not null
