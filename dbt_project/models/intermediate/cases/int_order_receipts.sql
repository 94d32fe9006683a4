{{ config(
    incremental_predicates=[
        'case_no in (select number from intermediate.int_dirty_numbers__matched)'
    ]
) }}

with receipts as (
    select * from {{ ref('stg_erp__receipts') }}
    where {{ in_question('receipt_no', 'int_dirty_numbers__matched') }}
),

transactions as (
    select
        transaction_id,
        max(cases_count) as cases_count,
        min(case_no) as case_no
    from {{ ref('int_order_transactions') }}
    where {{ in_question('case_no', 'int_dirty_numbers__matched') }}
    group by transaction_id
),

bookings as (
    select * from {{ ref('int_order_bookings') }}
    where {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

named as (
    select
        receipts.*,
        coalesce(bookings.case_no, receipts.order_no) as named_case_no
    from receipts
    left join bookings on receipts.erp_order_no = bookings.erp_order_no
),

documents as (
    select
        receipt_no,
        transaction_id,
        count(distinct named_case_no) as cases_count
    from named
    where transaction_id is not null
    group by receipt_no, transaction_id
),

-- The row belongs to the case of its payment, unless the payment was parted among several orders.
matched as (
    select
        named.*,
        case
            when documents.cases_count > 1 and named.named_case_no is not null
                then named.named_case_no
            when transactions.cases_count = 1 then transactions.case_no
            else named.named_case_no
        end as case_no,
        case
            when coalesce(documents.cases_count, 0) <= 1 and transactions.cases_count = 1
                then 'transaction_id'
            else 'erp_order_no'
        end as match_tier
    from named
    left join documents
        on
            named.receipt_no = documents.receipt_no
            and named.transaction_id = documents.transaction_id
    left join transactions on named.transaction_id = transactions.transaction_id
),

ranked as (
    select
        *,
        row_number() over (partition by case_no order by received_at, receipt_no) as receipt_rank,
        count(*) over (partition by case_no) as receipts_count,
        cast(sum(amount_fen) over (partition by case_no) as bigint) as received_fen,
        max(received_at) over (partition by case_no) as last_received_at
    from matched
    where case_no is not null
),

listed as (
    select
        case_no,
        list(source_ref order by source_ref) as source_refs,
        list(amount_fen order by amount_fen) as receipts_fen
    from ranked
    group by case_no
),

joined as (
    select
        ranked.*,
        listed.source_refs,
        listed.receipts_fen
    from ranked
    inner join listed on ranked.case_no = listed.case_no
    where ranked.receipt_rank = 1
)

select * from joined
