with orders as (
    select * from {{ ref('stg_erp__orders') }}
),

receipts as (
    select * from {{ ref('stg_erp__receipts') }}
),

shipments as (
    select * from {{ ref('stg_erp__shipments') }}
),

appointments as (
    select * from {{ ref('stg_crm__appointments') }}
),

tickets as (
    select * from {{ ref('stg_crm__cases') }}
),

payments as (
    select * from {{ ref('stg_wechat__pay_bill') }}
    where row_kind = 'payment' and trade_state <> 'REVOKED'
),

events as (
    select * from {{ ref('stg_tracking__events') }}
),

contacts as (
    select * from {{ ref('stg_crm__contacts') }}
),

numbered_payments as (
    select
        order_no,
        min(happened_at) as paid_at,
        cast(sum(order_amount_fen) as bigint) as paid_fen
    from payments
    group by order_no
),

single_payments as (
    select
        transaction_id,
        min(order_no) as order_no,
        min(happened_at) as paid_at,
        cast(sum(order_amount_fen) as bigint) as paid_fen
    from payments
    group by transaction_id
),

claims as (
    select
        case_no,
        coalesce(
            min(case when event = 'pay_success' then occurred_at end), min(occurred_at)
        ) as claimed_at
    from events
    where case_no is not null and event in ('order_submit', 'pay_success')
    group by case_no
),

submits as (
    select
        event,
        case_no,
        min(occurred_at) as submitted_at
    from events
    where case_no is not null and event in ('booking_submit', 'aftersale_submit')
    group by event, case_no
),

known_phones as (
    select distinct
        customer_code,
        phone_hash
    from contacts
    where customer_code is not null and phone_hash is not null
),

customers_with_phone as (
    select distinct customer_code from known_phones
),

paid_orders as (
    select
        orders.*,
        coalesce(numbered_payments.paid_at, single_payments.paid_at) as paid_at,
        coalesce(numbered_payments.paid_fen, single_payments.paid_fen) as paid_fen,
        claims.claimed_at,
        orders.phone_hash is not null
        and customers_with_phone.customer_code is not null
        and known_phones.phone_hash is null as has_other_phone,
        row_number() over (
            partition by orders.order_no order by orders.created_at, orders.erp_order_no
        ) as booking_rank
    from orders
    left join numbered_payments on orders.order_no = numbered_payments.order_no
    left join single_payments on orders.transaction_id = single_payments.transaction_id
    left join claims on orders.order_no = claims.case_no
    left join customers_with_phone on orders.customer_code = customers_with_phone.customer_code
    left join known_phones
        on
            orders.customer_code = known_phones.customer_code
            and orders.phone_hash = known_phones.phone_hash
),

first_orders as (
    select * from paid_orders
    where order_no is not null and booking_rank = 1
),

paid_receipts as (
    select
        receipts.*,
        single_payments.paid_at as own_paid_at,
        single_payments.paid_fen as own_paid_fen,
        coalesce(receipts.order_no, single_payments.order_no) as known_order_no
    from receipts
    left join single_payments on receipts.transaction_id = single_payments.transaction_id
),

order_receipts as (
    select
        paid_receipts.*,
        coalesce(by_document.business_line, by_number.business_line) as business_line,
        coalesce(by_document.created_at, by_number.created_at) as booked_at,
        coalesce(paid_receipts.own_paid_at, by_document.paid_at, by_number.paid_at) as paid_at,
        coalesce(paid_receipts.own_paid_fen, by_document.paid_fen, by_number.paid_fen) as paid_fen
    from paid_receipts
    left join paid_orders as by_document
        on paid_receipts.erp_order_no = by_document.erp_order_no
    left join first_orders as by_number
        on paid_receipts.known_order_no = by_number.order_no
),

-- A further table of records is one more branch.
records as (
    select
        'erp_orders' as table_name,
        erp_order_no as record_no,
        source_ref,
        business_line,
        created_by,
        created_via,
        created_at,
        coalesce(paid_at, claimed_at) as caused_at,
        coalesce(paid_at, claimed_at) as listed_at,
        order_no is not null and (transaction_id is not null or paid_at is null) as has_key,
        has_other_phone,
        amount_fen,
        paid_fen as cause_amount_fen
    from paid_orders
    union all
    select
        'erp_receipts',
        receipt_no,
        source_ref,
        business_line,
        created_by,
        created_via,
        created_at,
        coalesce(booked_at, paid_at),
        coalesce(paid_at, booked_at),
        (erp_order_no is not null or order_no is not null)
        and (transaction_id is not null or paid_at is null),
        false,
        amount_fen,
        paid_fen
    from order_receipts
    union all
    select
        'erp_shipments',
        shipments.shipment_no,
        shipments.source_ref,
        orders.business_line,
        shipments.created_by,
        shipments.created_via,
        shipments.created_at,
        orders.created_at as caused_at,
        orders.created_at as listed_at,
        cast(null as boolean),
        false,
        cast(null as bigint),
        cast(null as bigint)
    from shipments
    left join orders on shipments.erp_order_no = orders.erp_order_no
    union all
    select
        'crm_appointments',
        appointments.appointment_no,
        appointments.source_ref,
        appointments.business_line,
        appointments.created_by,
        appointments.created_via,
        appointments.created_at,
        submits.submitted_at as caused_at,
        submits.submitted_at as listed_at,
        cast(null as boolean),
        false,
        cast(null as bigint),
        cast(null as bigint)
    from appointments
    left join submits
        on appointments.booking_no = submits.case_no and submits.event = 'booking_submit'
    union all
    select
        'crm_cases',
        tickets.crm_case_no,
        tickets.source_ref,
        tickets.business_line,
        tickets.created_by,
        tickets.created_via,
        tickets.opened_at,
        submits.submitted_at as caused_at,
        submits.submitted_at as listed_at,
        cast(null as boolean),
        false,
        cast(null as bigint),
        cast(null as bigint)
    from tickets
    left join submits
        on tickets.ticket_no = submits.case_no and submits.event = 'aftersale_submit'
),

compared as (
    select
        table_name,
        record_no,
        source_ref,
        coalesce(business_line, 'unknown') as business_line,
        created_by,
        created_via,
        created_at,
        {{ business_day('created_at') }} as business_day,
        caused_at,
        listed_at,
        {{ seconds_between('caused_at', 'created_at') }} as lag_seconds,
        has_key,
        has_other_phone,
        coalesce(
            amount_fen % 100 = 0
            and cause_amount_fen % 100 <> 0
            and abs(amount_fen - cause_amount_fen) < 100,
            false
        ) as is_amount_rounded
    from records
)

select * from compared
