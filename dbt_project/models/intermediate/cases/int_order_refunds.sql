{{ config(
    incremental_predicates=[
        'case_no in (select number from intermediate.int_dirty_numbers__matched)'
    ]
) }}

with bill_refunds as (
    select * from {{ ref('stg_wechat__pay_bill') }}
    where row_kind = 'refund' and {{ in_question('order_no', 'int_dirty_numbers__matched') }}
),

payments as (
    select
        payment_no,
        max(cases_count) as cases_count,
        min(case_no) as case_no
    from {{ ref('int_order_transactions') }}
    where {{ in_question('case_no', 'int_dirty_numbers__matched') }}
    group by payment_no
),

refund_documents as (
    select * from {{ ref('stg_erp__refunds') }}
),

bookings as (
    select * from {{ ref('int_order_bookings') }}
    where {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

cases as (
    select * from {{ ref('int_order_cases') }}
    where {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

-- Of a payment that several orders share, the ERP's document says which order was refunded.
document_orders as (
    select
        refund_documents.refund_id,
        min(bookings.case_no) as case_no
    from refund_documents
    inner join bookings on refund_documents.erp_order_no = bookings.erp_order_no
    where refund_documents.refund_id is not null
    group by refund_documents.refund_id
),

bill as (
    select
        bill_refunds.*,
        case
            when payments.cases_count > 1
                then coalesce(document_orders.case_no, payments.case_no)
            else coalesce(payments.case_no, bill_refunds.order_no)
        end as case_no
    from bill_refunds
    left join payments on bill_refunds.order_no = payments.payment_no
    left join document_orders on bill_refunds.refund_id = document_orders.refund_id
),

bill_refund_ids as (
    select
        refund_id,
        min(case_no) as case_no
    from bill
    where refund_id is not null
    group by refund_id
),

bill_refund_nos as (
    select
        refund_no,
        min(case_no) as case_no
    from bill
    where refund_no is not null
    group by refund_no
),

posted as (
    select
        refund_documents.*,
        coalesce(
            bookings.case_no,
            refund_documents.order_no,
            bill_refund_ids.case_no,
            bill_refund_nos.case_no
        ) as case_no
    from refund_documents
    left join bookings on refund_documents.erp_order_no = bookings.erp_order_no
    left join bill_refund_ids on refund_documents.refund_id = bill_refund_ids.refund_id
    left join bill_refund_nos on refund_documents.refund_no = bill_refund_nos.refund_no
),

bill_ranked as (
    select
        *,
        row_number() over (partition by case_no order by happened_at, refund_id) as refund_rank,
        cast(sum(refund_fen) over (partition by case_no) as bigint) as total_fen,
        max(happened_at) over (partition by case_no) as last_at
    from bill
),

posted_ranked as (
    select
        *,
        row_number() over (partition by case_no order by posted_at, refund_doc_no) as refund_rank,
        cast(sum(amount_fen) over (partition by case_no) as bigint) as total_fen,
        count(*) over (partition by case_no) as documents_count,
        max(posted_at) over (partition by case_no) as last_at
    from posted
),

posted_amounts as (
    select
        case_no,
        list(amount_fen order by amount_fen) as amounts_fen
    from posted
    group by case_no
),

joined as (
    select
        cases.case_id,
        cases.case_no,
        bill_ranked.happened_at as bill_refunded_at,
        bill_ranked.last_at as bill_last_refunded_at,
        bill_ranked.total_fen as bill_refund_fen,
        bill_ranked.source_ref as bill_refund_ref,
        posted_ranked.posted_at as erp_refunded_at,
        posted_ranked.last_at as erp_last_refunded_at,
        posted_ranked.total_fen as erp_refund_fen,
        posted_amounts.amounts_fen as erp_refunds_fen,
        posted_ranked.documents_count as erp_refunds_count,
        posted_ranked.source_ref as erp_refund_ref
    from cases
    left join bill_ranked
        on cases.case_no = bill_ranked.case_no and bill_ranked.refund_rank = 1
    left join posted_ranked
        on cases.case_no = posted_ranked.case_no and posted_ranked.refund_rank = 1
    left join posted_amounts on cases.case_no = posted_amounts.case_no
    where bill_ranked.case_no is not null or posted_ranked.case_no is not null
)

select * from joined
