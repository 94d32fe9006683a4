{#-
    Each loop brings its identifiers by a part of its own, all with the same three columns: case,
    kind and value.
-#}
with order_cases as (
    select * from {{ ref('int_order_cases') }}
),

cases as (
    select * from {{ ref('int_cases') }}
    where loop <> 'order'
),

appointments as (
    select * from {{ ref('int_booking_cases') }}
),

-- What another loop did under the same number says nothing of who did this.
acts as (
    select * from {{ ref('stg_tracking__events') }}
    where event in ('booking_submit', 'aftersale_submit', 'member_register')
),

order_events as (
    select * from {{ ref('stg_tracking__events') }}
    where event not in ('booking_submit', 'aftersale_submit', 'member_register')
),

transactions as (
    select * from {{ ref('int_order_transactions') }}
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
        order_cases.case_id,
        'openid',
        transactions.openid
    from order_cases
    inner join transactions on order_cases.case_no = transactions.case_no
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

brought_by_others as (
    {% for kind in ['unionid', 'openid', 'member_no'] -%}
        select
            cases.case_id,
            '{{ kind }}' as tier,
            acts.{{ kind }} as identifier_value
        from cases
        inner join acts
            on
                cases.case_no = case
                    when acts.event = 'member_register'
                        then
                            coalesce(acts.unionid, acts.case_no, acts.openid, acts.member_no)
                    else acts.case_no
                end
                and acts.event = case cases.loop
                    when 'booking' then 'booking_submit'
                    when 'aftersale' then 'aftersale_submit'
                    else 'member_register'
                end
        union all
    {% endfor -%}
    select
        case_id,
        'contact',
        contact_id
    from appointments
),

brought as (
    select * from brought_by_orders
    union all
    select * from brought_by_others
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
