{#- Nothing is dirty where everything is judged, and so nothing is looked up by its links. -#}
{% if is_rejudging() -%}
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
    union
    select
        erp_order_no,
        transaction_id
    from orders
    union
    select
        receipt_no,
        erp_order_no
    from receipts
    union
    select
        receipt_no,
        order_no
    from receipts
    union
    select
        receipt_no,
        transaction_id
    from receipts
    union
    select
        coalesce(erp_order_no, order_no, refund_no),
        order_no
    from refunds
    union
    select
        coalesce(erp_order_no, order_no, refund_no),
        refund_no
    from refunds
    union
    select
        coalesce(erp_order_no, order_no, refund_no),
        refund_id
    from refunds
    union
    select
        order_no,
        transaction_id
    from bill
    union
    select
        order_no,
        refund_id
    from bill
    union
    select
        order_no,
        refund_no
    from bill
    union
    select
        order_no,
        transaction_id
    from wechat_orders
),

both_ways as (
    select
        left_number as number,
        right_number as linked_number
    from pairs
    where left_number is not null and right_number is not null and left_number <> right_number
    union
    select
        right_number,
        left_number
    from pairs
    where left_number is not null and right_number is not null and left_number <> right_number
)

select * from both_ways
{%- else -%}
-- depends_on: {{ ref('stg_erp__orders') }}
-- depends_on: {{ ref('stg_erp__receipts') }}
-- depends_on: {{ ref('stg_erp__refunds') }}
-- depends_on: {{ ref('stg_wechat__pay_bill') }}
-- depends_on: {{ ref('stg_wechat__mp_orders') }}
    select
        cast(null as varchar) as number,
        cast(null as varchar) as linked_number
    where false
{%- endif %}
