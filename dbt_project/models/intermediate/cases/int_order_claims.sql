{%- set order_acts = "('order_submit', 'pay_start', 'pay_success', 'pay_fail')" -%}
{%- set other_loops = "('booking_submit', 'aftersale_submit', 'member_register')" -%}

with events as (
    select * from {{ ref('stg_tracking__events') }}
    where
        case_no is not null
        and {{ in_question('case_no') }}
        and event not in {{ other_loops }}
),

-- The event that stands for the claim: the submit, else the earliest the front end has.
ranked as (
    select
        *,
        row_number() over (
            partition by case_no
            order by case when event = 'order_submit' then 0 else 1 end, occurred_at, event_id
        ) as claim_rank
    from events
),

claim_events as (
    select * from ranked
    where claim_rank = 1
),

totals as (
    select
        case_no,
        max(case when event in {{ order_acts }} then 1 else 0 end) = 1 as has_order_act,
        min(case when event = 'pay_success' then occurred_at end) as claimed_at,
        min(case when event = 'pay_fail' then occurred_at end) as failed_at,
        min(case when event = 'order_submit' then amount_fen end) as submitted_amount_fen,
        min(case when event = 'pay_success' then amount_fen end) as success_amount_fen,
        min(openid) as openid,
        min(unionid) as unionid,
        min(member_no) as member_no
    from events
    group by case_no
),

joined as (
    select
        claim_events.case_no,
        claim_events.business_line,
        claim_events.channel,
        claim_events.session_id,
        claim_events.occurred_at as submitted_at,
        claim_events.source_ref as submitted_ref,
        totals.has_order_act,
        totals.claimed_at,
        totals.failed_at,
        coalesce(
            claim_events.amount_fen, totals.submitted_amount_fen, totals.success_amount_fen
        ) as claim_amount_fen,
        totals.openid,
        totals.unionid,
        totals.member_no
    from claim_events
    inner join totals on claim_events.case_no = totals.case_no
)

select * from joined
