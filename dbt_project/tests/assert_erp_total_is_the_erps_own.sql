-- The bridge ends at what the ERP itself holds, not at what the cases remembered of it. Returns a
-- row when the sum over the bridge is not the sum over the sales orders that belong to cases.
with bridge as (
    select coalesce(sum(amount_fen), 0) as total_fen
    from {{ ref('rpt_bridge_daily') }}
    where step = 'erp_total'
),

orders as (
    select coalesce(sum(orders.amount_fen), 0) as total_fen
    from {{ ref('stg_erp__orders') }} as orders
    where
        orders.state not in ('draft', 'cancelled')
        and 'order:' || coalesce(orders.order_no, orders.erp_order_no)
        in (select case_id from {{ ref('fct_cases') }})
)

select
    bridge.total_fen as bridge_total_fen,
    orders.total_fen as orders_total_fen
from bridge
cross join orders
where bridge.total_fen is distinct from orders.total_fen
