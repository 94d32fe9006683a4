{{ config(
    incremental_predicates=[
        'case_no in (select number from intermediate.int_dirty_numbers__matched)'
    ]
) }}

with cases as (
    select * from {{ ref('int_order_cases') }}
    where {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

wechat_orders as (
    select * from {{ ref('stg_wechat__mp_orders') }}
    where order_state >= 2
),

transactions as (
    select * from {{ ref('int_order_transactions') }}
),

-- States that a customer is shown only once the goods have left.
views as (
    select * from {{ ref('stg_tracking__events') }}
    where
        event = 'status_view'
        and case_no is not null
        and shown_state in ('fulfilling', 'shipped', 'delivered', 'returned', 'done')
),

shown as (
    select
        coalesce(transactions.case_no, wechat_orders.order_no) as case_no,
        wechat_orders.first_shipped_upload_at as reflowed_at,
        wechat_orders.source_ref
    from wechat_orders
    left join transactions on wechat_orders.transaction_id = transactions.transaction_id
    union all
    select
        case_no,
        occurred_at as reflowed_at,
        source_ref
    from views
),

-- Where WeChat's list shows it and nobody knows since when, a later view tells nothing of it.
ranked as (
    select
        cases.case_id,
        cases.case_no,
        shown.reflowed_at,
        shown.source_ref as reflowed_ref,
        row_number() over (
            partition by cases.case_id order by shown.reflowed_at nulls first, shown.source_ref
        ) as reflow_rank
    from shown
    inner join cases on shown.case_no = cases.case_no
)

select * from ranked
where reflow_rank = 1
