{{ config(
    incremental_predicates=[
        'case_no in (select number from intermediate.int_dirty_numbers__matched)'
    ]
) }}

{%- set skew_seconds = 120 -%}

with submits as (
    select * from {{ ref('int_submits') }}
    where loop = 'booking' and {{ in_question('case_no', 'int_dirty_numbers__matched') }}
),

appointments as (
    select * from {{ ref('stg_crm__appointments') }}
    where booking_no is not null and {{ in_question('booking_no', 'int_dirty_numbers__matched') }}
),

front_end as (
    select complete_from
    from {{ ref('stg_company__watermarks') }}
    where table_name = 'tracking_events'
),

ranked as (
    select
        *,
        row_number() over (
            partition by booking_no order by created_at, appointment_no
        ) as record_rank,
        count(*) over (partition by booking_no) as records_count
    from appointments
),

first_records as (
    select * from ranked
    where record_rank = 1
),

joined as (
    select
        'booking:' || coalesce(submits.case_no, first_records.booking_no) as case_id,
        coalesce(submits.case_no, first_records.booking_no) as case_no,
        coalesce(submits.business_line, first_records.business_line, 'unknown') as business_line,
        coalesce(submits.channel, 'unknown') as channel,
        submits.session_id,
        submits.submitted_at,
        submits.submitted_ref,
        submits.amount_fen as claim_amount_fen,
        submits.case_no is not null as is_claimed,
        first_records.appointment_no,
        first_records.contact_id,
        first_records.state,
        first_records.slot_at,
        first_records.created_at as recorded_at,
        first_records.updated_at,
        first_records.source_ref as record_ref,
        coalesce(first_records.records_count, 0) as records_count
    from submits
    full outer join first_records on submits.case_no = first_records.booking_no
),

observed as (
    select
        joined.*,
        not joined.is_claimed as is_backend_only,
        coalesce(joined.submitted_at, joined.recorded_at) as entered_at,
        not joined.is_claimed
        and joined.state not in ('confirmed', 'attended', 'no_show') as is_abandoned,
        coalesce(
            joined.state = 'attended'
            and joined.updated_at < {{ add_seconds('joined.slot_at', -skew_seconds) }},
            false
        ) as has_state_conflict
    from joined
    left join front_end on true
    where
        joined.is_claimed
        or front_end.complete_from is null
        or joined.recorded_at >= front_end.complete_from
)

select * from observed
