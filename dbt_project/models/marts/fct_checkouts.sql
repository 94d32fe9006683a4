with sessions as (
    select * from {{ ref('fct_sessions') }}
    where is_mature and (has_checkout or has_pay_start)
),

events as (
    select * from {{ ref('stg_tracking__events') }}
),

cases as (
    select * from {{ ref('fct_cases') }}
    where loop = 'order'
),

claims as (
    select * from {{ ref('int_order_cases') }}
),

legs as (
    select * from {{ ref('fct_case_legs') }}
    where loop = 'order'
),

failed_sessions as (
    select distinct
        session_id,
        business_line
    from events
    where event = 'pay_fail'
),

-- A customer may pay in a later session than the one that the case was entered in: every session
-- whose events bear the number shares in the outcome.
session_numbers as (
    select distinct
        session_id,
        business_line,
        case_no
    from events
    where case_no is not null
),

case_outcomes as (
    select
        case_id,
        max(case when leg = 'paid' and has_evidence then 1 else 0 end) as has_payment,
        max(case when is_mandatory and leg <> 'submitted' and truth = 'refuted' then 1 else 0 end)
            as has_broken_leg
    from legs
    group by case_id
),

session_outcomes as (
    select
        session_numbers.session_id,
        session_numbers.business_line,
        min(case when cases.is_mature then 1 else 0 end) as is_mature,
        max(case when cases.verified_converted then 1 else 0 end) as is_converted,
        max(case when claims.failed_at is not null then 1 else 0 end) as has_failed,
        max(case_outcomes.has_payment) as has_payment,
        max(case_outcomes.has_broken_leg) as has_broken_leg
    from session_numbers
    inner join cases on 'order:' || session_numbers.case_no = cases.case_id
    inner join claims on cases.case_id = claims.case_id
    inner join case_outcomes on cases.case_id = case_outcomes.case_id
    group by session_numbers.session_id, session_numbers.business_line
),

reached as (
    select
        sessions.session_id,
        sessions.business_line,
        sessions.channel,
        sessions.business_day,
        sessions.verified_converted or coalesce(session_outcomes.is_converted, 0) = 1
            as is_converted,
        sessions.has_pay_success or coalesce(session_outcomes.has_payment, 0) = 1 as has_success,
        coalesce(session_outcomes.has_broken_leg, 0) = 1 as has_broken_leg,
        failed_sessions.session_id is not null or coalesce(session_outcomes.has_failed, 0) = 1
            as has_failed,
        sessions.as_of
    from sessions
    left join session_outcomes
        on
            sessions.session_id = session_outcomes.session_id
            and sessions.business_line = session_outcomes.business_line
    left join failed_sessions
        on
            sessions.session_id = failed_sessions.session_id
            and sessions.business_line = failed_sessions.business_line
    where coalesce(session_outcomes.is_mature, 1) = 1
),

-- Why no terminal state was reached. The one definition of the four words:
-- backend_late  the front end shows success or the bill has the payment, and a mandatory leg of
--               the back end was not there when its window ended
-- technical     a payment failed, and none succeeded
-- user_cancel   checkout or payment was begun and left, without failure or success
-- unknown       the rest: there is a success, and what the back end made of it cannot be told
classified as (
    select
        session_id,
        business_line,
        'order' as loop,
        channel,
        business_day,
        case
            when is_converted then 'none'
            when has_success and has_broken_leg then 'backend_late'
            when has_success then 'unknown'
            when has_failed then 'technical'
            else 'user_cancel'
        end as interruption,
        as_of
    from reached
)

select * from classified
