with cases as (
    select * from {{ ref('int_order_cases') }}
),

receipts as (
    select * from {{ ref('int_order_receipts') }}
),

shipments as (
    select * from {{ ref('int_order_shipments') }}
),

refunds as (
    select * from {{ ref('int_order_refunds') }}
),

contacts as (
    select * from {{ ref('int_case_contacts') }}
),

reflows as (
    select * from {{ ref('int_order_reflows') }}
),

notices as (
    select * from {{ ref('int_order_notices') }}
    where status = 'success'
),

made_by as (
    select * from {{ ref('int_records__made_by') }}
),

found as (
    select
        case_id,
        'submitted' as leg,
        submitted_at as evidence_at,
        submitted_ref as evidence_ref,
        claim_amount_fen as evidence_amount_fen
    from cases
    where not is_backend_only
    union all
    select
        case_id,
        'paid',
        paid_at,
        paid_ref,
        paid_amount_fen
    from cases
    where paid_ref is not null
    union all
    select
        case_id,
        'booked',
        booked_at,
        booked_ref,
        booked_amount_fen
    from cases
    where booked_ref is not null
    union all
    select
        cases.case_id,
        'received',
        receipts.received_at,
        receipts.source_ref,
        receipts.received_fen
    from cases
    inner join receipts on cases.case_no = receipts.case_no
    union all
    select
        cases.case_id,
        'fulfilled',
        shipments.evidence_at,
        shipments.source_ref,
        null
    from cases
    inner join shipments on cases.case_no = shipments.case_no
    union all
    select
        case_id,
        'known',
        known_at,
        known_ref,
        null
    from contacts
    where contact_id is not null
    union all
    select
        case_id,
        'reflowed',
        reflowed_at,
        reflowed_ref,
        null
    from reflows
    union all
    select
        case_id,
        'notified',
        message_at,
        source_ref,
        null
    from notices
    union all
    -- Evidence of a refund is both rows; the later of the two completes it.
    select
        case_id,
        'refunded',
        greatest(bill_refunded_at, erp_refunded_at),
        case when bill_refunded_at > erp_refunded_at then bill_refund_ref else erp_refund_ref end,
        erp_refund_fen
    from refunds
    where bill_refund_ref is not null and erp_refund_ref is not null
),

marked as (
    select
        found.case_id,
        found.leg,
        found.evidence_at,
        found.evidence_ref,
        cast(found.evidence_amount_fen as bigint) as evidence_amount_fen,
        coalesce(made_by.made_by, 'unknown') as made_by
    from found
    left join made_by on found.evidence_ref = made_by.source_ref
)

select * from marked
