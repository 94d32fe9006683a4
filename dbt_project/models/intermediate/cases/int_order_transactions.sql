with payments as (
    select * from {{ ref('stg_wechat__pay_bill') }}
    where
        row_kind = 'payment' and trade_state <> 'REVOKED' and {{ in_question('order_no') }}
),

claims as (
    select * from {{ ref('int_order_claims') }}
    where has_order_act and {{ in_question('case_no') }}
),

bookings as (
    select * from {{ ref('int_order_bookings__keyed') }}
    where is_tracked and {{ in_question('case_no') }}
),

numbers_paid as (
    select distinct order_no from payments
),

numbers_booked as (
    select distinct order_no from bookings
    where order_no is not null
),

-- A payment under a number of its own pays the orders whose ERP documents name its transaction.
orphans as (
    select payments.transaction_id
    from payments
    left join claims on payments.order_no = claims.case_no
    left join numbers_booked on payments.order_no = numbers_booked.order_no
    where claims.case_no is null and numbers_booked.order_no is null
),

named as (
    select
        bookings.case_no,
        bookings.transaction_id,
        bookings.amount_fen,
        row_number() over (
            partition by bookings.case_no, bookings.transaction_id
            order by bookings.created_at, bookings.erp_order_no
        ) as naming_rank
    from bookings
    inner join orphans on bookings.transaction_id = orphans.transaction_id
    left join numbers_paid on bookings.case_no = numbers_paid.order_no
    where numbers_paid.order_no is null
),

linked as (
    select
        named.transaction_id,
        named.case_no,
        named.amount_fen as booked_amount_fen,
        claims.claim_amount_fen
    from named
    left join claims on named.case_no = claims.case_no
    where named.naming_rank = 1
),

shares as (
    select
        transaction_id,
        count(*) as cases_count,
        case when count(claim_amount_fen) = count(*) then sum(claim_amount_fen) end as claims_fen,
        sum(booked_amount_fen) as bookings_fen
    from linked
    group by transaction_id
),

joined as (
    select
        payments.transaction_id,
        payments.order_no as payment_no,
        coalesce(linked.case_no, payments.order_no) as case_no,
        coalesce(shares.cases_count, 1) as cases_count,
        case when linked.case_no is not null then 'transaction_id' else 'order_no' end
            as match_tier,
        cast(
            case
                when coalesce(shares.cases_count, 1) = 1 then payments.order_amount_fen
                when shares.claims_fen = payments.order_amount_fen then linked.claim_amount_fen
                when shares.bookings_fen = payments.order_amount_fen
                    then linked.booked_amount_fen
                else payments.order_amount_fen
            end as bigint
        ) as paid_amount_fen,
        payments.coupon_fen,
        payments.fee_milli_fen,
        payments.app_id,
        payments.openid,
        payments.happened_at,
        payments.source_ref
    from payments
    left join linked on payments.transaction_id = linked.transaction_id
    left join shares on payments.transaction_id = shares.transaction_id
)

select * from joined
