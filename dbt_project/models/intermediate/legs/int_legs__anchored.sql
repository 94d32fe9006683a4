{{ config(
    materialized='incremental',
    incremental_strategy='rejudged',
    incremental_predicates=[
        'case_no in (select number from intermediate.int_dirty_numbers__known)'
    ]
) }}

{%- set skew_seconds = 120 -%}

with cases as (
    select * from {{ ref('int_cases') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

orders as (
    select * from {{ ref('int_order_cases') }}
),

bookings as (
    select * from {{ ref('int_booking_cases') }}
),

contracts as (
    select * from {{ ref('stg_company__loop_legs') }}
),

evidence as (
    select * from {{ ref('int_evidence') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

-- The same read again, a few columns each: of a CTE that is named twice DuckDB keeps every
-- row and column, which of many cases is more than its memory holds (2026-11).
entered as (
    select
        case_id,
        loop
    from {{ ref('int_cases') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

proven as (
    select
        case_id,
        leg,
        evidence_at
    from {{ ref('int_evidence') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

proofs as (
    select
        case_id,
        leg,
        evidence_ref
    from {{ ref('int_evidence') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

refunds as (
    select * from {{ ref('int_order_refunds') }}
),

ancestors as (
    select * from {{ ref('leg_ancestors') }}
),

watermarks as (
    select * from {{ ref('int_leg_watermarks') }}
),

source_watermarks as (
    select * from {{ ref('stg_company__watermarks') }}
),

lines_with_contract as (
    select distinct
        business_line,
        loop
    from contracts
    where business_line is not null
),

-- A line without a contract of its own takes the default one.
case_legs as (
    select
        cases.case_id,
        cases.case_no,
        cases.loop,
        cases.entered_at,
        cases.submitted_ref,
        cases.claim_amount_fen as front_end_amount_fen,
        orders.paid_amount_fen,
        bookings.slot_at,
        contracts.leg,
        contracts.leg_rank,
        contracts.is_mandatory,
        contracts.window_seconds,
        contracts.late_after_seconds,
        contracts.tolerance_fen,
        contracts.owner
    from cases
    left join orders on cases.case_id = orders.case_id
    left join bookings on cases.case_id = bookings.case_id
    left join lines_with_contract
        on
            cases.business_line = lines_with_contract.business_line
            and cases.loop = lines_with_contract.loop
    inner join contracts
        on
            cases.loop = contracts.loop
            and lines_with_contract.business_line is not distinct from contracts.business_line
),

-- The nearest evidence before a leg makes it due; the latest of them starts its clock.
nearest as (
    select
        proven.case_id,
        ancestors.leg,
        max(proven.evidence_at) as latest_at,
        min(ancestors.distance) as distance
    from proven
    inner join entered on proven.case_id = entered.case_id
    inner join ancestors on entered.loop = ancestors.loop and proven.leg = ancestors.ancestor
    group by proven.case_id, ancestors.leg
),

anchored as (
    select
        case_legs.case_id,
        case_legs.case_no,
        case_legs.loop,
        case_legs.leg,
        case_legs.leg_rank,
        case_legs.is_mandatory,
        case_legs.window_seconds,
        case_legs.late_after_seconds,
        case_legs.tolerance_fen,
        case_legs.owner,
        case
            when case_legs.leg = 'refunded'
                then coalesce(
                    least(refunds.bill_refunded_at, refunds.erp_refunded_at),
                    nearest.latest_at,
                    case_legs.entered_at
                )
            when case_legs.leg = 'served'
                then coalesce(case_legs.slot_at, nearest.latest_at, case_legs.entered_at)
            else coalesce(nearest.latest_at, case_legs.entered_at)
        end as anchor_at,
        case_legs.leg = 'served' and case_legs.slot_at is null as is_anchor_unknown,
        case
            when case_legs.leg = 'refunded'
                then coalesce(
                    refunds.bill_refund_ref, refunds.erp_refund_ref, nearest_proofs.evidence_ref
                )
            when case_legs.leg = 'submitted' then case_legs.submitted_ref
            else nearest_proofs.evidence_ref
        end as claim_ref,
        -- Amounts are held against the money leg before.
        case case_legs.leg
            when 'submitted' then case_legs.front_end_amount_fen
            when 'paid' then case_legs.front_end_amount_fen
            when 'booked' then coalesce(case_legs.paid_amount_fen, case_legs.front_end_amount_fen)
            when 'received' then case_legs.paid_amount_fen
            when 'refunded' then refunds.bill_refund_fen
        end as claim_amount_fen,
        evidence.evidence_at,
        evidence.evidence_ref,
        evidence.hand_ref,
        evidence.hand_signs,
        evidence.evidence_amount_fen,
        evidence.match_tier,
        coalesce(evidence.made_by, 'unknown') as made_by,
        evidence.case_id is not null as has_evidence,
        -- One side of a refund is there: only the other side's source can still bring it.
        case
            when case_legs.leg <> 'refunded' or evidence.case_id is not null
                then watermarks.judged_at
            when refunds.bill_refund_ref is not null then erp_refunds.complete_until
            when refunds.erp_refund_ref is not null then pay_bill.complete_until
            else watermarks.judged_at
        end as judged_at,
        case
            when case_legs.leg <> 'refunded' or evidence.case_id is not null
                then watermarks.is_connected
            when refunds.bill_refund_ref is not null then coalesce(erp_refunds.is_connected, false)
            when refunds.erp_refund_ref is not null then coalesce(pay_bill.is_connected, false)
            else watermarks.is_connected
        end as is_connected
    from case_legs
    left join nearest on case_legs.case_id = nearest.case_id and case_legs.leg = nearest.leg
    left join ancestors as nearest_legs
        on
            case_legs.loop = nearest_legs.loop
            and case_legs.leg = nearest_legs.leg
            and nearest.distance = nearest_legs.distance
    left join proofs as nearest_proofs
        on
            case_legs.case_id = nearest_proofs.case_id
            and nearest_legs.ancestor = nearest_proofs.leg
    left join evidence on case_legs.case_id = evidence.case_id and case_legs.leg = evidence.leg
    left join refunds on case_legs.case_id = refunds.case_id
    left join watermarks
        on case_legs.loop = watermarks.loop and case_legs.leg = watermarks.leg
    left join source_watermarks as erp_refunds on erp_refunds.table_name = 'erp_refunds'
    left join source_watermarks as pay_bill on pay_bill.table_name = 'pay_bill'
),

timed as (
    select
        *,
        {{ add_seconds('anchor_at', 'coalesce(late_after_seconds, window_seconds)') }} as due_at,
        case
            when leg = 'submitted' then {{ add_seconds('anchor_at', skew_seconds) }}
            else {{ add_seconds('anchor_at', 'window_seconds') }}
        end as window_ends_at,
        case
            when has_evidence and evidence_at is not null
                then {{ seconds_between('anchor_at', 'evidence_at') }}
        end as lag_seconds
    from anchored
),

-- A limit of its own may be reached to the second; the window is half-open.
measured as (
    select
        *,
        case
            when leg = 'submitted' or is_anchor_unknown then false
            when late_after_seconds is not null then evidence_at > due_at
            else evidence_at >= window_ends_at
        end as is_late
    from timed
)

select * from measured
