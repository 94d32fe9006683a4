{{ config(meta={'dagster': {'ref': {'name': 'rpt_bridge_daily'}}}) }}

-- The bridge ends at what the ERP itself holds, not at what the cases remembered of it. Returns a
-- row when the sum over the bridge is not the sum over the sales orders that belong to cases.
with orders as (
    select * from {{ ref('stg_erp__orders') }}
    where state not in ('draft', 'cancelled')
),

bookings as (
    select * from {{ ref('int_order_bookings') }}
),

cases as (
    select * from {{ ref('fct_cases') }}
),

bridge_total as (
    select coalesce(sum(amount_fen), 0) as total_fen
    from {{ ref('rpt_bridge_daily') }}
    where step = 'erp_total'
),

orders_total as (
    select coalesce(sum(orders.amount_fen), 0) as total_fen
    from orders
    inner join bookings on orders.erp_order_no = bookings.erp_order_no
    inner join cases on 'order:' || bookings.case_no = cases.case_id
)

select
    bridge_total.total_fen as bridge_total_fen,
    orders_total.total_fen as orders_total_fen
from bridge_total
cross join orders_total
where bridge_total.total_fen is distinct from orders_total.total_fen
