{{ config(materialized='table') }}

with {{ landed(
    'pay_fund_flow',
    instant='booked_at',
    key=['account_type', 'flow_no', 'payment_no', 'business_type', 'direction', 'booked_at']
) }},

renamed as (
    select
        account_type,
        flow_no,
        payment_no,
        business_name,
        business_type,
        direction,
        amount_fen,
        balance_fen,
        remark,
        voucher_no,
        mch_id,
        booked_at,
        business_day,
        source_ref
    from landed
)

select * from renamed
