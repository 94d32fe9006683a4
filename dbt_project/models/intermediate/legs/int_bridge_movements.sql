with cases as (
    select * from {{ ref('int_order_cases') }}
),

legs as (
    select * from {{ ref('int_legs__classified') }}
),

refunds as (
    select * from {{ ref('int_order_refunds') }}
),

bookings as (
    select * from {{ ref('int_order_bookings') }}
),

-- What the ERP counts as sold: every order that is neither a draft nor cancelled.
sold as (
    select
        cases.case_id,
        bookings.booking_rank,
        bookings.amount_fen,
        {{ business_day('cases.entered_at') }} as case_day,
        cases.business_line as case_line,
        cases.channel as case_channel,
        {{ business_day('bookings.ordered_at') }} as business_day,
        coalesce(bookings.business_line, cases.business_line) as business_line,
        coalesce(bookings.channel, cases.channel) as channel
    from bookings
    inner join cases on bookings.case_no = cases.case_no
    where bookings.state not in ('draft', 'cancelled')
),

sold_per_case as (
    select
        case_id,
        sum(case when booking_rank = 1 then amount_fen else 0 end) as matched_fen,
        sum(case when booking_rank > 1 then amount_fen else 0 end) as repeated_fen,
        max(case when booking_rank = 1 then 1 else 0 end) as matched_count,
        sum(case when booking_rank > 1 then 1 else 0 end) as repeated_count
    from sold
    group by case_id
),

leg_states as (
    select
        case_id,
        max(case when leg = 'submitted' then divergence end) as submitted_divergence,
        max(case when leg = 'booked' then divergence end) as booked_divergence,
        max(case when leg = 'booked' then truth end) as booked_truth
    from legs
    group by case_id
),

sides as (
    select
        cases.case_id,
        {{ business_day('cases.entered_at') }} as business_day,
        cases.business_line,
        cases.channel,
        cases.is_claimed,
        cases.is_abandoned,
        cases.is_backend_only,
        cases.erp_state,
        refunds.case_id is not null as has_refund,
        leg_states.submitted_divergence,
        leg_states.booked_divergence,
        leg_states.booked_truth,
        case when cases.is_claimed then coalesce(cases.claim_amount_fen, 0) else 0 end
            as surface_fen,
        coalesce(sold_per_case.matched_fen, 0) as matched_fen,
        coalesce(sold_per_case.repeated_fen, 0) as repeated_fen,
        coalesce(sold_per_case.matched_count, 0) as matched_count,
        coalesce(sold_per_case.repeated_count, 0) as repeated_count
    from cases
    inner join leg_states on cases.case_id = leg_states.case_id
    left join sold_per_case on cases.case_id = sold_per_case.case_id
    left join refunds on cases.case_id = refunds.case_id
),

explained as (
    select
        *,
        case
            when is_claimed and matched_count = 1 then 'amount_mismatch'
            when is_claimed and submitted_divergence = 'surface_only' then 'surface_only'
            when is_claimed and booked_divergence = 'paid_not_booked' then 'paid_not_booked'
            when is_claimed and booked_divergence = 'state_conflict' then 'state_conflict'
            when is_claimed and erp_state = 'cancelled' and has_refund then 'refunded'
            when is_claimed and erp_state = 'cancelled' then 'cancelled'
            when is_claimed and booked_truth = 'unverifiable' then 'unverifiable'
            when is_claimed then 'pending'
            when matched_count = 1 and is_abandoned then 'abandoned'
            when matched_count = 1 and is_backend_only then 'backend_only'
            when matched_count = 1 then 'unclaimed'
        end as step
    from sides
),

movements as (
    select
        case_id,
        business_day,
        business_line,
        channel,
        'surface_total' as step,
        surface_fen as amount_fen,
        1 as cases_count
    from explained
    where is_claimed
    union all
    select
        case_id,
        business_day,
        business_line,
        channel,
        step,
        matched_fen - surface_fen,
        matched_count - case when is_claimed then 1 else 0 end
    from explained
    where
        matched_fen <> surface_fen
        or matched_count <> case when is_claimed then 1 else 0 end
    union all
    select
        case_id,
        business_day,
        business_line,
        channel,
        'duplicate',
        repeated_fen,
        repeated_count
    from explained
    where repeated_count > 0
    union all
    -- An order that the ERP files under another day, line or channel leaves one cell ...
    select
        case_id,
        case_day,
        case_line,
        case_channel,
        case when channel <> case_channel then 'channel_mislabelled' else 'cut_off' end,
        -amount_fen,
        -1
    from sold
    where (business_day, business_line, channel) <> (case_day, case_line, case_channel)
    union all
    -- ... and enters another.
    select
        case_id,
        business_day,
        business_line,
        channel,
        case when channel <> case_channel then 'channel_mislabelled' else 'cut_off' end,
        amount_fen,
        1
    from sold
    where (business_day, business_line, channel) <> (case_day, case_line, case_channel)
    union all
    select
        case_id,
        business_day,
        business_line,
        channel,
        'erp_total',
        amount_fen,
        1
    from sold
)

select
    case_id,
    business_day,
    business_line,
    channel,
    step,
    cast(amount_fen as bigint) as amount_fen,
    cast(cases_count as bigint) as cases_count
from movements
