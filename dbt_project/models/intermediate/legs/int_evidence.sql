{{ config(
    materialized='incremental',
    incremental_strategy='rejudged',
    incremental_predicates=[
        'case_no in (select number from intermediate.int_dirty_numbers__known)'
    ]
) }}

with cases as (
    select * from {{ ref('int_cases') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

orders as (
    select * from {{ ref('int_order_cases') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

receipts as (
    select * from {{ ref('int_order_receipts') }}
),

shipments as (
    select * from {{ ref('int_order_shipments') }}
),

refunds as (
    select * from {{ ref('int_order_refunds') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

contacts as (
    select * from {{ ref('int_case_contacts') }}
),

reflows as (
    select * from {{ ref('int_order_reflows') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

bookings as (
    select * from {{ ref('int_booking_cases') }}
    where record_ref is not null and {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

tickets as (
    select * from {{ ref('int_aftersale_cases') }}
    where record_ref is not null and {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

notices as (
    select * from {{ ref('int_case_notices') }}
    where status = 'success' and {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

made_by as (
    select * from {{ ref('int_records__made_by') }}
),

makers as (
    select * from {{ ref('int_parts__made_by') }}
),

found as (
    select
        case_id,
        'submitted' as leg,
        submitted_at as evidence_at,
        submitted_ref as evidence_ref,
        claim_amount_fen as evidence_amount_fen,
        'case_no' as match_tier
    from cases
    where not is_backend_only
    union all
    select
        case_id,
        'paid',
        paid_at,
        paid_ref,
        paid_amount_fen,
        payment_match_tier
    from orders
    where paid_ref is not null
    union all
    select
        case_id,
        'booked',
        booked_at,
        booked_ref,
        booked_amount_fen,
        booking_match_tier
    from orders
    where booked_ref is not null
    union all
    select
        orders.case_id,
        'received',
        receipts.received_at,
        receipts.source_ref,
        receipts.received_fen,
        receipts.match_tier
    from orders
    inner join receipts on orders.case_no = receipts.case_no
    union all
    select
        orders.case_id,
        'fulfilled',
        shipments.evidence_at,
        shipments.source_ref,
        null,
        'erp_order_no'
    from orders
    inner join shipments on orders.case_no = shipments.case_no
    union all
    select
        contacts.case_id,
        'known',
        contacts.known_at,
        contacts.known_ref,
        null,
        contacts.match_tier
    from contacts
    inner join cases on contacts.case_id = cases.case_id
    where contacts.contact_id is not null
    union all
    select
        case_id,
        'reflowed',
        reflowed_at,
        reflowed_ref,
        null,
        'case_no'
    from reflows
    union all
    select
        case_id,
        'confirmed',
        recorded_at,
        record_ref,
        null,
        'case_no'
    from bookings
    union all
    select
        case_id,
        'served',
        updated_at,
        record_ref,
        null,
        'case_no'
    from bookings
    where state in ('attended', 'no_show', 'cancelled')
    union all
    select
        case_id,
        'ticketed',
        recorded_at,
        record_ref,
        null,
        'case_no'
    from tickets
    union all
    select
        case_id,
        'resolved',
        closed_at,
        record_ref,
        null,
        'case_no'
    from tickets
    where state in ('resolved', 'cancelled')
    union all
    select
        case_id,
        'notified',
        sent_at,
        source_ref,
        null,
        'case_no'
    from notices
    union all
    -- Evidence of a refund is both rows; the later of the two completes it. The bill's row is the
    -- claim, and the ERP's the evidence, as their amounts are, whichever came first.
    select
        case_id,
        'refunded',
        greatest(bill_refunded_at, erp_refunded_at),
        erp_refund_ref,
        erp_refund_fen,
        'case_no'
    from refunds
    where bill_refund_ref is not null and erp_refund_ref is not null
),

marked as (
    select
        found.case_id,
        cases.case_no,
        found.leg,
        found.evidence_at,
        found.evidence_ref,
        coalesce(
            makers.hand_ref, case when made_by.made_by = 'human' then found.evidence_ref end
        ) as hand_ref,
        cast(found.evidence_amount_fen as bigint) as evidence_amount_fen,
        found.match_tier,
        coalesce(makers.made_by, made_by.made_by, 'unknown') as made_by
    from found
    inner join cases on found.case_id = cases.case_id
    left join made_by on found.evidence_ref = made_by.source_ref
    left join makers
        on cases.case_id = 'order:' || makers.case_no and found.leg = makers.leg
),

-- What the signs of a hand are, where they and not the source told it.
signed as (
    select
        marked.*,
        made_by.hand_signs
    from marked
    left join made_by on marked.hand_ref = made_by.source_ref
)

select * from signed
