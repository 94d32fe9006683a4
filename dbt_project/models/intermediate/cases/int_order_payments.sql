with payments as (
    select * from {{ ref('stg_wechat__pay_bill') }}
    where row_kind = 'payment' and trade_state <> 'REVOKED'
),

ranked as (
    select
        *,
        row_number() over (
            partition by order_no order by happened_at, transaction_id
        ) as payment_rank
    from payments
),

totals as (
    select
        order_no,
        cast(sum(order_amount_fen) as bigint) as paid_amount_fen,
        cast(sum(coalesce(coupon_fen, 0)) as bigint) as coupon_fen,
        cast(round(sum(coalesce(fee_milli_fen, 0)) / 1000.0) as bigint) as fee_fen,
        cast(count(*) as bigint) as payments_count
    from payments
    group by order_no
),

joined as (
    select
        ranked.order_no,
        ranked.happened_at as paid_at,
        ranked.source_ref as paid_ref,
        ranked.app_id,
        ranked.openid,
        totals.paid_amount_fen,
        totals.coupon_fen,
        totals.fee_fen,
        totals.payments_count
    from ranked
    inner join totals on ranked.order_no = totals.order_no
    where ranked.payment_rank = 1
)

select * from joined
