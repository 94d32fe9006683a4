{#-
    Each loop brings its identifiers by a part of its own, all with the same three columns: case,
    kind and value.
-#}
with order_cases as (
    select * from {{ ref('int_order_cases') }}
),

order_events as (
    select * from {{ ref('stg_tracking__events') }}
    where event not in ('booking_submit', 'aftersale_submit', 'member_register')
),

bill as (
    select * from {{ ref('stg_wechat__pay_bill') }}
    where trade_state <> 'REVOKED'
),

bookings as (
    select * from {{ ref('int_order_bookings') }}
),

brought_by_orders as (
    {% for kind in ['unionid', 'openid', 'member_no'] -%}
        select
            order_cases.case_id,
            '{{ kind }}' as tier,
            order_events.{{ kind }} as identifier_value
        from order_cases
        inner join order_events on order_cases.case_no = order_events.case_no
        union all
    {% endfor -%}
    select
        case_id,
        'openid',
        payer_openid
    from order_cases
    union all
    select
        order_cases.case_id,
        'openid',
        bill.openid
    from order_cases
    inner join bill on order_cases.case_no = bill.order_no
    union all
    select
        order_cases.case_id,
        'phone',
        bookings.phone_hash
    from order_cases
    inner join bookings on order_cases.case_no = bookings.case_no
    union all
    select
        order_cases.case_id,
        'customer_code',
        bookings.customer_code
    from order_cases
    inner join bookings on order_cases.case_no = bookings.case_no
),

brought as (
    select * from brought_by_orders
),

ranked as (
    select distinct
        case_id,
        tier || ':' || identifier_value as identifier,
        tier,
        {{ match_tier_rank('tier') }} as tier_rank
    from brought
    where identifier_value is not null
)

select * from ranked
