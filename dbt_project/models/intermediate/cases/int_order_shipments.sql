{{ config(
    incremental_predicates=[
        'case_no in (select number from intermediate.int_dirty_numbers__matched)'
    ]
) }}

with shipments as (
    select * from {{ ref('stg_erp__shipments') }}
    where state in ('shipped', 'delivered', 'returned')
),

bookings as (
    select * from {{ ref('int_order_bookings') }}
    where {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

matched as (
    select
        shipments.*,
        bookings.case_no,
        coalesce(shipments.shipped_at, shipments.created_at) as evidence_at
    from shipments
    inner join bookings on shipments.erp_order_no = bookings.erp_order_no
),

ranked as (
    select
        *,
        row_number() over (partition by case_no order by evidence_at, shipment_no) as shipment_rank,
        count(*) over (partition by case_no) as shipments_count,
        count(case when state <> 'returned' then 1 end) over (partition by case_no) as sent_count
    from matched
),

listed as (
    select
        case_no,
        list(source_ref order by source_ref) as source_refs
    from ranked
    group by case_no
),

joined as (
    select
        ranked.*,
        listed.source_refs
    from ranked
    inner join listed on ranked.case_no = listed.case_no
    where ranked.shipment_rank = 1
)

select * from joined
