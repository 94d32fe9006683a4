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
billed as (
    select
        {{ business_day('happened_at') }} as business_day,
        coalesce(mch_id, 'unknown') as mch_id,
        sum(case when row_kind = 'payment' then settled_amount_fen else 0 end) as payments_fen,
        sum(case when row_kind = 'refund' then refunded_fen else 0 end) as refunds_fen,
        sum(case when row_kind = 'payment' then round(fee_milli_fen / 1000.0) else 0 end)
            as fees_fen,
        sum(case when row_kind = 'refund' then -round(fee_milli_fen / 1000.0) else 0 end)
            as fees_returned_fen
    from bill
    group by 1, 2
),

booked as (
    select
        {{ business_day('booked_at') }} as business_day,
        coalesce(mch_id, 'unknown') as mch_id
        {%- for name, (business_type, direction) in movements.items() %},
        sum(
            case
                when business_type = '{{ business_type }}' and direction = '{{ direction }}'
                    then amount_fen
                else 0
            end
        ) as {{ name }}_fen
        {%- endfor %}
    from movements
    group by 1, 2
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
        cells.mch_id,
        {%- for name in ['payments', 'refunds', 'fees', 'fees_returned'] %}
        case when landed_days.has_bill then coalesce(billed.{{ name }}_fen, 0) end
            as billed_{{ name }}_fen,
        {%- endfor %}
        {%- for name in movements %}
        case when landed_days.has_fund_flow then coalesce(booked.{{ name }}_fen, 0) end
            as booked_{{ name }}_fen{{ ',' if not loop.last }}
        {%- endfor %}
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
        {%- for name in movements %}
        booked_{{ name }}_fen - billed_{{ name }}_fen
            as {{ name }}_difference_fen{{ ',' if not loop.last }}
        {%- endfor %}
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
