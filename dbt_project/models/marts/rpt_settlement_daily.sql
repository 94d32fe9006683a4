{#- The movements that answer rows of the bill, by WeChat's own word and the way the money goes. -#}
{%- set movements = {
    'payments': ('交易', 'income'), 'refunds': ('退款', 'expense'),
    'fees': ('扣除交易手续费', 'expense'),
} -%}

with bill as (
    select * from {{ ref('stg_wechat__pay_bill') }}
),

movements as (
    select * from {{ ref('stg_wechat__pay_fund_flow') }}
),

batches as (
    select * from {{ ref('stg_company__batches') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

landed_days as (
    select
        business_day,
        max(case when table_name = 'pay_bill' then 1 else 0 end) = 1 as has_bill,
        max(case when table_name = 'pay_fund_flow' then 1 else 0 end) = 1 as has_fund_flow
    from batches
    where table_name in ('pay_bill', 'pay_fund_flow')
    group by business_day
),

-- A fee is a whole number of fen; the bill writes it with more decimals.
dated_bill as (
    select
        {{ business_day('happened_at') }} as business_day,
        coalesce(mch_id, 'unknown') as mch_id,
        row_kind,
        -- The oldest layout of the bill does not name what was settled.
        coalesce(settled_amount_fen, order_amount_fen - coalesce(coupon_fen, 0))
            as settled_amount_fen,
        refunded_fen,
        round(fee_milli_fen / 1000.0) as fee_fen
    from bill
),

billed as (
    select
        business_day,
        mch_id,
        sum(case when row_kind = 'payment' then settled_amount_fen else 0 end) as payments_fen,
        sum(case when row_kind = 'refund' then refunded_fen else 0 end) as refunds_fen,
        sum(case when row_kind = 'payment' then fee_fen else 0 end) as fees_fen,
        sum(case when row_kind = 'refund' then -fee_fen else 0 end) as fees_returned_fen
    from dated_bill
    group by business_day, mch_id
),

dated_movements as (
    select
        {{ business_day('booked_at') }} as business_day,
        coalesce(mch_id, 'unknown') as mch_id,
        case
            {%- for name, (business_type, direction) in movements.items() %}
                when business_type = '{{ business_type }}' and direction = '{{ direction }}'
                    then '{{ name }}'
            {%- endfor %}
        end as answers,
        amount_fen
    from movements
),

booked as (
    select
        business_day,
        mch_id,
        sum(case when answers = 'payments' then amount_fen else 0 end) as payments_fen,
        sum(case when answers = 'refunds' then amount_fen else 0 end) as refunds_fen,
        sum(case when answers = 'fees' then amount_fen else 0 end) as fees_fen
    from dated_movements
    group by business_day, mch_id
),

cells as (
    select
        business_day,
        mch_id
    from billed
    union
    select
        business_day,
        mch_id
    from booked
),

-- A day that only one side has landed is unknown on the other, not without money.
sided as (
    select
        cells.business_day,
        {%- for name in ['payments', 'refunds', 'fees', 'fees_returned'] %}
            case when landed_days.has_bill then coalesce(billed.{{ name }}_fen, 0) end
                as billed_{{ name }}_fen,
        {%- endfor %}
        {%- for name in movements %}
            case when landed_days.has_fund_flow then coalesce(booked.{{ name }}_fen, 0) end
                as booked_{{ name }}_fen,
        {%- endfor %}
        cells.mch_id
    from cells
    left join landed_days on cells.business_day = landed_days.business_day
    left join billed
        on cells.business_day = billed.business_day and cells.mch_id = billed.mch_id
    left join booked
        on cells.business_day = booked.business_day and cells.mch_id = booked.mch_id
),

compared as (
    select
        *,
        booked_payments_fen - billed_payments_fen as payments_difference_fen,
        booked_refunds_fen - billed_refunds_fen as refunds_difference_fen,
        booked_fees_fen - billed_fees_fen as fees_difference_fen
    from sided
),

judged as (
    select
        compared.business_day,
        compared.mch_id,
        {%- for name in ['payments', 'refunds', 'fees', 'fees_returned'] %}
            cast(compared.billed_{{ name }}_fen as bigint) as billed_{{ name }}_fen,
        {%- endfor %}
        {%- for name in movements %}
            cast(compared.booked_{{ name }}_fen as bigint) as booked_{{ name }}_fen,
            cast(compared.{{ name }}_difference_fen as bigint) as {{ name }}_difference_fen,
        {%- endfor %}
        case
            when compared.payments_difference_fen is null then 'not_comparable'
            when
                compared.payments_difference_fen = 0
                and compared.fees_difference_fen = 0
                and compared.refunds_difference_fen in (0, -compared.billed_fees_returned_fen)
                then 'agrees'
            else 'differs'
        end as verdict,
        run.as_of
    from compared
    cross join run
)

select * from judged
