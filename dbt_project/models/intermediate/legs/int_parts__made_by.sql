with receipts as (
    select * from {{ ref('int_order_receipts') }}
    where receipts_count > 1
),

shipments as (
    select * from {{ ref('int_order_shipments') }}
    where shipments_count > 1
),

made_by as (
    select * from {{ ref('int_records__made_by') }}
),

parts as (
    select
        case_no,
        'received' as leg,
        unnest(source_refs) as source_ref
    from receipts
    union all
    select
        case_no,
        'fulfilled',
        unnest(source_refs)
    from shipments
),

-- One part by hand makes the leg so, and one of an unknown maker unknown.
made as (
    select
        parts.case_no,
        parts.leg,
        min(case when made_by.made_by = 'human' then parts.source_ref end) as hand_ref,
        case
            when count(case when made_by.made_by = 'human' then 1 end) > 0 then 'human'
            when count(case when made_by.made_by = 'interface' then 1 end) = count(*)
                then 'interface'
            else 'unknown'
        end as made_by
    from parts
    left join made_by on parts.source_ref = made_by.source_ref
    group by parts.case_no, parts.leg
)

select * from made
