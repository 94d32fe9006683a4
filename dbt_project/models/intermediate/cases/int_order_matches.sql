{{ config(materialized='table') }}

{%- set skew_seconds = 120 -%}

with claims as (
    select * from {{ ref('int_order_claims') }}
    where has_order_act
),

payments as (
    select * from {{ ref('int_order_payments') }}
),

transactions as (
    select * from {{ ref('int_order_transactions') }}
),

bookings as (
    select * from {{ ref('int_order_bookings__keyed') }}
),

events as (
    select * from {{ ref('stg_tracking__events') }}
),

people as (
    select * from {{ ref('int_people__resolved') }}
),

shared as (
    select * from {{ ref('int_identifiers__shared') }}
),

contracts as (
    select * from {{ ref('stg_company__loop_legs') }}
    where loop = 'order' and leg = 'booked'
),

watermarks as (
    select
        max(case when table_name = 'erp_orders' then complete_until end) as erp_known_until,
        max(case when table_name = 'pay_bill' and is_connected then complete_until end)
            as bill_known_until,
        max(case when table_name = 'tracking_events' and is_connected then complete_until end)
            as front_end_known_until
    from {{ ref('stg_company__watermarks') }}
),

-- The shop counter's orders bear numbers too.
booked_numbers as (
    select distinct order_no as case_no from {{ ref('stg_erp__orders') }}
    where order_no is not null
    union
    select distinct case_no from bookings
    where is_tracked
),

-- Claimed or paid, and no ERP order bears the number.
unbooked as (
    select
        coalesce(claims.case_no, payments.case_no) as case_no,
        claims.business_line,
        coalesce(payments.paid_amount_fen, claims.claim_amount_fen) as amount_fen,
        greatest(claims.submitted_at, payments.paid_at) as anchor_at
    from claims
    full outer join payments on claims.case_no = payments.case_no
    left join booked_numbers
        on coalesce(claims.case_no, payments.case_no) = booked_numbers.case_no
    where
        booked_numbers.case_no is null
        and (claims.claimed_at is not null or payments.case_no is not null)
),

awaited as (
    select
        unbooked.*,
        {{ add_seconds(
            'unbooked.anchor_at',
            'coalesce(own_contract.window_seconds, default_contract.window_seconds)'
        ) }} as window_ends_at
    from unbooked
    left join contracts as own_contract on unbooked.business_line = own_contract.business_line
    left join contracts as default_contract on default_contract.business_line is null
),

paid_cases as (
    select
        transaction_id,
        min(case_no) as first_case_no,
        max(case_no) as last_case_no
    from transactions
    group by transaction_id
),

unclaimed as (
    select
        bookings.*,
        paid_cases.first_case_no,
        paid_cases.last_case_no
    from bookings
    left join paid_cases on bookings.transaction_id = paid_cases.transaction_id
    where bookings.is_unclaimed
),

-- A record that names another case's payment belongs to that one, be it a case of its own.
candidates as (
    select
        awaited.case_no,
        awaited.window_ends_at,
        unclaimed.erp_order_no,
        unclaimed.created_at,
        unclaimed.phone_hash,
        unclaimed.customer_code
    from awaited
    inner join unclaimed on awaited.amount_fen = unclaimed.amount_fen
    where
        unclaimed.created_at >= {{ add_seconds('awaited.anchor_at', -skew_seconds) }}
        and unclaimed.created_at < awaited.window_ends_at
        and (
            unclaimed.first_case_no is null
            or (
                unclaimed.first_case_no = awaited.case_no
                and unclaimed.last_case_no = awaited.case_no
            )
        )
),

-- Who bought, and by which phones and customer codes that person is known.
buyer_identifiers as (
    select
        case_no,
        'unionid:' || unionid as identifier
    from events
    union
    select
        case_no,
        'openid:' || openid
    from events
    union
    select
        case_no,
        'member_no:' || member_no
    from events
    union
    select
        case_no,
        'openid:' || openid
    from payments
),

buyers as (
    select distinct
        candidates.case_no,
        people.person_id
    from candidates
    inner join buyer_identifiers on candidates.case_no = buyer_identifiers.case_no
    inner join people on buyer_identifiers.identifier = people.identifier
),

buyer_kinds as (
    select distinct
        buyers.case_no,
        split_part(people.identifier, ':', 1) as kind
    from buyers
    inner join people on buyers.person_id = people.person_id
    where people.identifier like 'phone:%' or people.identifier like 'customer_code:%'
),

all_signs as (
    select
        case_no,
        erp_order_no,
        'phone' as kind,
        'phone:' || phone_hash as identifier
    from candidates
    where phone_hash is not null
    union all
    select
        case_no,
        erp_order_no,
        'customer_code',
        'customer_code:' || customer_code
    from candidates
    where customer_code is not null
),

-- A sign that many share names nobody.
signs as (
    select all_signs.*
    from all_signs
    left join shared on all_signs.identifier = shared.identifier
    where shared.identifier is null
),

-- Both sides have the sign, and it names somebody else.
contradicted as (
    select distinct
        signs.case_no,
        signs.erp_order_no
    from signs
    inner join buyer_kinds on signs.case_no = buyer_kinds.case_no and signs.kind = buyer_kinds.kind
    left join people on signs.identifier = people.identifier
    left join buyers on signs.case_no = buyers.case_no and people.person_id = buyers.person_id
    where buyers.person_id is null
),

agreeing as (
    select
        candidates.*,
        count(*) over (partition by candidates.case_no) as records_count,
        count(*) over (partition by candidates.erp_order_no) as cases_count
    from candidates
    left join contradicted
        on
            candidates.case_no = contradicted.case_no
            and candidates.erp_order_no = contradicted.erp_order_no
    where contradicted.case_no is null
),

-- The record with the key may still come, and so may another case that this one would fit.
matched as (
    select
        agreeing.erp_order_no,
        agreeing.case_no,
        coalesce(watermarks.erp_known_until >= agreeing.window_ends_at, false)
        and coalesce(
            watermarks.bill_known_until >= {{ add_seconds('agreeing.created_at', skew_seconds) }},
            true
        )
        and coalesce(
            watermarks.front_end_known_until
            >= {{ add_seconds('agreeing.created_at', skew_seconds) }},
            true
        ) as is_settled
    from agreeing
    cross join watermarks
    where agreeing.records_count = 1 and agreeing.cases_count = 1
)

select * from matched
