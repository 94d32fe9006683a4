with orders as (
    select * from {{ ref('stg_erp__orders') }}
    where {{ in_question('coalesce(order_no, erp_order_no)') }}
),

claims as (
    select * from {{ ref('int_order_claims') }}
    where has_order_act and {{ in_question('case_no') }}
),

payments as (
    select distinct order_no from {{ ref('stg_wechat__pay_bill') }}
    where
        row_kind = 'payment' and trade_state <> 'REVOKED' and {{ in_question('order_no') }}
),

numbered as (
    select
        orders.*,
        coalesce(orders.order_no, orders.erp_order_no) as case_no,
        claims.case_no is not null as is_claimed,
        claims.case_no is not null or payments.order_no is not null as is_number_known
    from orders
    left join claims on orders.order_no = claims.case_no
    left join payments on orders.order_no = payments.order_no
),

-- An order of a channel that nobody tracks (a shop counter) is no case, unless its number is one.
placed as (
    select
        *,
        is_claimed
        or channel in ('mini_program', 'h5', 'mobile_site', 'app', 'pc')
        or (channel is null and order_no is not null) as is_tracked,
        -- Who lost its key may still be found by what it says; a shop counter never had one.
        not is_number_known
        and (
            channel is null or channel in ('mini_program', 'h5', 'mobile_site', 'app', 'pc')
        ) as is_unclaimed
    from numbered
)

select * from placed
where is_tracked or is_unclaimed
