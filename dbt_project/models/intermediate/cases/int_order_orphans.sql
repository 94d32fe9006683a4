{{ config(materialized='table') }}

{%- set skew_seconds = 120 -%}

with cases as (
    select * from {{ ref('int_order_cases') }}
),

contracts as (
    select max(window_seconds) as longest_payment_seconds
    from {{ ref('stg_company__loop_legs') }}
    where loop = 'order' and leg = 'paid'
),

unpaid as (
    select
        case_no,
        {{ add_seconds('entered_at', -skew_seconds) }} as paid_from
    from cases
    where is_claimed and paid_ref is null and booked_ref is null
),

payments as (
    select
        case_no as payment_no,
        paid_at
    from cases
    where is_untold
),

-- The next payment of an unknown number after the claim; without an ERP there is no better key.
followed as (
    select
        unpaid.case_no,
        unpaid.paid_from,
        payments.payment_no,
        payments.paid_at
    from unpaid
    asof inner join payments on unpaid.paid_from <= payments.paid_at
),

orphans as (
    select
        followed.case_no,
        followed.payment_no,
        followed.paid_at
    from followed
    cross join contracts
    where
        followed.paid_at < {{ add_seconds(
            'followed.paid_from', 'contracts.longest_payment_seconds + ' ~ skew_seconds
        ) }}
)

select * from orphans
