{{ config(
    incremental_predicates=[
        'case_no in (select number from intermediate.int_dirty_numbers__matched)'
    ]
) }}

with keyed as (
    select * from {{ ref('int_order_bookings__keyed') }}
    where {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

matches as (
    select * from {{ ref('int_order_matches') }}
    where is_settled
),

placed as (
    select
        keyed.* replace (coalesce(matches.case_no, keyed.case_no) as case_no),
        case when matches.case_no is not null then 'fallback' else 'order_no' end as match_tier
    from keyed
    left join matches on keyed.erp_order_no = matches.erp_order_no
    where keyed.is_tracked or matches.case_no is not null
),

ranked as (
    select
        *,
        row_number() over (partition by case_no order by created_at, erp_order_no) as booking_rank,
        count(*) over (partition by case_no) as bookings_count,
        max(case when state in ('paid', 'fulfilling', 'done') then 1 else 0 end)
            over (partition by case_no)
        = 1 as is_paid_or_later,
        min(ordered_at) over (partition by case_no) as first_ordered_at,
        cast(sum(amount_fen) over (partition by case_no) as bigint) as booked_total_fen
    from placed
)

select * from ranked
