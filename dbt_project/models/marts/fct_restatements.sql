with changes as (
    select * from {{ ref('fct_leg_changes') }}
    where is_restatement
),

restated as (
    select
        case_id,
        loop,
        business_line,
        channel,
        leg,
        business_day,
        closed_at,
        truth_before,
        truth_after,
        divergence_before,
        divergence_after,
        amount_before_fen,
        amount_after_fen,
        cause,
        cause_ref,
        earlier_run,
        changed_run as restated_run,
        changed_as_of as restated_as_of
    from changes
)

select * from restated
