{{ config(
    materialized='incremental',
    incremental_strategy='restamped',
    incremental_predicates=[
        case_no_of_case() ~ ' in (select number from intermediate.int_dirty_numbers__known)'
    ],
    on_schema_change='fail'
) }}

with legs as (
    select * from {{ ref('int_legs__classified') }}
    where {{ in_question('case_no', 'int_dirty_numbers__known') }}
),

run as (
    select * from {{ ref('int_run__as_of') }}
),

stamped as (
    select
        legs.case_id,
        legs.loop,
        legs.business_line,
        legs.channel,
        legs.leg,
        legs.leg_rank,
        legs.is_mandatory,
        legs.surface_claims,
        legs.has_evidence,
        legs.truth,
        legs.divergence,
        legs.sub_class,
        legs.made_by,
        legs.match_tier,
        legs.claim_at,
        legs.evidence_at,
        legs.due_at,
        legs.lag_seconds,
        legs.claim_amount_fen,
        legs.evidence_amount_fen,
        legs.amount_at_stake_fen,
        legs.claim_ref,
        legs.evidence_ref,
        legs.owner,
        legs.detail,
        run.as_of
    from legs
    cross join run
)

select * from stamped
