with orders as (
    select * from {{ ref('stg_erp__orders') }}
),

claims as (
    select * from {{ ref('int_order_claims') }}
),

-- An order of a channel that nobody tracks (a shop counter) is no case, unless its number is one.
tracked as (
    select
        orders.*,
        coalesce(orders.order_no, orders.erp_order_no) as case_no
    from orders
    left join claims on orders.order_no = claims.case_no
    where
        claims.case_no is not null
        or orders.channel in ('mini_program', 'h5', 'mobile_site', 'app', 'pc')
        or (orders.channel is null and orders.order_no is not null)
),

ranked as (
    select
        *,
        row_number() over (partition by case_no order by created_at, erp_order_no) as booking_rank,
        count(*) over (partition by case_no) as bookings_count,
        max(case when state in ('paid', 'fulfilling', 'done') then 1 else 0 end)
            over (partition by case_no)
        = 1 as is_paid_or_later,
        min(ordered_at) over (partition by case_no) as first_ordered_at,
        cast(sum(amount_fen) over (partition by case_no) as bigint) as booked_total_fen
    from tracked
)

select * from ranked
