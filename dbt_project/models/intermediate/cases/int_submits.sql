-- The events that open a case of a loop other than the order loop.
with events as (
    select * from {{ ref('stg_tracking__events') }}
    where event in ('booking_submit', 'aftersale_submit', 'member_register')
),

numbered as (
    select
        *,
        case event
            when 'booking_submit' then 'booking'
            when 'aftersale_submit' then 'aftersale'
            else 'member'
        end as loop,
        -- A registration is known by who registers; a browser may know only a number.
        case
            when event = 'member_register' then coalesce(unionid, case_no, openid, member_no)
            else case_no
        end as submit_no
    from events
),

ranked as (
    select
        *,
        row_number() over (
            partition by loop, submit_no order by occurred_at, event_id
        ) as submit_rank
    from numbered
    where submit_no is not null and {{ in_question('submit_no') }}
),

first_submits as (
    select
        loop,
        submit_no as case_no,
        business_line,
        channel,
        session_id,
        occurred_at as submitted_at,
        source_ref as submitted_ref,
        amount_fen
    from ranked
    where submit_rank = 1
)

select * from first_submits
