{{ config(
    materialized='incremental',
    incremental_strategy='rejudged',
    incremental_predicates=[
        'case_no in (select number from intermediate.int_dirty_numbers__known)'
    ]
) }}

with legs as (
    select * from {{ ref('int_legs__judged') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

cases as (
    select * from {{ ref('int_cases') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

orders as (
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

bookings as (
    select * from {{ ref('int_order_bookings') }}
    where booking_rank = 1
),

notices as (
    select * from {{ ref('int_case_notices') }}
),

contracts as (
    select
        case_id,
        late_after_seconds
    from legs
    where leg = 'refunded'
),

-- The records of such a case may turn out to be another case's.
unsettled_cases as (
    select case_id from legs
    where leg = 'submitted' and truth = 'pending'
),

watermarks as (
    select
        max(case when table_name = 'pay_bill' then complete_until end) as bill_known_until,
        max(case when table_name = 'erp_refunds' then complete_until end) as refunds_known_until,
        max(case when table_name = 'erp_receipts' then complete_until end)
            as receipts_known_until,
        coalesce(bool_or(table_name = 'erp_orders' and is_connected), false) as has_order_source
    from {{ ref('stg_company__watermarks') }}
),

facts as (
    select
        legs.*,
        cases.business_line,
        cases.channel,
        cases.claim_amount_fen as front_end_amount_fen,
        cases.records_count,
        cases.is_backend_only,
        cases.backend_ref,
        cases.has_state_conflict,
        orders.paid_ref is not null as is_paid,
        orders.booked_ref is not null as is_booked,
        orders.paid_amount_fen,
        orders.last_paid_at,
        orders.booked_at,
        orders.booked_amount_fen,
        orders.booked_total_fen,
        orders.is_paid_or_later,
        orders.erp_state,
        orders.erp_channel,
        orders.coupon_fen,
        orders.freight_fen,
        orders.fee_fen,
        shipments.case_no is not null as is_shipped,
        coalesce(shipments.sent_count, 0) as sent_count,
        receipts.receipts_count,
        receipts.last_received_at,
        receipts.receipts_fen,
        refunds.bill_refund_ref,
        refunds.erp_refund_ref,
        refunds.bill_refund_fen,
        refunds.erp_refund_fen,
        refunds.bill_last_refunded_at,
        refunds.erp_last_refunded_at,
        refunds.erp_refunds_count,
        refunds.erp_refunds_fen,
        notices.status as notice_status,
        notices.source_ref as notice_ref,
        -- A refund may follow a cancellation: it is missed only once the bill is known that far.
        coalesce(
            watermarks.bill_known_until
            >= {{ add_seconds(
                'bookings.updated_at', 'coalesce(contracts.late_after_seconds, 0)'
            ) }},
            false
        ) as is_cancellation_settled,
        bookings.updated_at as booking_updated_at,
        unsettled_cases.case_id is not null as is_case_unsettled,
        watermarks.bill_known_until,
        watermarks.refunds_known_until,
        watermarks.receipts_known_until,
        watermarks.has_order_source,
        abs(legs.evidence_amount_fen - legs.claim_amount_fen) as difference_fen
    from legs
    inner join cases on legs.case_id = cases.case_id
    left join orders on legs.case_id = orders.case_id
    left join bookings on orders.case_no = bookings.case_no
    left join receipts on orders.case_no = receipts.case_no
    left join shipments on orders.case_no = shipments.case_no
    left join refunds on legs.case_id = refunds.case_id
    left join notices on legs.case_id = notices.case_id
    left join contracts on legs.case_id = contracts.case_id
    left join unsettled_cases on legs.case_id = unsettled_cases.case_id
    cross join watermarks
),

-- Parts may still come: a sum that is short is wrong once its source is known a window past the
-- last row of the longer side. Money is received after it was paid, so there the bill only has to
-- be known as far as the last receipt. A refund that the bill shows later than agreed is a finding
-- either way, so there the bill is waited for as long as was agreed.
settled as (
    select
        *,
        coalesce(
            case
                when leg in ('paid', 'booked') and evidence_amount_fen is null then false
                -- A part may name nothing but the ERP order.
                when
                    leg in ('received', 'refunded') and evidence_amount_fen < claim_amount_fen
                    and (is_order_awaited or not has_order_source)
                    then false
                when leg = 'paid' and evidence_amount_fen < claim_amount_fen
                    then bill_known_until >= window_ends_at
                when leg = 'paid' then true
                when leg = 'booked' and is_paid and evidence_amount_fen > claim_amount_fen
                    then bill_known_until >= {{ add_seconds('booked_at', 'window_seconds') }}
                when leg = 'booked' and is_paid then true
                -- The bill may still say otherwise than the claim.
                when leg = 'booked'
                    then coalesce(
                        bill_known_until >= {{ add_seconds('anchor_at', 'window_seconds') }},
                        true
                    )
                when leg = 'received' and evidence_amount_fen < claim_amount_fen
                    then
                        receipts_known_until >= greatest(
                            window_ends_at, {{ add_seconds('last_paid_at', 'window_seconds') }}
                        )
                when leg = 'received'
                    then bill_known_until >= {{ add_seconds('last_received_at', 120) }}
                when leg = 'refunded' and evidence_amount_fen < claim_amount_fen
                    then
                        refunds_known_until
                        >= {{ add_seconds('bill_last_refunded_at', 'window_seconds') }}
                when leg = 'refunded'
                    then
                        bill_known_until >= {{ add_seconds(
                            'erp_last_refunded_at', 'coalesce(late_after_seconds, window_seconds)'
                        ) }}
            end,
            false
        ) as is_amount_settled,
        coalesce(
            case leg
                when 'received'
                    then bill_known_until >= {{ add_seconds('last_received_at', 120) }}
                when 'refunded'
                    then bill_known_until >= {{ add_seconds('erp_last_refunded_at', 120) }}
            end,
            false
        ) as is_bill_caught_up
    from facts
),

classified as (
    select
        *,
        case
            when truth = 'not_due' or is_case_unsettled then 'none'
            when is_in_conflict and truth = 'unverifiable' then 'identity_conflict'
            when leg in ('booked', 'confirmed', 'ticketed') and records_count > 1
                then 'duplicate'
            when
                leg = 'received' and receipts_count > 1 and is_bill_caught_up
                and evidence_amount_fen > paid_amount_fen
                and list_contains(receipts_fen, paid_amount_fen)
                then 'duplicate'
            when
                leg = 'refunded' and erp_refunds_count > 1 and is_bill_caught_up
                and erp_refund_fen > bill_refund_fen
                and list_contains(erp_refunds_fen, bill_refund_fen)
                then 'duplicate'
            when leg = 'booked' and match_tier = 'fallback' then 'key_lost'
            when leg = 'submitted' and is_surface_only then 'surface_only'
            when
                leg = 'booked' and truth = 'refuted' and inherited_truth is null and is_paid
                then 'paid_not_booked'
            when
                leg = 'paid' and truth = 'refuted' and inherited_truth is null
                and is_shipped
                then 'shipped_unpaid'
            when
                leg = 'paid' and truth = 'refuted' and inherited_truth is null
                and is_booked and (is_paid_or_later or is_claimed)
                then 'booked_not_paid'
            when
                leg = 'submitted' and truth = 'refuted' and is_backend_only and not is_abandoned
                then 'backend_only'
            when difference_fen > tolerance_fen and is_amount_settled then 'amount_mismatch'
            when leg in ('served', 'resolved') and has_evidence and has_state_conflict
                then 'state_conflict'
            when
                leg = 'booked' and has_evidence and erp_state = 'cancelled' and is_paid
                and bill_refund_ref is null and is_cancellation_settled
                then 'state_conflict'
            when
                leg = 'fulfilled' and has_evidence and erp_state = 'cancelled'
                and sent_count > 0
                then 'state_conflict'
            when
                leg = 'refunded' and truth = 'refuted' and inherited_truth is null
                and bill_refund_ref is not null
                then 'refund_missing'
            when
                leg = 'refunded' and truth = 'refuted' and inherited_truth is null
                then 'refund_unbacked'
            when
                leg = 'booked' and has_evidence and not is_backend_only
                and erp_channel <> channel
                then 'channel_mislabelled'
            when
                leg in (
                    'received', 'fulfilled', 'known', 'reflowed',
                    'confirmed', 'served', 'ticketed', 'resolved'
                )
                and truth = 'refuted' and inherited_truth is null and not is_surface_only
                then 'not_' || leg
            when leg = 'reflowed' and truth = 'late' then 'late_reflow'
            when
                leg = 'notified' and truth = 'refuted' and inherited_truth is null
                and not is_surface_only
                and notice_status in ('user_block', 'system_failed', 'freq_limit')
                then 'notify_failed'
            when
                leg = 'notified' and truth = 'refuted' and inherited_truth is null
                and not is_surface_only
                then 'not_notified'
            when
                leg in ('booked', 'received', 'fulfilled', 'confirmed', 'ticketed')
                and has_evidence and made_by = 'human'
                then 'manual_rekey'
            when truth = 'late' then 'late'
            else 'none'
        end as divergence
    from settled
),

explained as (
    select
        *,
        case
            when divergence <> 'amount_mismatch' then null
            when
                evidence_amount_fen = claim_amount_fen * 100
                or evidence_amount_fen * 100 = claim_amount_fen
                then 'unit'
            when difference_fen = coupon_fen then 'coupon'
            when difference_fen = freight_fen then 'freight'
            when difference_fen = fee_fen then 'fee'
            when
                difference_fen < 100
                and (
                    evidence_amount_fen % 100 = 0
                    or claim_amount_fen % 100 = 0
                    or floor(evidence_amount_fen / 100.0) = floor(claim_amount_fen / 100.0)
                )
                then 'rounding'
            when leg in ('received', 'refunded') and evidence_amount_fen < claim_amount_fen
                then 'partial'
            else 'unexplained'
        end as sub_class,
        case
            when divergence = 'surface_only' then front_end_amount_fen
            when divergence in ('paid_not_booked', 'not_received') then paid_amount_fen
            when divergence in ('booked_not_paid', 'shipped_unpaid', 'backend_only', 'key_lost')
                then coalesce(booked_amount_fen, paid_amount_fen, front_end_amount_fen)
            when divergence = 'duplicate' and leg = 'booked'
                then booked_total_fen - booked_amount_fen
            when divergence = 'duplicate' then evidence_amount_fen - claim_amount_fen
            when divergence = 'amount_mismatch' then difference_fen
            when divergence in ('state_conflict', 'not_fulfilled')
                then coalesce(paid_amount_fen, booked_amount_fen)
            when divergence = 'refund_missing' then bill_refund_fen
            when divergence = 'refund_unbacked' then erp_refund_fen
        end as amount_at_stake_fen
    from classified
),

worded as (
    select
        *,
        case divergence
            when 'none' then null
            when 'identity_conflict'
                then 'the identifiers of the buyer lead to more than one CRM contact'
            when 'duplicate' then 'the back end carries this key more than once'
            when 'key_lost'
                then
                    'the ERP order bears another number or none; it was found by amount, time'
                    || ' and buyer'
            when 'surface_only' then 'the front end shows success, no back-end record exists'
            when 'paid_not_booked' then 'paid in the bill, no ERP order bears the number'
            when 'booked_not_paid' then 'the ERP has the order, the bill has no payment'
            when 'shipped_unpaid' then 'goods left, the bill has no payment'
            when 'backend_only' then 'back-end records exist, no front-end event does'
            when 'amount_mismatch'
                then
                    'expected ' || cast(claim_amount_fen as varchar) || ' fen, found '
                    || cast(evidence_amount_fen as varchar) || ' fen'
            when 'state_conflict'
                then
                    case leg
                        when 'served' then 'attended before the slot'
                        when 'resolved' then 'closed before it was opened'
                        when 'booked'
                            then 'the ERP order is cancelled, yet paid and not refunded'
                        else 'the ERP order is cancelled, yet the goods left'
                    end
            when 'refund_missing' then 'refunded in the bill, not in the ERP'
            when 'refund_unbacked' then 'refunded in the ERP, not in the bill'
            when 'channel_mislabelled'
                then 'sold on ' || channel || ', booked as ' || coalesce(erp_channel, '?')
            when 'notify_failed' then 'the message was sent and not delivered: ' || notice_status
            when 'manual_rekey'
                then 'the record matches but was made by hand' || coalesce(': ' || hand_signs, '')
            when
                'late'
                then 'the record came ' || cast(lag_seconds as varchar) || ' s after its cause'
            when 'late_reflow'
                then
                    'the customer saw it '
                    || cast(lag_seconds as varchar)
                    || ' s after the parcel left'
            else 'no record in the window'
        end as detail
    from explained
)

select
    case_id,
    case_no,
    loop,
    business_line,
    channel,
    leg,
    leg_rank,
    is_mandatory,
    case when leg = 'submitted' then not is_backend_only else is_claimed end as surface_claims,
    has_evidence,
    truth,
    divergence,
    sub_class,
    made_by,
    match_tier,
    anchor_at as claim_at,
    evidence_at,
    due_at,
    window_ends_at,
    lag_seconds,
    cast(claim_amount_fen as bigint) as claim_amount_fen,
    cast(evidence_amount_fen as bigint) as evidence_amount_fen,
    cast(amount_at_stake_fen as bigint) as amount_at_stake_fen,
    claim_ref,
    case
        when divergence = 'notify_failed' then notice_ref
        when divergence = 'backend_only' then backend_ref
        when divergence = 'manual_rekey' then hand_ref
        else evidence_ref
    end as evidence_ref,
    owner,
    detail,
    inherited_truth is not null or (is_surface_only and leg <> 'submitted') as is_inherited,
    not coalesce(is_connected, false) or coalesce(judged_at >= window_ends_at, false)
        as is_window_passed,
    -- After the last of these, and a margin for the windows, no watermark can change the leg.
    greatest(
        anchor_at, window_ends_at, due_at, evidence_at, booked_at, booking_updated_at,
        last_paid_at, last_received_at, bill_last_refunded_at, erp_last_refunded_at
    ) as settles_at
from worded
