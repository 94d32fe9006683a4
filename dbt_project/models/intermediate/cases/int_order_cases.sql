{{ config(
    incremental_predicates=[
        'case_no in (select number from intermediate.int_dirty_numbers__matched)'
    ]
) }}

with claims as (
    select * from {{ ref('int_order_claims') }}
    where {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

payments as (
    select * from {{ ref('int_order_payments') }}
    where {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

bookings as (
    select * from {{ ref('int_order_bookings') }}
    where booking_rank = 1 and {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

contracts as (
    select max(window_seconds) as longest_booking_seconds
    from {{ ref('stg_company__loop_legs') }}
    where loop = 'order' and leg = 'booked'
),

watermarks as (
    select
        max(case when table_name = 'erp_orders' and is_connected then complete_until end)
            as erp_known_until,
        max(case when table_name = 'pay_bill' and is_connected then complete_until end)
            as bill_known_until,
        max(case when table_name = 'tracking_events' and is_connected then complete_until end)
            as front_end_known_until
    from {{ ref('stg_company__watermarks') }}
),

orders as (
    select * from {{ ref('stg_erp__orders') }}
    where order_no is not null and {{ in_question('order_no', 'int_dirty_numbers__matched') }}
),

all_bookings as (
    select * from {{ ref('int_order_bookings') }}
),

untracked_orders as (
    select orders.order_no from orders
    left join all_bookings on orders.erp_order_no = all_bookings.erp_order_no
    where all_bookings.erp_order_no is null
),

front_end as (
    select complete_from
    from {{ ref('stg_company__watermarks') }}
    where table_name = 'tracking_events'
),

tracked_apps as (
    select * from {{ ref('int_tracked_apps') }}
),

app_tracking as (
    select count(*) = 0 as names_no_app from tracked_apps
),

-- A payment is a case, also where nothing else knows it, if its app is one that we track.
tracked_payments as (
    select payments.case_no
    from payments
    left join untracked_orders on payments.case_no = untracked_orders.order_no
    left join tracked_apps on payments.app_id = tracked_apps.app_id
    cross join app_tracking
    where
        untracked_orders.order_no is null
        and (
            payments.app_id is null
            or tracked_apps.app_id is not null
            or app_tracking.names_no_app
        )
),

receipts as (
    select * from {{ ref('int_order_receipts') }}
),

shipments as (
    select * from {{ ref('int_order_shipments') }}
),

case_numbers as (
    select case_no from claims
    where has_order_act
    union
    select case_no from tracked_payments
    union
    select case_no from bookings
),

joined as (
    select
        'order:' || case_numbers.case_no as case_id,
        case_numbers.case_no,
        coalesce(claims.business_line, bookings.business_line, 'unknown') as business_line,
        coalesce(claims.channel, bookings.channel, 'unknown') as channel,
        claims.session_id,
        claims.submitted_at,
        claims.submitted_ref,
        claims.failed_at,
        claims.claim_amount_fen,
        claims.openid,
        claims.unionid,
        claims.member_no,
        payments.paid_at,
        payments.paid_ref,
        payments.last_paid_at,
        payments.match_tier as payment_match_tier,
        payments.paid_amount_fen,
        payments.coupon_fen,
        payments.fee_fen,
        bookings.erp_order_no,
        bookings.state as erp_state,
        bookings.channel as erp_channel,
        bookings.customer_code,
        bookings.phone_hash,
        bookings.amount_fen as booked_amount_fen,
        bookings.freight_fen,
        bookings.created_at as booked_at,
        bookings.source_ref as booked_ref,
        bookings.match_tier as booking_match_tier,
        bookings.is_unclaimed,
        bookings.first_ordered_at,
        coalesce(bookings.bookings_count, 0) as bookings_count,
        bookings.booked_total_fen,
        -- Money booked or goods gone say as much as the state of the order.
        coalesce(bookings.is_paid_or_later, false)
        or receipts.case_no is not null
        or shipments.case_no is not null as is_paid_or_later,
        claims.case_no is null as is_backend_only,
        claims.claimed_at is not null as is_claimed,
        least(payments.paid_at, bookings.created_at, receipts.received_at) as first_record_at
    from case_numbers
    left join claims on case_numbers.case_no = claims.case_no
    left join payments on case_numbers.case_no = payments.case_no
    left join bookings on case_numbers.case_no = bookings.case_no
    left join receipts on case_numbers.case_no = receipts.case_no
    left join shipments on case_numbers.case_no = shipments.case_no
),

-- A record that could still be another case's is nobody's loss yet: an ERP order may come that
-- names the transaction of the payment, a case that the order without a known key would fit.
held as (
    select
        joined.case_no,
        joined.is_backend_only
        and case
            when joined.booked_ref is null
                then
                    watermarks.erp_known_until
                    < {{ add_seconds('joined.paid_at', 'contracts.longest_booking_seconds') }}
            when joined.is_unclaimed
                then
                    watermarks.erp_known_until < {{ add_seconds(
                        'joined.booked_at', 'contracts.longest_booking_seconds + 120'
                    ) }}
                    or coalesce(
                        least(watermarks.bill_known_until, watermarks.front_end_known_until)
                        < {{ add_seconds('joined.booked_at', 120) }},
                        false
                    )
            else false
        end as is_held,
        -- Only the ERP tells whose payment it is.
        joined.is_backend_only
        and joined.booked_ref is null
        and watermarks.erp_known_until is null as is_untold
    from joined
    cross join contracts
    cross join watermarks
),

-- A back-end record from before the front end's first landed day cannot be missed by it.
observed as (
    select
        joined.*,
        coalesce(held.is_held, false) as is_held,
        held.is_untold,
        coalesce(joined.submitted_at, joined.first_record_at) as entered_at,
        not joined.is_claimed
        and joined.paid_at is null
        and not joined.is_paid_or_later as is_abandoned
    from joined
    inner join held on joined.case_no = held.case_no
    left join front_end on true
    where
        not joined.is_backend_only
        or front_end.complete_from is null
        or least(joined.first_record_at, joined.first_ordered_at) >= front_end.complete_from
)

select * from observed
