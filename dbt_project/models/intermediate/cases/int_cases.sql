{{ config(
    incremental_predicates=[
        'case_no in (select number from intermediate.int_dirty_numbers__matched)'
    ]
) }}

with orders as (
    select * from {{ ref('int_order_cases') }}
    where {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

bookings as (
    select * from {{ ref('int_booking_cases') }}
    where {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

tickets as (
    select * from {{ ref('int_aftersale_cases') }}
    where {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

registrations as (
    select * from {{ ref('int_submits') }}
    where loop = 'member' and {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

all_cases as (
    select
        case_id,
        'order' as loop,
        case_no,
        business_line,
        channel,
        session_id,
        entered_at,
        submitted_at,
        submitted_ref,
        is_claimed,
        is_abandoned,
        is_backend_only,
        is_held,
        is_untold,
        coalesce(erp_state = 'cancelled', false) as is_cancelled,
        false as has_state_conflict,
        bookings_count as records_count,
        claim_amount_fen,
        coalesce(claim_amount_fen, paid_amount_fen, booked_amount_fen) as amount_fen,
        coalesce(booked_ref, paid_ref) as backend_ref,
        erp_order_no
    from orders
    union all
    select
        case_id,
        'booking',
        case_no,
        business_line,
        channel,
        session_id,
        entered_at,
        submitted_at,
        submitted_ref,
        is_claimed,
        is_abandoned,
        is_backend_only,
        false,
        false,
        coalesce(state = 'cancelled', false),
        has_state_conflict,
        records_count,
        claim_amount_fen,
        claim_amount_fen as amount_fen,
        record_ref,
        null
    from bookings
    union all
    select
        case_id,
        'aftersale',
        case_no,
        business_line,
        channel,
        session_id,
        entered_at,
        submitted_at,
        submitted_ref,
        is_claimed,
        is_abandoned,
        is_backend_only,
        false,
        false,
        coalesce(state = 'cancelled', false),
        has_state_conflict,
        records_count,
        claim_amount_fen,
        claim_amount_fen as amount_fen,
        record_ref,
        null
    from tickets
    union all
    select
        'member:' || case_no,
        'member',
        case_no,
        business_line,
        channel,
        session_id,
        submitted_at as entered_at,
        submitted_at,
        submitted_ref,
        true,
        false,
        false,
        false,
        false,
        false,
        false,
        0,
        amount_fen as claim_amount_fen,
        amount_fen,
        null,
        null
    from registrations
)

select * from all_cases
