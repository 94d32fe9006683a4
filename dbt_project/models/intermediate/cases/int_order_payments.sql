with transactions as (
    select * from {{ ref('int_order_transactions') }}
    where {{ in_question('case_no') }}
),

ranked as (
    select
        *,
        row_number() over (
            partition by case_no order by happened_at, transaction_id
        ) as payment_rank
    from transactions
),

totals as (
    select
        case_no,
        cast(sum(paid_amount_fen) as bigint) as paid_amount_fen,
        cast(sum(coalesce(coupon_fen, 0)) as bigint) as coupon_fen,
        cast(round(sum(coalesce(fee_milli_fen, 0)) / 1000.0) as bigint) as fee_fen,
        cast(count(*) as bigint) as payments_count,
        max(happened_at) as last_paid_at
    from transactions
    group by case_no
),

joined as (
    select
        ranked.case_no,
        ranked.happened_at as paid_at,
        totals.last_paid_at,
        ranked.source_ref as paid_ref,
        ranked.match_tier,
        ranked.app_id,
        ranked.openid,
        totals.paid_amount_fen,
        totals.coupon_fen,
        totals.fee_fen,
        totals.payments_count
    from ranked
    inner join totals on ranked.case_no = totals.case_no
    where ranked.payment_rank = 1
)

select * from joined
