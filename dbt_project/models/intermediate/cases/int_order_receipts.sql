with receipts as (
    select * from {{ ref('stg_erp__receipts') }}
),

payments as (
    select
        transaction_id,
        min(order_no) as order_no
    from {{ ref('stg_wechat__pay_bill') }}
    where row_kind = 'payment'
    group by transaction_id
),

bookings as (
    select * from {{ ref('int_order_bookings') }}
),

matched as (
    select
        receipts.*,
        coalesce(payments.order_no, bookings.case_no, receipts.order_no) as case_no
    from receipts
    left join payments on receipts.transaction_id = payments.transaction_id
    left join bookings on receipts.erp_order_no = bookings.erp_order_no
),

ranked as (
    select
        *,
        row_number() over (partition by case_no order by received_at, receipt_no) as receipt_rank,
        count(*) over (partition by case_no) as receipts_count,
        cast(sum(amount_fen) over (partition by case_no) as bigint) as received_fen,
        max(amount_fen) over (partition by case_no) as greatest_receipt_fen
    from matched
    where case_no is not null
)

select * from ranked
where receipt_rank = 1
