{#-
    A link is of rows that bear both of its numbers. Where such a row was touched, both are: a link
    with a number that was not touched stands.
-#}
{{ config(
    materialized='incremental',
    incremental_strategy='rejudged',
    incremental_predicates=[
        'number in (select number from staging.stg_landing__touched)',
        'linked_number in (select number from staging.stg_landing__touched)'
    ]
) }}

with orders as (
    select * from {{ ref('stg_erp__orders') }}
),

receipts as (
    select * from {{ ref('stg_erp__receipts') }}
),

refunds as (
    select * from {{ ref('stg_erp__refunds') }}
),

bill as (
    select * from {{ ref('stg_wechat__pay_bill') }}
),

wechat_orders as (
    select * from {{ ref('stg_wechat__mp_orders') }}
),

-- The numbers of one row, each beside one that the row bears for certain.
pairs as (
    select
        erp_order_no as left_number,
        order_no as right_number
    from orders
    union all
    select
        erp_order_no,
        transaction_id
    from orders
    union all
    select
        receipt_no,
        erp_order_no
    from receipts
    union all
    select
        receipt_no,
        order_no
    from receipts
    union all
    select
        receipt_no,
        transaction_id
    from receipts
    union all
    select
        coalesce(erp_order_no, order_no, refund_no),
        order_no
    from refunds
    union all
    select
        coalesce(erp_order_no, order_no, refund_no),
        refund_no
    from refunds
    union all
    select
        coalesce(erp_order_no, order_no, refund_no),
        refund_id
    from refunds
    union all
    select
        order_no,
        transaction_id
    from bill
    union all
    select
        order_no,
        refund_id
    from bill
    union all
    select
        order_no,
        refund_no
    from bill
    union all
    select
        order_no,
        transaction_id
    from wechat_orders
),

touched_pairs as (
    select * from pairs
    where
        {{ in_question('left_number', 'stg_landing__touched') }}
        and {{ in_question('right_number', 'stg_landing__touched') }}
        and left_number <> right_number
),

both_ways as (
    select
        left_number as number,
        right_number as linked_number
    from touched_pairs
    union
    select
        right_number,
        left_number
    from touched_pairs
)

select * from both_ways
