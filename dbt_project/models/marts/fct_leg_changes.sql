with reports as (
    select * from {{ ref('fct_leg_reports') }}
    where until_run is null or until_run > from_run
),

runs as (
    select * from {{ ref('fct_runs') }}
),

closing_days as (
    select * from {{ ref('closing_days') }}
),

batches as (
    select * from {{ ref('fct_run_batches') }}
),

closed as (
    select
        reports.*,
        {{ day_start('reports.business_day', 'closing_days.closing_days + 1') }} as closed_at
    from reports
    inner join closing_days
        on reports.loop = closing_days.loop and reports.leg = closing_days.leg
),

-- A change is a restatement where the last run that still said the earlier thing had said it of
-- a closed day.
last_runs as (
    select
        closed.case_id,
        closed.leg,
        closed.from_run,
        max(runs.as_of) as last_said_as_of,
        max(runs.run_no) as last_said_run
    from closed
    inner join runs on closed.from_run <= runs.run_no and closed.until_run > runs.run_no
    group by closed.case_id, closed.leg, closed.from_run
),

changes as (
    select
        earlier.case_id,
        earlier.loop,
        earlier.business_line,
        earlier.channel,
        earlier.leg,
        earlier.business_day,
        earlier.closed_at,
        earlier.from_run as earlier_run,
        earlier.until_run as changed_run,
        last_runs.last_said_run,
        coalesce(last_runs.last_said_as_of >= earlier.closed_at, false) as is_restatement,
        earlier.truth as truth_before,
        later.truth as truth_after,
        earlier.divergence as divergence_before,
        later.divergence as divergence_after,
        earlier.evidence_amount_fen as amount_before_fen,
        later.evidence_amount_fen as amount_after_fen,
        earlier.evidence_ref as evidence_ref_before,
        later.evidence_ref as evidence_ref_after
    from closed as earlier
    inner join last_runs
        on
            earlier.case_id = last_runs.case_id
            and earlier.leg = last_runs.leg
            and earlier.from_run = last_runs.from_run
    left join closed as later
        on
            earlier.case_id = later.case_id
            and earlier.leg = later.leg
            and earlier.until_run = later.from_run
),

-- Why: the evidence stands in a batch that the earlier run did not have, or it stood there all
-- along and only now is seen to belong to the case. A reference is table/batch/key.
caused as (
    select
        changes.*,
        runs.as_of as changed_as_of,
        case
            when changes.truth_after is null then 'withdrawn'
            when
                changes.evidence_ref_after is null and changes.evidence_ref_before is null
                and changes.truth_before = 'pending'
                then 'window_passed'
            when changes.evidence_ref_after is null and changes.evidence_ref_before is null
                then 'another_leg'
            when changes.evidence_ref_after is null then 'revision'
            when batches.first_run > changes.last_said_run and batches.revises is null
                then 'late_batch'
            when batches.first_run > changes.last_said_run then 'revision'
            when changes.leg = 'known' then 'identity_learned'
            else 'rematched'
        end as cause
    from changes
    inner join runs on changes.changed_run = runs.run_no
    left join batches
        on
            split_part(changes.evidence_ref_after, '/', 1) = batches.table_name
            and split_part(changes.evidence_ref_after, '/', 2) = batches.batch_id
)

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
    is_restatement,
    cause,
    coalesce(evidence_ref_after, evidence_ref_before) as cause_ref,
    earlier_run,
    changed_run,
    changed_as_of
from caused
